"""Where a track was, and where it comes from and leads to (ours)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .track import SceneTrack, Seen

WHOLE, TAIL, TAIL_US = 0.7, 20, 300_000
"""An object that goes behind something is cut off: its velocity is taken from its last TAIL rows, of TAIL_US at most, with this
share of its usual area."""

LEAST_ROWS = 4
"""Shorter pieces belong to nothing."""

ARC = 0.4
"""What has turned by so much in these rows, rad, may be going around a circle."""


class End(NamedTuple):
    """How a course ends, or begins, where it is whole.

    Attributes:
        t: µs.
        place, velocity: float64 (2,), px and px/s.
        size: its usual one, px: the root of its area.
        circle: the centre, float64 (2,), px, radius, px, angle then, rad, and rad/s of the circle on which it goes; None where it
            goes straight.
    """

    t: float
    place: np.ndarray
    velocity: np.ndarray
    size: float
    circle: tuple[np.ndarray, float, float, float] | None

    def astray(self, seconds: float, place: np.ndarray) -> float:
        """How far a place, float64 (2,), is from where it leads in so many seconds, straight on or around, px."""
        ways = [self.place + self.velocity * seconds]
        if self.circle:
            centre, radius, angle, turn = self.circle
            angle += turn * seconds
            ways.append(centre + radius * np.array([np.cos(angle), np.sin(angle)]))
        return min(float(np.hypot(*(way - place))) for way in ways)


@dataclass(frozen=True, eq=False)
class Course:
    """Where a track was: float64 (n,) t (µs) and (n, 2) place, size (px), int64 (n,) how (`Seen`); events, surplus: see
    `SceneTrack`."""

    t: np.ndarray
    place: np.ndarray
    size: np.ndarray
    how: np.ndarray
    events: int = 0
    surplus: float = 0.0

    @classmethod
    def of(cls, track: SceneTrack) -> Course:
        """Of a track."""
        rows = np.array(track.rows)
        return cls(rows[:, 0], rows[:, 1:3], rows[:, 3:5], rows[:, 5].astype(np.int64), track.events, track.surplus)

    def scaled(self, by: float) -> Course:
        """As it is in pixels that are so many times smaller; where they are larger, each lies where the first in it did."""
        if by == 1:
            return self
        return Course(self.t, self.place * by + max(0.5 * (by - 1), 0.0), self.size * by, self.how, self.events, self.surplus)

    def turned(self, ends_us: int) -> Course:
        """As it is if time runs backwards. ends_us: the time of the recording's first event and its last, added."""
        t, place, size, how = (np.ascontiguousarray(own[::-1]) for own in (ends_us - self.t, self.place, self.size, self.how))
        return Course(t, place, size, how, self.events, self.surplus)

    @property
    def lasts(self) -> bool:
        """Whether it is long enough to say something."""
        return len(self.t) >= LEAST_ROWS

    def at(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places and sizes at times (n,), µs: float64 (n, 2) each."""
        place, size = np.empty((2, len(t), 2))
        for found, own in ((place, self.place), (size, self.size)):
            for k in (0, 1):
                found[:, k] = np.interp(t, self.t, own[:, k])
        return place, size

    @cached_property
    def extent(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lowest and highest place, and largest size, ever: float64 (2,) each, px."""
        return self.place.min(0), self.place.max(0), self.size.max(0)

    @cached_property
    def usual(self) -> float:
        """Its usual size, px: the root of its area."""
        return float(np.quantile(np.sqrt(self.size.prod(1)), 0.75))

    @cached_property
    def first_whole(self) -> End:
        """See `end`."""
        return self.end(last=False)

    @cached_property
    def last_whole(self) -> End:
        """See `end`."""
        return self.end(last=True)

    def end(self, last: bool) -> End:
        """How it was last, or first, whole."""
        area = np.sqrt(self.size.prod(1))
        whole = np.flatnonzero((area >= np.sqrt(WHOLE) * self.usual) & (self.how != Seen.MET))
        if len(whole) < 2:
            whole = np.arange(len(self.t))
        chosen = whole[-TAIL:] if last else whole[:TAIL]
        at = float(self.t[chosen[-1 if last else 0]])
        chosen = chosen[np.abs(self.t[chosen] - at) <= TAIL_US]
        t, middle = self.t[chosen].mean(), self.place[chosen].mean(0)
        since, off = (self.t[chosen] - t) * 1e-6, self.place[chosen] - middle
        spread = float(since @ since)
        velocity = since @ off / spread if spread > 0 else np.zeros(2)
        seconds = (at - t) * 1e-6
        circle = _circle(since, off)
        if circle:
            centre, radius, angle, turn = circle
            circle = middle + centre, radius, angle + turn * seconds, turn
        return End(at, middle + velocity * seconds, velocity, self.usual, circle)


def _circle(since: np.ndarray, off: np.ndarray) -> tuple[np.ndarray, float, float, float] | None:
    """The circle nearest to places, float64 (n, 2), by least squares of its power [Kasa 1976, IEEE Trans. Instrum. Meas. 25:8],
    and how they go around it at times float64 (n,), s; the mean of both is 0. See `End`."""
    if len(off) < 2 * LEAST_ROWS:
        return None
    (xx, xy), (_, yy) = off.T @ off
    x, y = 0.5 * (off**2).sum(1) @ off
    flat = xx * yy - xy * xy
    if flat <= 0:
        return None
    centre = np.array([yy * x - xy * y, xx * y - xy * x]) / flat
    around = off - centre
    angles = np.unwrap(np.arctan2(around[:, 1], around[:, 0]))
    turn = float(since @ angles / (since @ since))
    if abs(turn) * np.ptp(since) < ARC:
        return None
    return centre, float(np.hypot(*around.T).mean()), float(angles.mean()), turn
