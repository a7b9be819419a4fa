"""Objects of successive windows joined into tracks, and the star field's common motion taken out of them (ours).

A window here is whatever is looked at as one: a whole window of the network, or a slice of it (`objects.slices`).
Bewley et al. 2016 (SORT, arXiv 1602.00763) joins detections the same way: Kalman filter, then Hungarian assignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from . import kalman

GATE_SIGMAS = 3.0
"""A detection further from the prediction than this many standard deviations is another object's."""

MAX_SPEED_PX_S = 150.0
"""Fastest object of which a second detection is looked for, px/s; the fastest satellites of EBSSA cross at about 120."""

STAR_FIELD_PX_S = 3.0
"""Width of the kernel that finds the densest point of all tracks' velocities, px/s."""

RANKS = (0, 1, 2)
"""Of tracks, in the order in which they choose."""

MIN_STARS = 3
"""Fewer tracks of one velocity are no star field."""

MEAN_SHIFTS = 20
"""More bring nothing: the peak then moves by less than a thousandth of the kernel's width."""


@dataclass(eq=False)
class Track:
    """One object over time. All lists hold one entry per detection, in order of time.

    Attributes:
        id: from 1, in the order of confirmation; 0 until then.
        t_us: time of each detection, µs.
        windows: index of the window of each, from 0.
        detections: index of each in its window.
        beliefs: what the filter knew just after each.
        belief: what the filter knows of it at the present window.
        misses: windows since the last detection.
    """

    belief: kalman.State = field(repr=False)
    id: int = 0
    t_us: list[float] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)
    beliefs: list[kalman.State] = field(default_factory=list, repr=False)
    misses: int = 0

    def _smoothed(self) -> list[kalman.State]:
        return kalman.smooth(self.beliefs, [t * 1e-6 for t in self.t_us])

    @property
    def states(self) -> np.ndarray:
        """float64 (n, 4): x, y in px and vx, vy in px/s at each detection, smoothed by all of them, later ones included."""
        return np.array([state.mean.ravel() for state in self._smoothed()]).reshape(-1, 4)

    @property
    def rank(self) -> int:
        """Of RANKS, how well it is known: 0 confirmed, 1 of two detections or more, 2 of one."""
        return 0 if self.id else 1 if len(self.windows) > 1 else 2

    @property
    def velocity(self) -> np.ndarray:
        """float64 (2,): mean of the smoothed velocities, px/s."""
        return self.states[:, 2:].mean(0)


