"""Layers of every kind, and what they are run on: 50 inputs at random and 20 windows of simulated nights."""

import numpy as np
import pytest
import torch

import spikeseg as ss
from spikeseg.core.leak import LeakMode
from spikeseg.data.windows import windowed
from spikeseg.export.description import Description, PlainLayer
from spikeseg.models.filters import dog_bank, pyramid
from spikeseg.ops import reference
from spikeseg.ops.types import Layer

SIZE = (12, 14)
RANDOM, RECORDED = 50, 20


def snapped(values):
    return (np.round(np.asarray(values) * 4096) / 4096).astype(np.float32)


def plain(maps, threshold, mode, leak, pool=None, name="conv1"):
    """A layer of 5x5 at random; maps: behind and before it."""
    weight = snapped(np.random.default_rng(sum(maps)).random((*maps, 5, 5)) - 0.35)
    theta = snapped(np.broadcast_to(threshold, maps[:1]))
    return PlainLayer(name, weight, theta, mode, round(leak * 4096) / 4096, pool)


def pooled(kernel, stride, size=SIZE):
    first = plain((3, 2), 1.0, LeakMode.SUBTRACTIVE, 0.1, (kernel, stride))
    return Description((first, plain((2, 3), 30.0, LeakMode.NONE, 0.0, name="conv2")), size)


PYRAMID = snapped(pyramid(dog_bank, 2, 2, 3, (1, 2)).numpy())
KINDS = {
    "no leak": Description((plain((3, 2), 1.0, LeakMode.NONE, 0.0),), SIZE),
    "subtractive": Description((plain((3, 2), 1.0, LeakMode.SUBTRACTIVE, 0.1),), SIZE),
    "thresholds": Description((plain((3, 2), (1.0, 1.3, 4.7), LeakMode.SUBTRACTIVE, 0.1),), SIZE),
    "scales": Description((PlainLayer("conv1", PYRAMID, snapped(np.full(4, 0.2)), LeakMode.SUBTRACTIVE, 0.125, None),), SIZE),
    "pool": pooled(2, 2),
    "odd pool": pooled(2, 2, (11, 13)),
    "wide pool": pooled(3, 2),
}
SHARE = Description((plain((3, 2), (1.0, 1.3, 4.7), LeakMode.MULTIPLICATIVE, 0.9),), SIZE)


@pytest.fixture(scope="session")
def kinds():
    """Networks, by what they are made of; 'share' has a leak that takes a share."""
    return {**KINDS, "share": SHARE}


@pytest.fixture(scope="session")
def windows():
    """uint8 (20, 6, 2, 12, 14), cut from a simulated night around its events."""
    night = ss.simulate(duration_s=0.5, difficulty="easy", seed=5)[0]
    data = ss.new("demo", {"device": "cpu", "data.n_timesteps": 6, "data.timestep_ms": 40.0, "data.transforms": []}).config.data
    (whole,) = (frames.dense()[0] for start, frames, _ in windowed(night, data).windows() if start == night.events["t"][0])
    cuts = [
        whole[..., top : top + SIZE[0], left : left + SIZE[1]]
        for top in range(0, whole.shape[-2] - SIZE[0], SIZE[0])
        for left in range(0, whole.shape[-1] - SIZE[1], SIZE[1])
    ]
    return np.stack(sorted(cuts, key=lambda cut: -int(cut.sum()))[:RECORDED]).astype(np.uint8)


@pytest.fixture(scope="session")
def inputs(windows):
    """A function of a size: uint8 (70, 6, 2, H, W)."""
    rng = np.random.default_rng(0)

    def of(size):
        at_random = (rng.random((RANDOM, 6, 2, *size)) < 0.08).astype(np.uint8)
        return np.concatenate([at_random, windows[..., : size[0], : size[1]]])

    return of


@pytest.fixture(scope="session")
def ours():
    """A function: the output spikes of a description, by plain torch, uint8 (N, T, C, H', W')."""

    def spikes(network, frames):
        layers = [Layer(torch.from_numpy(own.weight), torch.from_numpy(own.threshold), *own[3:]) for own in network.layers]
        return reference.encode(frames, layers)[-1].lists.dense()

    return spikes
