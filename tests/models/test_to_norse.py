"""`model.to_norse()`: a plain Norse network with the same spikes."""

import dataclasses

import norse.torch
import numpy as np
import pytest
import torch

from spikeseg.config.sections import ModelConfig
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG


def network(**changes):
    settings = {"conv2_channels": 5, "n_classes": 3, "thresholds": (0.3, 20.0, 30.0), "leaks": (0.18, 0.1, 0.0), **changes}
    model = SpikeSEG.from_config(ModelConfig(**settings), seed=1)
    model.encoder.conv2.threshold += torch.linspace(0, 1, 5)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"leak_mode": "multiplicative", "leaks": (0.3, 0.1, 0.05)},
        {"leaks": (0.0, 0.0, 0.0), "use_dog_filters": False},
        {
            "thresholds": (0.8, 40.0, 60.0),
            "conv1_scales": (1, 2),
            "pool1_kernel": 3,
            "pool1_stride": 2,
            "pool2_kernel": 3,
            "pool2_stride": 3,
        },
    ],
    ids=["subtractive", "multiplicative", "no leak", "scales and pools"],
)
def test_all_spikes_are_equal(changes):
    model = network(**changes)
    rng = np.random.default_rng(4)
    frames = ((rng.random((4, 6, 2, 41, 38)) < 0.05) * rng.integers(1, 4, (4, 6, 2, 41, 38))).astype(np.uint8)
    expected = model.infer(frames)["conv3"].lists.dense()
    assert 0 < expected.mean() < 1
    plain = model.to_norse()
    assert isinstance(plain, norse.torch.SequentialState)
    spikes, state = norse.torch.Lift(plain)(torch.from_numpy(frames).float().transpose(0, 1))
    assert np.array_equal(spikes.transpose(0, 1).numpy(), expected)
    assert not spikes.requires_grad and len(state) == len(plain)


def test_it_does_not_share_what_is_learned():
    model = network()
    plain = model.to_norse()
    before = plain[0].weight.clone()
    model.encoder.conv1.weight += 1
    assert torch.equal(plain[0].weight, before)
    assert "threshold=20 to 21" in repr(plain)


def test_thresholds_of_0_are_refused():
    model = network()
    model.encoder.config = dataclasses.replace(model.encoder.config)
    model.encoder.conv3.threshold.zero_()
    with pytest.raises(InputError, match="threshold: 0 on the grid"):
        model.to_norse()
