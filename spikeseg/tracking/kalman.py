"""A constant-velocity Kalman filter for points of the plane, many at a time, and its smoother. Bar-Shalom et al. 2001, ch. 6, 8.

The state is (x, y, vx, vy) in px and px/s. Both axes have the same noise and are measured alike, so one 2×2 covariance of
(position, velocity) serves both. The motion between measurements is disturbed by white acceleration, whose covariance adds up
over any division of time: two steps of 0.1 s are one of 0.2 s. The tracker steps the filter itself, in `kalman_kernels`.

Our own code, because every slice predicts and updates all tracks: of 70 tracks that takes 1.4 µs compiled, 87 µs with batched
4×4 matrices in numpy, and 1.25 ms one track at a time, as filters of general packages do it (medians on one core).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .kalman_kernels import smooth_track

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


def smooth(times_s: Sequence[float], positions: np.ndarray, motion: Motion) -> Beliefs:
    """One point's beliefs at each measurement, given all of them, later ones included (Rauch, Tung and Striebel 1965).

    Args:
        times_s: (n,), s, rising.
        positions: (n, 2) measured, px.
        motion: how the point is expected to move.
    """
    n = len(positions)
    mean, covariance = np.zeros((n, 2, 2)), np.zeros((n, 3))
    if n:
        smooth_track(
            np.asarray(times_s, np.float64), np.asarray(positions, np.float64), motion.acceleration,
            MEASUREMENT_PX**2, motion.first_speed_px_s**2, mean, covariance,
        )  # fmt: skip
    return Beliefs(mean, covariance)
