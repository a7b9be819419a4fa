"""A path: as it is followed, and smoothed by all of its events."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from .scales import Scale


@dataclasses.dataclass(eq=False)
class Path:
    """A path.

    Attributes:
        id: from 1.
        found_s: when its evidence reached the threshold, s.
        nats: log-likelihood ratio of its events against the background, less what its ends cost.
        knots: float64 (n, KNOT), by time: t (s), x, y (px), vx, vy (px/s), evidence gained (nat), events of the object, 1 where
            it could be seen.
        alive: whether it goes on.
        radius: within which events are its, px.
        scale: of the maps that found it.
        state: of the filter that follows it, see `path_kernels.STATE`.
        until: up to where it has been followed, s.
        step: between knots, s.
        line_nats: evidence of the line that it was laid along, nat.
    """

    id: int
    found_s: float
    nats: float
    knots: np.ndarray
    alive: bool
    radius: float
    scale: Scale
    state: np.ndarray
    until: float
    step: float
    line_nats: float = 0.0

    @property
    def speed(self) -> float:
        """At the last knot, px/s."""
        return float(np.hypot(*self.knots[-1, 3:5]))


class SmoothPath(NamedTuple):
    """A path, smoothed by all of its events.

    Attributes:
        found_s: when its evidence reached the threshold, s.
        t_s: float64 (k,), of its knots, s.
        states: float64 (k, 4), x, y (px), vx, vy (px/s).
        nats: float64 (k,), evidence at each knot, of the path that all events together make likely.
        evidence: the path's log-likelihood ratio, nat: of the line that found it, and of what was foretold of the events before
            and behind it, less what its ends cost. (The sum of nats is more, the more the longer the path: it was fitted.)
        events: float64 (k,), of the object at each knot.
        radius: within which events are the object's, px.
        id: of the path; 0: of none.
        variance: float64 (k,), of x and of y at each knot, px²; None: it is not known.
    """

    found_s: float
    t_s: np.ndarray
    states: np.ndarray
    nats: np.ndarray
    evidence: float
    events: np.ndarray
    radius: float
    id: int = 0
    variance: np.ndarray | None = None

    def at(self, t_s: np.ndarray) -> np.ndarray:
        """States at times within the path, linear between knots: float64 (n, 4)."""
        return np.stack([np.interp(t_s, self.t_s, column) for column in self.states.T], -1)
