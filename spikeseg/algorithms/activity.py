"""Activity filters: the simple detectors that a network has to beat."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

DENOISE_US = 10_000
GRADED_RADIUS_PX = 3
GRADED_TAU_US = 500_000.0


def denoise(events: np.ndarray, filter_time_us: int = DENOISE_US) -> np.ndarray:
    """Events with company: one of the four neighbouring pixels fired less than `filter_time_us` before.

    Equal to `tonic.transforms.Denoise`, event for event, but compiled.

    Args:
        events: with t (µs, sorted), x, y (pixels).

    Returns:
        bool (n,), True where the filter keeps the event.
    """
    if not len(events):
        return np.zeros(0, bool)
    kept: np.ndarray = _compiled()[0](*_columns(events), np.int64(filter_time_us))
    return kept


def graded(
    events: np.ndarray,
    sensor_size: tuple[int, int],
    radius_px: int = GRADED_RADIUS_PX,
    tau_us: float = GRADED_TAU_US,
) -> np.ndarray:
    """Exponentially decayed count of the earlier events within `radius_px` of each event, of either polarity.

    Args:
        events: with t (µs, sorted), x, y (pixels).
        sensor_size: (width, height).
        radius_px: Euclidean, the event's own pixel included.
        tau_us: time constant of the decay.

    Returns:
        float64 (n,), 0 for an event without company.
    """
    if not len(events):
        return np.zeros(0)
    width, height = sensor_size
    reach = np.arange(-radius_px, radius_px + 1)
    dy, dx = np.nonzero(np.hypot(reach[:, None], reach[None, :]) <= radius_px)
    scores: np.ndarray = _compiled()[1](
        *_columns(events), width, height, dy - radius_px, dx - radius_px, radius_px, float(tau_us)
    )
    return scores


def _columns(events: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(events[name].astype(np.int64)) for name in "txy")


@cache
def _compiled() -> tuple[Any, Any]:
    """The loops as machine code, compiled once per machine."""
    from numba import njit

    return njit(cache=True)(_denoise_loop), njit(cache=True)(_graded_loop)


def _denoise_loop(t: np.ndarray, x: np.ndarray, y: np.ndarray, filter_time: int) -> np.ndarray:
    width, height = x.max() + 1, y.max() + 1
    until = np.full((width + 2, height + 2), filter_time, np.int64)  # a border that no event extends
    until[0, :] = until[-1, :] = until[:, 0] = until[:, -1] = np.iinfo(np.int64).min
    kept = np.zeros(len(t), np.bool_)
    for i in range(len(t)):
        c, r = x[i] + 1, y[i] + 1
        until[c, r] = t[i] + filter_time
        kept[i] = until[c - 1, r] > t[i] or until[c + 1, r] > t[i] or until[c, r - 1] > t[i] or until[c, r + 1] > t[i]
    return kept


def _graded_loop(
    t: np.ndarray, x: np.ndarray, y: np.ndarray, width: int, height: int, dy: np.ndarray, dx: np.ndarray, pad: int, tau: float
) -> np.ndarray:
    count = np.zeros((height + 2 * pad, width + 2 * pad))
    last = np.zeros((height + 2 * pad, width + 2 * pad))
    scores = np.zeros(len(t))
    for i in range(len(t)):
        r, c = y[i] + pad, x[i] + pad
        total = 0.0
        for k in range(len(dy)):
            rr, cc = r + dy[k], c + dx[k]
            if count[rr, cc] > 0.0:
                total += count[rr, cc] * np.exp((last[rr, cc] - t[i]) / tau)
        scores[i] = total
        count[r, c] = count[r, c] * np.exp((last[r, c] - t[i]) / tau) + 1.0
        last[r, c] = t[i]
    return scores
