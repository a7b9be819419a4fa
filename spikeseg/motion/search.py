"""The motion layer at work: interval by interval, from events to paths (ours).

Maps spike where evidence along a motion has added up; each spike is traced to the straight line of greatest likelihood among the
events themselves; a line whose evidence reaches the threshold becomes a path, which is followed back to where it began and on
from interval to interval. Events that a path explains are nobody else's. Nothing looks ahead.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from spikeseg.core import interrupts

from . import line_kernels as lines
from . import path_kernels as kernels
from .events import Events, Index, Sight
from .footprint import Footprint
from .line_kernels import LINE
from .maps import MotionMaps, strongest
from .path import Path, SmoothPath
from .path_kernels import KNOT, STATE
from .receptive_field import ReceptiveField
from .scales import Scale
from .surroundings import PARTS, raised_by
from .weight_kernels import left_rates

ENDS_NATS = 4.5
"""What a path costs that begins or ends in the open, nat: about the number of times at which it could do so."""

LOST_NATS = 8.0
"""A path ends where it has lost so much evidence since it had most, nat ..."""

STEADY_RATE = 8.0
"""... counted as if its object sent no more than so many events/s: a bright one that tumbles may be dark for a second."""

RATE_MEMORY_S = 2.0
"""Time over which an object's rate of events is estimated, s."""

BEND, WANDER_PX_S = 0.02, 0.3
"""Within a second a velocity changes by about this share of itself, and by this much, px/s."""

POLISHING = 3
"""Rounds of smoothing a finished path."""

YOUNG = 4
"""For so many intervals a path's line is looked for again."""

LONGEST_SPAN_S = 32.0
"""Evidence is added up over this long at most, before a path is found, s."""

FORGET_S = 6.0
"""When a path is found, what the maps hold along its last seconds is forgotten."""

HOPELESS_NATS = (3.0, 8.0, 12.0)
"""A candidate with less evidence than this after the first, second and third span is given up, nat."""

ROOM = 40000
"""Events near a candidate, at most."""

NO_CLAIMS, AS_IT_IS = (np.zeros(0, np.float32), 0.0), np.ones((1, 2))
"""No event gets a responsibility; the background is not raised."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How a search is run.

    Attributes:
        scales: of the maps.
        spike_nats: potential at which a map's neuron spikes, nat.
        path_nats: evidence from which a line becomes a path, nat.
        backend: of the maps, see `MotionMaps`.
        matched: whether the maps' receptive fields are the footprint's; else boxes.
    """

    scales: Sequence[Scale]
    spike_nats: float
    path_nats: float
    backend: str = "auto"
    matched: bool = False


