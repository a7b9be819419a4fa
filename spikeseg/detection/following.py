"""The motion layer in `detect --follow`: paths of faint objects beside the tracks of what lights up, window by window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeseg.motion.online import KnownPath, NewEvents, OnlineSearch
from spikeseg.motion.paths import telling
from spikeseg.motion.probability import probability
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField

from .moving import CERTAIN_STAR, Found, Motion, covering, scored, search_settings
from .objects import SLICE_US
from .track_ids import TrackIds

AGAIN_NATS = 2.5
"""So much more evidence than in `detect` makes an object, nat: in every window it is looked at again, and noise has a chance."""


PATIENCE_S = 2.5
"""Nothing is reported so soon after it appeared, s: where stars begin to move, for a moment each of them looks like an object."""


class PathFollower:
    """Paths among the events of windows that come one after the other.

    Args:
        motion: the layer.
        sensor_size: (width, height), px.
        object_threshold: score from which a path or track is an object.

    Attributes:
        last: whether the next window is the last one: then there is nothing to wait for.
    """

    def __init__(self, motion: Motion, sensor_size: tuple[int, int], object_threshold: float) -> None:
        self._motion, self.object_threshold = motion, object_threshold
        self.search = OnlineSearch(sensor_size, motion.footprint, search_settings(motion, sensor_size))
        self.threshold = motion.threshold(sensor_size) + AGAIN_NATS
        self._numbers: dict[int, int] = {}
        self.last = False

    def load(self) -> None:
        """Load all compiled code, so that no window waits for it: a search among a few made-up events."""
        t, size = np.arange(600) / 200, (32, 24)
        x, y = np.random.default_rng(0).integers(0, (32, 24), (600, 2)).T
        x[::2], y[::2] = 4 + 8 * t[::2], 12
        small = OnlineSearch(size, self._motion.footprint, search_settings(self._motion, size))
        for low in (0, 200, 400):
            part = slice(low, low + 200)
            small.step(NewEvents(t[part], x[part], y[part], np.arange(200) % 2), (low + 200) / 200, StarField.still())

    @property
    def numbers(self) -> set[int]:
        """Lasting ids of paths that may be seen again."""
        return set(self._numbers.values())

    @property
    def star_field(self) -> tuple[float, float] | None:
        """How the stars move now at the sensor's centre, px/s; None before there was anything to see."""
        rates = self.search.frame.rates[-1]
        return (float(rates[0]), float(rates[1])) if self.search.stars.spans else None

    def restart(self) -> None:
        """After a silence in which everything may have changed."""
        self.search.restart()
        self._numbers = {}

    def objects(
        self, events: np.ndarray, end_us: int, since_us: int, tracks: Tracks, ids: TrackIds
    ) -> list[tuple[int, ObjectTrack]]:
        """Objects that were seen in a window, each with its lasting id.

        Args:
            events: EVENT_DTYPE (n,), sorted, since the window before.
            end_us: of the window, µs.
            since_us: where what is new in it begins, µs.
            tracks: the tracker's, of what it remembers; in the order in which `ids` knows them.
            ids: of the tracks; paths take theirs from it, too.
        """
        new = NewEvents(events["t"] * 1e-6, *(events[name].astype(np.int64) for name in "xyp"))
        self.search.step(new, end_us * 1e-6, tracks.field)
        found, known = self._found(), list(self.search.known.values())
        tells = telling(found.paths, found.nats, self.threshold, found.search.events, found.frame).tolist()
        by = [covering(track, found) for track in tracks.tracks]
        latest_us = np.inf if self.last else end_us - PATIENCE_S * 1e6
        reported = [
            self._report(one, [n for n, path in enumerate(by) if path == k], ids, (since_us, latest_us)) if tells[k] else None
            for k, one in enumerate(known)
        ]
        self._numbers = {n: number for n, number in self._numbers.items() if n in self.search.known}
        objects = [one for one in reported if one is not None]
        least = min(self.object_threshold, CERTAIN_STAR)
        for n, (track, path) in enumerate(zip(tracks.tracks, by, strict=True)):
            if path is not None or track.score < least or track.t_us[-1] < since_us or track.t_us[0] > latest_us:
                continue
            if ids.given[n] in self._numbers.values():  # a path has gone its own way
                ids.give(n, ids.new())
            judged = scored(track, found)
            if judged.score >= self.object_threshold:
                objects.append((ids.given[n], judged))
        return sorted(objects, key=lambda one: one[0])

    def _found(self) -> Found:
        search, known = self.search, list(self.search.known.values())
        star = np.array([one.star for one in known], bool)
        paths, nats, nothing = [one.smooth for one in known], [one.nats for one in known], np.zeros(0, np.float32)
        return Found(paths, nats, star, self.threshold, nothing, search.search, search.stars, search.frame)

    def _report(
        self, one: KnownPath, covered: Sequence[int], ids: TrackIds, times_us: tuple[float, float]
    ) -> tuple[int, ObjectTrack] | None:
        """A path that is an object, and its id: its own, one of a piece of it or of a track that it covers, or a new one.

        times_us: it has been seen since the first, or not long before where it is new, and was there before the second.
        """
        score = float(probability(one.nats, self.threshold))
        first, last = float(one.smooth.t_s[0]), float(one.smooth.t_s[-1])
        number, (since_us, latest_us) = self._numbers.get(one.path.id), times_us
        if number is None:
            since_us -= PATIENCE_S * 1e6
        if score < self.object_threshold or last * 1e6 < since_us or first * 1e6 > latest_us:
            return None
        if number is None:
            pieces = [self._numbers[n] for n, whole in self.search.merged.items() if whole == one.path.id and n in self._numbers]
            taken = set(self._numbers.values())
            tracked = [ids.given[n] for n in covered if ids.given[n] in ids.reported and ids.given[n] not in taken]
            number = min([*pieces, *tracked], default=0) or ids.new()
            self._numbers[one.path.id] = number
        for n in covered:
            ids.give(n, number)
        t_us = np.linspace(first, last, max(2, round((last - first) / (SLICE_US * 1e-6)) + 1)) * 1e6
        states, nothing = one.smooth.at(t_us * 1e-6), np.zeros(len(t_us), np.int64)
        relative = states[:, 2:] - self.search.frame.velocity(t_us * 1e-6, states[:, :2])
        return number, ObjectTrack(number, t_us, nothing, nothing, states, relative, score, one.nats)
