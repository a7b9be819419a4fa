"""What a network does for its input: spikes of each layer and synaptic operations, counted.

A synaptic operation is a spike (of an input count of n: n spikes) that arrives at a neuron of the next layer through one of its
synapses, whatever the weight; at the border of the frame, where a kernel reaches beyond, fewer neurons are reached. Pools, which
have no weights, count as none. Neuromorphic processors are rated by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spikeseg.core.sparse import SparseFrames, SpikeLists

from .encoder import Encoder


class LayerWork(NamedTuple):
    """What a layer did.

    Attributes:
        name: of the layer.
        arrived: spikes that reached it: events of the frames, or spikes that the pool below let pass.
        operations: synaptic operations of these.
        fired: spikes of its neurons, before its pool.
        neurons: how many it has, before its pool.
    """

    name: str
    arrived: int
    operations: int
    fired: int
    neurons: int


def layer_work(encoder: Encoder, frames: SparseFrames, background: np.ndarray | None = None) -> list[LayerWork]:
    """What every layer does for whole samples.

    Args:
        encoder: the network's.
        frames: (N, T, P, H, W).
        background: see `Encoder.infer`.
    """
    work, below, weights = [], frames.lists, frames.counts
    for spec in encoder.specs:
        fired = encoder.infer(frames, background, spec.name, pooled=False)
        neurons = int(np.prod(fired[spec.name].lists.shape[1:]))
        operations = _operations(below, weights, spec.kernel, spec.channels)
        work.append(LayerWork(spec.name, int(weights.sum()), operations, len(fired[spec.name].lists.sites), neurons))
        if spec is not encoder.specs[-1]:
            below = encoder.infer(frames, background, spec.name)[spec.output].lists
            weights = np.ones(len(below.sites), np.int64)
    return work


def added(parts: Sequence[Sequence[LayerWork]]) -> list[LayerWork]:
    """The work of several samples together; empty without any."""
    return [
        same[0]._replace(**{name: sum(getattr(one, name) for one in same) for name in ("arrived", "operations", "fired")})
        for same in zip(*parts, strict=True)
    ]


def _operations(lists: SpikeLists, weights: np.ndarray, kernel: int, maps: int) -> int:
    """How many neurons of so many maps spikes reach through a kernel, each counted as often as its weight says."""
    _, _, height, width = lists.shape
    rows, columns = (_reached(size, kernel) for size in (height, width))
    pixel = lists.sites % (height * width)
    return int((weights * rows[pixel // width] * columns[pixel % width]).sum()) * maps


def _reached(size: int, kernel: int) -> np.ndarray:
    """int64 (size,), how many neurons along an axis a spike at each place reaches, zeros around."""
    place, reach = np.arange(size), kernel // 2
    return np.minimum(place + reach, size - 1) - np.maximum(place - reach, 0) + 1
