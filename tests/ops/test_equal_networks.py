"""Whole networks with filters at several scales and thresholds that adapt: every backend gives the same bits."""

import importlib

import numpy as np
import pytest
import torch

from spikeseg.config.sections import ModelConfig
from spikeseg.models import SpikeSEG
from spikeseg.models.decoder import decode_sparse, spikes_of

FRAMES = np.concatenate(
    [np.random.default_rng(seed).random((1, 3, 2, 21, 75)) < density for seed, density in enumerate((0.0, 0.02, 0.1))]
).astype(np.uint8)


def on_gpu(test):
    """Marked, where there is one."""
    return pytest.mark.gpu(test) if torch.cuda.is_available() else test


def network(dog, adaptive):
    """Thresholds of conv2 and conv3 were raised far, under a dense drive."""
    config = ModelConfig(
        conv1_scales=(1, 3), conv2_channels=5, n_classes=3, thresholds=(0.35, 6.0, 10.0), leaks=(0.18, 0.1, 0.0),
        use_dog_filters=dog, adaptive_thresholds=adaptive,
    )  # fmt: skip
    model = SpikeSEG.from_config(config, seed=1)
    model.encoder.conv2.threshold += torch.linspace(0, 40, 5)
    model.encoder.conv3.threshold += 60
    model.encoder.drives = {"conv2": 0.1, "conv3": 0.1}
    return model


def assert_same(expected, found):
    for level, spikes in expected.items():
        assert np.array_equal(spikes.lists.offsets, found[level].lists.offsets), level
        assert np.array_equal(spikes.lists.sites, found[level].lists.sites), level
        assert spikes.kept is None or np.array_equal(spikes.kept, found[level].kept), level


def check(ops, device, dog, adaptive, monkeypatch, frames=FRAMES):
    model = network(dog, adaptive)
    model.encoder.backend = "reference"
    expected = model.infer(frames)
    assert all(len(spikes.lists.sites) > 20 for spikes in expected.values())
    maps = decode_sparse(model.encoder, frames, expected)
    monkeypatch.setattr("spikeseg.models.encoder.ops_backend", lambda *_: ops)
    monkeypatch.setattr("spikeseg.models.decoder.ops_backend", lambda *_: ops)
    model = model.to(device)
    found = model.infer(frames)
    assert_same(expected, found)
    sequence = torch.from_numpy(frames.astype(np.float32)).transpose(0, 1).to(device)
    assert_same(expected, spikes_of(model.encode(sequence)))
    for one, other in zip(maps, decode_sparse(model.encoder, frames, found), strict=True):
        assert np.array_equal(one.index, other.index) and np.array_equal(one.value, other.value)


@pytest.mark.parametrize("name", ["reference", "cpu"])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("dog", [False, True])
def test_scales_and_thresholds_that_adapt(name, dog, adaptive, monkeypatch):
    check(importlib.import_module(f"spikeseg.ops.{name}"), "cpu", dog, adaptive, monkeypatch)


@pytest.mark.usefixtures("meaning")
@on_gpu
def test_scales_and_thresholds_that_adapt_in_triton(triton_ops, device, monkeypatch):
    monkeypatch.setattr(triton_ops.chain, "PRODUCTS", 150)  # its interpreter is slower still event by event
    check(triton_ops, device, True, True, monkeypatch, FRAMES[::2])  # its interpreter is slow


def test_they_change_what_is_said():
    adapted, fixed = network(True, True).infer(FRAMES), network(True, False).infer(FRAMES)
    assert np.array_equal(adapted["pool1"].lists.sites, fixed["pool1"].lists.sites)
    assert len(adapted["conv3"].lists.sites) > len(fixed["conv3"].lists.sites)
