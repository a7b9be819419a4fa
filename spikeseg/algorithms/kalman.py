"""A constant-velocity Kalman filter for points of the plane, many at a time, and its smoother. Bar-Shalom et al. 2001, ch. 6, 8.

The state is (x, y, vx, vy) in px and px/s. Both axes have the same noise and are measured alike, so one 2×2 covariance of
(position, velocity) serves both. The motion between measurements is disturbed by white acceleration, whose covariance adds up
over any division of time: two steps of 0.1 s are one of 0.2 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MEASUREMENT_PX = 1.0
"""Standard deviation of a detected centroid along each axis, px."""


class Motion(NamedTuple):
    """How points are expected to move.

    Attributes:
        acceleration: spectral density of the white acceleration, px²/s³: within 1 s a velocity wanders by its root along
            each axis.
        first_speed_px_s: standard deviation, along each axis, of a velocity of which nothing is known yet, px/s.
    """

    acceleration: float
    first_speed_px_s: float


class Beliefs(NamedTuple):
    """Gaussians: mean float64 (n, 2, 2), rows position and velocity, columns x and y; covariance float64 (n, 3): variance of a
    position, covariance of position and velocity, variance of a velocity, the same for x and y."""

    mean: np.ndarray
    covariance: np.ndarray


def begin(positions: np.ndarray, motion: Motion) -> Beliefs:
    """Beliefs after one measurement each, (n, 2), px: there, and of unknown velocity."""
    mean = np.zeros((len(positions), 2, 2))
    mean[:, 0] = positions
    first = [MEASUREMENT_PX**2, 0.0, motion.first_speed_px_s**2]
    return Beliefs(mean, np.tile(first, (len(positions), 1)))


def predict(beliefs: Beliefs, seconds: float, motion: Motion) -> Beliefs:
    """Beliefs after a time of 0 or more without a measurement."""
    mean = beliefs.mean.copy()
    mean[:, 0] += seconds * mean[:, 1]
    place, both, speed = beliefs.covariance.T
    q = motion.acceleration
    ahead = [
        place + seconds * (2 * both + seconds * speed) + q * seconds**3 / 3,
        both + seconds * speed + q * seconds**2 / 2,
        speed + q * seconds,
    ]
    return Beliefs(mean, np.stack(ahead, 1))


def update(beliefs: Beliefs, positions: np.ndarray) -> Beliefs:
    """Beliefs after a measured position each, (n, 2), px."""
    place, both, speed = beliefs.covariance.T
    scale = innovation_variance(beliefs)
    gain = np.stack([place, both], 1) / scale[:, None]
    mean = beliefs.mean + gain[:, :, None] * (positions - beliefs.mean[:, 0])[:, None]
    return Beliefs(mean, np.stack([place - place**2 / scale, both - place * both / scale, speed - both**2 / scale], 1))


def innovation_variance(beliefs: Beliefs) -> np.ndarray:
    """Variance of (measured - predicted) along each axis, px²: float64 (n,)."""
    return np.asarray(beliefs.covariance[:, 0] + MEASUREMENT_PX**2)


def smooth(times_s: Sequence[float], positions: np.ndarray, motion: Motion) -> Beliefs:
    """One point's beliefs at each measurement, given all of them, later ones included (Rauch, Tung and Striebel 1965).

    Args:
        times_s: (n,), s, rising.
        positions: (n, 2) measured, px.
    """
    filtered: list[Beliefs] = []
    ahead: list[Beliefs] = []
    for k, position in enumerate(positions):
        if k:
            ahead.append(predict(filtered[-1], times_s[k] - times_s[k - 1], motion))
            filtered.append(update(ahead[-1], position[None]))
        else:
            filtered.append(begin(position[None], motion))
    mean = np.zeros((len(filtered), 2, 2))
    covariance = np.zeros((len(filtered), 3))
    for k in range(len(filtered) - 1, -1, -1):
        mean[k], covariance[k] = filtered[k].mean[0], filtered[k].covariance[0]
        if k + 1 == len(filtered):
            continue
        move = np.array([[1.0, times_s[k + 1] - times_s[k]], [0.0, 1.0]])
        now, then = _matrix(covariance[k]), _matrix(ahead[k].covariance[0])
        gain = now @ move.T @ np.linalg.inv(then)
        mean[k] += gain @ (mean[k + 1] - ahead[k].mean[0])
        better = now + gain @ (_matrix(covariance[k + 1]) - then) @ gain.T
        covariance[k] = better[0, 0], better[0, 1], better[1, 1]
    return Beliefs(mean, covariance)


def _matrix(covariance: np.ndarray) -> np.ndarray:
    place, both, speed = covariance
    return np.array([[place, both], [both, speed]])
