"""Objects of successive slices of time joined into tracks (ours): a Kalman filter for each, then Hungarian assignment.

Bewley et al. 2016 (SORT, arXiv 1602.00763) joins detections the same way. What belongs to the star field, and what moves
differently, is for `scene` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from . import kalman
from .kalman import Beliefs, Motion
from .kalman_loops import gate

GATE_SIGMAS = 3.0
"""A detection further from the prediction than this many standard deviations is another object's."""

RANKS = (0, 1, 2)
"""Of tracks, in the order in which they choose: confirmed, of two detections or more, of one."""


class Rules(NamedTuple):
    """When detections make a track.

    Attributes:
        motion: see `kalman.Motion`.
        min_hits: detections that confirm a track, 1 or more.
        max_misses: slices in a row without a detection after which a confirmed track still lives.
        first_misses: the same for one that is not confirmed.
        gate_px: no detection further from the prediction belongs to a track, px; a track of one detection, and so of no known
            velocity, looks as far as its motion allows.
    """

    motion: Motion
    min_hits: int
    max_misses: int
    first_misses: int
    gate_px: float


@dataclass(eq=False)
class Track:
    """One object over time. All lists hold one entry per detection, in order of time.

    Attributes:
        id: from 1, in the order of confirmation; 0 until then.
        t_us: time of each detection, µs.
        slices: index of the slice of each, from 0.
        detections: index of each in its slice.
    """

    id: int = 0
    t_us: list[float] = field(default_factory=list)
    slices: list[int] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)


class Tracker:
    """Joins detections slice by slice; equal input, equal tracks.

    A detection belongs to the track that most likely caused it, one to one (Hungarian), if it lies within GATE_SIGMAS standard
    deviations of the predicted position and within the gate. Tracks choose in the order of RANKS, and detections that nobody
    takes begin tracks.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.tracks: list[Track] = []
        """Confirmed tracks, in the order of their ids; those that ended are among them."""
        self._alive: list[Track] = []
        self._beliefs = kalman.begin(np.zeros((0, 2)), rules.motion)
        self._last_us: float | None = None
        self._slice = 0

    def update(self, t_us: float, positions: np.ndarray) -> list[Track]:
        """Take in one slice.

        Args:
            t_us: its time (its middle), µs, later than the one before.
            positions: (n, 2) centroids x, y of its detections, px; n may be 0.

        Returns:
            for each detection its track, which may yet be confirmed (its id is 0 until then).

        Raises:
            ValueError: a time that does not lie after the slice before.
        """
        if self._last_us is not None and t_us <= self._last_us:
            raise ValueError(f"slice at {t_us} µs does not come after the one at {self._last_us} µs")
        seconds = 0.0 if self._last_us is None else (t_us - self._last_us) * 1e-6
        self._last_us = t_us
        positions = np.asarray(positions, np.float64).reshape(-1, 2)
        self._beliefs = kalman.predict(self._beliefs, seconds, self.rules.motion)
        owner = self._assign(positions)
        hit = np.flatnonzero(owner >= 0)
        found = Beliefs(self._beliefs.mean[owner[hit]], self._beliefs.covariance[owner[hit]])
        self._beliefs.mean[owner[hit]], self._beliefs.covariance[owner[hit]] = kalman.update(found, positions[hit])
        new = np.flatnonzero(owner < 0)
        owner[new] = len(self._alive) + np.arange(len(new))
        self._alive += [Track() for _ in new]
        begun = kalman.begin(positions[new], self.rules.motion)
        self._beliefs = Beliefs(*(np.concatenate(pair) for pair in zip(self._beliefs, begun, strict=True)))
        owners = [self._alive[i] for i in owner]
        for j, track in enumerate(owners):
            self._extend(track, t_us, j)
        self._prune()
        self._slice += 1
        return owners

    def _extend(self, track: Track, t_us: float, detection: int) -> None:
        track.t_us.append(t_us)
        track.slices.append(self._slice)
        track.detections.append(detection)
        if not track.id and len(track.slices) >= self.rules.min_hits:
            self.tracks.append(track)
            track.id = len(self.tracks)

    def _prune(self) -> None:
        """Let go of what has not been seen for too long."""
        rules = self.rules
        living = [
            i
            for i, track in enumerate(self._alive)
            if self._slice - track.slices[-1] <= (rules.max_misses if track.id else rules.first_misses)
        ]
        if len(living) < len(self._alive):
            self._alive = [self._alive[i] for i in living]
            self._beliefs = Beliefs(self._beliefs.mean[living], self._beliefs.covariance[living])

    def _assign(self, positions: np.ndarray) -> np.ndarray:
        """The track of each detection, int64 (n,), -1 for none: by rank, the greatest likelihood, as many pairs as can be."""
        owner = np.full(len(positions), -1, np.int64)
        if not self._alive or not len(positions):
            return owner
        rank = np.array([0 if track.id else 1 if len(track.slices) > 1 else 2 for track in self._alive])
        variance = kalman.innovation_variance(self._beliefs)
        reach = GATE_SIGMAS * np.sqrt(variance)
        reach = np.where(rank == RANKS[-1], reach, np.minimum(reach, self.rules.gate_px))
        near, cost = np.empty((len(rank), len(positions)), bool), np.empty((len(rank), len(positions)))
        gate(self._beliefs.mean, variance, reach, positions, near, cost)
        for now in RANKS:
            tracks = np.flatnonzero((rank == now) & near.any(1))
            free = np.flatnonzero((owner < 0) & near[tracks].any(0))
            if not len(tracks) or not len(free):
                continue
            allowed, part = near[np.ix_(tracks, free)], cost[np.ix_(tracks, free)]
            part[~allowed] = 1 + part[allowed].max(initial=0) * (1 + min(part.shape))
            rows, columns = linear_sum_assignment(part)
            kept = allowed[rows, columns]
            owner[free[columns[kept]]] = tracks[rows[kept]]
        return owner
