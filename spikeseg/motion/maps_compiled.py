"""The maps of `maps`, compiled: flat rows with a margin of zeros between them, so that a move is an offset."""

from __future__ import annotations

import functools

import numpy as np

from . import maps_kernels as kernels
from .evidence import SIDE, EventWeights, Spikes
from .scales import SUBSLICES, Wiring


class CompiledMaps:
    """See `evidence.Backend`. size: (width, height) in cells.

    A row takes ``stride`` bytes, of which the last ones are 0; ``margin`` bytes of 0 lie before the first row and behind the
    last.
    """

    def __init__(self, wiring: Wiring, size: tuple[int, ...]) -> None:
        self.wiring, self.size = wiring, size
        most = int(np.abs(wiring.displacement).max()) + 2
        width, height = size
        self.stride = width + most
        self.cells = self.stride * height
        n = _whole(self.cells)
        self.margin = -(-(most * self.stride + most + 2) // 64) * 64
        mask = np.zeros((height, self.stride), np.uint8)
        mask[:, :width] = 255
        self._mask = aligned(n)
        self._mask[:self.cells] = mask.ravel()
        room = _whole(n + 2 * self.margin + 256)
        self._layout = kernels.Layout(width, height, self.stride, self.margin, n)
        maps = len(wiring.displacement)
        self._images = aligned(2 * SUBSLICES - 2, room)
        self._counts = aligned(SUBSLICES, room)
        self._potential = aligned(maps, room)
        self._shift = np.zeros(0)
        self._row = aligned(room)
        self._top = np.zeros(maps, np.uint8)
        self._program = _program(wiring, self.stride)

    def step(self, events: EventWeights, shift: np.ndarray, leak: int) -> None:
        """See `evidence.Backend`."""
        cell = self.wiring.scale.cell_px
        if not np.array_equal(shift, self._shift):
            self._shift = shift.copy()
            nowhere = -(1 << 29)
            self._tables = []
            for axis, side, step, first in ((0, self.size[0], 1, 0), (1, self.size[1], self.stride, self.margin)):
                table = np.floor((np.arange(side * cell) + 0.5 - shift[:, :, axis, None]) / cell).astype(np.int64)
                table = np.where((table >= 0) & (table <= side), table * step + first, nowhere).astype(np.int32)
                self._tables.append(np.ascontiguousarray(table.transpose(1, 0, 2)).reshape(table.shape[1], -1))
            columns, rows = self._tables
            self._differ = bool((columns != columns[:1]).any() or (rows != rows[:1]).any())
        columns, rows = self._tables
        packed = np.empty((3, len(events.weight)), np.int32)
        kernels.pack(events, self.size[0] * cell, self.size[1] * cell, self._counts.shape[1], packed)
        state = kernels.Potentials(self._potential, self._row, self._top)
        costs = kernels.Costs(np.uint8(SIDE), np.uint8(leak))
        kernels.step(state, self._images, self._counts, packed, events.weight, columns, rows, self._program, self._differ, self._mask, self._layout, costs)

    def spikes(self, threshold: int) -> Spikes:
        """See `evidence.Backend`."""
        if threshold > 255:
            return Spikes(*np.zeros((4, 0), np.int64))
        layout, least = self._layout, np.uint8(max(threshold, 1))
        spikes = np.empty((4, kernels.count(self._potential, self._top, least, layout)), np.int64)
        kernels.spikes(self._potential, self._top, least, layout, spikes)
        return Spikes(*spikes)

    def clear(self, boxes: np.ndarray) -> None:
        """See `evidence.Backend`."""
        kernels.clear(self._potential, np.asarray(boxes, np.int64), self.stride, self.margin)

    def potentials(self) -> np.ndarray:
        """See `evidence.Backend`."""
        rows = self._potential[:, self.margin : self.margin + self.cells].reshape(-1, self.size[1], self.stride)
        return rows[:, :, : self.size[0]].copy()


@functools.lru_cache(maxsize=16)
def _program(wiring: Wiring, stride: int) -> np.ndarray:
    """In which order sums are made: depth first. int64 (n, 5): level, direction, offset, map and its move."""
    children = [[np.flatnonzero(sums.first == k).tolist() for k in range(sums.first.max() + 1)] for sums in wiring.sums]
    entries: list[tuple[int, ...]] = []
    def visit(level: int, k: int, direction: int) -> None:
        sums = wiring.sums[level - 1]
        offset = int(sums.offset[k] @ (1, stride))
        move = int(wiring.displacement[k] @ (1, stride)) if level == len(wiring.sums) else 0
        entries.append((level, direction, offset, k, move))
        if level < len(wiring.sums):
            for child in children[level][k]:
                visit(level + 1, child, direction)
    for direction, own in enumerate(children[0]):
        for k in own:
            visit(1, k, direction)
    return np.array(entries, np.int64)


def _whole(n):
    return -(-n // 256) * 256

def aligned(*shape):
    n = int(np.prod(shape))
    raw = np.zeros(n + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + n].reshape(shape)
