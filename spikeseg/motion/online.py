"""The motion layer on events that are still coming (ours): the search of `search`, over the last HISTORY_S.

At every step the background and the stars are estimated anew from what is remembered; maps and paths go on from where they were.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from spikeseg.tracking.star_field import StarField

from .background import Marks, background_rates
from .events import Events, Index, Sight, events_of, index_of
from .footprint import Footprint
from .frame import Frame, Moving, rigid
from .path import Path, SmoothPath
from .paths import evidence_of, joined
from .search import MotionSearch, SearchSettings
from .stars import STAR, TICK_S, Stars, find_stars

HISTORY_S = 16.0
"""Length of the past in which evidence is added up and paths are known, s."""

RECENT_S = 4.0
"""Paths that have moved alike for the last so many seconds are stars, s."""

MOST_OF_A_STAR = 0.5
"""A path is a star if stars explain more than this share of its events."""


class NewEvents(NamedTuple):
    """Events that have come, sorted by time: t, float64 (n,), s; x, y, int64 (n,), px; on, int64 (n,), 0 or 1."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray


@dataclasses.dataclass(eq=False)
class KnownPath:
    """A path as it is known now.

    Attributes:
        path: that is followed.
        smooth: its last HISTORY_S.
        nats: its evidence, see `paths.evidence_of`: against the background from its beginning, and the stars, in what is
            remembered.
        star: whether it is one of several that move alike.
    """

    path: Path
    smooth: SmoothPath
    nats: float
    star: bool


class OnlineSearch:
    """Paths among events that come piece by piece.

    Args:
        sensor_size: (width, height), px.
        footprint: of the objects.
        settings: see `SearchSettings`.

    Attributes:
        known: paths that have been followed within the last HISTORY_S, in the order in which they were found; by `Path.id`.
        merged: of paths that turned out to be pieces of another one since the last step: their id, and the other's.
        stars: of the last HISTORY_S.
        frame: in which they stand still.
    """

    def __init__(self, sensor_size: tuple[int, int], footprint: Footprint, settings: SearchSettings) -> None:
        self.sensor_size, self.settings = sensor_size, settings
        self.known: dict[int, KnownPath] = {}
        self.merged: dict[int, int] = {}
        self.stars = Stars(np.zeros(0, bool), _clear_sight(sensor_size), 0.0, [])
        self.frame = Frame.of(StarField.still(), (0.0, 0.0), sensor_size)
        self._by_paths: Frame | None = None
        self._moving_alike = False
        self._point = Footprint.point().table(sensor_size)
        self._events = _none()
        self._index = index_of(self._events, sensor_size)
        self.search = _Search(self._events, self._index, self.stars.sight, sensor_size, footprint, settings)

    def restart(self) -> None:
        """Forget all that came before: after a silence in which everything may have changed. Paths get new numbers."""
        self.search.restart()
        self.known, self.merged, self._events, self._by_paths = {}, {}, _none(), None
        self._moving_alike = False

    def step(self, new: NewEvents, until_s: float, field: StarField) -> None:
        """Go on.

        Args:
            new: events since the last step.
            until_s: all events before this time have come, s.
            field: the stars' common motion, as the tracker knows it; times in µs on the clock of the events.
        """
        search = self.search
        self._remember(new, until_s)
        if not len(self._events.t):
            return
        self._explain(self._frames(field, until_s))
        search.over(self._events, self._index, self.stars.sight)
        search.go_to(until_s)
        self._update(until_s)

    def _remember(self, new: NewEvents, until_s: float) -> None:
        """The events of the last HISTORY_S, with those that explain them; stars are looked for anew."""
        old = slice(int(np.searchsorted(self._events.t, until_s - HISTORY_S)), None)
        first = int(np.searchsorted(new.t, until_s - HISTORY_S))
        t, x, y, on = (np.concatenate([mine[old], theirs[first:]]) for mine, theirs in zip(self._events[:4], new, strict=True))
        owner = np.concatenate([np.maximum(self._events.owner[old], 0), np.zeros(len(new.t) - first, np.int64)])
        self._events = Events(t, x, y, on, np.zeros(len(owner)), owner)

    def _frames(self, tracked: StarField, until_s: float) -> list[Frame]:
        """Frames that the stars may stand still in: by paths that move alike where there are enough; else by the tracker, or as
        such paths had it before."""
        frame = Frame.of(tracked, (float(self._events.t[0]), until_s), self.sensor_size)
        known = self._by_paths
        if known is None:
            return [frame]
        k = np.clip(np.searchsorted(known.times_s, frame.times_s, side="right") - 1, 0, len(known.times_s) - 1)
        as_before = Frame.moving(frame.times_s, known.rates[k], self.sensor_size)
        return [as_before] if self._moving_alike else [frame, as_before]

    def _explain(self, frames: list[Frame]) -> None:
        """Background and stars of what is remembered, in the frame that explains most. Stars may explain all of it, also what
        paths have explained before they were known."""
        t, x, y, on, _, owner = self._events
        column, row = x.astype(np.int64), y.astype(np.int64)
        marks = Marks.of(t, column, row, self.sensor_size, points=True)
        none, resting = np.zeros(len(t), bool), all(frame.streams for frame in frames)
        rate = background_rates(t, column, row, self.sensor_size, none, marks=marks, resting=resting)
        self._index = index_of(events_of(t, x, y, on, rate), self.sensor_size)
        found = [find_stars(events_of(t, x, y, on, rate), self.sensor_size, one, self._point, careful=True) for one in frames]
        best = max(range(len(found)), key=lambda k: np.count_nonzero(found[k].explained))
        self.stars, self.frame = found[best], frames[best]
        if len(found) > 1 and best == 0:
            self._by_paths = None
        explained = self.stars.explained
        if explained.any():
            rate = background_rates(t, column, row, self.sensor_size, explained, self.stars.share, marks, resting)
        has, loses = (np.bincount(owner[which], minlength=self.search.made + 1) for which in (owner > 0, (owner > 0) & explained))
        gone = np.flatnonzero(loses > MOST_OF_A_STAR * has)
        self._drop(set(gone.tolist()))
        owner = np.where(explained, STAR, np.where(np.isin(owner, gone), 0, owner))
        self._events = events_of(t, x, y, on, rate, owner)

    def _drop(self, gone: set[int]) -> None:
        self.search.paths = [path for path in self.search.paths if path.id not in gone]
        self.known = {n: known for n, known in self.known.items() if n not in gone}

    def _update(self, until_s: float) -> None:
        """All paths, smoothed over what is remembered; those that have come to nothing or ended before are dropped."""
        search, oldest = self.search, until_s - HISTORY_S
        before = {path.id: path for path in search.paths}
        search.paths = joined(search.paths, search.events, self.frame.streams)
        left = {path.id for path in search.paths}
        self.merged = {n: _holder(piece, search.paths) for n, piece in before.items() if n not in left}
        known, held = {}, []
        for path in search.paths:
            was = self.known.get(path.id)
            path.knots = path.knots[path.knots[:, 0] >= oldest]
            smooth = self._smoothed(path, was, oldest)
            if smooth is None:
                if path.alive and len(path.knots):
                    held.append(path)
                else:
                    search.release(path)
                continue
            held.append(path)
            known[path.id] = KnownPath(path, smooth, 0.0, was is not None and was.star)
        search.paths = held
        self._find_stars_among(list(known.values()), until_s)
        rest = self.settings.path_nats, self.frame, self.stars.spans, self.sensor_size
        for one in known.values():
            one.nats = evidence_of(search.against_surroundings(one.smooth), one.star, *rest)
        self.known = known

    def _find_stars_among(self, known: list[KnownPath], until_s: float) -> None:
        """Paths that move alike, and what follows for the frame."""
        first, times = until_s - RECENT_S, self.frame.times_s
        recent = [one for one in known if one.smooth.t_s[-1] > first]
        movers = [Moving(smooth.t_s, smooth.states) for smooth in (_since(one.smooth, first) for one in recent)]
        new = times >= first
        star, frame = rigid(movers, Frame.moving(times[new], self.frame.rates[new], self.sensor_size), self.sensor_size)
        for one, moves_alike in zip(recent, star.tolist(), strict=True):
            one.star = moves_alike
        self._moving_alike = bool(star.any())
        if self._moving_alike:
            rates = np.concatenate([self.frame.rates[~new], frame.rates])
            changed = np.flatnonzero((rates != self.frame.rates).any(1))
            end = changed[-1] + 1 if len(changed) else len(times)  # behind this nothing is known
            self._by_paths = Frame.moving(times[:end], rates[:end], self.sensor_size)

    def _smoothed(self, path: Path, was: KnownPath | None, oldest_s: float) -> SmoothPath | None:
        """A path, smoothed over what is remembered; None where that is too short."""
        if len(path.knots) < 2:
            return None
        if was is None or path.id in self.merged.values() or path.knots[-1, 0] > was.smooth.t_s[-1]:
            return self.search.smooth(path)
        smooth = _since(was.smooth, oldest_s)
        return smooth if len(smooth.t_s) > 1 else None


