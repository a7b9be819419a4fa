"""Where a track was, and where it comes from and leads to (ours)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .track import SceneTrack, Seen

WHOLE, TAIL, TAIL_US = 0.7, 20, 300_000
"""An object that goes behind something is cut off: its velocity is taken from its last TAIL rows, of TAIL_US at most, with this
share of its usual area."""

LEAST_ROWS = 4
"""Shorter pieces belong to nothing."""


@dataclass(frozen=True, eq=False)
class Course:
    """Where a track was: float64 (n,) t (µs) and (n, 2) place, size (px), int64 (n,) how (`Seen`); surplus: see `SceneTrack`."""

    t: np.ndarray
    place: np.ndarray
    size: np.ndarray
    how: np.ndarray
    surplus: float = 0.0

    @classmethod
    def of(cls, track: SceneTrack) -> Course:
        """Of a track."""
        rows = np.array(track.rows)
        return cls(rows[:, 0], rows[:, 1:3], rows[:, 3:5], rows[:, 5].astype(np.int64), track.surplus)

    def scaled(self, by: int) -> Course:
        """As it is in pixels that are so many times smaller."""
        return Course(self.t, self.place * by + 0.5 * (by - 1), self.size * by, self.how, self.surplus)

    @property
    def lasts(self) -> bool:
        """Whether it is long enough to say something."""
        return len(self.t) >= LEAST_ROWS

    def at(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places and sizes at times (n,), µs: float64 (n, 2) each."""
        place, size = (np.stack([np.interp(t, self.t, own[:, k]) for k in (0, 1)], 1) for own in (self.place, self.size))
        return place, size

    @cached_property
    def extent(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lowest and highest place, and largest size, ever: float64 (2,) each, px."""
        return self.place.min(0), self.place.max(0), self.size.max(0)

    @cached_property
    def first_whole(self) -> tuple[float, np.ndarray, np.ndarray, float]:
        """See `end`."""
        return self.end(last=False)

    @cached_property
    def last_whole(self) -> tuple[float, np.ndarray, np.ndarray, float]:
        """See `end`."""
        return self.end(last=True)

    def end(self, last: bool) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Time (µs), place and velocity (px/s) where it was last, or first, whole; and its usual size, px."""
        area = np.sqrt(self.size.prod(1))
        usual = float(np.quantile(area, 0.75))
        whole = np.flatnonzero((area >= np.sqrt(WHOLE) * usual) & (self.how != Seen.MET))
        if len(whole) < 2:
            whole = np.arange(len(self.t))
        chosen = whole[-TAIL:] if last else whole[:TAIL]
        near = np.abs(self.t[chosen] - self.t[chosen[-1 if last else 0]]) <= TAIL_US
        chosen = chosen[near]
        since = (self.t[chosen] - self.t[chosen].mean()) * 1e-6
        spread = float(since @ since)
        velocity = since @ (self.place[chosen] - self.place[chosen].mean(0)) / spread if spread > 0 else np.zeros(2)
        at = self.t[chosen[-1 if last else 0]]
        return float(at), self.place[chosen].mean(0) + velocity * (at - self.t[chosen].mean()) * 1e-6, velocity, usual
