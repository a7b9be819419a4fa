"""Activity filters: simple baselines for a network.

Our own code, because tonic's Denoise takes 0.5 M events/s and `denoise` 100 M, event for event the same (100,000 events on
240×180, median on one core); tonic has no graded filter.
"""

from __future__ import annotations

import numpy as np

from spikeseg.config.sections import EvaluationConfig

from .activity_kernels import denoise_events, grade_events

DENOISE_US: int = EvaluationConfig.denoise_filter_time_us
GRADED_RADIUS_PX: int = EvaluationConfig.graded_radius_px
GRADED_TAU_US: float = 1000 * EvaluationConfig.graded_tau_ms


def denoise(events: np.ndarray, filter_time_us: int = DENOISE_US) -> np.ndarray:
    """Events with a recent neighbour: one of the four adjacent pixels fired less than `filter_time_us` before.

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
    kept: np.ndarray = denoise_events(*columns(events, size), size, int(filter_time_us))
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
        float64 (n,), the sum of exp(-age / tau) over those events: 0 for an event without any.

    Raises ValueError: events off the sensor.
    """
    if not len(events):
        return np.zeros(0)
    reach = np.arange(-radius_px, radius_px + 1)
    dy, dx = (axis - radius_px for axis in np.nonzero(np.hypot(reach[:, None], reach[None, :]) <= radius_px))
    size = int(sensor_size[0]), int(sensor_size[1])
    scores: np.ndarray = grade_events(*columns(events, size), size, dy, dx, radius_px, float(tau_us))
    return scores


def columns(events: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """t, x, y as the kernels take them; these do not check where they write, so it is done here."""
    for name, side in zip("xy", size, strict=True):
        if len(events) and not 0 <= events[name].min() <= events[name].max() < side:
            raise ValueError(f"events.{name}: {events[name].min()}..{events[name].max()}; expected 0..{side - 1}")
    return tuple(np.ascontiguousarray(events[name].astype(np.int64)) for name in "txy")
