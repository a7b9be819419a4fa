"""On a GPU: the Triton kernels on full frames, many samples a CUDA graph, against the CPU backend, bit for bit."""

import numpy as np
import pytest
import torch

from spikeseg.core.grid import snap
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import (
    BlockThreshold,
    Layer,
    LearningState,
    MapHomeostasis,
    NeuronHomeostasis,
    Plasticity,
    PlasticityForm,
    TrainingRule,
)

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
CONV2, CONV3 = (10, 4, 90, 120), (10, 36, 45, 60)


@pytest.fixture(scope="module")
def cpu():
    pytest.importorskip("numba", reason="compared with the cpu backend, which needs numba")
    from spikeseg.ops import cpu

    return cpu


def clustered(seed, samples, shape, rate):
    """Sparse spikes and a few dense blobs, which fire all maps at one place and step."""
    rng = np.random.default_rng(seed)
    steps, channels, height, width = shape
    dense = rng.random((samples, *shape), np.float32) < rate
    for n in range(samples):
        y, x = rng.integers(0, height - 6), rng.integers(0, width - 6)
        dense[n, rng.integers(0, steps) :, rng.integers(0, channels), y : y + 6, x : x + 6] |= rng.random((6, 6)) < 0.6
    return SpikeLists.of(dense)


def a_state(maps, channels, kernel, base, device):
    weight = 0.8 + 0.05 * torch.randn(maps, channels, kernel, kernel, generator=torch.Generator().manual_seed(0))
    return LearningState.fresh(weight.clamp(0, 1).to(device), torch.full((maps,), base, device=device))


def assert_same(got, want):
    for name in ("weight", "threshold", "theta", "wins", "recent_wins", "seen"):
        assert torch.equal(getattr(got, name).cpu(), getattr(want, name)), name
    assert want.competition is None or torch.equal(got.competition.cpu(), want.competition)


RULES = {
    "both": ("both", LeakMode.SUBTRACTIVE, MapHomeostasis(0.0, 0.05, 100.0, 20.0), None, 1),
    "global": ("global", LeakMode.NONE, MapHomeostasis(0.0, 0.05, 100.0, 20.0), None, 1),
    "local": ("local", LeakMode.MULTIPLICATIVE, None, None, 1),
    "competition": ("both", LeakMode.SUBTRACTIVE, None, NeuronHomeostasis(0.1, 0.05, 1.0, 10.0), 1),
    "batches": ("both", LeakMode.SUBTRACTIVE, MapHomeostasis(0.0, 0.05, 100.0, 20.0), None, 7),
}


def train_both(triton_ops, cpu, device, shape, maps, kernel, base, samples, name):
    """500 samples in calls of uneven length; dead maps are shaken as they are found."""
    wta, mode, map_rule, competition, batch = RULES[name]
    plasticity = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0)
    rule = TrainingRule(mode, 0.25, base, plasticity, wta, 2, None, competition, map_rule, True, 0.05, 40, batch)
    lists = clustered(1, min(samples, 60), shape, 0.004)
    order = np.random.default_rng(2).integers(0, lists.samples, samples)
    states = [a_state(maps, shape[1], kernel, base, where) for where in (device, torch.device("cpu"))]
    stops: list[list[int]] = [[], []]
    for state, ops, found in zip(states, (triton_ops, cpu), stops, strict=True):
        training, rng, done = ops.Training(state, rule), np.random.default_rng(3), 0
        while done < samples:
            done += training.run(lists, order[done : done + 150])
            found.append(done)
            dead = state.dead(rule)
            for m in torch.nonzero(dead).flatten().tolist():
                state.weight[m] = torch.from_numpy(rng.random(state.weight[m].shape, np.float32)).to(state.weight.device)
            state.seen[dead] = 0
            state.recent_wins[dead] = 0
            state.threshold.copy_(rule.base + state.theta)
    assert stops[0] == stops[1]
    assert_same(*states)
    assert states[1].wins.sum() > samples


@pytest.mark.parametrize("name", list(RULES))
def test_conv2_learns_the_same_from_500_samples(triton_ops, cpu, device, name):
    train_both(triton_ops, cpu, device, CONV2, 36, 5, 5.0, 500 if name != "local" else 60, name)


@pytest.mark.parametrize("name", ["both", "global"])
def test_conv3_learns_the_same(triton_ops, cpu, device, name):
    train_both(triton_ops, cpu, device, CONV3, 10, 7, 8.0, 100, name)


def encode_both(triton_ops, cpu, device, size, samples, counts):
    rng = np.random.default_rng(4)
    frames = (rng.random((samples, 10, 2, *size), np.float32) < 0.01).astype(np.uint16)
    if counts:
        frames *= rng.integers(1, 300, frames.shape).astype(np.uint16)
    leaks, pool = (LeakMode.SUBTRACTIVE, LeakMode.MULTIPLICATIVE, LeakMode.NONE), (2, 2)
    shapes = [(4, 2, 7, leaks[0], pool), (36, 4, 5, leaks[1], pool), (10, 36, 7, leaks[2], None)]
    blocks = snap(torch.rand(samples, 4, -(-size[0] // 16), -(-size[1] // 16), generator=torch.Generator().manual_seed(5)) + 0.3)
    found = []
    for where, ops in ((device, triton_ops), (torch.device("cpu"), cpu)):
        generator = torch.Generator().manual_seed(6)
        layers = []
        for out, channels, kernel, mode, pool in shapes:
            weight = torch.rand(out, channels, kernel, kernel, generator=generator) - 0.3
            layers.append(Layer(weight.to(where), torch.full((out,), 2.0, device=where), mode, 0.25, pool))
        found.append(ops.encode(frames, layers, BlockThreshold(blocks.to(where), 16)))
    for got, want in zip(*found, strict=True):
        assert got.lists.shape == want.lists.shape
        assert np.array_equal(got.lists.offsets, want.lists.offsets) and np.array_equal(got.lists.sites, want.lists.sites)
        assert (got.kept is None and want.kept is None) or np.array_equal(got.kept, want.kept)
        assert len(want.lists.sites)


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("size", [(180, 240), (240, 304), (181, 239)])
def test_chains_say_the_same_of_full_frames(triton_ops, cpu, device, size, counts):
    encode_both(triton_ops, cpu, device, size, 6, counts)
