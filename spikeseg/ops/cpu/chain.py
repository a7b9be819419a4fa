"""Whole samples through a chain of layers on a CPU, spikes alone: batched inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.reference.layers import pooled_size
from spikeseg.ops.types import BlockThreshold, Layer, PooledSpikes

from . import inference_kernels
from .arguments import InputSpikes, LayerScratch, OutputSpikes, Pool, PooledCells
from .memory import Membranes, aligned, as_array, in_units

_Geometry = tuple[tuple[int, ...], int | None, tuple[Hashable, ...]]
BLOCK = 8
"""Samples that a thread takes at a time, at most: few enough to balance threads, many enough to keep the overhead of calls
small."""
BLOCKS = 2
"""Blocks for each thread, at least, where there are as many samples: so blocks of uneven cost balance."""
_IDLE: dict[_Geometry, list[Chain]] = {}
"""Scratch of the last calls, for the next ones of the same geometries: first touching new memory is slow, and threads wait for
it. What was used longest ago goes first, while there are more than KEPT layers."""
SPARED = 0.7
"""A layer is run in groups of maps where spikes then add no more than this share of the weights that they add to all maps."""
KEPT = 3
"""A network, which is run in one call, or layer by layer where thresholds follow the drive."""


def encode(
    frames: np.ndarray | SparseFrames, layers: Sequence[Layer], first_threshold: BlockThreshold | None = None, *, threads: int = 1
) -> list[PooledSpikes]:
    """See `reference.encode`; with several threads, each takes the next few samples when it is done with the last."""
    samples = len(frames)
    threads = max(1, min(threads, samples))
    size = max(1, min(BLOCK, samples // (BLOCKS * threads)))
    thresholds = None if first_threshold is None else in_units(first_threshold.values)
    block = None if first_threshold is None else first_threshold.block
    geometry = (
        frames.shape[1:],
        block,
        tuple((layer.weight.shape, *layer[2:], groups_of(as_array(layer.weight))) for layer in layers),
    )
    idle = _IDLE.pop(geometry, [])
    ready: list[Chain] = []  # with these layers' weights; a thread takes one out while it works

    def work(first: int) -> list[PooledSpikes]:
        chain = _last_of(ready) or (_last_of(idle) or Chain(layers, frames.shape[1:], block)).load(layers)
        last = min(first + size, samples)
        part = frames.part(first, last) if isinstance(frames, SparseFrames) else frames[first:last]
        outputs = chain.run(part, None if thresholds is None else thresholds[first:last])
        ready.append(chain)
        return outputs

    firsts = range(0, max(1, samples), size)
    if threads == 1:
        blocks = [work(first) for first in firsts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            blocks = list(pool.map(work, firsts))
    _IDLE[geometry] = ready
    for known in list(_IDLE)[:-1]:
        if sum(len(own[-1]) for own in _IDLE) > KEPT:
            _IDLE.pop(known, None)
    return [_joined(parts) for parts in zip(*blocks, strict=True)]


def _last_of(chains: list[Chain]) -> Chain | None:
    """The last one, removed; None where there is none. Safe between threads."""
    try:
        return chains.pop()
    except IndexError:
        return None


def _joined(blocks: Sequence[PooledSpikes]) -> PooledSpikes:
    if len(blocks) == 1:
        return blocks[0]
    kept = [block.kept for block in blocks if block.kept is not None]
    return PooledSpikes(SpikeLists.joined([block.lists for block in blocks]), np.concatenate(kept) if kept else None)


class Chain:
    """The layers with the scratch that one thread needs; `load` gives it their weights.

    Args:
        shape: (T, P, H, W) of a sample.
        block: of the first layer's thresholds, where they differ by sample and position.
    """

    def __init__(self, layers: Sequence[Layer], shape: tuple[int, ...], block: int | None = None) -> None:
        steps, channels, height, width = shape
        self.steps = steps
        self._input = _Growing(steps * channels * height * width)
        self._links: list[_Link] = []
        for layer in layers:
            self._links.append(_Link(layer, steps, (height, width), None if self._links else block))
            height, width = self._links[-1].size

    def load(self, layers: Sequence[Layer]) -> Chain:
        """Take over the weights and thresholds of layers of the same shapes and dynamics."""
        for link, layer in zip(self._links, layers, strict=True):
            link.load(as_array(layer.weight), in_units(layer.threshold))
        return self

    def run(self, frames: np.ndarray | SparseFrames, thresholds: np.ndarray | None = None) -> list[PooledSpikes]:
        """Samples, with thresholds of the first layer int32 (N, maps, rows, columns) of blocks, or its own."""
        if isinstance(frames, SparseFrames):
            (offsets, sites, _), counts = frames.lists, frames.counts
        else:
            rows = np.ascontiguousarray(frames).reshape(len(frames) * self.steps, math.prod(frames.shape[2:]))
            offsets = self._input.fill(len(rows), len(rows), lambda done, *room: inference_kernels.list_frames(rows, done, *room))
            sites, counts = self._input.sites, self._input.numbers
        outputs = []
        for link in self._links:
            outputs.append(link.run(InputSpikes(offsets, sites, counts), thresholds))
            (offsets, sites, _), counts, thresholds = outputs[-1].lists, _ONCE, None
        return outputs


_ONCE = np.empty(0, np.int32)


class _Growing:
    """Addresses with a number beside each, int32, in buffers that grow. entries: their first size."""

    def __init__(self, entries: int) -> None:
        self.sites, self.numbers = np.empty(entries, np.int32), np.empty(entries, np.int32)

    def fill(self, rows: int, units: int, work: Callable[..., int]) -> np.ndarray:
        """Have the buffers filled.

        Args:
            rows: steps of all samples.
            units: what is to be done.
            work: takes the units done, the offsets int64 (rows + 1,), sites and numbers; goes on and returns the units done,
                fewer than all where the buffers are full.

        Returns:
            the offsets.
        """
        offsets = np.zeros(rows + 1, np.int64)
        done = work(0, offsets, self.sites, self.numbers)
        while done < units:
            self.sites, self.numbers = (_doubled(array, int(offsets.max())) for array in (self.sites, self.numbers))
            done = work(done, offsets, self.sites, self.numbers)
        return offsets


def _doubled(array: np.ndarray, filled: int) -> np.ndarray:
    """A copy of twice the size; pages that were not written take no memory yet."""
    room = np.empty(2 * len(array), array.dtype)
    room[:filled] = array[:filled]
    return room


class Group(NamedTuple):
    """Maps of a layer that are run together: their numbers, the first of the channels that they read, and one beyond the last."""

    maps: tuple[int, ...]
    first: int
    last: int

    def part(self, weight: np.ndarray) -> np.ndarray:
        """What they read of weights (C_out, C_in, K, K)."""
        return np.ascontiguousarray(weight[list(self.maps), self.first : self.last])


def groups_of(weight: np.ndarray) -> tuple[Group, ...]:
    """The maps of weights float32 (C_out, C_in, K, K) in groups that read the same channels, to which alone their spikes add; one
    group of all maps where that would spare little."""
    maps, channels = weight.shape[:2]
    read = np.any(weight, axis=(2, 3))
    read[~read.any(1), 0] = True
    firsts, lasts = read.argmax(1), channels - read[:, ::-1].argmax(1)
    found: dict[tuple[int, int], list[int]] = {}
    for m, ends in enumerate(zip(firsts.tolist(), lasts.tolist(), strict=True)):
        found.setdefault(ends, []).append(m)
    added = sum((last - first) * len(own) for (first, last), own in found.items())
    if added > SPARED * channels * maps:
        return (Group(tuple(range(maps)), 0, channels),)
    return tuple(Group(tuple(own), first, last) for (first, last), own in found.items())


class _Link:
    """One layer of a chain, with its pool. block: of thresholds that differ by sample and position; None: the layer's own."""

    def __init__(self, layer: Layer, steps: int, size: tuple[int, int], block: int | None) -> None:
        self.steps, self.maps = steps, len(layer.weight)
        self.pooled = layer.pool is not None
        kernel, stride = layer.pool or (0, 1)
        self.size = size if layer.pool is None else (pooled_size(size[0], kernel, stride), pooled_size(size[1], kernel, stride))
        self.own = np.zeros((1, self.maps, 1, 1), np.int32)
        self._pool = Pool(kernel, stride, *self.size)
        cells = self.maps * self.size[0] * self.size[1]
        self._cells = PooledCells(
            np.zeros((steps, cells // 64 + 1), np.uint64), *(np.zeros((steps, cells), np.int32) for _ in range(2))
        )
        self._output = _Growing(2 * steps * cells)
        block = max(1, *size) if block is None else block
        self._parts = [_Part(own, layer, size, block) for own in groups_of(as_array(layer.weight))]

    def load(self, weight: np.ndarray, threshold: np.ndarray) -> None:
        """Take over weights (maps, C, K, K) of the same groups, and thresholds (maps,), in units."""
        self.own = threshold[None, :, None, None]
        for part in self._parts:
            part.membranes.tabulate(part.group.part(weight))

    def run(self, spikes: InputSpikes, thresholds: np.ndarray | None = None) -> PooledSpikes:
        """The spikes of several samples, address by address."""
        steps = self.steps
        most = int(np.diff(spikes.offsets[::steps]).max(initial=0))
        theta = self.own if thresholds is None else thresholds
        layers = tuple(part.scratch(steps, most, self._pool, self._cells) for part in self._parts)

        def work(done: int, *room: np.ndarray) -> int:
            now: int = inference_kernels.run_layer(done, spikes, steps, theta, layers, OutputSpikes(*room))
            return now

        rows = len(spikes.offsets) - 1
        offsets = self._output.fill(rows, rows // steps, work)
        filled = slice(0, int(offsets[-1]))
        lists = SpikeLists(offsets, self._output.sites[filled].copy(), (steps, self.maps, *self.size))
        return PooledSpikes(lists, self._output.numbers[filled].copy() if self.pooled else None)


class _Part:
    """A group of a layer's maps, with its scratch. block: of thresholds."""

    def __init__(self, group: Group, layer: Layer, size: tuple[int, int], block: int) -> None:
        self.group = group
        weight = group.part(as_array(layer.weight))
        self.membranes = Membranes(weight, size, layer.mode, layer.leak, row_by_row=True)
        self._maps, self._block = np.array(group.maps, np.int32), block
        self._theta = aligned(-(-size[0] // block), self.membranes.length)
        self._patch = aligned(len(weight) * weight.shape[-1])

    def scratch(self, steps: int, most: int, pool: Pool, cells: PooledCells) -> LayerScratch:
        """As the kernels take it, for samples of so many steps and spikes."""
        m = self.membranes
        return LayerScratch(
            self._maps, self.group.first, m.neurons, self._block, self._theta, self._patch, m.fine, m.whole,
            m.sorted_input(steps, most), pool, cells,
        )  # fmt: skip
