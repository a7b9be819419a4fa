"""The motion layer at work: interval by interval, from events to paths (ours).

Maps spike where evidence along a motion has added up; each spike is traced to the straight line of greatest likelihood among the
events themselves; a line whose evidence reaches the threshold becomes a path, which is followed back to where it began and on from
interval to interval. Events that a path explains are nobody else's. Nothing looks ahead.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import path_kernels as kernels
from .footprint import Footprint
from .maps import MotionMaps, Spikes
from .path_kernels import BLOCK_PX, KNOT, LINE, STATE, Events, Index, Sight
from .scales import Scale

ENDS_NATS = 4.5
"""What a path costs that begins or ends in the open, nat: about the number of times at which it could do so."""

LOST_NATS = 8.0
"""A path ends where it has lost so much evidence since it had most, nat ..."""

STEADY_RATE = 8.0
"""... counted as if its object sent no more than so many events/s: a bright one that tumbles may be dark for a second."""

RATE_MEMORY_S = 2.0
"""Time over which an object's rate of events is estimated, s."""

NEAR_PX = 8.0
"""Candidates that begin and end so near to a stronger one are the same."""

AT_ONCE = 48
"""Candidates of an interval that are looked at, the strongest first."""

HOPELESS_NATS = (3.0, 8.0, 12.0)
"""A candidate with less evidence than this after the first, second and third span is given up, nat."""

ROOM = 8000
"""Events near a candidate, at most."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How a search is run.

    Attributes:
        scales: of the maps.
        spike_nats: potential at which a map's neuron spikes, nat.
        path_nats: evidence from which a line becomes a path, nat.
        backend: of the maps, see `MotionMaps`.
    """

    scales: Sequence[Scale]
    spike_nats: float = 9.0
    path_nats: float = 22.0
    backend: str = "auto"


@dataclasses.dataclass(eq=False)
class Path:
    """A path.

    Attributes:
        id: from 1.
        found_s: when its evidence reached the threshold, s.
        nats: log-likelihood ratio of its events against the background, less what its ends cost.
        knots: float64 (n, KNOT), by time: t (s), x, y (px), vx, vy (px/s), evidence gained (nat), events of the object, 1 where it
            could be seen.
        alive: whether it goes on.
        radius: within which events are its, px.
    """

    id: int
    found_s: float
    nats: float
    knots: np.ndarray
    alive: bool
    radius: float
    _state: np.ndarray
    _until: float
    _step: float

    @property
    def speed(self) -> float:
        """At the last knot, px/s."""
        return float(np.hypot(*self.knots[-1, 3:5]))


