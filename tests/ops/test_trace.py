"""Tracing spikes back: the event-driven way against the dense one, and against a definition by hand."""

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the cpu backend needs numba")

from spikeseg.core.grid import snap
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import cpu, reference
from spikeseg.ops.types import Layer, PooledSpikes

SIZES = [(5, 7, 9), (3, 1, 1), (4, 12, 5), (2, 17, 16)]
POOLS = [((2, 2), (2, 2)), ((3, 2), (3, 1)), ((7, 6), None), (None, (2, 2))]


def chain(pools, seed=0):
    g = torch.Generator().manual_seed(seed)
    first = torch.randn(4, 2, 5, 5, generator=g) * 0.2
    weights = [first, torch.rand(6, 4, 3, 3, generator=g), torch.rand(2, 6, 7, 7, generator=g)]
    return [
        Layer(w, torch.full((len(w),), 0.5), LeakMode.SUBTRACTIVE, 819 / 4096, pool)
        for w, pool in zip(weights, (*pools, None), strict=True)
    ]


def trace(ops, *args, **how):
    return np.stack([saliency.dense() for saliency in ops.trace(*args, **how)])


def both(frames, layers, spikes, **how):
    return [trace(ops, frames, layers, spikes, **how) for ops in (reference, cpu)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pools", POOLS)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.3])
def test_event_driven_equals_dense(size, pools, density):
    frames = (np.random.default_rng(1).random((3, size[0], 2, *size[1:])) < density).astype(np.uint8)
    layers = chain(pools)
    spikes = cpu.encode(frames, layers)
    for how in ({"delay_connections": True, "decay": 1.0}, {"delay_connections": True, "decay": 0.0},
                {"delay_connections": False, "decay": 0.3}):  # fmt: skip
        dense, sparse = both(frames, layers, spikes, **how)
        assert dense.dtype == sparse.dtype == np.float32 and np.array_equal(dense, sparse)
    dense, sparse = both(frames, layers, spikes, delay_connections=True, decay=0.9)
    assert np.allclose(dense, sparse, rtol=1e-6)  # sums of numbers off the grid, in another order
    assert density < 0.3 or size[1] == 1 or dense.any()


def one_spike(t, steps, size):
    dense = np.zeros((1, steps, 1, *size), np.uint8)
    dense[0, t, 0, size[0] // 2, size[1] // 2] = 1
    return PooledSpikes(SpikeLists.of(dense), None)


@pytest.mark.parametrize("ops", [reference, cpu])
def test_one_spike_lights_up_its_kernel_where_events_fell(ops):
    g = torch.Generator().manual_seed(2)
    weight = torch.randn(1, 2, 3, 5, generator=g)[..., :3].contiguous()
    layer = Layer(weight, torch.ones(1), LeakMode.NONE, 0.0, None)
    frames = np.zeros((1, 4, 2, 5, 6), np.uint8)
    frames[0, 0, 1, 1, 2], frames[0, 2, 0, 2, 3], frames[0, 2, 1, 2, 3], frames[0, 3, 0, 3, 4] = 1, 1, 1, 1
    kernel = snap(weight[0]).clamp(min=0).numpy()  # centred on row 2, column 3
    want = np.zeros((4, 5, 6), np.float32)
    want[2, 2, 3] = kernel[0, 1, 1] + kernel[1, 1, 1]
    spikes = [one_spike(2, 4, (5, 6))]
    assert np.array_equal(trace(ops, frames, [layer], spikes, delay_connections=False, decay=1.0)[0, 2, 2], want[2, 2])
    want[0, 1, 2] = 0.25 * kernel[1, 0, 0]  # two steps earlier
    got = trace(ops, frames, [layer], spikes, delay_connections=True, decay=0.5)
    assert np.array_equal(got[0], want) and not got[0, 3].any()


@pytest.mark.parametrize("ops", [reference, cpu])
def test_without_delay_connections_earlier_events_light_up_at_the_spike_s_step(ops):
    layer = Layer(torch.ones(1, 1, 3, 3), torch.ones(1), LeakMode.NONE, 0.0, None)
    frames = np.zeros((1, 3, 1, 4, 4), np.uint8)
    frames[0, 0, 0, 1, 1] = frames[0, 2, 0, 2, 3] = 1
    got = trace(ops, frames, [layer], [one_spike(1, 3, (4, 4))], delay_connections=False, decay=1.0)[0]
    assert got[1, 1, 1] == 1 and got.sum() == 1


@pytest.mark.parametrize("maps", [(6, 2), (260, 65)])
def test_a_few_places_of_a_wide_frame_light_up_as_in_the_dense_one(maps):
    """Activity stays near a few places, some at edges, comes back after silent steps, and is gone in the next sample."""
    g, (second, third) = torch.Generator().manual_seed(3), maps
    weights = [torch.rand(2, 2, 5, 5, generator=g), torch.rand(second, 2, 5, 5, generator=g)]
    weights.append(torch.rand(third, second, 7, 7, generator=g) / second)
    layers = [
        Layer(w, torch.ones(len(w)), LeakMode.NONE, 0.0, pool) for w, pool in zip(weights, ((2, 2), None, None), strict=True)
    ]
    frames = np.zeros((3, 6, 2, 14, 90), np.uint8)
    for n, places in enumerate([[(0, 3, 0), (0, 5, 70), (4, 3, 0), (5, 13, 89)], [], [(1, 9, 33), (3, 9, 31), (4, 0, 89)]]):
        for t, y, x in places:
            frames[n, t, :, max(y - 2, 0) : y + 3, max(x - 3, 0) : x + 4] = 1
    spikes = cpu.encode(frames, layers)
    assert all(len(pooled.lists.part(0, 1).sites) and len(pooled.lists.part(2, 3).sites) for pooled in spikes)
    for decay in (1.0, 0.0, 0.9):
        dense, sparse = both(frames, layers, spikes, delay_connections=True, decay=decay)
        assert np.allclose(dense, sparse, rtol=1e-6) and dense[0].any() and dense[2].any() and not sparse[1].any()
        assert decay == 0.9 or np.array_equal(dense, sparse)
        assert 0 < np.count_nonzero(sparse[0]) < 0.5 * sparse[0].size
