"""Images: latency code, layers that fire once, potentials at the end; both backends give the same."""

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the cpu backend needs numba")
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.core.sparse import SpikeLists
from spikeseg.models.filters import dog_kernel, edge_bank
from spikeseg.ops import cpu, reference
from spikeseg.ops.types import SingleSpikeLayer

BOTH = pytest.mark.parametrize("ops", [reference, cpu], ids=["reference", "cpu"])


def same(one, other):
    assert one.shape == other.shape
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_array_equal(one.sites, other.sites)


def once(rng, shape, density, samples):
    """Every input fires at most once."""
    steps, *site = shape
    when = rng.integers(0, steps, (samples, *site))
    silent = rng.random((samples, *site)) >= density
    dense = (np.arange(steps)[:, None, None, None] == when[:, None]) & ~silent[:, None]
    return SpikeLists.of(dense)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 14), st.integers(1, 9), st.floats(0, 60))
def test_latency_is_the_same(seed, height, width, steps, contrast):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, rng.choice([2, 256]), (rng.integers(0, 4), height, width)).astype(np.uint8)
    kernel = dog_kernel(int(rng.choice([3, 7])), 1.0)
    same(cpu.latency(images, kernel, contrast, steps), reference.latency(images, kernel, contrast, steps))


@BOTH
def test_latency_by_hand(ops):
    """A bright pixel: ON at once, its surround OFF later, nothing where nothing changes."""
    image = np.full((1, 9, 9), 20, np.uint8)
    image[0, 4, 4] = 220
    lists = ops.latency(image, dog_kernel(3, 0.5), 1.0, 3)
    dense = lists.dense()[0]
    assert dense[:, 1].sum() == 1 and dense[0, 1, 4, 4] == 1
    assert dense[:, 0].sum() == 8 and not dense[:, :, 4, 4][:, 0].any()
    assert dense.sum((1, 2, 3)).tolist() == [3, 3, 3]
    sides, corners = dense[:, 0, [3, 4, 4, 5], [4, 3, 5, 4]], dense[:, 0, [3, 3, 5, 5], [3, 5, 3, 5]]
    order = np.concatenate([sides.argmax(0), corners.argmax(0)])
    assert order.tolist() == [1, 2, 2, 2, 0, 0, 1, 1]  # corners first; of equals by row and column
    assert len(ops.latency(image, dog_kernel(3, 0.5), 300.0, 3).sites) == 0
    assert len(ops.latency(np.full((1, 9, 9), 77, np.uint8), dog_kernel(3, 0.5), 0.0, 3).sites) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 14), st.integers(1, 9), st.floats(0, 60))
def test_latency_by_orientation_is_the_same(seed, height, width, steps, contrast):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, rng.choice([2, 256]), (rng.integers(0, 4), height, width)).astype(np.uint8)
    bank = edge_bank([(3,), (7,), (3, 5)][rng.integers(3)], int(rng.integers(1, 5)))
    pool = [(1, 1), (2, 2), (3, 2), (5, 4), (15, 3)][rng.integers(5)]
    one, other = (ops.oriented_latency(images, bank, contrast, steps, pool) for ops in (cpu, reference))
    same(one, other)
    assert (one.dense().sum((1, 2)) <= 1).all()  # one spike per position