class Tracker:
    """Joins detections window by window; equal input, equal tracks.

    A detection belongs to the track that most likely caused it, one to one (Hungarian), if it lies within GATE_SIGMAS standard
    deviations of the predicted position and within ``gate_px`` of it; a track that has one detection only, and so no known
    velocity, instead looks as far as MAX_SPEED_PX_S carries. Confirmed tracks choose first, those of one detection last, and
    detections that nobody takes begin tracks. A track is confirmed after ``min_hits`` windows in a row and ends after more than
    ``max_misses`` windows without a detection; one that is not confirmed ends with the first.

    Args:
        min_hits: 1 or more, windows.
        max_misses: 0 or more, windows.
        gate_px: > 0, in the unit of the positions.
    """

    def __init__(self, *, min_hits: int = 3, max_misses: int = 3, gate_px: float = 10.0) -> None:
        self.min_hits, self.max_misses, self.gate_px = min_hits, max_misses, gate_px
        self.tracks: list[Track] = []
        """Confirmed tracks, in the order of their ids; those that ended are among them."""
        self._alive: list[Track] = []
        self._last_us: float | None = None
        self._window = 0

    def update(self, t_us: float, positions: np.ndarray) -> list[Track]:
        """Take in one window.

        Args:
            t_us: its time (its middle), µs, later than the one before.
            positions: (n, 2) centroids x, y of its detections, px; n may be 0.

        Returns:
            for each detection its track, which may yet be confirmed (its id is 0 until then).

        Raises:
            ValueError: a time that does not lie after the window before.
        """
        if self._last_us is not None and t_us <= self._last_us:
            raise ValueError(f"window at {t_us} µs does not come after the one at {self._last_us} µs")
        seconds = 0.0 if self._last_us is None else (t_us - self._last_us) * 1e-6
        self._last_us = t_us
        positions = np.asarray(positions, np.float64).reshape(-1, 2)
        for track in self._alive:
            track.belief = kalman.predict(track.belief, seconds)
            track.misses += 1
        owner: dict[int, Track] = {}
        for rank in RANKS:
            tracks = [track for track in self._alive if track.rank == rank]
            free = [j for j in range(len(positions)) if j not in owner]
            for i, j in self._assign(tracks, positions[free], seconds):
                owner[free[j]] = tracks[i]
                tracks[i].belief = kalman.update(tracks[i].belief, positions[free[j]])
        for j, position in enumerate(positions):
            if j not in owner:
                owner[j] = Track(kalman.begin(position))
                self._alive.append(owner[j])
            self._extend(owner[j], t_us, j)
        self._alive = [track for track in self._alive if track.misses <= (self.max_misses if track.id else 0)]
        self._window += 1
        return [owner[j] for j in range(len(positions))]

    def _extend(self, track: Track, t_us: float, detection: int) -> None:
        track.misses = 0
        track.t_us.append(t_us)
        track.windows.append(self._window)
        track.detections.append(detection)
        track.beliefs.append(track.belief)
        if not track.id and len(track.windows) >= self.min_hits:
            self.tracks.append(track)
            track.id = len(self.tracks)

    def _assign(self, tracks: Sequence[Track], positions: np.ndarray, seconds: float) -> list[tuple[int, int]]:
        """Pairs (track, detection) of the greatest likelihood among those within the gates, as many as can be."""
        if not tracks or not len(positions):
            return []
        expected = np.array([track.belief.mean[0] for track in tracks])
        variance = np.array([kalman.innovation_variance(track.belief) for track in tracks])
        sigma = np.sqrt(variance)
        reach = np.minimum(GATE_SIGMAS * sigma, self.gate_px)
        new = np.array([len(track.windows) == 1 for track in tracks])
        reach[new] = MAX_SPEED_PX_S * seconds + GATE_SIGMAS * kalman.MEASUREMENT_PX
        squared = ((expected[:, None] - positions[None]) ** 2).sum(-1)
        near = squared <= reach[:, None] ** 2
        cost = squared / variance[:, None]
        cost[~near] = 1 + cost[near].max(initial=0) * (1 + min(cost.shape))
        rows, columns = linear_sum_assignment(cost)
        return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if near[i, j]]


def star_field_velocity(tracks: Sequence[Track], width_px_s: float = STAR_FIELD_PX_S) -> np.ndarray:
    """The star field's common motion: the densest point of the tracks' velocities, weighted by their length.

    Where fewer than MIN_STARS tracks agree on it, it is as likely an object's own motion; the field is then taken to stand
    still, as in a telescope that follows the stars, because an object that counts as the field would be lost.

    Args:
        tracks: confirmed ones.
        width_px_s: of the Gaussian kernel.

    Returns:
        float64 (2,): x and y, px/s; 0 without tracks.
    """
    if not tracks:
        return np.zeros(2)
    velocity = np.array([track.velocity for track in tracks])
    weight = np.array([float(len(track.windows)) for track in tracks])

    def kernel(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-((points[:, None] - velocity) ** 2).sum(-1) / (2 * width_px_s**2)))

    peak = velocity[np.argmax(kernel(velocity) @ weight)]
    for _ in range(MEAN_SHIFTS):  # from the densest track to the densest point
        near = kernel(peak[None])[0] * weight
        peak = near @ velocity / near.sum()
    agreeing = np.hypot(*(velocity - peak).T) <= 2 * width_px_s
    return peak if agreeing.sum() >= MIN_STARS else np.zeros(2)
