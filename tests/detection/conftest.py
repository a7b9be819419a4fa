"""Networks small enough to know what each of their spikes comes from."""

import numpy as np
import pytest
import torch

from spikeseg.config.sections import ModelConfig
from spikeseg.models import SpikeSEG


def polarity_network(**changes):
    """One feature and one class for each polarity, OFF (0) and ON (1): a dot of 2x2 pixels or more excites them, at once."""
    settings = {
        "conv1_channels": 2,
        "conv2_channels": 2,
        "n_classes": 2,
        "kernel_sizes": (3, 3, 3),
        "thresholds": (0.3, 0.9, 0.9),
        "leaks": (0.3, 0.9, 0.9),
        "delay_decay": 1.0,
        **changes,
    }
    model = SpikeSEG.from_config(ModelConfig(**settings), seed=0)
    for layer, weight in (("conv1", 0.1), ("conv2", 1.0), ("conv3", 1.0)):
        weights = model.encoder.layer(layer).weight
        weights.copy_(torch.eye(2)[:, :, None, None].expand_as(weights) * weight)
    return model


def moving_dot(frames, polarity, start, velocity, steps):
    """Draw a dot of 3x3 pixels into frames (T, 2, H, W): centre (y, x) at its first step, pixels per step, its steps."""
    for k, t in enumerate(steps):
        y, x = (round(s + k * v) for s, v in zip(start, velocity, strict=True))
        frames[t, polarity, y - 1 : y + 2, x - 1 : x + 2] = 1


def unravelled(model, frames, **options):
    """Spikes of a sample, and its instances."""
    from spikeseg.detection.hulk import instances

    found = model.infer(frames[None])
    return found, instances(model.encoder, frames, found, **options)


@pytest.fixture
def hulk_tools():
    """polarity_network, moving_dot, unravelled."""
    return polarity_network, moving_dot, unravelled


@pytest.fixture
def crossing(hulk_tools):
    """An ON dot moving right and an OFF dot moving down, which meet; the network, the frames and the instances."""
    network, dot, unravel = hulk_tools
    model, frames = network(), np.zeros((9, 2, 48, 56), np.uint8)
    dot(frames, 1, (24, 8), (0, 4), range(9))
    dot(frames, 0, (8, 24), (4, 0), range(9))
    return model, frames, unravel(model, frames)[1]


@pytest.fixture
def find_in_slices():
    """`objects_in_slices` of a dense map (T, H, W)."""
    from spikeseg.detection.objects import WindowTime, objects_in_slices

    def find(saliency, threshold, **times):
        index = np.flatnonzero(saliency >= threshold)
        return objects_in_slices(index, saliency.reshape(-1)[index], saliency.shape, WindowTime(**times))

    return find
