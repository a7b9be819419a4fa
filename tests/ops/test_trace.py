"""Tracing spikes back: the event-driven way against the dense one, and against a definition by hand."""

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the cpu backend needs numba")

from tracing_cases import assert_same

from spikeseg.core.grid import snap
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.models.filters import dog_bank, pyramid
from spikeseg.ops import cpu, reference
from spikeseg.ops.cpu import tracing
from spikeseg.ops.cpu.tracing import rounding_error
from spikeseg.ops.types import Groups, Layer, PooledSpikes

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


def learned():
    g = torch.Generator().manual_seed(5)
    return torch.rand(6, 8, 3, 3, generator=g), torch.rand(2, 6, 7, 7, generator=g)


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
    for delay, decay in ((True, 1.0), (True, 0.0), (True, 0.9), (False, 0.3)):
        dense, sparse = both(frames, layers, spikes, delay_connections=delay, decay=decay)
        assert dense.dtype == sparse.dtype == np.float32 and np.array_equal(dense, sparse)
    assert density < 0.3 or size[1] == 1 or dense.any()


@pytest.mark.parametrize("place", [(6, 40), (14, 122)])
def test_filters_of_one_polarity_with_zeros_around_where_little_of_a_wide_frame_is_reached(place):
    first = pyramid(dog_bank, 4, 2, 5, (1, 3))
    first[5] = 0.0
    first[2, 0] = first[2, 0].roll((3, -4), (0, 1))  # off the middle
    pools = ((2, 2), (2, 2), None)
    layers = [
        Layer(w, torch.full((len(w),), 0.5), LeakMode.SUBTRACTIVE, 819 / 4096, pool)
        for w, pool in zip((first, *learned()), pools, strict=True)
    ]
    rng, frames = np.random.default_rng(4), np.zeros((2, 6, 2, 19, 130), np.uint8)
    frames[..., place[0] : place[0] + 7, place[1] : place[1] + 12] = (
        rng.random((2, 6, 2, 7, 12))[..., : 19 - place[0], : 130 - place[1]] < 0.3
    )
    spikes = cpu.encode(frames, layers)
    for ours, theirs in zip(spikes, reference.encode(frames, layers), strict=True):
        assert np.array_equal(ours.lists.dense(), theirs.lists.dense()) and ours.lists.dense().any()
    for decay in (1.0, 0.9):
        dense, sparse = both(frames, layers, spikes, delay_connections=True, decay=decay)
        assert dense.any() and np.array_equal(dense, sparse)


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
        assert np.array_equal(dense, sparse) and dense[0].any() and dense[2].any() and not sparse[1].any()
        assert 0 < np.count_nonzero(sparse[0]) < 0.5 * sparse[0].size