class _Search(MotionSearch):
    """A search that goes on from time to time."""

    started = False
    ticks = 0

    def restart(self) -> None:
        """Without paths and without evidence."""
        self.paths, self.started = [], False
        width, height = self.sensor_size
        for maps in self.maps:
            maps.clear(np.array([width / 2]), np.array([height / 2]), float(width + height))

    def over(self, events: Events, index: Index, sight: Sight) -> None:
        """Go on among these events."""
        self.events, self._index, self.sight = events, index, sight

    def go_to(self, until_s: float) -> None:
        """All intervals that have ended by now, and paths up to now."""
        if not self.started:
            self.started, self.ticks, self.start_s = True, 0, float(self.events.t[0])
        while self.start_s + (self.ticks + 1) * self.tick_s <= until_s + 1e-9:
            self.ticks += 1
            self._tick(self.ticks, self.start_s + self.ticks * self.tick_s)
        for path in self.paths:
            if path.alive:
                self._go_on(path, until_s)

    def release(self, path: Path) -> None:
        """A path that comes to nothing: its events are nobody's."""
        path.alive = False
        self.events.owner[self.events.owner == path.id] = 0


def _none() -> Events:
    return Events(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))


def _clear_sight(sensor_size: tuple[int, int]) -> Sight:
    width, height = sensor_size
    return Sight(np.ones((1, height, width), np.uint8), np.zeros(1, np.int64), 0.0, TICK_S)


def _since(smooth: SmoothPath, first_s: float) -> SmoothPath:
    """A smoothed path from a time on."""
    kept = smooth.t_s >= first_s
    kept_of = {name: getattr(smooth, name)[kept] for name in ("t_s", "states", "nats", "events")}
    return smooth._replace(**kept_of, variance=None if smooth.variance is None else smooth.variance[kept])


def _holder(piece: Path, paths: list[Path]) -> int:
    """The path that a piece has become part of."""
    return next(path.id for path in paths if len(piece.knots) and (path.knots == piece.knots[0]).all(1).any())
