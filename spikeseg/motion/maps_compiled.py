"""The maps of `maps`, compiled: flat rows with a margin of zeros between them, so that a move is an offset."""

from __future__ import annotations

import numpy as np

from . import maps_kernels as kernels
from .evidence import SIDE, EventWeights, Spikes
from .scales import SECTORS, SUBSLICES, Wiring


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
        self.margin = most * self.stride + most + 2
        mask = np.zeros((height, self.stride), np.uint8)
        mask[:, :width] = 255
        self._mask = mask.ravel()
        room = self.cells + 2 * self.margin
        counts = [len(sums.first) for sums in wiring.sums]
        self._images = [np.zeros((SUBSLICES, SECTORS + 1, room), np.uint8)]
        self._images += [np.zeros((SUBSLICES >> (level + 1), n, room), np.uint8) for level, n in enumerate(counts[:-1])]
        self._counts = np.zeros_like(self._images[0])
        self._potential = np.zeros((counts[-1], room), np.uint8)
        self._offsets = [sums.offset @ np.array([1, self.stride]) for sums in wiring.sums]
        self._moves = wiring.displacement @ np.array([1, self.stride])
        self._row = np.zeros(room, np.uint8)
        self._top = np.zeros(counts[-1], np.uint8)

    def step(self, events: EventWeights, shift: np.ndarray, leak: int) -> None:
        """See `evidence.Backend`."""
        layout = kernels.Layout(self.size[0], self.size[1], self.stride, self.margin, self.cells)
        cell = self.wiring.scale.cell_px
        columns, rows = (
            np.floor((np.arange(side * cell) + 0.5 - shift[:, :, axis, None]) / cell).astype(np.int64)
            for axis, side in enumerate(self.size)
        )
        directions = kernels.fill(self._images[0], self._counts, events, columns, rows, layout)
        kernels.boxes(self._images[0], self._counts, directions, self._mask, layout)
        levels = zip(self._images, self._images[1:], self.wiring.sums, self._offsets, strict=False)
        for below, images, sums, offsets in levels:
            kernels.build(images, below, sums.first, offsets, self._mask, layout)
        last = kernels.Last(self.wiring.sums[-1].first, self._offsets[-1], self._moves)
        state = kernels.Potentials(self._potential, self._row, self._top)
        kernels.update(state, self._images[-1], last, self._mask, layout, kernels.Costs(np.uint8(SIDE), np.uint8(leak)))

    def spikes(self, threshold: int) -> Spikes:
        """See `evidence.Backend`."""
        parts = [np.zeros((4, 0), np.int64)]
        for k in np.flatnonzero(self._top >= min(max(threshold, 1), 256)).tolist():
            potential = self._potential[k, self.margin : self.margin + self.cells]
            at = np.flatnonzero(potential >= max(threshold, 1))
            y, x = np.divmod(at, self.stride)
            parts.append(np.stack([np.full(len(at), k), x, y, potential[at]]).astype(np.int64))
        return Spikes(*np.concatenate(parts, 1))

    def clear(self, boxes: np.ndarray) -> None:
        """See `evidence.Backend`."""
        kernels.clear(self._potential, np.asarray(boxes, np.int64), self.stride, self.margin)

    def potentials(self) -> np.ndarray:
        """See `evidence.Backend`."""
        rows = self._potential[:, self.margin : self.margin + self.cells].reshape(-1, self.size[1], self.stride)
        return rows[:, :, : self.size[0]].copy()
