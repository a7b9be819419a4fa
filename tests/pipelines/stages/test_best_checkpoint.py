"""The best checkpoint is that of the epoch with the lowest C_l, the first of equals, and not the last one."""

import pytest
import torch

from spikeseg.data.store.recordings import stored
from spikeseg.learning import LayerTrainer, checkpoint
from spikeseg.learning.run_files import best_checkpoint
from spikeseg.learning.train import train
from spikeseg.pipelines.stages import train_layer
from spikeseg.pipelines.stages.runs import network_in

INDICES = (0.2, 0.1, 0.15, 0.1)
"""C_l after each epoch, as far as reports tell."""

MOVES = {"stdp.lr_plus": 0.3, "stdp.lr_minus": 0.3, "convergence.patience": 9, "convergence.c_l_threshold": 0.0}
"""Weights change in every epoch, and nothing ends the training early."""


@pytest.fixture
def reported(monkeypatch):
    """Makes reports tell INDICES, epoch by epoch of 12 samples. -> conv2's weights after each epoch."""
    report, weights = LayerTrainer.report, {}

    def told(trainer):
        epoch = max(1, -(-trainer.samples // 12))
        weights[epoch] = trainer.layer.weight.clone()
        return {**report(trainer), "convergence_index": INDICES[epoch - 1]}

    monkeypatch.setattr(LayerTrainer, "report", told)
    return weights


def best_of(run):
    path = run.folder / "checkpoints" / "checkpoint_best.pt"
    return checkpoint.load(path)[0].encoder.conv2.weight, checkpoint.load(path)[1]["progress"]["epoch"]


def test_of_a_run(world, reported):
    weight, epoch = best_of(world.fresh({"max_epochs": 4, **MOVES}))
    assert epoch == 2 and torch.equal(weight, reported[2]) and not torch.equal(weight, reported[4])


def test_of_a_run_that_was_interrupted(world, interrupt, reported):
    with interrupt(30):
        stopped = world.fresh({"max_epochs": 4, **MOVES})
    assert stopped.interrupted and best_of(stopped)[1] == 2
    train_layer.train_layer(stopped.cfg, "conv2", resume=stopped.folder / "checkpoints/checkpoint_latest.pt")
    weight, epoch = best_of(stopped)
    assert epoch == 2 and torch.equal(weight, reported[2])


def test_of_a_training_in_memory(world, reported):
    frames = world.fresh().frames
    learned_from = [stored(frames, r) for r, info in enumerate(frames.recordings) if info.split == "train"]
    cfg = world.config({"max_epochs": 4, **MOVES, "train_conv3": False})
    model, _ = train(learned_from, cfg, torch.device("cpu"))
    assert torch.equal(model.encoder.conv2.weight, reported[2]) and not torch.equal(reported[2], reported[4])


def test_it_is_what_a_run_s_folder_means_and_without_it_the_end_of_the_last_layer(world):
    for keep, name in ((True, "checkpoint_best.pt"), (False, "conv3.pt")):
        run = world.run({"checkpoint.save_best": keep}, ("conv2", "conv3"))
        assert ("checkpoints/checkpoint_best.pt" in run.files) is keep
        assert best_checkpoint(run.folder).name == network_in(run.cfg, run.folder).checkpoint.name == name


def test_a_first_layer_learns_in_memory_as_it_does_in_a_run(world):
    changes = {"train_conv1": True, "train_conv3": False, "model.thresholds": [1.0, 1.0, 0.5]}
    run = world.run(changes, ("conv1", "conv2"))
    learned_from = [stored(run.frames, r) for r, info in enumerate(run.frames.recordings) if info.split == "train"]
    model, reports = train(learned_from, run.cfg, torch.device("cpu"))
    of_run = checkpoint.load(run.folder / "checkpoints" / "checkpoint_best.pt")[0].encoder.state_dict()
    assert list(reports) == ["conv1", "conv2"] and reports["conv1"]["wins"] > 0
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, of_run[name]), name
