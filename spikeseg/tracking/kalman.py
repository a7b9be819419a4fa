"""A constant-velocity Kalman filter for points of the plane, many at a time, and its smoother. Bar-Shalom et al. 2001, ch. 6, 8.

The state is (x, y, vx, vy) in px and px/s. Both axes have the same noise and are measured alike, so one 2×2 covariance of
(position, velocity) serves both. The motion between measurements is disturbed by white acceleration, whose covariance adds up
over any division of time: two steps of 0.1 s are one of 0.2 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .kalman_kernels import begin_all, predict_all, smooth_track, update_all

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
    begun = Beliefs(np.empty((len(positions), 2, 2)), np.empty((len(positions), 3)))
    begin_all(np.asarray(positions, np.float64), MEASUREMENT_PX**2, motion.first_speed_px_s**2, *begun)
    return begun


def predict(beliefs: Beliefs, seconds: float, motion: Motion) -> Beliefs:
    """Beliefs after a time of 0 or more without a measurement."""
    q = motion.acceleration
    ahead = Beliefs(np.empty_like(beliefs.mean), np.empty_like(beliefs.covariance))
    predict_all(*beliefs, float(seconds), q * seconds**3 / 3, q * seconds**2 / 2, q * seconds, *ahead)
    return ahead


def update(beliefs: Beliefs, positions: np.ndarray) -> Beliefs:
    """Beliefs after a measured position each, (n, 2), px."""
    after = Beliefs(np.empty_like(beliefs.mean), np.empty_like(beliefs.covariance))
    update_all(*beliefs, np.asarray(positions, np.float64), MEASUREMENT_PX**2, *after)
    return after


def smooth(times_s: Sequence[float], positions: np.ndarray, motion: Motion) -> Beliefs:
    """One point's beliefs at each measurement, given all of them, later ones included (Rauch, Tung and Striebel 1965).

    Args:
        times_s: (n,), s, rising.
        positions: (n, 2) measured, px.
    """
    n = len(positions)
    mean, covariance = np.zeros((n, 2, 2)), np.zeros((n, 3))
    if n:
        smooth_track(
            np.asarray(times_s, np.float64), np.asarray(positions, np.float64), motion.acceleration,
            MEASUREMENT_PX**2, motion.first_speed_px_s**2, mean, covariance,
        )  # fmt: skip
    return Beliefs(mean, covariance)
