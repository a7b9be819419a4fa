"""Components linked over time: SMASH carried on from moment to moment (ours; SMASH: Kirkland et al. 2022).

SMASH links two instances by what they share of features, time and place. From one moment to the next the features are the active
neurons, the times are the same, and the place is where the track was going: a component belongs to the track whose mask, moved on
by its velocity, it overlaps. Where one component overlaps several tracks, these have met: each keeps its shape and the pixels
nearest to it, and goes on as it went. Several components of one track are its parts as long as together they are no larger than
it was. A track without a component is behind something, or has stopped: it waits.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .mask_kernels import look_for, mark, move_all, near
from .masks import Mask, box_of, gap, grown, nearest
from .moments import Moment
from .pieces import neighbours, pieces
from .track import NOTHING, SceneTrack, Seen, ways

OVERLAP = 0.2
"""A component and a track overlap if they share this part of the smaller of the two."""

GROWTH, GROWTH_PX = 1.35, 6.0
"""Parts of a track are together no larger than it was, but for this factor and so many pixels."""

APART_PX, APART_SIZES = 8.0, 0.3
"""Parts of a track lie no further apart than so many px, or this share of the smaller one's size: else they have parted."""

WAIT_US = 1_200_000
"""A track without a component waits so long."""

NEAR_PX, FAR_PX, FAR_SHARE = 3.0, 15.0, 0.15
"""A track that waits is looked for within NEAR_PX and this share of the way it would have come, FAR_PX at most."""

LEAST_PIXELS = 10
"""What is left of a component that was parted is a new track from so many pixels on."""


class Expected(NamedTuple):
    """Where a track is expected: its mask, how many of its pixels are on each component (n,), and whether it has been waiting;
    then the mask is left out where no pixel is on any."""

    mask: Mask
    shared: np.ndarray
    waits: bool


@dataclass
class _Assigned:
    """What becomes of the components of a moment; tracks by their index.

    Attributes:
        parts: of each track, components and the pixels of each that are its own, int64, flat.
        met: tracks that share a component.
        enlarged: tracks that have taken in their pieces.
        fresh: components of no track.
        rest: components and their pixels that were left over by a track.
        pieces: tracks that turned out to be pieces of others.
    """

    parts: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)
    enlarged: set[int] = field(default_factory=set)
    fresh: list[int] = field(default_factory=list)
    rest: list[tuple[int, np.ndarray]] = field(default_factory=list)
    pieces: list[SceneTrack] = field(default_factory=list)

    def give(self, track: int, component: int, pixels: np.ndarray) -> None:
        """Pixels of a component to a track."""
        self.parts.setdefault(track, []).append((component, pixels))


