"""Events that stars explain: added up in the frame of the star field, where a star stays at one place (ours).

Stars are taken out before anything is looked for among them: where many of them stream through the picture, their streaks cross, and
the crossings would look like slow objects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from spikeseg.tracking.star_field import StarField

from .footprint import SIGMA_PX
from .path_kernels import Sight

SPAN_S = 8.0
"""A star is looked for in spans of this length, s: longer ones would ask for a better known velocity of the field."""

PARTS = 8
"""Parts of a span: a star shows in most of them, what passes in one or two."""

SIGMAS, FLOOR = 5.0, 5.0
"""A star has more than m + SIGMAS sqrt(m) + FLOOR events in 3 x 3 px where the background has m ..."""

SHARE_OF_PARTS = 0.6
"""... and is brighter than the background in this share of the parts in which its place is seen."""

STEADY = 0.25
"""... by at least this share of its mean brightness: what shows in two parts alone is no star."""

RADII_PX = (3.0, 4.0, 5.0, 6.5, 8.0)
"""How far a star's events reach, by brightness, px."""

TICK_S = 0.25
"""What is hidden behind stars is known at this interval, s."""


class Stars(NamedTuple):
    """explained: bool (n,), events of stars; sight: what they hide; share: of area and time that they cover."""

    explained: np.ndarray
    sight: Sight
    share: float


def find_stars(
    t_s: np.ndarray, x: np.ndarray, y: np.ndarray, rate: np.ndarray, sensor_size: tuple[int, int], field: StarField
) -> Stars:
    """Which events are those of stars.

    Args:
        t_s: float64 (n,), sorted, s.
        x: int64 (n,), px.
        y: int64 (n,), px.
        rate: float64 (n,), background at the events, both polarities, events/s; inf: not counted.
        sensor_size: (width, height), px.
        field: the stars' common motion, times in µs on the clock of t_s.
    """
    width, height = sensor_size
    explained = np.zeros(len(t_s), bool)
    if not len(t_s):
        return Stars(explained, Sight(np.ones((1, height, width), np.uint8), np.zeros(1, np.int64), 0.0, TICK_S), 0.0)
    start, end = float(t_s[0]), float(t_s[-1])
    ticks = max(1, int(np.ceil((end - start) / TICK_S + 1e-9)))
    frames: list[np.ndarray] = []
    frame_of = np.zeros(ticks, np.int64)
    spans = max(1, round((end - start) / SPAN_S))
    edges = np.linspace(start, end, spans + 1)
    bounds = np.searchsorted(t_s, edges)
    bounds[-1] = len(t_s)
    tick_s = start + (np.arange(ticks) + 0.5) * TICK_S
    for first, last, low, high in zip(bounds[:-1], bounds[1:], edges[:-1], edges[1:], strict=True):
        chosen = slice(first, last)
        shift = np.rint(field.shift(t_s[chosen] * 1e6)).astype(np.int64)
        grid = _Grid.of(field, (low, high), sensor_size)
        column, row = x[chosen] - shift[:, 0] - grid.left, y[chosen] - shift[:, 1] - grid.top
        inside = (column >= 0) & (row >= 0) & (column < grid.size[0]) & (row < grid.size[1])
        known = inside & np.isfinite(rate[chosen])
        background = float(np.median(rate[chosen][known])) if known.any() else 1.0
        part = np.minimum(((t_s[chosen] - low) / max(high - low, 1e-6) * PARTS).astype(np.int64), PARTS - 1)
        hides = _hidden((part[known], row[known], column[known]), grid, background, (high - low) / PARTS)
        explained[chosen][inside] = hides[row[inside], column[inside]]
        last_shift: tuple[int, int] | None = None
        for k in np.flatnonzero((tick_s >= low) & (tick_s < high + TICK_S)).tolist():
            dx, dy = np.rint(field.shift(np.array([tick_s[k] * 1e6]))[0]).astype(np.int64).tolist()
            if (dx, dy) != last_shift:
                frames.append(~_window(hides, -dy - grid.top, -dx - grid.left, height, width))
                last_shift = (dx, dy)
            frame_of[k] = len(frames) - 1
    visible = np.stack(frames).astype(np.uint8)
    share = float(1 - visible.mean((1, 2))[frame_of].mean())
    return Stars(explained, Sight(visible, frame_of, start, TICK_S), share)


class _Grid(NamedTuple):
    """Pixels of the field's frame that a span sees.

    left, top: of its first pixel; size: (width, height), px; seen: float64 (PARTS, height, width), share of each part in which a
    pixel is on the sensor.
    """

    left: int
    top: int
    size: tuple[int, int]
    seen: np.ndarray

    @classmethod
    def of(cls, field: StarField, span: tuple[float, float], sensor_size: tuple[int, int]) -> _Grid:
        times = np.linspace(*span, 4 * PARTS + 1)
        shift = np.rint(field.shift(times * 1e6)).astype(np.int64)
        low, high = -shift.max(0), -shift.min(0)
        width, height = (int(h - a + side) for a, h, side in zip(low, high, sensor_size, strict=True))
        seen = np.zeros((PARTS, height, width))
        for k in range(4 * PARTS):
            left, top = (-(shift[k] + shift[k + 1]) // 2 - low).tolist()
            seen[k // 4, max(top, 0) : top + sensor_size[1], max(left, 0) : left + sensor_size[0]] += 0.25
        return cls(int(low[0]), int(low[1]), (width, height), seen)


def _hidden(places: tuple[np.ndarray, ...], grid: _Grid, background: float, part_s: float) -> np.ndarray:
    """bool (height, width): where stars are. places: part, row and column of events."""
    width, height = grid.size
    counts = np.zeros((PARTS, height, width), np.float32)
    np.add.at(counts, places, 1)
    around = np.stack([ndimage.uniform_filter(part, 3, mode="constant") * 9 for part in counts])
    expected = 9 * background * part_s * grid.seen
    total, mean = around.sum(0), expected.sum(0)
    bright = total > mean + SIGMAS * np.sqrt(mean) + FLOOR
    usual = grid.seen > 0.5
    own = STEADY * np.maximum(total - mean, 0) / np.maximum(usual.sum(0), 1)
    lit = ((around > expected + np.maximum(np.sqrt(expected), own)) & usual).sum(0)
    stars = bright & (lit >= SHARE_OF_PARTS * usual.sum(0)) & usual.any(0)
    excess = np.where(stars, (total - mean) / 9, 0) / np.maximum(mean / 9, 1e-6)
    radius = SIGMA_PX * 1.15 * np.sqrt(2 * np.log(np.maximum(10 * excess, 1.0)))
    hidden = np.zeros((height, width), bool)
    low = 0.0
    for reach in RADII_PX:
        of_class = stars & (radius > low) & ((radius <= reach) | (reach == RADII_PX[-1]))
        if of_class.any():
            hidden |= ndimage.distance_transform_edt(~of_class) <= reach
        low = reach
    return hidden


def _window(image: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """A part of an image, False where it reaches beyond."""
    result = np.zeros((height, width), bool)
    rows = slice(max(top, 0), min(top + height, image.shape[0]))
    columns = slice(max(left, 0), min(left + width, image.shape[1]))
    part = image[rows, columns]
    result[rows.start - top : rows.start - top + part.shape[0], columns.start - left : columns.start - left + part.shape[1]] = (
        part
    )
    return result
