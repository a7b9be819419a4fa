"""How fast something goes along its way, though its positions jitter (ours)."""

from __future__ import annotations

import numpy as np

AGREE = 0.75
"""Steps agree if the mean scalar product of one and the next is this share of their mean square: it is 1 straight on, and less
where positions jitter; white jitter leaves this share to steps of more than three times its root mean square."""


def rows_to_average(positions: np.ndarray) -> int:
    """How many rows of positions (n, 2) to average: the fewest of 1, 2, 4, ... between whose means steps agree; 1 if none do."""
    rows = 1
    while 3 * rows <= len(positions):
        steps = _steps(positions, rows)
        before, after = steps[:-rows], steps[rows:]
        if np.mean((before * after).sum(1)) >= AGREE * np.mean((steps**2).sum(1)):
            return rows
        rows *= 2
    return 1


def mean_speed(t_us: np.ndarray, positions: np.ndarray, rows: int) -> float:
    """px/s along the way between averages of so many rows, one after the other: less than half of all.

    Args:
        t_us: (n,), rising.
        positions: (n, 2), px.
        rows: from 1.
    """
    ways = np.hypot(*_steps(positions, rows).T)
    return float(ways.sum() / _steps(t_us, rows).sum() * 1e6)


def _steps(values: np.ndarray, rows: int) -> np.ndarray:
    """From the mean of each so many rows to that of the so many that follow: (n - 2 * rows + 1, ...)."""
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values - values[0], 0)])
    means = (total[rows:] - total[:-rows]) / rows
    return np.asarray(means[rows:] - means[:-rows])
