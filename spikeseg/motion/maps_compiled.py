"""The maps of `maps`, compiled: flat rows with a margin of zeros between them, so that a move is an offset."""

from __future__ import annotations

import functools

import numpy as np

from . import maps_kernels as kernels
from .byte_vectors import CELLS
from .evidence import SIDE, EventWeights, Spikes
from .receptive_field import ReceptiveField
from .scales import LEVELS, SUBSLICES, Wiring

PAGE = 4096
"""Bytes: what lies a multiple of this from something just written is read late; so maps lie half of it more apart."""


class CompiledMaps:
    """See `evidence.Backend`. size: (width, height) in cells.

    Only the images of one branch of the sums are held at a time, so that they stay in the cache. Maps follow each other in memory
    in the order in which they are renewed; each takes the place of the one before it, so that none overwrites what it reads.
    """

    def __init__(self, wiring: Wiring, size: tuple[int, ...], field: ReceptiveField) -> None:
        self.wiring, self.size, self.field = wiring, size, field
        most = max(int(np.abs(wiring.displacement).max()), field.far) + 2
        width, height = size
        vectors = -(-width // CELLS) * CELLS
        stride = max(width + most, vectors)
        margin = most * stride + most + CELLS
        room = -(-(margin + stride * height - PAGE // 2) // PAGE) * PAGE + PAGE // 2
        self._layout = kernels.Layout(width, height, stride, margin, room)
        maps = len(wiring.displacement)
        numbers = 2 * SUBSLICES - 2, SUBSLICES if field.flat else 0, maps + 1
        images, counts, potentials = (np.zeros(n * room + margin if n else 0, np.uint8) for n in numbers)
        mask = np.repeat(np.array([255, 0], np.uint8), (width, vectors - width))
        order = _depth_first(wiring, stride)
        self._sums = kernels.Sums(order, images, counts, mask)
        self._state = kernels.Potentials(potentials, np.zeros(maps, np.uint8))
        self._free, self._rank = 0, np.argsort(order[order[:, 0] == LEVELS, 3])
        self._first, self._added, self._differ = field.first @ (1, stride), field.weights.reshape(-1), field.differ

    def step(self, events: EventWeights, leak: int) -> None:
        """See `evidence.Backend`."""
        at, kind = np.empty((2, len(events.weight)), np.int32)
        kernels.pack(events, self.wiring.scale.cell_px, self._layout, at, kind)
        sources = kernels.Sources(at, kind, events.weight, self._first, self._added)
        costs = kernels.Costs(np.uint8(SIDE), np.uint8(leak))
        kernels.step(self._state, self._free, self._sums, sources, self._differ, self._layout, costs)
        self._free = (self._free - 1) % (len(self._rank) + 1)

    def spikes(self, threshold: int) -> Spikes:
        """See `evidence.Backend`."""
        if threshold > 255:
            return Spikes(*np.zeros((4, 0), np.int64))
        args = self._state, self._places(), np.uint8(max(threshold, 1)), self._layout
        spikes = np.empty((4, kernels.count(*args)), np.int64)
        kernels.spikes(*args, spikes)
        return Spikes(*spikes)

    def clear(self, boxes: np.ndarray) -> None:
        """See `evidence.Backend`."""
        kernels.clear(self._state, np.asarray(boxes, np.int64), self._layout)

    def potentials(self) -> np.ndarray:
        """See `evidence.Backend`."""
        width, height, stride, margin, room = self._layout
        maps = self._state.maps[: (len(self._rank) + 1) * room].reshape(-1, room)[self._places()]
        return maps[:, margin : margin + stride * height].reshape(-1, height, stride)[:, :, :width].copy()

    def _places(self) -> np.ndarray:
        """Of every map its place in memory, int64 (K,)."""
        return (self._free + 1 + self._rank) % (len(self._rank) + 1)


@functools.lru_cache(maxsize=16)
def _depth_first(wiring: Wiring, stride: int) -> np.ndarray:
    """See `kernels.Sums.order`."""
    above = [[np.flatnonzero(sums.first == k).tolist() for k in range(int(sums.first.max()) + 1)] for sums in wiring.sums]
    order: list[tuple[int, ...]] = []

    def visit(level: int, k: int, direction: int) -> None:
        offset = int(wiring.sums[level - 1].offset[k] @ (1, stride))
        if level == LEVELS:
            order.append((level, direction, offset, k, int(wiring.displacement[k] @ (1, stride))))
            return
        order.append((level, direction, offset, -1, 0))
        for j in above[level][k]:
            visit(level + 1, j, direction)

    for direction, nodes in enumerate(above[0]):
        for k in nodes:
            visit(1, k, direction)
    return np.array(order, np.int64)