class MotionSearch:
    """A search over the events of a recording.

    Args:
        events: all that may be looked at, sorted by time; their owners are changed.
        index: of them.
        sight: what can be seen.
        sensor_size: (width, height), px.
        footprint: of the objects.
        settings: see `SearchSettings`.
    """

    def __init__(
        self,
        events: Events,
        index: Index,
        sight: Sight,
        sensor_size: tuple[int, int],
        footprint: Footprint,
        settings: SearchSettings,
    ) -> None:
        self.settings, self.sensor_size, self.sight = settings, sensor_size, sight
        self.events, self._index = events, index
        self.table = footprint.table(sensor_size)
        field = ReceptiveField.of if settings.matched else ReceptiveField.box
        self.maps = [MotionMaps(own, sensor_size, field(own.cell_px, footprint), settings.backend) for own in settings.scales]
        self.tick_s = min(scale.interval_s for scale in settings.scales)
        self.start_s = float(events.t[0]) if len(events.t) else 0.0
        self.paths: list[Path] = []
        self._scratch = np.empty(ROOM, np.int64)
        self.candidates, self.made = 0, 0

    def run(self) -> list[Path]:
        """Search all events. -> all paths, in the order in which they were found."""
        if len(self.events.t):
            start, end = self.start_s, float(self.events.t[-1])
            for tick in range(1, math.ceil((end - start) / self.tick_s + 1e-9) + 1):
                interrupts.check()
                self._tick(tick, min(start + tick * self.tick_s, end + 1e-6))
        return self.paths

    def smoothed(self) -> list[SmoothPath]:
        """All paths, smoothed; those that come to nothing are left out."""
        return [smooth for path in self.paths if (smooth := self.smooth(path)) is not None]

    def smooth(self, path: Path) -> SmoothPath | None:
        """One path, smoothed; None if it comes to nothing."""
        return self._smoothed(path, *NO_CLAIMS)

    def claimed(self, weights: Mapping[int, float]) -> np.ndarray:
        """Of every event the probability that it is one of these paths' objects', times the path's weight; the highest: float32
        (n,).

        weights: by id.
        """
        responsibility = np.zeros(len(self.events.t), np.float32)
        for path in self.paths:
            if path.id in weights:
                self._smoothed(path, responsibility, weights[path.id])
        return responsibility

    def along(self, t_s: np.ndarray, states: np.ndarray) -> SmoothPath | None:
        """The evidence along a way that is known, its place taken from the events; None of less than two points.

        Args:
            t_s: float64 (n,), rising, s.
            states: float64 (n, 4), x, y (px), vx, vy (px/s).
        """
        if len(t_s) < 2:
            return None
        times = np.linspace(t_s[0], t_s[-1], max(3, round((t_s[-1] - t_s[0]) / 0.1) + 1))
        rough = np.stack([np.interp(times, t_s, states[:, axis]) for axis in (0, 1)], -1)
        mean, gained = self._polished(0, times, rough, float(np.hypot(*states[:, 2:].mean(0))), 1)
        return SmoothPath(float(t_s[-1]), times, mean, gained[:, 0], float(gained[:, 0].sum()), gained[:, 1], 3.0)

    def against_surroundings(self, path: SmoothPath) -> SmoothPath:
        """A path with the evidence that is left of it against the background of its surroundings, see `surroundings`: itself
        where these send no more than the background."""
        ring = np.zeros((PARTS, 2, 2))
        kernels.around(self.events, self._index, self.table, path.t_s, path.states, ring, self._scratch)
        raised = raised_by(ring, float(path.t_s[-1] - path.t_s[0]))
        if (raised == 1).all():
            return path
        speed = float(np.hypot(*path.states[-1, 2:]))
        nats = self._polished(path.id, path.t_s, path.states[:, :2], speed, raised=raised)[1][:, 0]
        left = float(nats.sum()) / max(float(path.nats.sum()), 1e-9)
        return path._replace(nats=nats, evidence=path.evidence * min(max(left, 0.0), 1.0))

    def _smoothed(self, path: Path, responsibility: np.ndarray, weight: float) -> SmoothPath | None:
        first, last = float(path.knots[0, 0]), float(path.knots[-1, 0])
        if last - first < 2 * self.tick_s / 5:
            return None
        times = np.linspace(first, last, max(3, round((last - first) / path.step) + 1))
        rough = np.stack([np.interp(times, path.knots[:, 0], path.knots[:, axis]) for axis in (1, 2)], -1)
        mean, gained = self._polished(path.id, times, rough, path.speed, claims=(responsibility, weight))
        shown, own, variance = gained.T
        return SmoothPath(path.found_s, times, mean, shown, path.nats, own, path.radius, path.id, variance)

    def _polished(
        self,
        owner: int,
        times: np.ndarray,
        rough: np.ndarray,
        speed: float,
        rounds: int = POLISHING,
        claims: tuple[np.ndarray, float] = NO_CLAIMS,
        raised: np.ndarray = AS_IT_IS,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `path_kernels.polish` fills in, in this order: mean, gained."""
        mean, gained = np.zeros((len(times), 4)), np.zeros((len(times), 3))
        args = self.events, self._index, owner, self.table, self.sight, times, rough, _wander(speed), rounds
        kernels.polish(*args, mean, gained, *claims, raised, self._scratch)
        return mean, gained

    def _tick(self, tick: int, now: float) -> None:
        for path in self.paths:
            if path.alive:
                self._go_on(path, now)
            if tick % round(path.scale.interval_s / self.tick_s) == 0 and now - path.found_s <= YOUNG * path.scale.interval_s:
                self._refit(path, now)
            if path.alive and tick % round(1.0 / self.tick_s) == 0:
                self._widened(path, now)
        for maps in self.maps:
            ticks = round(maps.scale.interval_s / self.tick_s)
            if tick % ticks == 0:
                self._interval(maps, tick, now)

    def _interval(self, maps: MotionMaps, tick: int, now: float) -> None:
        start = self.start_s + tick * self.tick_s - maps.scale.interval_s
        events = self.events
        part = slice(*np.searchsorted(events.t, [start, start + maps.scale.interval_s]))
        rate = np.empty(int(part.stop - part.start))
        left_rates(events.owner[part], events.rate[part], rate)
        maps.step(start, events.t[part], events.x[part], events.y[part], events.on[part] > 0, rate)
        spikes = maps.spikes(self.settings.spike_nats)
        if not len(spikes.map):
            return
        for place, velocity in zip(*strongest(maps, spikes), strict=True):
            self.candidates += 1
            line = self.refined(maps.scale, now, np.concatenate([place, velocity]))
            if line is not None:
                self._found(maps.scale, line, now)

    def refined(self, scale: Scale, now: float, start: np.ndarray, owner: int = 0) -> np.ndarray | None:
        """The line of most evidence near a start (x, y, vx, vy; px, px/s) now, if it reaches the threshold: float64 (LINE,)."""
        spans = np.array([s for s in scale.interval_s * np.array([2.0, 4.0, 8.0, 16.0]) if s <= LONGEST_SPAN_S])
        line = np.zeros(LINE)
        aside, hopeless = 0.7 * scale.velocity_step, np.array(HOPELESS_NATS)
        args = self.events, self._index, owner, now, self.table, self.sight
        lines.refine(*args, start, spans, aside, hopeless, self._scratch, line)
        line[7] -= self._ends(line, now)
        return line if line[7] >= self.settings.path_nats else None

    def _ends(self, line: np.ndarray, now: float) -> float:
        """What the ends of a line cost, nat: in the open, ENDS_NATS each."""
        cost = 0.0
        width, height = self.sensor_size
        for at, limit in ((line[5], self.start_s - now), (line[6], 0.0)):
            x, y = line[:2] + line[2:4] * at
            gap = 2.0 / max(line[4], 0.5)
            at_edge = min(x, y, width - 1 - x, height - 1 - y) <= 3 + 0.5 * gap * np.hypot(line[2], line[3])
            cost += 0.0 if at_edge or abs(at - limit) <= gap else ENDS_NATS
        return cost

    def _found(self, scale: Scale, line: np.ndarray, now: float) -> None:
        self.made += 1
        path = Path(self.made, now, 0.0, np.zeros((0, KNOT)), True, self._radius(line, now), scale, np.zeros(STATE), now, 0.1)
        self._follow_line(path, line, now)
        self.paths.append(path)
        self._forget(path)

    def _follow_line(self, path: Path, line: np.ndarray, now: float) -> None:
        """Lay a path along a line, back to where its object came from, and on to now."""
        speed = float(np.hypot(line[2], line[3]))
        path.step = float(np.clip(4.0 / max(speed, 1e-3), 0.02, 0.2))
        path.line_nats = float(line[7])
        lines.claim_along(self.events, self._index, path.id, now, line, path.radius, self._scratch)
        before = _cut(self._advance(path, self._state(line, line[5]), (now + line[5], self.start_s))[0])
        path.knots = np.concatenate([before[::-1], self._along(line, now, path.step)])
        path.nats = float(line[7] + before[:, 5].sum())
        path.state, path.until, path.alive = self._state(line, line[6]), now + float(line[6]), True
        self._go_on(path, now)

    def _refit(self, path: Path, now: float) -> None:
        """Look again for the best line of a path that is young: its first one came from little evidence."""
        start = path.knots[-1, 1:5].copy()
        start[:2] += start[2:] * (now - path.knots[-1, 0])
        line = self.refined(path.scale, now, start, path.id)
        if line is not None and line[7] > path.line_nats:
            path.radius = max(path.radius, self._radius(line, now))
            self._follow_line(path, line, now)

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

    def _along(self, line: np.ndarray, now: float, step: float) -> np.ndarray:
        """Knots of a line's own interval."""
        n = max(2, int((line[6] - line[5]) / step) + 1)
        at = np.linspace(line[5], line[6], n)
        knots = np.zeros((n, KNOT))
        knots[:, 0] = now + at
        knots[:, 1:3] = line[:2] + line[2:4] * at[:, None]
        knots[:, 3:5] = line[2:4]
        knots[:, 5], knots[:, 6], knots[:, 7] = line[7] / n, line[8] / n, 1
        return knots

    def _advance(self, path: Path, state: np.ndarray, times: tuple[float, float]) -> tuple[np.ndarray, bool]:
        """Knots from the first time to the second, and whether the object is still there; where it is not, up to where it was."""
        room = int(abs(times[1] - times[0]) / path.step) + 2
        knots = np.zeros((room, KNOT))
        wander = _wander(float(np.hypot(state[2], state[3])))
        limits = np.array([LOST_NATS, STEADY_RATE, RATE_MEMORY_S, path.radius])
        args = self.events, self._index, path.id, True, self.table, self.sight, state, *times, path.step, wander
        used, goes_on = kernels.advance(*args, limits, knots, 0, self._scratch)
        return (knots[:used] if goes_on else _cut(knots[:used])), goes_on

    def _go_on(self, path: Path, now: float) -> None:
        if now - path.until < 1e-9:
            return
        more, path.alive = self._advance(path, path.state, (path.until, now))
        path.knots = np.concatenate([path.knots, more])
        if not path.alive:
            path.knots = _cut(path.knots)
        path.nats += float(more[:, 5].sum())
        path.until = now

    def _radius(self, line: np.ndarray, now: float, owner: int = 0) -> float:
        """Within which events are the object's, px; those that are the owner's already among them."""
        return float(lines.reach_of(self.events, self._index, owner, now, self.table, line, False, self._scratch))

    def _widened(self, path: Path, now: float) -> None:
        """Take in all events around the path's last second: an object may have become brighter."""
        first = max(path.knots[0, 0], now - 1.0)
        recent = path.knots[path.knots[:, 0] >= first]
        if len(recent) < 2:
            return
        line = np.zeros(LINE)
        line[2:4] = (recent[-1, 1:3] - recent[0, 1:3]) / max(recent[-1, 0] - recent[0, 0], 1e-3)
        line[:2] = recent[-1, 1:3] + line[2:4] * (now - recent[-1, 0])
        line[5], line[6] = first - now, 0.0
        line[4] = max(float(recent[:, 6].sum()) / max(now - first, 0.1), 1.0)
        path.radius = max(path.radius, self._radius(line, now, path.id))
        lines.claim_along(self.events, self._index, path.id, now, line, path.radius, self._scratch)

    def _forget(self, path: Path) -> None:
        recent = path.knots[path.knots[:, 0] >= path.knots[-1, 0] - FORGET_S]
        way = np.cumsum(np.hypot(*np.diff(recent[:, 1:3], axis=0, prepend=recent[:1, 1:3]).T))
        for maps in self.maps:
            cell = maps.scale.cell_px
            _, first = np.unique((way / cell).astype(np.int64), return_index=True)
            maps.clear(recent[first, 1], recent[first, 2], path.radius + 2.0 * cell)


def _wander(speed: float) -> float:
    """Spectral density of the acceleration of an object of this speed, px/s: px²/s³."""
    return (BEND * speed + WANDER_PX_S) ** 2


def _cut(knots: np.ndarray) -> np.ndarray:
    """Up to where the evidence was highest."""
    if not len(knots):
        return knots
    total = np.cumsum(knots[:, 5])
    return knots[: int(np.argmax(total)) + 1] if total.max() > 0 else knots[:0]