class Columns(NamedTuple):
    """Events as `MotionSearch` takes them: t in s, x, y in px, float64 (n,) each; on int64 (n,), 0 or 1; rate float64 (n,), of the
    background, both polarities, events/s, inf where the event does not count; explained bool (n,), those of stars."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray
    rate: np.ndarray
    explained: np.ndarray


STAR = -1
"""Owner of the events of stars."""


class MotionSearch:
    """A search over the events of a recording.

    Args:
        columns: all events that may be looked at, sorted by time.
        sight: what can be seen.
        sensor_size: (width, height), px.
        footprint: of the objects.
        settings: see `SearchSettings`.
    """

    def __init__(
        self, columns: Columns, sight: Sight, sensor_size: tuple[int, int], footprint: Footprint, settings: SearchSettings
    ) -> None:
        self.settings, self.sensor_size, self.sight = settings, sensor_size, sight
        owner = np.where(columns.explained, STAR, 0).astype(np.int64)
        on_share = float(columns.on.mean()) if len(columns.on) else 0.5
        of_polarity = np.clip(np.array([1 - on_share, on_share]), 0.05, 0.95)
        rate = columns.rate * of_polarity[columns.on]
        self.events = Events(columns.t, columns.x, columns.y, columns.on, rate, owner)
        self.rate = columns.rate
        self.table = footprint.table(sensor_size)
        displacement = footprint.displacement()
        self.maps = [MotionMaps(scale, sensor_size, displacement, settings.backend) for scale in settings.scales]
        self.tick_s = min(scale.interval_s for scale in settings.scales)
        self.paths: list[Path] = []
        self._index = self._indexed()
        self._scratch = np.empty(ROOM, np.int64)
        self.candidates = 0

    def _indexed(self) -> Index:
        columns, rows = (-(-side // BLOCK_PX) for side in self.sensor_size)
        start, end = (float(self.events.t[0]), float(self.events.t[-1])) if len(self.events.t) else (0.0, 0.0)
        ticks = int((end - start) / self.tick_s) + 1
        order, begins = kernels.indexed(self.events, columns, rows, start, self.tick_s, ticks)
        return Index(order, begins, columns, rows, start, self.tick_s)

    def run(self) -> list[Path]:
        """Search all events. -> all paths, in the order in which they were found."""
        if len(self.events.t):
            start, end = float(self.events.t[0]), float(self.events.t[-1])
            self.start_s = start
            for tick in range(1, math.ceil((end - start) / self.tick_s + 1e-9) + 1):
                self._tick(tick, min(start + tick * self.tick_s, end + 1e-6))
        return self.paths

    def _tick(self, tick: int, now: float) -> None:
        for path in self.paths:
            if path.alive:
                self._go_on(path, now)
        for maps in self.maps:
            ticks = round(maps.scale.interval_s / self.tick_s)
            if tick % ticks == 0:
                self._interval(maps, now)

    def _interval(self, maps: MotionMaps, now: float) -> None:
        start = self.start_s + round((now - self.start_s) / self.tick_s) * self.tick_s - maps.scale.interval_s
        events = self.events
        part = slice(*np.searchsorted(events.t, [start, start + maps.scale.interval_s]))
        rate = np.where(events.owner[part] == 0, self.rate[part], np.inf)
        maps.step(start, events.t[part], events.x[part], events.y[part], events.on[part] > 0, rate)
        spikes = maps.spikes(self.settings.spike_nats)
        if not len(spikes.map):
            return
        for place, velocity in zip(*strongest(maps, spikes), strict=True):
            self.candidates += 1
            line = self._refined(maps.scale, now, np.concatenate([place, velocity]))
            if line is not None:
                self._found(line, now)

    def _refined(self, scale: Scale, now: float, start: np.ndarray) -> np.ndarray | None:
        """The line of most evidence near a start, if it reaches the threshold: float64 (LINE,)."""
        spans = np.array([s for s in scale.interval_s * np.array([2.0, 4.0, 8.0, 16.0]) if s <= 64.0])
        line = np.zeros(LINE)
        aside = 0.7 * scale.velocity_step
        kernels.refine(self.events, self._index, 0, now, self.table, self.sight, start, spans, aside, np.array(HOPELESS_NATS), self._scratch, line)
        line[7] -= self._ends(line, now)
        return line if line[7] >= self.settings.path_nats else None

    def _ends(self, line: np.ndarray, now: float) -> float:
        """What the ends of a line cost, nat: in the open, ENDS_NATS each."""
        cost = 0.0
        width, height = self.sensor_size
        for at, limit in ((line[5], self.start_s - now), (line[6], 0.0)):
            x, y = line[:2] + line[2:4] * at
            gap = 2.0 / max(line[4], 0.5) + 4.0 / max(float(np.hypot(line[2], line[3])), 0.1) * 0
            at_edge = min(x, y, width - 1 - x, height - 1 - y) <= 3 + 0.5 * gap * np.hypot(line[2], line[3])
            cost += 0.0 if at_edge or abs(at - limit) <= gap else ENDS_NATS
        return cost

    def _found(self, line: np.ndarray, now: float) -> None:
        number = len(self.paths) + 1
        radius = self._radius(line, now)
        kernels.claim_along(self.events, number, now, line, radius)
        speed = float(np.hypot(line[2], line[3]))
        step = float(np.clip(4.0 / max(speed, 1e-3), 0.02, 0.2))
        first, last = self._ends_of(line, now, step)
        knots = first[::-1]
        path = Path(number, now, float(line[7]), np.concatenate([knots, last]), True, radius, self._state(line, line[6]), now + line[6], step)
        path.nats += float(self._gained(first))
        self.paths.append(path)
        self._go_on(path, now)
        self._forget(path)

    def _state(self, line: np.ndarray, at: float) -> np.ndarray:
        """A filter's state on a line at a time since its origin."""
        state = np.zeros(STATE)
        state[:2], state[2:4] = line[:2] + line[2:4] * at, line[2:4]
        n, seconds = max(line[8], 2.0), max(line[6] - line[5], 0.1)
        variance = self.table.sigma**2 / n
        state[4], state[6] = 4 * variance, 12 * variance / seconds**2
        state[5] = 6 * variance / seconds * (1 if at > (line[5] + line[6]) / 2 else -1)
        state[7] = line[4]
        return state

    def _ends_of(self, line: np.ndarray, now: float, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Knots before the line's interval, backwards, and those of the interval."""
        back, _ = self._advance(0, len(self.paths) + 1, self._state(line, line[5]), (now + line[5], self.start_s), step)
        n = max(2, int((line[6] - line[5]) / step) + 1)
        at = np.linspace(line[5], line[6], n)
        inside = np.zeros((n, KNOT))
        inside[:, 0] = now + at
        inside[:, 1:3] = line[:2] + line[2:4] * at[:, None]
        inside[:, 3:5] = line[2:4]
        inside[:, 5], inside[:, 6], inside[:, 7] = line[7] / n, line[8] / n, 1
        return back, inside

    def _advance(
        self, used: int, owner: int, state: np.ndarray, times: tuple[float, float], step: float, radius: float = 3.0
    ) -> tuple[np.ndarray, bool]:
        room = int(abs(times[1] - times[0]) / step) + 2
        knots = np.zeros((room, KNOT))
        wander = (0.02 * float(np.hypot(state[2], state[3])) + 0.3) ** 2
        limits = np.array([LOST_NATS, STEADY_RATE, RATE_MEMORY_S, radius])
        used, goes_on = kernels.advance(
            self.events, owner, True, self.table, self.sight, state, *times, step, wander, limits, knots, used
        )
        return (knots[:used] if goes_on else _cut(knots[:used])), goes_on

    def _go_on(self, path: Path, now: float) -> None:
        if now - path._until < 1e-9:
            return
        more, path.alive = self._advance(0, path.id, path._state, (path._until, now), path._step, path.radius)
        path.knots = np.concatenate([path.knots, more])
        if not path.alive:
            path.knots = _cut(path.knots)
        path.nats += float(more[:, 5].sum())
        path._until = now

    def _gained(self, knots: np.ndarray) -> float:
        return float(knots[:, 5].sum())

    def _radius(self, line: np.ndarray, now: float) -> float:
        """Within which events are the object's, px: out to where there are hardly more than the background's."""
        variance = self.table.sigma**2
        density = line[4] / (2 * math.pi * variance)
        rings = np.zeros((2, 8))
        kernels.rings(self.events, now, line, 3.0, 1.0, rings)
        usual = max(float(np.median(self.events.rate[np.isfinite(self.events.rate)])) * 2, 1e-4)
        radius = self.table.sigma * math.sqrt(2 * math.log(max(density / (0.1 * usual), math.e)))
        radius = max(3.0, radius)
        found, expected = rings
        for k in range(8):
            if 3 + k >= radius - 1 and found[k] > expected[k] + 3 * math.sqrt(expected[k]) + 3:
                radius = max(radius, 4.0 + k)
        return float(min(radius, 12.0))

    def _forget(self, path: Path) -> None:
        recent = path.knots[path.knots[:, 0] >= path.knots[-1, 0] - 8.0]
        for maps in self.maps:
            maps.clear(recent[:, 1], recent[:, 2], path.radius + 2.0 * maps.scale.cell_px)


def _cut(knots: np.ndarray) -> np.ndarray:
    """Up to where the evidence was highest."""
    if not len(knots):
        return knots
    total = np.cumsum(knots[:, 5])
    return knots[: int(np.argmax(total)) + 1] if total.max() > 0 else knots[:0]


def strongest(maps: MotionMaps, spikes: Spikes) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 2), px, and velocities (n, 2), px/s, of the strongest spikes, each of which begins and ends away from stronger
    ones."""
    order = np.argsort(-spikes.potential, kind="stable")[:4000]
    spikes = Spikes(*(column[order] for column in spikes))
    place, velocity = maps.place(spikes)
    origin = place - velocity * maps.scale.interval_s
    left, kept = np.ones(len(place), bool), []
    near = max(NEAR_PX, 3.0 * maps.scale.cell_px)
    while left.any() and len(kept) < AT_ONCE:
        k = int(np.argmax(left))
        kept.append(k)
        left &= (np.abs(place - place[k]).max(1) > near) | (np.abs(origin - origin[k]).max(1) > near)
    return place[kept], velocity[kept]
