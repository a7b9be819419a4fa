"""A constant-velocity Kalman filter for points of the plane, and its smoother. Pure functions; Bar-Shalom et al. 2001, ch. 6, 8.

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

ACCELERATION = 25.0
"""Spectral density of the white acceleration, px²/s³: within 1 s a velocity wanders by 5 px/s along each axis."""

FIRST_SPEED_PX_S = 300.0
"""Standard deviation of a velocity, along each axis, of which nothing is known yet, px/s; wide, so that it pulls no estimate
towards 0: at 60, three detections 0.1 s apart read 1.4 % too slow."""


class State(NamedTuple):
    """A Gaussian belief: mean float64 (2, 2), rows position and velocity, columns x and y; covariance float64 (2, 2) of
    (position, velocity), the same for x and y."""

    mean: np.ndarray
    covariance: np.ndarray


def begin(position: np.ndarray) -> State:
    """The belief after one measurement (2,), px: there, and of unknown velocity."""
    return State(np.stack([position, np.zeros(2)]), np.diag([MEASUREMENT_PX**2, FIRST_SPEED_PX_S**2]))


def predict(state: State, seconds: float) -> State:
    """The belief after a time of 0 or more without a measurement."""
    move = _move(seconds)
    noise = ACCELERATION * np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
    return State(move @ state.mean, move @ state.covariance @ move.T + noise)


def update(state: State, position: np.ndarray) -> State:
    """The belief after a measured position (2,), px."""
    gain = state.covariance[:, :1] / innovation_variance(state)
    mean = state.mean + gain * (position - state.mean[0])
    return State(mean, state.covariance - gain * state.covariance[:1])


def innovation_variance(state: State) -> float:
    """Variance of (measured - predicted) along each axis, px²."""
    return float(state.covariance[0, 0] + MEASUREMENT_PX**2)


def smooth(states: Sequence[State], times_s: Sequence[float]) -> list[State]:
    """The beliefs at each measurement, given all of them, later ones included (Rauch, Tung and Striebel 1965).

    Args:
        states: the belief just after each measurement, in order of time.
        times_s: the time of each, s.
    """
    result = list(states[-1:])
    for k in range(len(states) - 2, -1, -1):
        seconds = times_s[k + 1] - times_s[k]
        ahead = predict(states[k], seconds)
        gain = states[k].covariance @ _move(seconds).T @ np.linalg.inv(ahead.covariance)
        mean = states[k].mean + gain @ (result[-1].mean - ahead.mean)
        covariance = states[k].covariance + gain @ (result[-1].covariance - ahead.covariance) @ gain.T
        result.append(State(mean, covariance))
    return result[::-1]


def _move(seconds: float) -> np.ndarray:
    return np.array([[1.0, seconds], [0.0, 1.0]])
