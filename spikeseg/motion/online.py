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
from .paths import FORMATION, against_stars, field_of, joined, together
from .search import MotionSearch, Path, SearchSettings, SmoothPath
from .stars import STAR, TICK_S, Stars, find_stars

HISTORY_S = 16.0
"""Length of the past in which evidence is added up and paths are known, s."""

MOST_OF_A_STAR = 0.5
"""A path, of no object so far, is a star if stars explain more than this share of its events."""


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
        nats: log-likelihood ratio against the background and the stars: of those, and of what was gained before while it was an
            object's.
        star: whether it is one of several that move alike.
        began_s: when it began, s.
        earlier: evidence gained before what is remembered, nat.
    """

    path: Path
    smooth: SmoothPath
    nats: float
    star: bool
    began_s: float
    earlier: float = 0.0


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
        field: their common motion.
    """

    def __init__(self, sensor_size: tuple[int, int], footprint: Footprint, settings: SearchSettings) -> None:
        self.sensor_size, self.settings = sensor_size, settings
        self.known: dict[int, KnownPath] = {}
        self.merged: dict[int, int] = {}
        self.stars = Stars(np.zeros(0, bool), _clear_sight(sensor_size), 0.0, [])
        self.field = StarField.still()
        self._by_paths: StarField | None = None
        self._point = Footprint.point().table(sensor_size)
        self._events = _none()
        self._index = index_of(self._events, sensor_size)
        self.search = _Search(self._events, self._index, self.stars.sight, sensor_size, footprint, settings)

    def restart(self) -> None:
        """Forget all that came before: after a silence in which everything may have changed. Paths get new numbers."""
        self.search.restart()
        self.known, self.merged, self._events, self._by_paths = {}, {}, _none(), None

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
        self._explain(self._fields(field))
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

    def _fields(self, tracked: StarField) -> list[StarField]:
        """Motions that the field may have: by paths that move alike where there are enough; else by the tracker, or as it was."""
        stars = [known.smooth for known in self.known.values() if known.star]
        if len(stars) > FORMATION:
            self._by_paths = field_of(stars, tracked)
            return [self._by_paths]
        return [tracked] if self._by_paths is None else [tracked, self._by_paths]

    def _explain(self, fields: list[StarField]) -> None:
        """Background and stars of what is remembered, by the motion of the field that explains most. What objects have explained,
        and stars that move alike, stays theirs; all else is offered to stars."""
        t, x, y, on, _, owner = self._events
        column, row = x.astype(np.int64), y.astype(np.int64)
        kept = [n for n, known in self.known.items() if known.star or known.nats >= self.settings.path_nats]
        offered = np.where(np.isin(owner, kept), owner, 0)
        marks = Marks.of(t, column, row, self.sensor_size)
        rate = background_rates(t, column, row, self.sensor_size, np.zeros(len(t), bool), marks=marks)
        events = events_of(t, x, y, on, rate)
        self._index = index_of(events, self.sensor_size)
        found = [find_stars(events._replace(owner=offered.copy()), self.sensor_size, field, self._point) for field in fields]
        best = max(range(len(found)), key=lambda k: np.count_nonzero(found[k].explained))
        self.stars, self.field = found[best], fields[best]
        if len(found) > 1 and best == 0:
            self._by_paths = None
        explained = self.stars.explained
        if explained.any():
            rate = background_rates(t, column, row, self.sensor_size, explained, self.stars.share, marks)
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
        search.paths = joined(search.paths, search.events)
        left = {path.id for path in search.paths}
        self.merged = {n: _holder(piece, search.paths) for n, piece in before.items() if n not in left}
        known, held = {}, []
        for path in search.paths:
            was, began_s = self.known.get(path.id), float(path.knots[0, 0])
            path.knots = path.knots[path.knots[:, 0] >= oldest]
            smooth = self._smoothed(path, was, oldest)
            if smooth is None:
                if path.alive and len(path.knots):
                    held.append(path)
                else:
                    search.release(path)
                continue
            held.append(path)
            earlier = 0.0
            if was is not None:
                began_s, earlier = min(began_s, was.began_s), was.earlier
                if was.nats >= self.settings.path_nats:
                    earlier += float(was.smooth.nats[was.smooth.t_s < oldest].sum())
            nats = against_stars(smooth, self.field, self.stars.spans) + earlier
            known[path.id] = KnownPath(path, smooth, nats, False, began_s, earlier)
        search.paths = held
        for one, star in zip(known.values(), together([one.smooth for one in known.values()]), strict=True):
            one.star = bool(star)
        self.known = known

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

    def smooth(self, path: Path) -> SmoothPath | None:
        """One path, smoothed."""
        return self._smoothed(path, np.zeros(len(self.events.t), np.float32))

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
    return smooth._replace(t_s=smooth.t_s[kept], states=smooth.states[kept], nats=smooth.nats[kept], events=smooth.events[kept])


def _holder(piece: Path, paths: list[Path]) -> int:
    """The path that a piece has become part of."""
    return next(path.id for path in paths if len(piece.knots) and (path.knots == piece.knots[0]).all(1).any())
