"""The maps of `maps`, in plain numpy: what the compiled ones are compared with, bit for bit."""

from __future__ import annotations

import numpy as np

from .evidence import SIDE, EventWeights, Spikes
from .receptive_field import WIDE, ReceptiveField
from .scales import SECTORS, SUBSLICES, Wiring


class ReferenceMaps:
    """See `evidence.Backend`. size: (width, height) in cells."""

    def __init__(self, wiring: Wiring, size: tuple[int, ...], field: ReceptiveField) -> None:
        self.wiring, self.size, self.field = wiring, size, field
        self._potential = np.zeros((len(wiring.displacement), size[1], size[0]), np.int64)

    def step(self, events: EventWeights, leak: int) -> None:
        """See `evidence.Backend`."""
        images = _images(events, self.field, self.wiring.scale.cell_px, self.size)
        for sums in self.wiring.sums[:-1]:
            images = np.stack([_both(images[q : q + 2], sums.first, sums.offset) for q in range(0, len(images), 2)])
        last = self.wiring.sums[-1]
        pad = int(np.abs(self.wiring.displacement).max()) + 2
        for k, (dx, dy) in enumerate(self.wiring.displacement.tolist()):
            potential = np.pad(self._potential[k], pad)
            aside = np.maximum(_moved(potential, 1, 0), _moved(potential, -1, 0)) - SIDE
            along = np.maximum(potential, np.maximum(aside, 0))
            aside = np.maximum(_moved(along, 0, 1), _moved(along, 0, -1)) - SIDE
            best = np.maximum(along, np.maximum(aside, 0))
            first, second = (np.pad(images[half, last.first[k]], pad) for half in (0, 1))
            total = np.minimum(np.minimum(best + first, 255) + _moved(second, *(-last.offset[k])), 255)
            after = np.maximum(total - leak, 0)
            self._potential[k] = _moved(after, dx, dy)[pad:-pad, pad:-pad]

    def spikes(self, threshold: int) -> Spikes:
        """See `evidence.Backend`."""
        k, y, x = np.nonzero(self._potential >= max(threshold, 1))
        return Spikes(k, x, y, self._potential[k, y, x])

    def clear(self, boxes: np.ndarray) -> None:
        """See `evidence.Backend`."""
        for left, right, top, bottom in boxes.tolist():
            self._potential[:, top : bottom + 1, left : right + 1] = 0

    def potentials(self) -> np.ndarray:
        """See `evidence.Backend`."""
        return self._potential.astype(np.uint8)


def _images(events: EventWeights, field: ReceptiveField, cell_px: int, size: tuple[int, ...]) -> np.ndarray:
    """What events add to the neurons, by sub-slice and direction: int64 (SUBSLICES, SECTORS + 1, h, w), at most 255."""
    width, height = size
    images = np.zeros((SUBSLICES, SECTORS + 1, height, width), np.int64)
    kind = (events.on.astype(np.int64) * cell_px + events.y % cell_px) * cell_px + events.x % cell_px
    for k in range(SECTORS + 1):
        column, row = (side // cell_px + field.first[k, kind, axis] for axis, side in enumerate((events.x, events.y)))
        weight = field.weights[k, events.weight, kind].astype(np.int64)
        for down in range(WIDE):
            for right in range(WIDE):
                x, y = column + right, row + down
                on = (x >= 0) & (x < width) & (y >= 0) & (y < height)
                np.add.at(images, (events.subslice[on], k, y[on], x[on]), weight[on, down, right])
    return np.minimum(images, 255)


def _both(halves: np.ndarray, first: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Sums over two spans of time: int64 (n, h, w). halves: int64 (2, m, h, w)."""
    return np.stack(
        [np.minimum(halves[0, k] + _moved(halves[1, k], *(-move)), 255) for k, move in zip(first, offset, strict=True)]
    )


def _moved(image: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """The image moved by (dx, dy) cells; 0 comes in."""
    height, width = image.shape
    result = np.zeros_like(image)
    if abs(dx) < width and abs(dy) < height:
        rows, columns = slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0))
        from_rows, from_columns = slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0))
        result[rows, columns] = image[from_rows, from_columns]
    return result
