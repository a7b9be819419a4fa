"""Objects of successive windows joined into tracks, and the star field's common motion taken out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

MEASUREMENT_PX = 1.0
"""Standard deviation of a detected centroid."""

ACCELERATION_PX_S2 = 20.0
"""Standard deviation of the acceleration that the filter allows for."""

FIRST_SPEED_PX_S = 60.0
"""Standard deviation of the speed of a track that has been seen once."""

STAR_FIELD_PX_S = 3.0
"""Width of the kernel that finds the densest point of all tracks' velocities."""


class Kalman:
    """Constant-velocity filter of a point in the plane; state (x, y, vx, vy) in px and px/s."""

    def __init__(self, x: float, y: float) -> None:
        self.state = np.array([x, y, 0.0, 0.0])
        self.covariance = np.diag([MEASUREMENT_PX**2] * 2 + [FIRST_SPEED_PX_S**2] * 2)

    def predict(self, seconds: float) -> np.ndarray:
        """Move on; returns the position (2,)."""
        f = np.eye(4)
        f[0, 2] = f[1, 3] = seconds
        g = np.array([[seconds**2 / 2, 0], [0, seconds**2 / 2], [seconds, 0], [0, seconds]])
        self.state = f @ self.state
        self.covariance = f @ self.covariance @ f.T + g @ g.T * ACCELERATION_PX_S2**2
        return self.state[:2]

    def update(self, position: np.ndarray) -> None:
        """Take in a measured position (2,)."""
        innovation = self.covariance[:2, :2] + np.eye(2) * MEASUREMENT_PX**2
        gain = self.covariance[:, :2] @ np.linalg.inv(innovation)
        self.state = self.state + gain @ (position - self.state[:2])
        self.covariance = self.covariance - gain @ self.covariance[:2]


@dataclass
class Track:
    """One object over time.

    Attributes:
        id: from 1, in the order of confirmation; 0 until then.
        t_us: time of each detection, µs.
        windows: index of the window of each.
        detections: index of each in its window.
        states: filtered (x, y, vx, vy) after each.
        misses: windows since the last one.
    """

    filter: Kalman = field(repr=False)
    id: int = 0
    t_us: list[float] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    misses: int = 0

    @property
    def velocity(self) -> np.ndarray:
        """(2,) px/s: from the first to the last position by least squares; 0 for a single detection."""
        if len(self.states) < 2:
            return np.zeros(2)
        t = np.asarray(self.t_us) * 1e-6
        p = np.array([s[:2] for s in self.states])
        t = t - t.mean()
        return (t[:, None] * (p - p.mean(0))).sum(0) / (t**2).sum()


class Tracker:
    """Joins detections window by window.

    A detection belongs to the track whose predicted position is nearest, one to one (Hungarian), within a gate of `gate_px` plus
    three standard deviations of the prediction; others begin tracks. A track is confirmed after `min_hits` windows and ends
    after more
    than `max_misses` windows without a detection.
    """

    def __init__(self, *, min_hits: int = 3, max_misses: int = 3, gate_px: float = 10.0) -> None:
        self.min_hits, self.max_misses, self.gate_px = min_hits, max_misses, gate_px
        self.tracks: list[Track] = []
        self._alive: list[Track] = []
        self._last_us: float | None = None
        self._window = 0

    def update(self, t_us: float, positions: np.ndarray) -> list[Track]:
        """Take in one window.

        Args:
            t_us: its time (its middle), later than the one before.
            positions: (n, 2) centroids x, y of its detections, pixels.

        Returns:
            for each detection its track.

        Raises:
            ValueError: a time that does not lie after the window before.
        """
        if self._last_us is not None and t_us <= self._last_us:
            raise ValueError(f"window at {t_us} µs does not come after the one at {self._last_us} µs")
        seconds = 0.0 if self._last_us is None else (t_us - self._last_us) * 1e-6
        self._last_us = t_us
        positions = np.asarray(positions, np.float64).reshape(-1, 2)
        expected = np.array([track.filter.predict(seconds) for track in self._alive]).reshape(-1, 2)
        owner: dict[int, Track] = {}
        for i, j in self._assign(expected, positions):
            owner[j] = self._alive[i]
        for track in self._alive:
            track.misses += 1
        for j, position in enumerate(positions):
            track = owner.get(j) or self._begin(position)
            owner[j] = track
            if track.windows:
                track.filter.update(position)
            track.misses = 0
            track.t_us.append(t_us)
            track.windows.append(self._window)
            track.detections.append(j)
            track.states.append(track.filter.state.copy())
            if not track.id and len(track.windows) >= self.min_hits:
                self.tracks.append(track)
                track.id = len(self.tracks)
        self._alive = [track for track in self._alive if track.misses <= self.max_misses]
        self._window += 1
        return [owner[j] for j in range(len(positions))]

    def _begin(self, position: np.ndarray) -> Track:
        track = Track(Kalman(*position))
        self._alive.append(track)
        return track

    def _assign(self, expected: np.ndarray, positions: np.ndarray) -> list[tuple[int, int]]:
        if not len(expected) or not len(positions):
            return []
        distance = np.hypot(*(expected[:, None] - positions[None]).transpose(2, 0, 1))
        spread = np.array([np.sqrt(np.linalg.eigvalsh(t.filter.covariance[:2, :2]).max()) for t in self._alive])
        gate = self.gate_px + np.where([len(t.windows) > 1 for t in self._alive], 3.0, 1.0) * spread
        near = distance <= gate[:, None]
        far = 1 + gate.max() * (1 + min(distance.shape))
        rows, columns = linear_sum_assignment(np.where(near, distance, far))
        return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if near[i, j]]


def star_field_velocity(tracks: Sequence[Track], width_px_s: float = STAR_FIELD_PX_S) -> np.ndarray:
    """The star field's common motion: the densest point of the tracks' velocities, weighted by their length.

    Args:
        tracks: confirmed ones.
        width_px_s: of the kernel.

    Returns:
        (2,) px/s; 0 without tracks. With few stars in view this can be an object's own velocity.
    """
    if not tracks:
        return np.zeros(2)
    velocity = np.array([track.velocity for track in tracks])
    weight = np.array([float(len(track.windows)) for track in tracks])
    squared = ((velocity[:, None] - velocity[None]) ** 2).sum(-1)
    density = (weight[None] * np.exp(-squared / (2 * width_px_s**2))).sum(1)
    peak = velocity[int(np.argmax(density))]
    for _ in range(10):  # mean shift from the densest track to the densest point
        near = weight * np.exp(-((velocity - peak) ** 2).sum(1) / (2 * width_px_s**2))
        peak = (near[:, None] * velocity).sum(0) / near.sum()
    return peak
