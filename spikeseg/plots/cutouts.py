"""Cut-outs of an object: its events at five moments, each moved back by the way that it has come, so that it stands still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .colours import BESIDE, drive_colours, interpolation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spikeseg.detection.result import Detections

MOMENTS = 5
"""Of each object: in the middles of equal parts of its life."""
SMALLEST = 17
"""Side of a cut-out, px, at least."""
CELLS = 128
"""Side of a cut-out's picture, at most; of a larger one several pixels share a cell."""
FEWEST = 60
"""Events of an object that a moment holds, where its part of the life has so many; of a large one, two per pixel of its box."""


GAP = 0.08
"""Between cut-outs, of their side."""


class Cutout(NamedTuple):
    """A moment of an object.

    Attributes:
        start_us, end_us: from its first event to its last, µs; the middle of its part of the life twice, where it holds none.
        events: of the object.
        picture: float64 (n, n, 3), RGB: vermilion ON, blue OFF, those of others light grey.
    """

    start_us: int
    end_us: int
    events: int
    picture: np.ndarray


def cutouts(detections: Detections, object_id: int) -> tuple[list[Cutout], int]:
    """The moments of an object, and the side of each, sensor pixels.

    Args:
        detections: of a recording.
        object_id: of one of its objects.
    """
    (row,) = detections.objects[detections.objects["object_id"] == object_id]
    track = detections.by_track[object_id]
    columns = detections.event_columns
    side = max(SMALLEST, int(1.5 * max(row["width"], row["height"])) | 1)
    cell = -(-side // CELLS)
    own = np.flatnonzero(columns["object_id"] == object_id)
    own_t = columns["t"][own]
    wanted = max(FEWEST, int(2 * row["width"] * row["height"]))
    start, end = row["t_start_us"], row["t_end_us"]
    if start == end and len(own):  # of a single detection
        start, end = own_t[0], own_t[-1] + 1
    edges = np.linspace(start, end, 2 * MOMENTS + 1)
    found = []
    for start, middle, end in zip(edges[:-2:2], edges[1::2], edges[2::2], strict=True):
        first, centre, last = np.searchsorted(own_t, [start, middle, end])
        first, last = max(first, centre - wanted // 2), min(last, centre + (wanted + 1) // 2)
        if first == last:
            empty = np.zeros((-(-side // cell),) * 2)
            found.append(Cutout(int(middle), int(middle), 0, drive_colours(empty, empty)))
            continue
        seen = slice(own[first], own[last - 1] + 1)
        t, p, mine = columns["t"][seen], columns["p"][seen], columns["object_id"][seen] == object_id
        x, y = (np.rint(columns[name][seen] - np.interp(t, track["t_us"], track[name])).astype(np.int64) for name in "xy")
        found.append(Cutout(int(t[0]), int(t[-1]), int(last - first), _picture(x, y, p, mine, (side, cell))))
    return found, side


def _picture(x: np.ndarray, y: np.ndarray, p: np.ndarray, mine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Events around (0, 0), by polarity and whether they are the object's own; size: side of the picture and of its cells, px."""
    side, cell = size
    column, line = (x + side // 2) // cell, (y + side // 2) // cell
    cells = -(-side // cell)
    inside = (0 <= column) & (column < cells) & (0 <= line) & (line < cells)
    place = (np.where(mine, 1 + p, 0) * cells + line) * cells + column
    others, off, on = np.bincount(place[inside], minlength=3 * cells * cells).reshape(3, cells, cells)
    picture = drive_colours(np.sqrt(off), np.sqrt(on))
    picture[(others > 0) & (off + on == 0)] = BESIDE
    return picture


def strip_sides() -> float:
    """Width of a strip of cut-outs, in heights."""
    return MOMENTS + (MOMENTS - 1) * GAP


def draw_strip(axes: Axes, moments: Sequence[Cutout]) -> list[float]:
    """Draw cut-outs beside each other. -> the middle of each on the axis."""
    lefts = [number * (1 + GAP) for number in range(len(moments))]
    for left, moment in zip(lefts, moments, strict=True):
        axes.imshow(moment.picture, extent=(left, left + 1, 0, 1), aspect="auto", interpolation=interpolation(moment.picture))
    axes.set(xlim=(0, strip_sides()), ylim=(0, 1))
    return [left + 0.5 for left in lefts]
