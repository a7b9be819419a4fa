"""Networks and spikes that traces are compared on."""

import numpy as np
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import Layer, PooledSpikes


def drawn(seed, samples, steps, size, layers, density):
    """Frames, and spikes of every layer that need not come of them; what is kept is any place of a window."""
    rng = np.random.default_rng(seed)
    frames = (rng.random((samples, steps, layers[0].weight.shape[1], *size)) < density).astype(np.uint8)
    spikes = []
    for layer in layers:
        kernel, stride = layer.pool or (1, 1)
        above = pooled_size(size[0], kernel, stride), pooled_size(size[1], kernel, stride)
        lists = SpikeLists.of(rng.random((samples, steps, len(layer.weight), *above)) < density)
        places = np.stack([lists.sites // above[1] % above[0], lists.sites % above[1]]) * stride
        places += rng.integers(0, kernel, places.shape)
        y, x = (np.minimum(places[axis], size[axis] - 1) for axis in (0, 1))
        spikes.append(PooledSpikes(lists, (y * size[1] + x).astype(np.int32) if layer.pool else None))
        size = above
    return frames, spikes


def chain(kernels, maps, pools, device="cpu"):
    g, layers = torch.Generator().manual_seed(0), []
    for kernel, channels, out, pool in zip(kernels, maps[:-1], maps[1:], pools, strict=True):
        weight = torch.rand(out, channels, kernel, kernel, generator=g) - 0.2  # some inhibit
        layers.append(Layer(weight.to(device), torch.ones(out, device=device), LeakMode.NONE, 0.0, pool))
    return layers


def assert_same(found, wanted):
    for got, want in zip(found, wanted, strict=True):
        assert got.shape == want.shape and got.index.dtype == want.index.dtype and got.value.dtype == want.value.dtype
        assert np.array_equal(got.index, want.index) and np.array_equal(got.value, want.value)


def check(triton_ops, meaning, device, net, samples, steps, size, density, how, seed=0):
    """Whether the traces are the same; -> the reference's."""
    frames, spikes = drawn(seed, samples, steps, size, chain(*net), density)
    named = {"delay_connections": how[0], "decay": how[1]}
    wanted = meaning.trace(frames, chain(*net), spikes, **named)
    assert_same(triton_ops.trace(frames, chain(*net, device), spikes, **named), wanted)
    return wanted
