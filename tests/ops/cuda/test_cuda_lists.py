"""Images and cones of the cuda backend, the same as the reference on the CPU."""

import numpy as np
import pytest
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import Groups, Layer, SingleSpikeLayer

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []


def same_lists(got, want):
    assert got.shape == want.shape
    assert np.array_equal(got.offsets, want.offsets) and np.array_equal(got.sites, want.sites)


@pytest.mark.parametrize(("size", "kernel"), [((9, 7), 3), ((1, 1), 7), ((12, 30), 7)])
def test_images_are_coded_alike(triton_ops, meaning, device, size, kernel):
    images = np.random.default_rng(0).integers(0, 256, (3, *size)).astype(np.uint8)
    filter_ = torch.randn(kernel, kernel, generator=torch.Generator().manual_seed(0))
    same_lists(triton_ops.latency(images, filter_.to(device), 10.0, 5), meaning.latency(images, filter_, 10.0, 5))
    bank = torch.stack([filter_, filter_.T])
    wanted = meaning.oriented_latency(images, bank, 10.0, 5, (3, 2))
    same_lists(triton_ops.oriented_latency(images, bank.to(device), 10.0, 5, (3, 2)), wanted)


@pytest.mark.parametrize("inhibit", [True, False])
@pytest.mark.parametrize("pool", [(1, 1), (3, 2)])
def test_single_spike_layers_give_the_same(triton_ops, meaning, device, inhibit, pool):
    rng = np.random.default_rng(1)
    when = rng.integers(0, 8, (4, 2, 9, 7))
    lists = SpikeLists.of(np.arange(4)[:, None, None, None] == when[:, None])
    weight = torch.from_numpy(rng.choice([0.25, 0.5, 1.0], (5, 2, 3, 3)).astype(np.float32))
    layer = SingleSpikeLayer(weight, torch.full((5,), 1.5), pool, inhibit)
    there = layer._replace(weight=weight.to(device), threshold=layer.threshold.to(device))
    want = meaning.fire_once(lists, layer)
    same_lists(triton_ops.fire_once(lists, there), want)
    assert len(want.sites)
    grid = (2, 3)
    assert np.array_equal(triton_ops.final_potentials(lists, there.weight, grid), meaning.final_potentials(lists, weight, grid))


@pytest.mark.parametrize("seed", range(8))
def test_images_of_any_size_and_density_give_the_same(triton_ops, meaning, device, seed, monkeypatch):
    """Ties between maps, silence, no image at all, an image at a time; pools that overlap and that leave gaps to fill."""
    rng = np.random.default_rng(seed)
    steps, channels, height, width = (int(n) for n in rng.integers(1, (6, 4, 11, 11)))
    samples, maps, kernel = int(rng.integers(0, 4)), int(rng.integers(1, 20)), int(rng.choice([1, 3, 5]))
    when = rng.integers(0, steps, (samples, channels, height, width))
    fires = rng.random(when.shape) < (0.0, 0.3, 1.0)[seed % 3]
    lists = SpikeLists.of((np.arange(steps)[:, None, None, None] == when[:, None]) & fires[:, None])
    weight = rng.choice([0.0, 0.25, 0.5, 1.0], (maps, channels, kernel, kernel)) if seed % 2 else rng.normal(
        0.5, 0.4, (maps, channels, kernel, kernel)
    )  # fmt: skip
    layer = SingleSpikeLayer(
        torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(rng.choice([0.5, 1.0, 3.0], maps).astype(np.float32)),
        ((1, 1), (2, 2), (3, 2), (7, 6))[seed % 4], seed < 6,
    )  # fmt: skip
    there = layer._replace(weight=layer.weight.to(device), threshold=layer.threshold.to(device))
    if seed > 4:
        monkeypatch.setattr("spikeseg.ops.cuda.images.ROOM", 1)
    same_lists(triton_ops.fire_once(lists, there), meaning.fire_once(lists, layer))
    grid = (int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1)))
    found, want = triton_ops.final_potentials(lists, there.weight, grid), meaning.final_potentials(lists, layer.weight, grid)
    assert found.dtype == want.dtype and np.array_equal(found, want)
    with pytest.raises(ValueError, match="cells over maps"):
        triton_ops.final_potentials(lists, there.weight, (height + 1, 1))


def network():
    g = torch.Generator().manual_seed(2)
    shapes = [(4, 2, 5), (6, 4, 3), (2, 6, 7)]
    weights = [torch.randn(out, channels, kernel, kernel, generator=g) * 0.3 + 0.1 for out, channels, kernel in shapes]
    return [
        Layer(weight, torch.full((len(weight),), 0.5), LeakMode.SUBTRACTIVE, 0.125, pool)
        for weight, pool in zip(weights, [(2, 2), (3, 2), None], strict=True)
    ]


@pytest.mark.parametrize(("delay", "decay"), [(True, 1.0), (True, 0.0), (True, 0.75), (True, 0.9), (False, 1.0)])
def test_cones_are_the_same(triton_ops, meaning, device, delay, decay):
    layers = network()
    there = [layer._replace(weight=layer.weight.to(device), threshold=layer.threshold.to(device)) for layer in layers]
    frames = (np.random.default_rng(3).random((1, 4, 2, 11, 9)) < 0.2).astype(np.uint8)
    spikes, how = meaning.encode(frames, layers), {"delay_connections": delay, "decay": decay}
    got, want = triton_ops.cones(frames, there, spikes, **how), meaning.cones(frames, layers, spikes, **how)
    assert got.device == there[0].weight.device and np.array_equal(got.reach, want.reach)
    for a, b in zip([*got.nodes, *got.links], [*want.nodes, *want.links], strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(triton_ops.unite(got), meaning.unite(want), strict=True))
    n = len(want.nodes[-1].sites)
    groups = Groups(np.array([0, n // 2, n]), np.arange(n, dtype=np.int32), np.ones(n))
    cells = (want.nodes[0].sites % 5).astype(np.int32)
    sums = [ops.spread(cones, groups, cells, 5) for ops, cones in ((triton_ops, got), (meaning, want))]
    assert n > 2 and all(np.array_equal(a, b) for a, b in zip(*sums, strict=True))
