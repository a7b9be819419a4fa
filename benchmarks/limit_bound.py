"""The physical limit of `limit.py`: the rate of events at which an ideal detector finds half of the objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

FALSE_ALARMS_PER_MINUTE = 0.1
RADIUS_PX = 2.0
"""Events are counted within this distance of a path."""


@dataclass(frozen=True)
class Search:
    """What an ideal detector has to search.

    Attributes:
        sensor_size: (width, height), px.
        duration_s: of a recording.
        speed_px_s: range of the speeds, in any direction.
        radius_px: events are counted within this distance of a path.
        false_alarms_per_minute: how many are allowed.
    """

    sensor_size: tuple[int, int] = (240, 180)
    duration_s: float = 20.0
    speed_px_s: tuple[float, float] = (4.0, 40.0)
    radius_px: float = RADIUS_PX
    false_alarms_per_minute: float = FALSE_ALARMS_PER_MINUTE

    @property
    def tube_px2(self) -> float:
        """The area within the radius."""
        return float(np.pi * self.radius_px**2)

    def hypotheses(self, seconds: np.ndarray) -> np.ndarray:
        """How many independent paths of a length in time (n,), s, a recording holds: float64 (n,).

        Places that a tube's cross-section tells apart, times velocities whose paths have come apart by as much within that time
        (one at least), times the stretches of that length in a recording.
        """
        places = self.sensor_size[0] * self.sensor_size[1] / self.tube_px2
        slow, fast = self.speed_px_s
        velocities = np.maximum(1.0, np.pi * (fast**2 - slow**2) * seconds**2 / self.tube_px2)
        return np.asarray(places * velocities * np.maximum(1.0, self.duration_s / seconds))


def share_within(radius_px: float, sigma_px: float, displacement_px: float) -> float:
    """Share of an object's events within a distance of its path: Gaussian, displaced along it."""
    return float(stats.ncx2.cdf((radius_px / sigma_px) ** 2, 2, max(displacement_px / sigma_px, 1e-9) ** 2))


def needed_counts(noise_hz: float, seconds: np.ndarray, search: Search) -> np.ndarray:
    """The count within a tube, by the time it lasts (n,), that noise reaches no more often than allowed: int64 (n,)."""
    allowed = search.false_alarms_per_minute * search.duration_s / 60 / search.hypotheses(seconds)
    return np.asarray(stats.poisson.isf(allowed, noise_hz * search.tube_px2 * seconds), np.int64) + 1


def detection_probability(rate_hz: float, noise_hz: float, seconds: np.ndarray, share: float, search: Search) -> float:
    """Probability that the count on the path of an object reaches what is needed, the mean over times in view (n,)."""
    mean = (noise_hz * search.tube_px2 + rate_hz * share) * seconds
    return float(np.mean(stats.poisson.sf(needed_counts(noise_hz, seconds, search) - 1, mean)))


def bound(noise_hz: float, seconds: np.ndarray, search: Search, sigma_px: float = 1.0, displacement_px: float = 0.7) -> float:
    """The rate, events/s, at which an ideal detector finds half of the objects.

    It counts the events within ``search.radius_px`` of every path and knows the rate of the noise. The Poisson tail of that count
    times the number of independent paths gives the false alarms. What it does not use is the form of the footprint and polarity,
    with which less would do.

    Args:
        noise_hz: of a pixel, events/s.
        seconds: float64 (n,), how long objects are in view: a sample.
        search: what is searched.
        sigma_px: of the point-spread function.
        displacement_px: of ON events ahead and OFF events behind.

    Raises ValueError: no times, or none above 0.
    """
    seconds = np.asarray(seconds, np.float64)
    if not len(seconds) or seconds.min() <= 0:
        raise ValueError(f"times in view: {seconds}; expected some, all above 0")
    share = share_within(search.radius_px, sigma_px, displacement_px)

    def beyond_half(log_rate: float) -> float:
        return detection_probability(float(np.exp(log_rate)), noise_hz, seconds, share, search) - 0.5

    return float(np.exp(optimize.brentq(beyond_half, np.log(1e-4), np.log(1e6))))
