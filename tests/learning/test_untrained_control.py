"""The untrained control: every layer that learned is drawn anew, and nothing else is."""

import pytest
import torch

from spikeseg.config.load import load_config
from spikeseg.learning import checkpoint

SMALL = {"model.conv2_channels": 4, "model.n_classes": 3, "seed": 5, "wta.enable_homeostasis": False}


@pytest.mark.parametrize("first_learns", [False, True])
def test_every_learned_layer_is_drawn_anew(first_learns):
    cfg = load_config(None, {**SMALL, "train_conv1": first_learns})
    model, learned = checkpoint.build(cfg), ["conv1"] * first_learns + ["conv2", "conv3"]
    generator = torch.Generator().manual_seed(1)
    for tensor in model.encoder.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape, generator=generator))
    control, fresh, trained = checkpoint.untrained(model, cfg), checkpoint.build(cfg), model.encoder.state_dict()
    for name in learned:
        fresh.initialise(name, 5, cfg.stdp)
    for name, tensor in control.encoder.state_dict().items():
        layer, _, what = name.partition(".")
        drawn = what == "weight" and layer in learned
        assert torch.equal(tensor, (fresh.encoder.state_dict() if drawn else trained)[name]), name
        assert torch.equal(tensor, trained[name]) is not drawn, name
