"""Cones of spikes: the event-driven way against the reference, link by link; what the reference links, against a definition."""

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the cpu backend needs numba")

from spikeseg.core.neurons import LeakMode
from spikeseg.core.packing import unpacked
from spikeseg.core.sparse import SparseFrames
from spikeseg.ops import cpu, reference
from spikeseg.ops.types import FAR, Groups, Layer

SIZES = [(5, 7, 9), (3, 1, 1), (4, 12, 5), (1, 6, 11), (2, 17, 16)]
POOLS = [((2, 2), (2, 2)), ((3, 2), (3, 1)), ((7, 6), None), (None, (2, 2))]
REACHES = [(True, 1.0), (True, 0.0), (True, 0.75), (False, 1.0), (False, 0.5)]


def chain(pools, seed=0, maps=6):
    g = torch.Generator().manual_seed(seed)
    weights = [torch.randn(4, 2, 5, 5, generator=g) * 0.2, torch.randn(maps, 4, 3, 3, generator=g) * 0.5 + 0.3]
    weights.append(torch.rand(2, maps, 7, 7, generator=g))
    return [
        Layer(w, torch.full((len(w),), 0.5), LeakMode.SUBTRACTIVE, 819 / 4096, pool)
        for w, pool in zip(weights, (*pools, None), strict=True)
    ]


def sample(size, density, seed=1):
    return (np.random.default_rng(seed).random((1, size[0], 2, *size[1:])) < density).astype(np.uint8)


def both(frames, layers, delay, decay):
    spikes = cpu.encode(frames, layers)
    return [ops.cones(frames, layers, spikes, delay_connections=delay, decay=decay) for ops in (reference, cpu)]


def assert_equal(one, other):
    """Arrays, and tuples and lists of them: values, shapes and dtypes."""
    if isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def sets(n, seed=3):
    """Members of three groups among n nodes; one group is empty, and a node may belong to two."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(rng.random(n) < share).astype(np.int32) for share in (0.5, 0.0, 0.9)]
    starts = np.concatenate([[0], np.cumsum([len(group) for group in members])])
    return Groups(starts, np.concatenate(members), rng.integers(1, 5, starts[-1]).astype(np.float64))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pools", POOLS)
@pytest.mark.parametrize("density", [0.0, 0.3])
@pytest.mark.parametrize(("delay", "decay"), REACHES)
def test_event_driven_equals_the_reference(size, pools, density, delay, decay):
    frames = sample(size, density)
    dense, sparse = both(frames, chain(pools, maps=70 if size[1] == 12 else 6), delay, decay)
    assert_equal(dense, sparse)
    assert_equal(reference.unite(dense), cpu.unite(dense))
    events = dense.nodes[0]
    cells = np.where(events.sites % 5 == 0, -1, events.sites % 7 + 7 * events.steps).astype(np.int32)
    groups = sets(len(dense.nodes[-1].sites))
    results = [ops.spread(dense, groups, cells, 7 * size[0]) for ops in (reference, cpu)]
    for result in results:
        assert [part.dtype for part in result] == [np.int64, np.int32, np.float64] and (result.values > 0).all()
    assert_equal(*results)
    if density == 0.3 and size[1] > 1:
        assert len(results[0].members) and len(dense.links[-1].targets)


@pytest.mark.parametrize("ops", [reference, cpu])
def test_frames_as_lists_give_the_same(ops):
    frames, layers = sample((4, 9, 8), 0.2), chain(POOLS[0])
    spikes = ops.encode(frames, layers)
    dense, lists = (ops.cones(f, layers, spikes, delay_connections=True, decay=0.5) for f in (frames, SparseFrames.of(frames)))
    assert_equal(dense, lists)


@pytest.mark.parametrize("ops", [reference, cpu])
def test_cones_of_one_neuron_by_hand(ops):
    """One map over two channels, one synapse of which inhibits; events at one pixel in steps 0 and 2, at another in step 1."""
    weight = torch.tensor([[[[0.5]], [[-1.0]]]])
    layer = Layer(weight, torch.tensor([0.5]), LeakMode.NONE, 0.0, None)
    frames = np.zeros((1, 3, 2, 2, 3), np.uint8)
    frames[0, 0, 0, 1, 2] = frames[0, 2, 0, 1, 2] = frames[0, 1, 0, 0, 0] = frames[0, 1, 1, 1, 1] = 1
    spikes = ops.encode(frames, [layer])
    cones = ops.cones(frames, [layer], spikes, delay_connections=True, decay=0.5)
    assert cones.nodes[0].sites.tolist() == [5, 0, 10, 5] and cones.nodes[0].steps.tolist() == [0, 1, 1, 2]
    assert cones.nodes[1].sites.tolist() == [5, 0, 5] and cones.reach.tolist() == [1.0, 0.5, 0.25, 0.125] and cones.steps == 3
    (links,) = cones.links
    assert links.offsets.tolist() == [0, 1, 2, 3] and links.targets.tolist() == [0, 1, 3]  # never the inhibiting event 2
    assert links.weights.tolist() == [0.5] * 3 and links.earlier.tolist() == [-1, -1, -1, 0]
    boxes, words = ops.unite(cones)
    assert boxes.tolist() == [[2, 1, 3, 2], [0, 0, 1, 1], [2, 1, 3, 2]]
    assert unpacked(words, 3).tolist() == [[True, False, False], [False, True, False], [False, False, True]]
    groups = Groups(np.array([0, 2, 3]), np.array([0, 2, 1], np.int32), np.array([1.0, 2.0, 1.0]))
    total = ops.spread(cones, groups, np.array([0, 1, 0, 1], np.int32), 2)
    assert total.starts.tolist() == [0, 2, 3] and total.owner.tolist() == [0, 0, 1]
    assert dict(zip(total.members[:2].tolist(), total.values[:2].tolist(), strict=True)) == {0: 0.5 + 0.25, 1: 1.0}
    assert total.members[2:].tolist() == [1] and total.values[2:].tolist() == [0.5]


@pytest.mark.parametrize("ops", [reference, cpu])
def test_a_spike_without_input_reaches_nothing(ops):
    layer = Layer(torch.ones(1, 1, 3, 3), torch.zeros(1), LeakMode.NONE, 0.0, None)  # fires whatever comes
    frames = np.zeros((1, 2, 1, 4, 5), np.uint8)
    cones = ops.cones(frames, [layer], ops.encode(frames, [layer]), delay_connections=True, decay=1.0)
    boxes, _ = ops.unite(cones)
    assert len(boxes) == 2 * 4 * 5 and (boxes == [FAR, FAR, 0, 0]).all()
    members = np.arange(40, dtype=np.int32)
    nothing = ops.spread(cones, Groups(np.array([0, 40]), members, np.ones(40)), np.zeros(0, np.int32), 1)
    assert nothing.starts.tolist() == [0, 0] and not len(nothing.members)


def test_many_groups_are_followed_in_parts(monkeypatch):
    frames = sample((4, 9, 8), 0.2)
    cones, _ = both(frames, chain(POOLS[0]), True, 1.0)
    n = len(cones.nodes[-1].sites)
    each = Groups(np.arange(n + 1), np.arange(n, dtype=np.int32), np.ones(n))
    cells = np.zeros(len(cones.nodes[0].sites), np.int32)
    whole = reference.spread(cones, each, cells, 1)
    monkeypatch.setattr("spikeseg.ops.reference.cone_links.GROUPS_AT_ONCE", 3)
    assert n > 3
    assert_equal(reference.spread(cones, each, cells, 1), whole)
