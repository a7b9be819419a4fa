"""Components linked over time: SMASH carried on from moment to moment (ours; SMASH: Kirkland et al. 2022).

SMASH links two instances by what they share of features, time and place. From one moment to the next the features are the active
neurons, the times are the same, and the place is where the track was going: a component belongs to the track whose mask, moved on
by its velocity, it overlaps. Where one component overlaps several tracks, these have met: each keeps its shape and the pixels
nearest to it, and goes on as it went. Several components of one track are its parts as long as together they are no larger than
it was. A track without a component is behind something, or has stopped: it waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .moments import Moment

OVERLAP = 0.2
"""A component and a track overlap if they share this part of the smaller of the two."""

YOUNG = 5
"""A track that was seen less often yields to others."""

GROWTH, GROWTH_PX = 1.35, 6.0
"""Parts of a track are together no larger than it was, but for this factor and so many pixels."""

APART_PX, APART_SIZES = 8.0, 0.6
"""Parts of a track lie no further apart than so many px, or this share of the smaller one's size: else they have parted."""

WAIT_US = 1_200_000
"""A track without a component waits so long."""

NEAR_PX, FAR_PX, FAR_SHARE = 3.0, 15.0, 0.15
"""A track that waits is looked for within NEAR_PX and this share of the way it would have come, FAR_PX at most."""

POSITION_GAIN, VELOCITY_GAIN, FIRST_GAIN = 0.8, 0.15, 0.4
"""How far a track follows what it sees; its velocity at first and later (an alpha-beta filter)."""

SIZE_GAIN = 0.4
"""How far its size does."""

STOPPED_SHARE, STOPPED_PX = 0.35, 4.0
"""A track that is seen again where it was lost, within this share of the way it would have come, had stopped."""

EDGE_GAIN = 0.5
"""How far a track that has met others follows the outer edge that is its own."""

TOGETHER_US, TOGETHER_SIZES = 150_000, 0.4
"""Tracks that have met for so long, µs, and moved no further against each other than this share of half their size, are one."""

BESIDE_PX, BESIDE_SIZES = 6.0, 1.0
"""A track that began within so many px, or this share of half the larger one's size, of another one and then meets it is a piece
of it: other things come from afar ..."""

GROWN_UP, RIGID_PX, RIGID_SIZES = 10, 4.0, 0.35
"""... if in the meantime, of so many rows, it has not moved against it by more than this, px, and this share of their
sizes ..."""

ALIKE_PX_S, ALIKE_SHARE = 60.0, 0.5
"""... or, where there was no time for that, if the other one is as young, or it moves as that one does, within so much, px/s, or
this share of their speed."""

LEAST_PIXELS = 10
"""What is left of a component that was parted is a new track from so many pixels on."""


class Seen(IntEnum):
    """How a row of a track came about."""

    ALONE = 0
    MET = 1
    STOPPED = 2
    HIDDEN = 3


