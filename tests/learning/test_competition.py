"""Winner-take-all without learning."""

import numpy as np
import torch

from spikeseg.config import load_config
from spikeseg.core.sparse import SpikeLists
from spikeseg.learning import LayerTrainer, checkpoint
from spikeseg.learning.competition import Competition

SETTINGS = {
    "device": "cpu",
    "model.n_classes": 4,
    "model.conv2_channels": 5,
    "model.thresholds": [0.2, 1.0, 6.0],
    "wta.enable_homeostasis": False,
    "homeostasis.theta_rest": 1.0,
    "stdp.weight_init_std": 0.3,
}


def samples(n=12):
    return SpikeLists.of(np.random.default_rng(3).random((n, 4, 5, 9, 11)) < 0.1)


def test_wins_are_those_of_training_before_it_has_learned_anything():
    """The first sample that a trainer sees is won by the same maps."""
    cfg, lists = load_config(None, SETTINGS), samples()
    competition = Competition(checkpoint.build(cfg), "conv3", cfg.wta)
    won = [competition.wins(lists.part(n, n + 1)) for n in range(lists.samples)]
    for n, wins in enumerate(won):
        trainer = LayerTrainer(checkpoint.build(cfg), "conv3", cfg)
        trainer.learn(lists, np.array([n]))
        assert wins.tolist() == trainer.state.wins.tolist()
    assert 0 < sum(wins.sum() for wins in won) < 4 * len(won) * 4


def test_nothing_is_learned():
    cfg = load_config(None, SETTINGS)
    model = checkpoint.build(cfg)
    model.encoder.conv3.threshold += torch.arange(4) / 3  # no whole multiples of anything
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    competition, sample = Competition(model, "conv3", cfg.wta), samples(1)
    first = competition.wins(sample)
    assert first.sum() and all(np.array_equal(competition.wins(sample), first) for _ in range(3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.encoder.state_dict().items())
    assert torch.equal(competition._state.weight, model.encoder.conv3.weight)
    assert torch.equal(competition._state.threshold, model.encoder.conv3.threshold)
