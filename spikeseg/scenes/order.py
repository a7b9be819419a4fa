"""What tells the events of a thing from noise that is dense in a place: they are in order (ours).

Edges that move send events of one polarity at a place and time, and of the other one elsewhere; a pixel that is noisy sends both,
mostly in turn. And what moves sends from other places now than before; a noisy place sends from the same.
"""

from __future__ import annotations

import numpy as np

from .order_kernels import agreement, cells_of

PLACE_PX, PARTS = 4, 8
"""Polarities are compared within squares of this side, a power of two, and this part of a window."""

SORTED, FEWER = 0.1, 0.1
"""They are sorted from this agreement beyond chance on; where fewer than this share of them are of one kind, none can tell."""

CELL_PX, TIMES, A_TIME = 8, 16, 50
"""Places are compared cell by cell of this side, px, a power of two, at so many times, or at fewer of A_TIME events each."""

CHANGES = 0.05
"""They change from this dependence between place and time on: 0 where all cells send alike, 1 where each sends at one time."""


def in_order(
    events: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], own: np.ndarray, sensor_size: tuple[int, int], window_us: int
) -> bool:
    """Whether the polarities of an object's events are sorted, or their places change.

    Args:
        events: of the recording: int64 t (n,), rising, µs, x, y (n,), px; bool on (n,), polarity.
        own: int64 (m,), which of them are the object's, rising.
        sensor_size: (width, height), px.
        window_us: by which the recording is looked at, µs.
    """
    _, x, y, on = events
    if not FEWER <= np.count_nonzero(on[own]) / len(own) <= 1 - FEWER:
        return True
    if polarity_order(events, own, sensor_size, max(window_us // PARTS, 1)) >= SORTED:
        return True
    cell = np.empty(int(own[-1] - own[0]) + 1, np.int64)
    n = cells_of(x, y, own, CELL_PX.bit_length() - 1, _grid(sensor_size, CELL_PX), cell)
    return change_of_place(cell[:n]) >= CHANGES


def polarity_order(
    events: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], own: np.ndarray, sensor_size: tuple[int, int], step_us: int
) -> float:
    """How much more often than by chance two events of the same place and step are of one polarity, as a share of how often they
    might be (Cohen's kappa): 1 sorted, 0 mixed, less where they alternate. Chance is that of all events of the step.

    Args:
        events: see `in_order`.
        own: see `in_order`.
        sensor_size: (width, height), px.
        step_us: length of a step, µs.
    """
    beyond, possible = agreement(*events, own, step_us, PLACE_PX.bit_length() - 1, _grid(sensor_size, PLACE_PX))
    return float(beyond / possible) if possible > 0 else 0.0


def _grid(sensor_size: tuple[int, int], side_px: int) -> np.ndarray:
    """A 0 for each square of a sensor: int64 (rows, columns)."""
    return np.zeros((-(-sensor_size[1] // side_px), -(-sensor_size[0] // side_px)), np.int64)


def change_of_place(cell: np.ndarray) -> float:
    """How far the cell that events come from depends on time (Cramér's V², less what chance gives): 0 not at all, 1 wholly.

    Args:
        cell: int64 (n,), of each event, in the order of time.
    """
    n = len(cell)
    times = min(n // A_TIME, TIMES)
    if times < 2:
        return 0.0
    _, row = np.unique(cell, return_inverse=True)
    rows = int(row.max()) + 1
    column = np.arange(n) * times // n
    seen = np.bincount(row * times + column, minlength=rows * times).reshape(rows, times)
    expected = seen.sum(1)[:, None] * seen.sum(0) / n
    chance = (rows - 1) * (times - 1) * n / (n - 1)
    return float((((seen - expected) ** 2 / expected).sum() - chance) / (n * (times - 1)))
