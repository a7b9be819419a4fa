"""The maps of `maps`, compiled: flat rows with a margin of zeros between them, so that a move is an offset."""

from __future__ import annotations

import functools

import numpy as np

from . import maps_kernels as kernels
from .evidence import SIDE, EventWeights, Spikes
from .receptive_field import ReceptiveField
from .scales import LEVELS, SUBSLICES, Wiring


class CompiledMaps:
    """See `evidence.Backend`. size: (width, height) in cells.

    A row takes ``stride`` bytes, of which the last ones are 0; ``margin`` bytes of 0 or more lie before the first row and behind
    the last. Only the images of one branch of the sums are held at a time, so that they stay in the cache.
    """

    def __init__(self, wiring: Wiring, size: tuple[int, ...], field: ReceptiveField) -> None:
        self.wiring, self.size, self.field = wiring, size, field
        most = max(int(np.abs(wiring.displacement).max()), field.far) + 2
        width, height = size
        stride = width + most
        margin = -(-(most * stride + most + 2) // kernels.LINE) * kernels.LINE
        self._layout = layout = kernels.Layout(width, height, stride, margin, _whole(stride * height), field.far * (stride + 1))
        mask = np.zeros(layout.cells, np.uint8)
        mask[: stride * height].reshape(height, stride)[:, :width] = 255
        room, maps = _whole(layout.cells + 2 * margin) + kernels.WHOLE, len(wiring.displacement)
        images, counts = (np.zeros((n, room), np.uint8) for n in (2 * SUBSLICES - 2, SUBSLICES if field.flat else 0))
        self._sums = kernels.Sums(_depth_first(wiring, stride), images, counts, mask)
        potential, row, top = np.zeros((maps, room), np.uint8), np.zeros(room, np.uint8), np.zeros(maps, np.uint8)
        self._state = kernels.Potentials(potential, row, top)
        self._first, self._added, self._differ = field.first @ (1, stride), field.weights.reshape(-1), field.differ

    def step(self, events: EventWeights, leak: int) -> None:
        """See `evidence.Backend`."""
        at, kind = np.empty((2, len(events.weight)), np.int32)
        kernels.pack(events, self.wiring.scale.cell_px, self._layout, self._sums.images.shape[1], at, kind)
        sources = kernels.Sources(at, kind, events.weight, self._first, self._added)
        costs = kernels.Costs(np.uint8(SIDE), np.uint8(leak))
        kernels.step(self._state, self._sums, sources, self._differ, self._layout, costs)

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
        _, height, stride, margin, *_ = self._layout
        rows = self._state.maps[:, margin : margin + stride * height].reshape(-1, height, stride)
        return rows[:, :, : self.size[0]].copy()


def _whole(n: int) -> int:
    return -(-n // kernels.WHOLE) * kernels.WHOLE


@functools.lru_cache(maxsize=16)
def _depth_first(wiring: Wiring, stride: int) -> np.ndarray:
    """See `kernels.Sums.order`."""
    above = [[np.flatnonzero(sums.first == k).tolist() for k in range(int(sums.first.max()) + 1)] for sums in wiring.sums]
    order: list[tuple[int, ...]] = []

    def visit(level: int, k: int, direction: int) -> int:
        """-> the first map that is made of it."""
        offset = int(wiring.sums[level - 1].offset[k] @ (1, stride))
        if level == LEVELS:
            order.append((level, direction, offset, k, int(wiring.displacement[k] @ (1, stride))))
            return k
        own = len(order)
        order.append((level, direction, offset, -1, 0))
        maps = [visit(level + 1, j, direction) for j in above[level][k]]
        order[own] = (level, direction, offset, maps[0], 0)
        return maps[0]

    for direction, nodes in enumerate(above[0]):
        for k in nodes:
            visit(1, k, direction)
    return np.array(order, np.int64)
