"""Ground truth: where the labelled objects are at a time, and which events and pixels belong to them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeseg.config.sections import EvaluationConfig

PIXELS_AT_ONCE = 2**20
"""Of discs, that are listed together."""
MAX_GAP_US: float = 1000 * EvaluationConfig.max_label_gap_ms
"""Longest time between two labels of an object, µs, over which its position is interpolated."""

POSITION_DTYPE = np.dtype([("index", "<i8"), ("id", "<i4"), ("x", "<f8"), ("y", "<f8")])
"""An object at one of several times: which time, which object, its position in pixels."""


def positions(labels: np.ndarray, times_us: np.ndarray, max_gap_us: float = MAX_GAP_US) -> np.ndarray:
    """Objects at given times, interpolated linearly between their label points.

    Nothing is interpolated over gaps above `max_gap_us`, nor before an object's first and after its last point; at
    the time of a label point the object is there in any case.

    Args:
        labels: LABEL_DTYPE, any order.
        times_us: (n,) int64 or float64 µs, any order.
        max_gap_us: longest time between two labels over which is interpolated, µs.

    Returns:
        POSITION_DTYPE (m,), by object, then in the order of the times.
    """
    parts = [np.zeros(0, POSITION_DTYPE)]
    times = np.asarray(times_us, np.float64)
    for name in np.unique(labels["id"]):
        points = labels[labels["id"] == name]
        points = points[np.argsort(points["t"], kind="stable")]
        t = points["t"].astype(np.float64)
        alive = np.flatnonzero((times >= t[0]) & (times <= t[-1]))
        after = np.searchsorted(t, times[alive], side="left")
        gap = t[after] - t[np.maximum(after - 1, 0)]
        known = alive[(gap <= max_gap_us) | (t[after] == times[alive])]
        at = np.zeros(len(known), POSITION_DTYPE)
        at["index"], at["id"] = known, name
        at["x"] = np.interp(times[known], t, points["x"])
        at["y"] = np.interp(times[known], t, points["y"])
        parts.append(at)
    return np.concatenate(parts)


def event_truth(events: np.ndarray, labels: np.ndarray, radius_px: float, max_gap_us: float = MAX_GAP_US) -> np.ndarray:
    """Whether each event lies within `radius_px` of a labelled object at its time. -> bool (n,).

    Args:
        events: with t (µs), x, y (pixels).
        labels: LABEL_DTYPE.
        radius_px: the border included.
        max_gap_us: see `positions`.
    """
    result = np.zeros(len(events), bool)
    for name in np.unique(labels["id"]):  # one by one: all at once would take 28 bytes per object and event
        at = positions(labels[labels["id"] == name], events["t"], max_gap_us)
        near = np.hypot(events["x"][at["index"]] - at["x"], events["y"][at["index"]] - at["y"]) <= radius_px
        result[at["index"][near]] = True
    return result


def in_parts(count: int, radius_px: float) -> Iterator[slice]:
    """Parts of so many points, whose `disc_pixels`, or as many `nearest_pixels`, together are PIXELS_AT_ONCE at most."""
    side = 2 * int(np.ceil(radius_px)) + 3
    at_once = max(1, PIXELS_AT_ONCE // side**2)
    for first in range(0, count, at_once):
        yield slice(first, first + at_once)


def distinct(cells: np.ndarray) -> np.ndarray:
    """The numbers of an array (n,), each once, rising: np.unique, but by a sort, where that hashes and takes up to eight times as
    long."""
    cells = np.sort(cells)
    return cells[np.r_[True, cells[1:] != cells[:-1]][: len(cells)]]


def disc_pixels(
    x: np.ndarray, y: np.ndarray, size: tuple[int, int], radius_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels whose centre lies within `radius_px` of each of m points, the border included.

    Args:
        x: float64 (m,), pixels.
        y: float64 (m,), pixels.
        size: (height, width) of the sensor or frame.
        radius_px: of the discs.

    Returns:
        row, column int64 (m, k): every pixel around each point; inside bool (m, k): those of the disc that are on the
        sensor. The others' coordinates may lie off it.
    """
    reach = int(np.ceil(radius_px)) + 1
    dy, dx = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    row = np.floor(y).astype(np.int64)[:, None] + dy
    column = np.floor(x).astype(np.int64)[:, None] + dx
    inside = np.hypot(row - np.asarray(y)[:, None], column - np.asarray(x)[:, None]) <= radius_px
    inside &= (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    return row, column, inside


def disc_area(radius_px: float) -> int:
    """How many pixels' centres lie within `radius_px` of the centre of one of them, the border included."""
    reach = int(radius_px)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return int((np.hypot(dy, dx) <= radius_px).sum())


def nearest_pixels(x: np.ndarray, y: np.ndarray, size: tuple[int, int], count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `count` pixels whose centres lie nearest to each of m points, as if the sensor had no border; of equals the upper, then
    the left one.

    Args:
        x: float64 (m,), pixels.
        y: float64 (m,), pixels.
        size: (height, width) of the sensor or frame.
        count: of pixels per point, 1 or more.

    Returns:
        as `disc_pixels`: row, column int64 (m, k), every pixel around each point; inside bool (m, k), those of the `count` that
        are on the sensor.
    """
    reach = int(np.ceil((count / np.pi) ** 0.5)) + 1
    dy, dx = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    middle_row, middle_column = np.rint(y).astype(np.int64)[:, None], np.rint(x).astype(np.int64)[:, None]
    row, column = middle_row + dy, middle_column + dx
    squared = (row - np.asarray(y)[:, None]) ** 2 + (column - np.asarray(x)[:, None]) ** 2
    rank = np.rint(squared * 2**20).astype(np.int64) * len(dy) + np.arange(len(dy))  # no two are equal
    inside = rank <= np.partition(rank, count - 1, axis=1)[:, count - 1 : count]
    inside &= (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    return row, column, inside


def span(labels: np.ndarray) -> tuple[int, int] | None:
    """First and last label (µs), for the scope 'labelled_span'; None without labels."""
    return (int(labels["t"].min()), int(labels["t"].max())) if len(labels) else None