@BOTH
def test_latency_by_orientation_by_hand(ops):
    """Two filters, differences along rows and along columns: strong edges first, of either sign, of equals the first filter."""
    across = torch.tensor([[0.0, 0, 0], [-1, 1, 0], [0, 0, 0]])
    image = np.zeros((1, 4, 6), np.uint8)
    image[0, :, 2:], image[0, :, 4:] = 30, 100
    bank = torch.stack([across, across.T.contiguous()])
    found = ops.oriented_latency(image, bank, 20.0, 2, (1, 1))
    assert np.argwhere(found.dense()[0]).tolist() == [[0, 0, y, 4] for y in range(4)] + [[1, 0, y, 2] for y in range(4)]
    assert len(ops.oriented_latency(image, bank, 31.0, 2, (1, 1)).sites) == 4
    darker = ops.oriented_latency(255 - image, bank, 20.0, 2, (1, 1))
    np.testing.assert_array_equal(darker.sites, found.sites)  # of either polarity
    pooled = ops.oriented_latency(image, bank, 20.0, 1, (3, 2))
    assert pooled.shape == (1, 2, 2, 3)  # the third window of columns holds 4 and 5
    assert np.argwhere(pooled.dense()[0]).tolist() == [[0, 0, y, x] for y in (0, 1) for x in (0, 1, 2)]
    lying = np.ascontiguousarray(image.transpose(0, 2, 1))
    assert set(np.argwhere(ops.oriented_latency(lying, bank, 20.0, 2, (1, 1)).dense()[0])[:, 1]) == {1}
    both = ops.oriented_latency(lying, torch.stack([bank[1], bank[1]]), 20.0, 2, (1, 1)).dense()[0]
    assert both[:, 0].sum() == 8 and not both[:, 1].any()
    with pytest.raises(ValueError, match="one sum to 2000, must be at most 1024"):
        ops.oriented_latency(image, 1000 * bank, 20.0, 2, (1, 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_layers_that_fire_once_are_the_same(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 6)), int(rng.integers(1, 4)), int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    lists = once(rng, shape, rng.choice([0.0, 0.2, 0.9]), int(rng.integers(0, 4)))
    maps, kernel = int(rng.integers(1, 20)), int(rng.choice([1, 3, 5]))
    weight = torch.from_numpy(rng.choice([0.0, 0.25, 0.5, 1.0], (maps, shape[1], kernel, kernel)).astype(np.float32))
    if rng.random() < 0.5:
        weight = torch.from_numpy(rng.normal(0.5, 0.4, (maps, shape[1], kernel, kernel)).astype(np.float32))
    theta = torch.from_numpy(rng.choice([0.5, 1.0, 2.0, 3.0], maps).astype(np.float32))
    pool = [(1, 1), (2, 2), (3, 2), (7, 6)][rng.integers(4)]
    layer = SingleSpikeLayer(weight, theta, pool, bool(rng.random() < 0.5))
    same(cpu.fire_once(lists, layer), reference.fire_once(lists, layer))
    grid = (int(rng.integers(1, shape[2] + 1)), int(rng.integers(1, shape[3] + 1)))
    one, other = (ops.final_potentials(lists, weight, grid) for ops in (cpu, reference))
    np.testing.assert_array_equal(one, other)


@BOTH
def test_a_layer_by_hand(ops):
    """Two maps over one row; the stronger one of a position silences the other, for good; each neuron fires once."""
    dense = np.zeros((1, 3, 1, 1, 4), np.uint8)
    dense[0, 0, 0, 0, 0] = dense[0, 1, 0, 0, 1] = dense[0, 2, 0, 0, 3] = 1
    lists = SpikeLists.of(dense)
    weight = torch.tensor([1.0, 1.5]).reshape(2, 1, 1, 1)
    inhibited = ops.fire_once(lists, SingleSpikeLayer(weight, torch.ones(2), (1, 1), True)).dense()[0]
    assert np.argwhere(inhibited).tolist() == [[0, 1, 0, 0], [1, 1, 0, 1], [2, 1, 0, 3]]
    free = ops.fire_once(lists, SingleSpikeLayer(weight, torch.ones(2), (1, 1), False)).dense()[0]
    assert np.argwhere(free).tolist() == [[t, m, 0, x] for t, x in ((0, 0), (1, 1), (2, 3)) for m in (0, 1)]
    equal = ops.fire_once(lists, SingleSpikeLayer(torch.ones(2, 1, 1, 1), torch.ones(2), (1, 1), True)).dense()[0]
    assert equal[:, 0].sum() == 3 and not equal[:, 1].any()
    pooled = ops.fire_once(lists, SingleSpikeLayer(weight, torch.ones(2), (2, 2), True)).dense()[0]
    assert np.argwhere(pooled).tolist() == [[0, 1, 0, 0], [2, 1, 0, 1]]
    wide = torch.full((1, 1, 3, 3), 0.5)  # potentials add up over steps
    late = ops.fire_once(lists, SingleSpikeLayer(wide, torch.tensor([1.0]), (1, 1), True)).dense()[0]
    assert np.argwhere(late).tolist() == [[1, 0, 0, 0], [1, 0, 0, 1], [2, 0, 0, 2]]


@BOTH
def test_final_potentials_by_hand(ops):
    dense = np.zeros((1, 2, 1, 2, 4), np.uint8)
    dense[0, 0, 0, 0, 0] = dense[0, 1, 0, 0, 1] = dense[0, 1, 0, 1, 3] = 1
    weight = torch.full((1, 1, 3, 3), 0.25)
    found = ops.final_potentials(SpikeLists.of(dense), weight, (1, 2))
    assert found.shape == (1, 1, 1, 2) and found.ravel().tolist() == [0.5, 0.5]
    assert ops.final_potentials(SpikeLists.of(dense), weight, (2, 4))[0, 0].tolist() == [[0.5, 0.5, 0.5, 0.25]] * 2
    with pytest.raises(ValueError, match="3 x 1 cells over maps of 2 x 4"):
        ops.final_potentials(SpikeLists.of(dense), weight, (3, 1))