class SceneTracker:
    """Tracks of all that is active.

    Args:
        sensor_size: (width, height), px.
        hop_us: time between moments, µs.
    """

    def __init__(self, sensor_size: tuple[int, int], hop_us: int) -> None:
        self.size, self.width = sensor_size, sensor_size[0]
        self.hop_us = hop_us
        self.tracks: list[SceneTrack] = []
        self.ended: list[SceneTrack] = []
        self._made = 0

    def favour(self, t_us: int, favoured: np.ndarray) -> bool:
        """Mark where tracks that are well known are expected: 1 in uint8 (H, W); -> whether there are any."""
        known = [track for track in self.tracks if track.known and not self._waits(track, t_us)]
        for track, (right, down) in zip(known, ways(known, t_us).tolist(), strict=True):
            mark(*track.mask, round(down), round(right), 1, favoured)
        return bool(known)

    def step(self, moment: Moment) -> None:
        """Go on to a moment."""
        self._drop([track for track in self.tracks if moment.t_us - track.last_us > self._patience(track)])
        expected = self._all_expected(moment)
        assigned = self._assigned(moment, expected)
        for number, parts in assigned.parts.items():
            track = self.tracks[number]
            if number in assigned.met:
                own = np.divmod(np.concatenate([pixels for _, pixels in parts]), self.width)
                track.meet(expected[number].mask, own, moment.components.boxes[[k for k, _ in parts]], moment.t_us)
            else:
                parts.sort(key=lambda part: -int(expected[number].shared[part[0]]))
                assigned.fresh += self._goes_on(track, parts, moment, enlarged=number in assigned.enlarged)
        new = [*(k for k, _ in assigned.rest), *assigned.fresh]
        drifts = moment.drifts(new) if new else np.zeros((0, 2))
        for k, pixels in assigned.rest:
            self._is_left(k, pixels, moment, (expected, assigned.parts), drifts[k])
        for k in sorted(assigned.fresh):
            self._begins(np.divmod(moment.components.of(k), self.width), moment.components.boxes[k], moment.t_us, drifts[k])
        neighbours(self.tracks, len(assigned.fresh))
        self._drop(assigned.pieces)

    def finished(self) -> list[SceneTrack]:
        """All tracks, by id."""
        return sorted(self.ended + self.tracks, key=lambda track: track.id)

    def _assigned(self, moment: Moment, expected: list[Expected]) -> _Assigned:
        assigned = _Assigned()
        touching: list[list[int]] = [[] for _ in moment.components.boxes]  # tracks that have pixels of each component
        for i, k in zip(*(at.tolist() for at in np.nonzero([one.shared for one in expected])), strict=True) if expected else ():
            touching[k].append(i)
        for k, box in enumerate(moment.components.boxes):
            pixels = moment.components.of(k)
            owners = self._owners(k, len(pixels), expected, touching[k], known_first=True)
            if len(owners) == 1 and self._outgrows(owners[0], box):
                owners = self._owners(k, len(pixels), expected, touching[k], known_first=False)
            if len(owners) > 1:
                owners = self._one_of(owners, moment.t_us, assigned)
                if len(owners) == 1:
                    assigned.give(owners[0], k, pixels)
                    continue
            if not owners:
                assigned.fresh.append(k)
            elif len(owners) > 1:
                assigned.met.update(owners)
                of = nearest(np.divmod(pixels, self.width), box, [expected[i].mask for i in owners])
                for number, owner in enumerate(owners):
                    assigned.give(owner, k, pixels[of == number])
            elif self._outgrows(owners[0], box):  # it has met something that is not tracked, or waits
                near = self._near(pixels, expected[owners[0]].mask)
                assigned.met.add(owners[0])
                assigned.give(owners[0], k, pixels[near])
                if not near.all():
                    assigned.rest.append((k, pixels[~near]))
            else:
                assigned.give(owners[0], k, pixels)
        return assigned

    def _one_of(self, owners: list[int], t_us: int, assigned: _Assigned) -> list[int]:
        """Tracks that have met, without those that are pieces of others."""
        tracks = [self.tracks[i] for i in owners]
        if not tracks[0].known:  # all are young
            largest = max(owners, key=lambda i: len(self.tracks[i].y))
            for i in owners:
                if i != largest and not self.tracks[i].part_of:
                    self.tracks[i].part_of = self.tracks[largest].id
                    assigned.pieces.append(self.tracks[i])
            return [largest]
        found = pieces(tracks, t_us, self.hop_us)
        if found:
            assigned.pieces += found
            owners = [i for i in owners if not self.tracks[i].part_of]
            assigned.enlarged.update(owners)
        return owners

    def _is_left(
        self,
        k: int,
        pixels: np.ndarray,
        moment: Moment,
        known: tuple[list[Expected], dict[int, list[tuple[int, np.ndarray]]]],
        drift: np.ndarray,
    ) -> None:
        """What a track left over of a component is one that waits, or a new one. known: where tracks are expected, and which of
        them are seen."""
        expected, seen = known
        waiting = [
            i
            for i, one in enumerate(expected)
            if i not in seen and self.tracks[i].known and one.shared[k] >= OVERLAP * min(len(pixels), len(self.tracks[i].y))
        ]
        y, x = np.divmod(pixels, self.width)
        if waiting:
            best = max(waiting, key=lambda i: int(expected[i].shared[k]))
            seen[best] = []
            track = self.tracks[best]
            track.take(y, x, box_of((y, x)), moment.t_us, waited=self._waits(track, moment.t_us))
        elif len(pixels) >= LEAST_PIXELS:
            self._begins((y, x), box_of((y, x)), moment.t_us, drift)

    def _begins(self, mask: Mask, box: np.ndarray, t_us: int, velocity: np.ndarray) -> SceneTrack:
        self._made += 1
        place, half = 0.5 * (box[:2] + box[2:] - 1.0), 0.5 * (box[2:] - box[:2])
        track = SceneTrack(self._made, t_us, place, velocity, half, *mask, sensor_size=self.size)
        track.add(t_us, Seen.ALONE)
        track.own = mask
        self.tracks.append(track)
        return track

    def _goes_on(self, track: SceneTrack, parts: list[tuple[int, np.ndarray]], moment: Moment, *, enlarged: bool) -> list[int]:
        """A track takes its components; -> those that are none of its parts."""
        left_out, taken = [], [parts[0][1]]
        waits = self._waits(track, moment.t_us)
        goes_on = waits and not track.cut_off  # bit by bit: its edges come first
        joint = moment.components.boxes[parts[0][0]]
        for k, pixels in parts[1:]:
            own = moment.components.boxes[k]
            both = np.concatenate([np.minimum(joint[:2], own[:2]), np.maximum(joint[2:], own[2:])])
            if track.known:
                too_large = not enlarged and bool(((both[2:] - both[:2]) > 2 * track.half * GROWTH + GROWTH_PX).any())
                apart = gap(joint, own) > max(APART_PX, APART_SIZES * float((own[2:] - own[:2]).max()))
                if too_large or (apart and not goes_on):
                    left_out.append(k)
                    continue
            joint = both
            taken.append(pixels)
        y, x = np.divmod(np.concatenate(taken), self.width)
        track.take(y, x, joint, moment.t_us, waited=waits, enlarged=enlarged)
        return left_out

    def _outgrows(self, number: int, box: np.ndarray) -> bool:
        """Whether a component is suddenly much larger than its track."""
        track = self.tracks[number]
        if not track.known:
            return False
        (left, top, right, bottom), (wide, high) = box.tolist(), (2 * track.half * GROWTH + GROWTH_PX).tolist()
        return bool(right - left > wide or bottom - top > high)

    def _near(self, pixels: np.ndarray, mask: Mask) -> np.ndarray:
        """Which pixels of a component lie within NEAR_PX of a mask: bool (m,)."""
        around = np.zeros(self.size[::-1], bool)
        around[grown(mask, round(NEAR_PX), self.size)] = True
        return np.asarray(around.reshape(-1)[pixels])

    def _waits(self, track: SceneTrack, t_us: int) -> bool:
        return t_us - track.last_us > 2 * self.hop_us

    def _patience(self, track: SceneTrack) -> int:
        """How long a track waits, µs."""
        return WAIT_US if track.known else 3 * self.hop_us

    def _drop(self, tracks: list[SceneTrack]) -> None:
        self.ended += tracks
        gone = set(tracks)
        self.tracks = [track for track in self.tracks if track not in gone]

    def _all_expected(self, moment: Moment) -> list[Expected]:
        """Where each track is expected: those that were seen just now together, which is quicker by far."""
        waits = [self._waits(track, moment.t_us) for track in self.tracks]
        seen = [track for track, waiting in zip(self.tracks, waits, strict=True) if not waiting]
        y, x, begins = _joined(seen)
        right, down = np.rint(ways(seen, moment.t_us).T).astype(np.int64)
        y, x, begins, shared = move_all(y, x, begins, down, right, moment.label, len(moment.components))
        masks = [(y[first:last].copy(), x[first:last].copy()) for first, last in itertools.pairwise(begins.tolist())]
        ahead = zip(masks, shared, strict=True)
        found = iter(self._found([track for track, waiting in zip(self.tracks, waits, strict=True) if waiting], moment))
        return [next(found) if waiting else Expected(*next(ahead), False) for waiting in waits]

    def _found(self, tracks: list[SceneTrack], moment: Moment) -> list[Expected]:
        """Where tracks that wait are expected: where each would be now, or, if it was whole, where it was, whichever has more in
        it."""
        if not tracks:
            return []
        n, nothing = len(moment.components), np.zeros(0, np.int64)
        way = ways(tracks, moment.t_us).T
        right, down = np.rint(way).astype(np.int64)
        reach = np.rint(np.minimum(NEAR_PX + FAR_SHARE * np.hypot(*way), FAR_PX)).astype(np.int64)
        stays = np.array([not track.cut_off for track in tracks])
        some = near(*_joined(tracks), down, right, stays, reach, moment.label)
        expected = []
        for track, *how, any_near in zip(tracks, *(own.tolist() for own in (down, right, stays, reach, some)), strict=True):
            y, x, shared = look_for(*track.mask, *how, moment.label, n) if any_near else (nothing, nothing, np.zeros(n, np.int64))
            expected.append(Expected((y, x), shared, True))
        return expected

    def _owners(self, k: int, size: int, expected: list[Expected], touching: list[int], *, known_first: bool) -> list[int]:
        """The tracks, of those that have pixels of it, that a component belongs to: those that have been seen just now before
        those that wait, of which the nearest alone, and those that are known before young ones."""
        over = [i for i in touching if expected[i].shared[k] >= OVERLAP * min(size, len(self.tracks[i].y))]
        now = [i for i in over if not expected[i].waits]
        if not now:
            return over if len(over) < 2 else [max(over, key=lambda i: int(expected[i].shared[k]))]
        known = [i for i in now if self.tracks[i].known]
        return (known_first and known) or sorted(now, key=lambda i: not self.tracks[i].known)


def _joined(tracks: list[SceneTrack]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The masks of tracks, one after the other: int64 y and x (m,), and (tracks + 1,) where that of each begins."""
    y, x = (np.concatenate([NOTHING, *own]) for own in ([track.y for track in tracks], [track.x for track in tracks]))
    return y, x, np.cumsum([0, *(len(track.y) for track in tracks)])