@dataclass(eq=False)
class SceneTrack:
    """A track while it lives.

    Attributes:
        id: from 1.
        last_us: when it was last seen, µs.
        place, velocity, half: float64 (2,), centre (px), px/s, half of its size (px).
        y, x: int64 (m,), its mask.
        rows: (t in µs, x, y, width, height, Seen), one for each moment at which it was seen.
        alone: at how many of them by itself.
        part_of: the id of the track that it turned out to be a piece of; 0: of none.
        beside: the ids of the tracks beside which it began, and how far it was from them, px.
        met: by the id of a track with which it shares a component: since when and until when, µs, and how far it was from it at
            first, px.
    """

    id: int
    last_us: int
    place: np.ndarray
    velocity: np.ndarray
    half: np.ndarray
    y: np.ndarray
    x: np.ndarray
    rows: list[tuple[float, ...]] = field(default_factory=list)
    alone: int = 0
    part_of: int = 0
    beside: dict[int, np.ndarray] = field(default_factory=dict)
    met: dict[int, tuple[int, int, np.ndarray]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether it has been seen by itself often enough."""
        return self.alone >= YOUNG

    def add(self, t_us: int, how: Seen) -> None:
        """A row."""
        self.last_us = t_us
        self.alone += how != Seen.MET
        self.rows.append((t_us, *self.place, *(2 * self.half), how))


class Expected(NamedTuple):
    """Where a track is expected: its mask int64 (m,) y and x, how many of its pixels are on each component (n,), and whether it
    has been waiting."""

    y: np.ndarray
    x: np.ndarray
    shared: np.ndarray
    waits: bool


class SceneTracker:
    """Tracks of all that is active.

    Args:
        sensor_size: (width, height), px.
        hop_us: time between moments, µs.
    """

    def __init__(self, sensor_size: tuple[int, int], hop_us: int) -> None:
        self.width, self.height = sensor_size
        self.hop_us = hop_us
        self.tracks: list[SceneTrack] = []
        self.ended: list[SceneTrack] = []
        self._made = 0
        self._drifts = np.zeros((0, 2))

    def favour(self, t_us: int, favoured: np.ndarray) -> list[np.ndarray]:
        """Mark where tracks that are well known are expected: 1 in uint8 (H, W); -> the flat indices that were marked."""
        marked = []
        for track in self.tracks:
            if track.known and t_us - track.last_us <= 2 * self.hop_us:
                y, x = self._moved(track, track.velocity * ((t_us - track.last_us) * 1e-6))
                flat = y * self.width + x
                favoured.reshape(-1)[flat] = 1
                marked.append(flat)
        return marked

    def step(self, moment: Moment) -> None:
        """Go on to a moment."""
        self._drop([track for track in self.tracks if moment.t_us - track.last_us > self._patience(track)])
        n = len(moment.components)
        self._drifts = moment.drifts()
        expected = [self._expected(track, moment) for track in self.tracks]
        parts: dict[int, list[tuple[int, np.ndarray]]] = {}
        met: set[int] = set()
        fresh: list[int] = []
        sizes = np.diff(moment.components.begins)
        pieces: list[SceneTrack] = []
        rest: list[tuple[int, np.ndarray]] = []
        enlarged: set[int] = set()
        for k in range(n):
            owners = self._owners(k, int(sizes[k]), expected, known_first=True)
            if len(owners) == 1 and self._outgrows(owners[0], moment.components.boxes[k]):
                owners = self._owners(k, int(sizes[k]), expected, known_first=False)
            if len(owners) > 1 and not self.tracks[owners[0]].known:  # all are young: pieces of one
                largest = max(owners, key=lambda i: len(self.tracks[i].y))
                for i in owners:
                    if i != largest and not self.tracks[i].part_of:
                        self.tracks[i].part_of = self.tracks[largest].id
                        pieces.append(self.tracks[i])
                owners = [largest]
            if not owners:
                fresh.append(k)
            elif len(owners) == 1 and not self._outgrows(owners[0], moment.components.boxes[k]):
                parts.setdefault(owners[0], []).append((k, moment.components.of(k)))
            elif len(owners) == 1:  # it has met something that is not tracked, or waits
                near, far = self._parted(moment.components.of(k), expected[owners[0]])
                met.add(owners[0])
                parts.setdefault(owners[0], []).append((k, near))
                rest.append((k, far))
            else:
                gone = self._pieces([self.tracks[i] for i in owners], moment.t_us)
                if gone:
                    pieces += gone
                    owners = [i for i in owners if not self.tracks[i].part_of]
                    enlarged.update(owners)
                if len(owners) == 1:
                    parts.setdefault(owners[0], []).append((k, moment.components.of(k)))
                    continue
                met.update(owners)
                for number, own in zip(owners, self._shared(moment, k, [expected[i] for i in owners]), strict=True):
                    parts.setdefault(number, []).append((k, own))
        for number, own in parts.items():
            if number in met:
                self._meets(self.tracks[number], own, moment, expected[number])
            else:
                if number in enlarged:
                    self.tracks[number].half = np.full(2, np.inf)
                fresh += self._goes_on(self.tracks[number], own, moment, expected[number])
        for k, pixels in ((k, pixels) for k, pixels in rest if len(pixels)):
            waiting = [
                i
                for i, one in enumerate(expected)
                if i not in parts and one.shared[k] >= OVERLAP * min(len(pixels), len(self.tracks[i].y)) and self.tracks[i].known
            ]
            if waiting:
                best = max(waiting, key=lambda i: int(expected[i].shared[k]))
                parts[best] = []
                self._take(self.tracks[best], pixels, self._box(pixels), moment)
            elif len(pixels) >= LEAST_PIXELS:
                self._begins(k, pixels, self._box(pixels), moment)
        for k in sorted(fresh):
            self._begins(k, moment.components.of(k), moment.components.boxes[k], moment)
            self.tracks[-1].beside = self._neighbours(self.tracks[-1])
        self._drop(pieces)

    def _neighbours(self, track: SceneTrack) -> dict[int, np.ndarray]:
        """The ids of the tracks beside which a new one begins, and how far it is from them, px."""
        others = [other for other in self.tracks if other is not track]
        if not others:
            return {}
        place, half = np.array([other.place for other in others]), np.array([other.half for other in others])
        gap = (np.abs(track.place - place) - track.half - half).max(1)
        near = gap <= np.maximum(BESIDE_PX, BESIDE_SIZES * np.maximum(track.half.max(), half.max(1)))
        return {others[k].id: track.place - place[k] for k in np.flatnonzero(near)}

    def _pieces(self, tracks: list[SceneTrack], t_us: int) -> list[SceneTrack]:
        """Of tracks that have met those that are pieces of another one: they have moved with it ever since."""
        found: list[SceneTrack] = []
        for one in tracks:
            for other in tracks:
                if one is other or one.part_of or other.part_of or len(one.y) > len(other.y):
                    continue
                if self._of_one(one, other):
                    one.part_of = other.id
                    found.append(one)
                    continue
                began = one.met.get(other.id)
                apart = one.place - other.place
                if began is None or t_us - began[1] > 2 * self.hop_us:
                    one.met[other.id] = (t_us, t_us, apart)
                    continue
                one.met[other.id] = (began[0], t_us, began[2])
                moved = float(np.hypot(*(apart - began[2])))
                if t_us - began[0] >= TOGETHER_US and moved < TOGETHER_SIZES * float(one.half.max()):
                    one.part_of = other.id
                    found.append(one)
        return found

    @staticmethod
    def _of_one(one: SceneTrack, other: SceneTrack) -> bool:
        """Whether two tracks that meet were next to each other when the second of them began, and have kept to that."""
        younger, older = (one, other) if one.id > other.id else (other, one)
        apart = younger.beside.get(older.id)
        if apart is None:
            return False
        if younger.alone >= GROWN_UP:
            moved = float(np.hypot(*(younger.place - older.place - apart)))
            return moved <= RIGID_PX + RIGID_SIZES * float((younger.half + older.half).max())
        if older.alone < GROWN_UP:
            return True
        differ = float(np.hypot(*(younger.velocity - older.velocity)))
        fast = max(float(np.hypot(*younger.velocity)), float(np.hypot(*older.velocity)))
        return differ <= max(ALIKE_PX_S, ALIKE_SHARE * fast)

    def _outgrows(self, number: int, box: np.ndarray) -> bool:
        """Whether a component is suddenly much larger than its track."""
        track = self.tracks[number]
        return bool(track.known and ((box[2:] - box[:2]) > 2 * track.half * GROWTH + GROWTH_PX).any())

    def _parted(self, pixels: np.ndarray, expected: Expected) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of a component within NEAR_PX of where a track is expected, and the others."""
        mask = np.zeros((self.height, self.width), bool)
        mask[self._grown(expected.y, expected.x, round(NEAR_PX))] = True
        near = mask.reshape(-1)[pixels]
        return pixels[near], pixels[~near]

    def _box(self, pixels: np.ndarray) -> np.ndarray:
        """Left, top, right, bottom."""
        y, x = np.divmod(pixels, self.width)
        return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])

    def _patience(self, track: SceneTrack) -> int:
        """How long a track waits, µs."""
        return WAIT_US if track.known else 3 * self.hop_us

    def _drop(self, tracks: list[SceneTrack]) -> None:
        self.ended += tracks
        self.tracks = [track for track in self.tracks if not any(track is other for other in tracks)]

    def finished(self) -> list[SceneTrack]:
        """All tracks, by id."""
        return sorted(self.ended + self.tracks, key=lambda track: track.id)

    def _moved(self, track: SceneTrack, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its mask, moved, as far as it is on the sensor."""
        y, x = track.y + round(way[1]), track.x + round(way[0])
        inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
        return y[inside], x[inside]

    def _expected(self, track: SceneTrack, moment: Moment) -> Expected:
        seconds = (moment.t_us - track.last_us) * 1e-6
        waits = moment.t_us - track.last_us > 2 * self.hop_us
        n, best = len(moment.components), None
        way = track.velocity * seconds
        for moved in (way, np.zeros(2)) if waits else (way,):
            y, x = self._moved(track, moved)
            if waits:
                y, x = self._grown(y, x, round(min(NEAR_PX + FAR_SHARE * float(np.hypot(*way)), FAR_PX)))
            shared = np.bincount(moment.label[y, x], minlength=n + 1)[1:]
            if best is None or shared.sum() > best.shared.sum():
                best = Expected(y, x, shared, waits)
        assert best is not None
        return best

    def _grown(self, y: np.ndarray, x: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
        """A mask, grown on all sides."""
        if not len(y):
            return y, x
        top, left = max(y.min() - by, 0), max(x.min() - by, 0)
        bottom, right = min(y.max() + by + 1, self.height), min(x.max() + by + 1, self.width)
        crop = np.zeros((bottom - top, right - left), bool)
        crop[y - top, x - left] = True
        grown = ndimage.maximum_filter(crop, 2 * by + 1, mode="constant")
        y, x = np.nonzero(grown)
        return y + top, x + left

    def _owners(self, k: int, size: int, expected: list[Expected], *, known_first: bool) -> list[int]:
        """The tracks that a component belongs to: those that have been seen just now before those that wait, of which the nearest
        alone, and those that are known before young ones."""
        over = [
            i
            for i, one in enumerate(expected)
            if one.shared[k] > 0 and one.shared[k] >= OVERLAP * min(size, len(self.tracks[i].y))
        ]
        now = [i for i in over if not expected[i].waits]
        if not now:
            return over if len(over) < 2 else [max(over, key=lambda i: int(expected[i].shared[k]))]
        known = [i for i in now if self.tracks[i].known]
        return (known_first and known) or sorted(now, key=lambda i: not self.tracks[i].known)

    def _shared(self, moment: Moment, k: int, expected: list[Expected]) -> list[np.ndarray]:
        """The pixels of a component, shared among tracks: each goes to the nearest mask."""
        left, top, right, bottom = moment.components.boxes[k]
        distance = []
        for one in expected:
            away = np.ones((bottom - top, right - left), bool)
            inside = (one.y >= top) & (one.y < bottom) & (one.x >= left) & (one.x < right)
            away[one.y[inside] - top, one.x[inside] - left] = False
            distance.append(np.full(away.shape, np.inf) if away.all() else ndimage.distance_transform_edt(away))
        pixels = moment.components.of(k)
        y, x = np.divmod(pixels, self.width)
        nearest = np.argmin(np.stack(distance), 0)[y - top, x - left]
        return [pixels[nearest == number] for number in range(len(expected))]

    def _goes_on(self, track: SceneTrack, parts: list[tuple[int, np.ndarray]], moment: Moment, expected: Expected) -> list[int]:
        """A track takes its components; -> those that are none of its parts."""
        parts.sort(key=lambda part: -int(expected.shared[part[0]]))
        left_out, taken = [], []
        box: np.ndarray | None = None
        for k, pixels in parts:
            own = moment.components.boxes[k]
            joint = own if box is None else np.concatenate([np.minimum(box[:2], own[:2]), np.maximum(box[2:], own[2:])])
            too_large = ((joint[2:] - joint[:2]) > 2 * track.half * GROWTH + GROWTH_PX).any()
            apart = box is not None and _gap(box, own) > max(APART_PX, APART_SIZES * float((own[2:] - own[:2]).max()))
            if box is not None and track.known and (too_large or apart):
                left_out.append(k)
                continue
            box = joint
            taken.append(pixels)
        assert box is not None
        self._take(track, np.concatenate(taken), box, moment)
        return left_out

    def _take(self, track: SceneTrack, pixels: np.ndarray, box: np.ndarray, moment: Moment) -> None:
        place, half = 0.5 * (box[:2] + box[2:] - 1.0), 0.5 * (box[2:] - box[:2])
        seconds = (moment.t_us - track.last_us) * 1e-6
        how, ahead = Seen.ALONE, track.place + track.velocity * seconds
        if moment.t_us - track.last_us > 2 * self.hop_us:
            moved, way = float(np.hypot(*(place - track.place))), float(np.hypot(*(track.velocity * seconds)))
            how = Seen.STOPPED if moved <= max(STOPPED_SHARE * way, STOPPED_PX) else Seen.HIDDEN
            track.place = place
            if how == Seen.STOPPED:
                track.velocity = 0.5 * track.velocity
        else:
            young = not track.known
            off = place - ahead
            track.velocity = track.velocity + (FIRST_GAIN if young else VELOCITY_GAIN) * off / seconds
            track.place = ahead + (1.0 if young else POSITION_GAIN) * off
        track.half = half if not track.known or np.isinf(track.half[0]) else (1 - SIZE_GAIN) * track.half + SIZE_GAIN * half
        track.y, track.x = np.divmod(pixels, self.width)
        track.add(moment.t_us, how)

    def _meets(self, track: SceneTrack, parts: list[tuple[int, np.ndarray]], moment: Moment, expected: Expected) -> None:
        """A track that shares a component goes on as it went, and keeps its shape; where the joint outline is its own, it follows
        that."""
        seconds = (moment.t_us - track.last_us) * 1e-6
        track.place = track.place + track.velocity * seconds
        pixels = np.concatenate([own for _, own in parts])
        if len(pixels):
            y, x = np.divmod(pixels, self.width)
            off = np.zeros(2)
            for axis, own in enumerate((x, y)):
                low = own.min() - (track.place[axis] - track.half[axis] + 0.5)
                high = own.max() - (track.place[axis] + track.half[axis] - 0.5)
                outer = [
                    value
                    for side, value in ((0, low), (1, high))
                    if any(self._outer(moment.components.boxes[k], axis, side, own) for k, _ in parts)
                ]
                limit = max(3.0, 0.25 * float(track.half[axis]))
                off[axis] = float(np.clip(np.mean(outer), -limit, limit)) if outer else 0.0
            track.place = track.place + EDGE_GAIN * off
        if len(expected.y):
            track.y, track.x = expected.y, expected.x
        track.add(moment.t_us, Seen.MET)

    @staticmethod
    def _outer(box: np.ndarray, axis: int, side: int, own: np.ndarray) -> bool:
        """Whether the pixels reach that side of their component's box."""
        return bool(own.min() == box[axis]) if side == 0 else bool(own.max() == box[2 + axis] - 1)

    def _begins(self, k: int, pixels: np.ndarray, box: np.ndarray, moment: Moment) -> None:
        y, x = np.divmod(pixels, self.width)
        self._made += 1
        place, half = 0.5 * (box[:2] + box[2:] - 1.0), 0.5 * (box[2:] - box[:2])
        track = SceneTrack(self._made, moment.t_us, place, self._drifts[k], half, y, x)
        track.add(moment.t_us, Seen.ALONE)
        self.tracks.append(track)


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Between two boxes (left, top, right, bottom), px: the wider of the two axes' gaps."""
    return float(np.maximum(np.maximum(one[:2], other[:2]) - np.minimum(one[2:], other[2:]), 0).max())
