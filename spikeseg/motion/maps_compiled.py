"""The maps of `maps`, compiled: flat rows with a margin of zeros between them, so that a move is an offset."""

from __future__ import annotations

import functools

import numpy as np

from . import maps_kernels as kernels
from .evidence import SIDE, EventWeights, Spikes
from .scales import LEVELS, SUBSLICES, Wiring

NOWHERE = -(1 << 29)
"""Where events fall that no image holds: two of these are below 0, and fit in 32 bits."""


class CompiledMaps:
    """See `evidence.Backend`. size: (width, height) in cells.

    A row takes ``stride`` bytes, of which the last ones are 0; ``margin`` bytes of 0 or more lie before the first row and behind
    the last. Only the images of one branch of the sums are held at a time, so that they stay in the cache.
    """

    def __init__(self, wiring: Wiring, size: tuple[int, ...]) -> None:
        self.wiring, self.size = wiring, size
        most = int(np.abs(wiring.displacement).max()) + 2
        width, height = size
        stride = width + most
        margin = most * stride + most + 2
        self._layout = layout = kernels.Layout(width, height, stride, margin, _whole(stride * height))
        mask = np.zeros(layout.cells, np.uint8)
        mask[: stride * height].reshape(height, stride)[:, :width] = 255
        room, maps = _whole(layout.cells + 2 * margin) + kernels.WHOLE, len(wiring.displacement)
        images, counts = np.zeros((2 * SUBSLICES - 2, room), np.uint8), np.zeros((SUBSLICES, room), np.uint8)
        self._sums = kernels.Sums(_depth_first(wiring, stride), images, counts, mask)
        potential, row, top = np.zeros((maps, room), np.uint8), np.zeros(room, np.uint8), np.zeros(maps, np.uint8)
        self._state = kernels.Potentials(potential, row, top)
        self._shift = np.zeros(0)
        self._tables = (np.zeros((0, 0), np.int32),) * 2
        self._differ = False

    def step(self, events: EventWeights, shift: np.ndarray, leak: int) -> None:
        """See `evidence.Backend`."""
        if not np.array_equal(shift, self._shift):
            self._place(shift)
        cell, room = self.wiring.scale.cell_px, self._sums.counts.shape[1]
        packed = np.empty((3, len(events.weight)), np.int32)
        kernels.pack(events, self.size[0] * cell, self.size[1] * cell, room, packed)
        sources, costs = kernels.Sources(packed, events.weight, *self._tables), kernels.Costs(np.uint8(SIDE), np.uint8(leak))
        kernels.step(self._state, self._sums, sources, self._differ, self._layout, costs)

    def _place(self, shift: np.ndarray) -> None:
        """Where events fall that are moved so, see `kernels.Sources`."""
        cell, tables = self.wiring.scale.cell_px, []
        steps, begins = (1, self._layout.stride), (0, self._layout.margin)
        for axis, (side, step, first) in enumerate(zip(self.size, steps, begins, strict=True)):
            at = np.floor((np.arange(side * cell) + 0.5 - shift[:, :, axis, None]) / cell).astype(np.int64)
            at = np.where((at >= 0) & (at <= side), at * step + first, NOWHERE).astype(np.int32)  # (2, SECTORS + 1, pixels)
            tables.append(np.ascontiguousarray(at.transpose(1, 0, 2)).reshape(at.shape[1], -1))
        self._shift, self._tables = shift.copy(), (tables[0], tables[1])
        self._differ = any(bool((table != table[:1]).any()) for table in tables)

    def spikes(self, threshold: int) -> Spikes:
        """See `evidence.Backend`."""
        if threshold > 255:
            return Spikes(*np.zeros((4, 0), np.int64))
        args = self._state, np.uint8(max(threshold, 1)), self._layout
        spikes = np.empty((4, kernels.count(*args)), np.int64)
        kernels.spikes(*args, spikes)
        return Spikes(*spikes)

    def clear(self, boxes: np.ndarray) -> None:
        """See `evidence.Backend`."""
        kernels.clear(self._state.maps, np.asarray(boxes, np.int64), self._layout.stride, self._layout.margin)

    def potentials(self) -> np.ndarray:
        """See `evidence.Backend`."""
        _, height, stride, margin, _ = self._layout
        rows = self._state.maps[:, margin : margin + stride * height].reshape(-1, height, stride)
        return rows[:, :, : self.size[0]].copy()


def _whole(n: int) -> int:
    return -(-n // kernels.WHOLE) * kernels.WHOLE


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