def shuffled(layers, spikes, order):
    """The same network with the maps of its second layer in another order, and what it says."""
    first, second, third = layers
    second = second._replace(weight=second.weight[order], threshold=second.threshold[order])
    layers = [first, second, third._replace(weight=third.weight[:, order])]
    lists, kept = spikes[1]
    size, number = lists.shape[2] * lists.shape[3], np.argsort(order).astype(np.int32)
    steps = np.repeat(np.arange(len(lists.offsets) - 1), np.diff(lists.offsets))
    sites = number[lists.sites // size] * size + lists.sites % size
    by_site = np.lexsort((sites, steps))
    moved = PooledSpikes(lists._replace(sites=sites[by_site]), None if kept is None else kept[by_site])
    return layers, [spikes[0], moved, spikes[2]]


@pytest.mark.parametrize("ops", [reference, cpu])
@pytest.mark.parametrize("decay", [0.9, 0.3])
def test_the_order_of_sums_does_not_matter(ops, decay):
    """Saliency rounds to float32, which hides most errors of float64; cones do not."""
    frames = (np.random.default_rng(1).random((1, 5, 2, 17, 16)) < 0.3).astype(np.uint8)
    layers = chain(POOLS[1])
    spikes = cpu.encode(frames, layers)
    assert len(np.unique(np.repeat(np.arange(5), np.diff(spikes[2].lists.offsets)))) > 1
    others, moved = shuffled(layers, spikes, [4, 2, 5, 0, 3, 1])
    same = cpu.encode(frames, others)
    assert np.array_equal(same[1].lists.sites, moved[1].lists.sites) and np.array_equal(same[1].kept, moved[1].kept)
    n, how = len(spikes[2].lists.sites), {"delay_connections": True, "decay": decay}
    found = []
    for net, said in ((layers, spikes), (others, moved)):
        cones = ops.cones(frames, net, said, **how)
        groups = Groups(np.array([0, n // 3, n]), np.arange(n, dtype=np.int32), np.ones(n))
        sums = ops.spread(cones, groups, (cones.nodes[0].sites % 7).astype(np.int32), 7)
        found.append((trace(ops, frames, net, said, **how), *sums))
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True)) and len(found[0][2]) == 14


@pytest.mark.parametrize("pools", POOLS)
@pytest.mark.parametrize(("error", "share"), [(None, (0.0, 0.0)), (1e-9, (0.01, 0.1)), (1.0, (0.9, 1.0))])
def test_pixels_in_doubt_are_traced_step_by_step_through_what_leads_to_them_alone(pools, error, share, monkeypatch):
    frames = (np.random.default_rng(2).random((2, 5, 2, 12, 31)) < 0.3).astype(np.uint8)
    layers = chain(pools)
    spikes, again, events = cpu.encode(frames, layers), tracing._Ways.step_by_step, [0]
    monkeypatch.setattr(
        tracing._Ways, "step_by_step", lambda *given: events.append(len(given[2][0].lists.sites)) or again(*given)
    )
    if error:
        monkeypatch.setattr(tracing, "rounding_error", lambda *_: error)
    dense, sparse = both(frames, layers, spikes, delay_connections=True, decay=0.9)
    assert np.array_equal(dense, sparse) and dense.any()
    assert share[0] <= sum(events) / np.count_nonzero(frames) <= share[1]


@pytest.mark.parametrize("pools", POOLS)
@pytest.mark.parametrize("error", [None, 1e-9, 1.0])
def test_sets_of_maps_are_traced_at_once_as_alone(pools, error, monkeypatch):
    """Six maps, more than are kept apart at a time, after a layer of few."""
    g = torch.Generator().manual_seed(6)
    frames = (np.random.default_rng(3).random((2, 5, 2, 12, 31)) < 0.3).astype(np.uint8)
    third = Layer(torch.rand(6, 6, 7, 7, generator=g), torch.full((6,), 0.5), LeakMode.SUBTRACTIVE, 819 / 4096, None)
    layers = [*chain(pools)[:2], third]
    spikes, sets = cpu.encode(frames, layers), [None, [0], [1, 4], [5], [], [2], [3]]
    if error:
        monkeypatch.setattr(tracing, "rounding_error", lambda *_: error)
    for delay, decay in ((True, 1.0), (True, 0.0), (True, 0.9), (True, 1e-300), (False, 0.3)):
        how = {"delay_connections": delay, "decay": decay}
        wanted = reference.trace_sets(frames, layers, spikes, sets, **how)
        for own, alone, found in zip(sets, wanted, cpu.trace_sets(frames, layers, spikes, sets, **how), strict=True):
            assert_same(found, alone)
            assert any(len(saliency.value) for saliency in found) == (own != [])
        assert_same(wanted[0], reference.trace(frames, layers, spikes, **how))


@pytest.mark.parametrize(("pool", "most"), [((2, 2), 5), ((3, 1), 7), (None, 6)])
def test_a_sum_is_rounded_no_oftener_than_the_bound_says(pool, most):
    """Of a filter whose middle 3 px excite and a pool of 2, spikes of 2 cells a side pass something on to an event; of one
    without a pool, of 3; of whatever maps and steps."""
    weight = -torch.ones(4, 2, 5, 5)
    weight[..., 1:4, 1:4] = 1.0
    layer = Layer(weight, torch.ones(4), LeakMode.NONE, 0.0, pool)
    dense = np.zeros((1, 10, 4, 6, 9), np.uint8)
    for place in ((0, 0, 4, 7), (0, 1, 4, 7), (3, 1, 5, 7), (3, 2, 5, 8), (9, 0, 5, 8), (9, 0, 3, 6), (9, 0, 2, 4), (0, 0, 0, 0)):
        dense[0][place] = 1
    lists, polarities = SpikeLists.of(dense), 3
    assert rounding_error([layer], [lists], polarities) == 2.0**-53 * (2 * polarities + 4 + 4 * 10 + 8 + most)
    assert rounding_error([layer] * 2, [lists] * 2, polarities) == 2.0**-53 * (2 * polarities + 4 + 4 * 10 + 8 + 2 * most)


def test_doubt_is_about_float32():
    tie = 1 + 2.0**-24  # halfway between two float32
    for values, error, doubts in (([tie], 1e-12, [0]), ([tie], 0.0, []), ([1.0, tie - 1 + 1e-9], 1e-12, []), ([1.0], 1e-12, [])):
        sums, touched = np.zeros(4), np.zeros(1, np.uint64)
        offsets, pixels = np.array([0, len(values)]), np.full(len(values), 2, np.int32)
        events = SpikeLists(offsets, pixels, (1, 1, 2, 2))
        index, value, doubtful = tracing._summed(events, np.array(values), sums, touched, error)
        assert index.tolist() == [2] and len(value) == 1 and doubtful.tolist() == doubts
        assert not sums.any() and not touched.any()
