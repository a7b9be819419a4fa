"""The star field's common motion, from the velocities of all that moves (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .star_field_kernels import climb, density

MIN_STARS = 3
"""Fewer tracks of equal velocity are no star field: two may be pieces of the same object ..."""

TOGETHER_S = 2.0
"""... unless both are seen at the same time for this long, s: two objects hardly ever have one velocity."""

WIDTH_PX_S = 0.5
"""Stars of one field differ by about this much in velocity, px/s: the mount sways, and optics distort."""

BLUR_PX = 2.0
"""Along a track of T seconds the mean velocity is known to about BLUR_PX / T."""

LEAST_S = 1.0
"""A track of less than this, s, agrees with almost any velocity, so it does not count among MIN_STARS."""

STILL = 15.0
"""Weight of the prior that the telescope follows the stars, in detections of stars that stand still: EBSSA's telescopes mostly
do, and where hardly a star is seen there is no other evidence."""

MEAN_SHIFTS = 20
"""Enough iterations: the peak then moves by less than a thousandth of the kernel's width."""


@dataclass(frozen=True)
class StarField:
    """How the star field moves: by a constant velocity in each of several spans of time.

    Attributes:
        edges_us: float64 (n + 1,), rising; the first and the last velocity hold before and after, too.
        velocities: float64 (n, 2), x and y, px/s.
    """

    edges_us: np.ndarray
    velocities: np.ndarray

    @classmethod
    def still(cls) -> StarField:
        """A field that stands still."""
        return cls(np.array([0.0, 1.0]), np.zeros((1, 2)))

    def shift(self, t_us: np.ndarray) -> np.ndarray:
        """How far the field has moved since the first edge at times (n,), µs: float64 (n, 2), px."""
        t = np.asarray(t_us, np.float64)
        spans = np.diff(self.edges_us)[:, None] * 1e-6 * self.velocities
        before = np.vstack([np.zeros(2), np.cumsum(spans, 0)[:-1]])
        k = self._span(t)
        return np.asarray(before[k] + (t - self.edges_us[k])[..., None] * 1e-6 * self.velocities[k])

    def velocity(self, t_us: np.ndarray) -> np.ndarray:
        """Its velocity at times (n,), µs: float64 (n, 2), px/s."""
        return np.asarray(self.velocities[self._span(np.asarray(t_us, np.float64))])

    @property
    def mean(self) -> np.ndarray:
        """float64 (2,), px/s, over all spans."""
        return np.average(self.velocities, axis=0, weights=np.diff(self.edges_us))

    def _span(self, t: np.ndarray) -> np.ndarray:
        return np.clip(np.searchsorted(self.edges_us, t, side="right") - 1, 0, len(self.velocities) - 1)


def common_velocity(velocities: np.ndarray, spans_s: np.ndarray, detections: np.ndarray) -> np.ndarray | None:
    """The densest point of tracks' velocities, each counted by its detections and blurred by how well it is known.

    Args:
        velocities: float64 (n, 2), mean of each track, px/s.
        spans_s: float64 (n, 2), first and last time of each, s.
        detections: (n,), how many make it up.

    Returns:
        float64 (2,), px/s; None where too few agree on a velocity: MIN_STARS tracks, or two that are seen TOGETHER_S at once.
    """
    if len(velocities) < 2:
        return None
    points = np.vstack([velocities, np.zeros(2)])
    seconds = spans_s[:, 1] - spans_s[:, 0]
    variance = WIDTH_PX_S**2 + np.append(BLUR_PX / seconds, 0.0) ** 2
    weight = np.append(np.asarray(detections, float), STILL)

    for start in np.argsort([-density(x, y, points, weight, variance) for x, y in points.tolist()], kind="stable"):
        peak = points[start].copy()
        climb(peak, MEAN_SHIFTS, points, weight, variance)
        near = spans_s[(((velocities - peak) ** 2).sum(-1) <= 2.5**2 * variance[:-1]) & (seconds >= LEAST_S)]
        if len(near) >= MIN_STARS or (len(near) == 2 and near[:, 1].min() - near[:, 0].max() >= TOGETHER_S):
            return peak
    return None
