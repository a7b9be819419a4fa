"""Activity filters: the simple detectors that a network has to beat."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from spikeseg.config.sections import EvaluationConfig

DENOISE_US: int = EvaluationConfig.denoise_filter_time_us
GRADED_RADIUS_PX: int = EvaluationConfig.graded_radius_px
GRADED_TAU_US: float = 1000 * EvaluationConfig.graded_tau_ms


def denoise(events: np.ndarray, filter_time_us: int = DENOISE_US) -> np.ndarray:
    """Events with company: one of the four neighbouring pixels fired less than `filter_time_us` before.

    Equal to `tonic.transforms.Denoise`, event for event, but compiled. As there, every pixel counts as having fired at
    time 0: what comes within `filter_time_us` of it is kept.

    Args:
        events: with t (µs, sorted), x, y (pixels).
        filter_time_us: longest silence of the neighbours.

    Returns:
        bool (n,), True where the filter keeps the event.

    Raises ValueError: negative coordinates.
    """
    if not len(events):
        return np.zeros(0, bool)
    size = int(events["x"].max()) + 1, int(events["y"].max()) + 1
    kept: np.ndarray = _compiled()[0](*_columns(events, size), *size, int(filter_time_us))
    return kept


def graded(
    events: np.ndarray,
    sensor_size: tuple[int, int],
    radius_px: int = GRADED_RADIUS_PX,
    tau_us: float = GRADED_TAU_US,
) -> np.ndarray:
    """Exponentially decayed count of the earlier events within `radius_px` of each event, of either polarity.

    Args:
        events: with t (µs, sorted), x, y (pixels); of equal times, the first in the array is the earlier.
        sensor_size: (width, height).
        radius_px: Euclidean, the event's own pixel included.
        tau_us: time constant of the decay.

    Returns:
        float64 (n,), the sum of exp(-age / tau) over those events: 0 for an event without company.

    Raises ValueError: events off the sensor.
    """
    if not len(events):
        return np.zeros(0)
    width, height = sensor_size
    reach = np.arange(-radius_px, radius_px + 1)
    dy, dx = np.nonzero(np.hypot(reach[:, None], reach[None, :]) <= radius_px)
    scores: np.ndarray = _compiled()[1](
        *_columns(events, sensor_size), width, height, dy - radius_px, dx - radius_px, radius_px, float(tau_us)
    )
    return scores


def _columns(events: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """t, x, y as the loops take them; these do not look where they write, so it is checked here."""
    for name, side in zip("xy", size, strict=True):
        if not 0 <= events[name].min() <= events[name].max() < side:
            raise ValueError(f"events.{name}: {events[name].min()}..{events[name].max()}; expected 0..{side - 1}")
    return tuple(np.ascontiguousarray(events[name].astype(np.int64)) for name in "txy")


@cache
def _compiled() -> tuple[Any, Any]:
    """The loops as machine code, compiled once per machine."""
    from spikeseg.core.compiled import compiled

    loops = compiled(allocates=True)
    return loops(_denoise_loop), loops(_graded_loop)


def _denoise_loop(t: np.ndarray, x: np.ndarray, y: np.ndarray, width: int, height: int, filter_time: int) -> np.ndarray:
    until = np.full((width + 2, height + 2), filter_time, np.int64)  # a border that no event extends
    until[0, :] = until[-1, :] = until[:, 0] = until[:, -1] = np.iinfo(np.int64).min
    kept = np.zeros(len(t), np.bool_)
    for i in range(len(t)):
        c, r = x[i] + 1, y[i] + 1
        until[c, r] = t[i] + filter_time
        beside = max(until[c - 1, r], until[c + 1, r], until[c, r - 1], until[c, r + 1])
        kept[i] = beside > t[i]
    return kept


def _graded_loop(
    t: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    width: int,
    height: int,
    dy: np.ndarray,
    dx: np.ndarray,
    pad: int,
    tau: float,
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
