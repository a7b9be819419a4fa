"""How the telescope moves the sky over the sensor, and clouds over both, as functions of time.

Places are in px, as (x, y); places on the sensor are 0-based, the centre of the top left pixel is (0, 0). Times are in s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .draws import log_uniform, vector

CLOUD_EDGE = 1.5
"""Steepness of a cloud's edge: the factor of the ripples under tanh."""
CLOUD_WAVES = 6
"""Plane waves that make up the clouds."""
CLOUD_SIZE = (100.0, 500.0)
"""Their lengths, px."""
CLOUD_WIND = (5.0, 40.0)
"""Speed of clouds over the sensor, px/s."""


@dataclass(frozen=True)
class FieldMotion:
    """Drift, turns, rotation and shake of the star field.

    A place s of the sky (the place on the sensor at which it would be at t = 0 without shake) is seen at

        x(t) = c + R(w t) (s + d(t) - c) + k(t)

    with the drift d, the rotation R about the pivot c and the shake k. The drift's velocity is constant between turns; in a
    turn of ``turn_takes_s`` it goes from one to the next by 3 u^2 - 2 u^3, whose integral is known, so that x(t) is exact.

    Attributes:
        velocities: float64 (n + 1, 2), velocity of the drift before, between and after the turns, px/s, in the frame at t = 0.
        turns_s: float64 (n,), when each turn begins, rising.
        turn_takes_s: how long each takes; > 0.
        rotation: angle by which the field turns per second, rad/s, from x to y.
        pivot: float64 (2,), the place on the sensor about which it turns.
        shake_px, shake_hz: float64 (m,), amplitude and rate of the sines that the shake is the sum of, in x and in y.
        shake_phase: float64 (m, 2), their phases in x and in y.
    """

    velocities: np.ndarray
    turns_s: np.ndarray
    turn_takes_s: float
    rotation: float
    pivot: np.ndarray
    shake_px: np.ndarray
    shake_hz: np.ndarray
    shake_phase: np.ndarray

    def place(self, sky: np.ndarray, t_s: np.ndarray) -> np.ndarray:
        """Where places of the sky (..., 2) are on the sensor at times (...): float64 (..., 2). The shapes are broadcast."""
        return self.pivot + _rotated(sky + self._drift(t_s) - self.pivot, self.rotation * t_s) + self._shake(t_s)

    def sky(self, place: np.ndarray, t_s: np.ndarray) -> np.ndarray:
        """What places of the sky are seen at places of the sensor (..., 2) at times (...): the inverse of ``place``."""
        return self.pivot + _rotated(place - self._shake(t_s) - self.pivot, -self.rotation * t_s) - self._drift(t_s)

    def velocity(self, t_s: np.ndarray) -> np.ndarray:
        """Velocity of the drift at times (...), without rotation and shake: float64 (..., 2), px/s."""
        part = self._turned(t_s)
        return self.velocities[0] + (3 * part**2 - 2 * part**3) @ np.diff(self.velocities, axis=0)

    def speed_beside_drift(self, sensor_size: tuple[int, int], beyond_px: float) -> float:
        """What rotation and shake add to the speed of anything up to ``beyond_px`` out of view, at most, px/s."""
        corners = np.array([(x, y) for x in (0, sensor_size[0] - 1) for y in (0, sensor_size[1] - 1)])
        radius = np.hypot(*(corners - self.pivot).T).max() + np.sqrt(2) * beyond_px
        return float(abs(self.rotation) * radius + 2 * np.pi * np.sqrt(2) * (self.shake_px @ self.shake_hz))

    def _turned(self, t_s: np.ndarray) -> np.ndarray:
        """The share of each turn that is over: (..., n)."""
        return np.clip((np.asarray(t_s)[..., None] - self.turns_s) / self.turn_takes_s, 0, 1)

    def _drift(self, t_s: np.ndarray) -> np.ndarray:
        t, part = np.asarray(t_s)[..., None], self._turned(t_s)
        along = self.turn_takes_s * (part**3 - 0.5 * part**4) + np.maximum(t - self.turns_s - self.turn_takes_s, 0)
        return t * self.velocities[0] + along @ np.diff(self.velocities, axis=0)

    def _shake(self, t_s: np.ndarray) -> np.ndarray:
        turn = 2 * np.pi * self.shake_hz[:, None] * np.asarray(t_s)[..., None, None] + self.shake_phase
        return self.shake_px @ np.sin(turn)


@dataclass(frozen=True)
class Clouds:
    """Clouds that drift over the sensor and dim what is behind them; the sky's own light stays as it is.

    Attributes:
        depth: optical depth where a cloud is thickest: light falls by exp(-depth).
        waves: float64 (n, 2), wave vectors of the ripples of which clouds are the crests, rad/px.
        phase: float64 (n,).
        wind: float64 (2,), their velocity over the sensor, px/s.
    """

    depth: float
    waves: np.ndarray
    phase: np.ndarray
    wind: np.ndarray

    def transmission(self, place: np.ndarray, t_s: np.ndarray) -> np.ndarray:
        """Share of the light that comes through at places on the sensor (..., 2) and times (...): float64 (...)."""
        ripple = np.cos((place - self.wind * t_s[..., None]) @ self.waves.T + self.phase).sum(-1)
        ripple *= np.sqrt(2 / len(self.phase))  # mean 0, variance 1 over the sensor
        return np.exp(-0.5 * self.depth * (1 + np.tanh(CLOUD_EDGE * ripple)))


def draw_clouds(rng: np.random.Generator, depth: float) -> Clouds:
    """Clouds of that optical depth over about half of the field."""
    waves = np.array([vector(rng, 2 * np.pi / log_uniform(rng, CLOUD_SIZE)) for _ in range(CLOUD_WAVES)])
    return Clouds(depth, waves, rng.uniform(0, 2 * np.pi, CLOUD_WAVES), vector(rng, log_uniform(rng, CLOUD_WIND)))


def _rotated(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors (..., 2) turned by angles (...), rad, from x to y."""
    x, y, cos, sin = vectors[..., 0], vectors[..., 1], np.cos(angle), np.sin(angle)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
