"""A track of a scene while it lives, and how it follows what is seen of it (an alpha-beta filter; ours)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

YOUNG = 5
"""A track that was seen less often yields to others."""

POSITION_GAIN, VELOCITY_GAIN, FIRST_GAIN = 0.8, 0.15, 0.4
"""How far a track follows what it sees; its velocity at first and later (an alpha-beta filter)."""

SIZE_GAIN = 0.4
"""How far its size does."""

STOPPED_SHARE, STOPPED_SIZES, STOPPED_PX = 0.35, 0.5, 4.0
"""A track that is seen again where it was lost had stopped: within this share of the way that it would have come, and this share
of its size, as what stands does not go further the longer it waits; or within so many px; or if all that is seen of it lies
within where it was, but for so many px: its edges may come first. It has to be seen for as long again as makes it known for
that: of noise there is always some where noise was."""

CUT_OFF, LAST, USUAL = 0.7, 2, 40
"""It had not if it was going behind something, or out of the picture: if LAST rows before its last one, when its events still
filled the window, it was below this share of its usual area, the upper quartile of its last USUAL rows; or if less than this
share of it would be in the picture after so many rows more, as a fast thing is gone before it is seen in part."""

EDGE_GAIN = 0.5
"""How far a track that has met others follows the outer edge that is its own."""


NOTHING = np.zeros(0, np.int64)


class Shape(NamedTuple):
    """What a track was like at a moment, µs: see SceneTrack."""

    t_us: int
    place: np.ndarray
    half: np.ndarray
    velocity: np.ndarray


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
        events: how many it has, and
        surplus: the share of ON among them less that among all; known in the end.
        shapes: the last ones that it was seen by itself in, LAST before the last one and on.
        own: y and x, int64 (n,), where the events are its own now: its mask, or its share of a component.
        usual, spread: float64 (2,), mean (px/s) and variance of the velocities that it had when it was seen by itself.
        lag: float64 (2,), how far its mask, which moves by whole pixels, is behind it, px.
        sensor_size: (width, height) of the picture that it is in, px.
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
    events: int = 0
    surplus: float = 0.0
    shapes: list[Shape] = field(default_factory=list)
    own: tuple[np.ndarray, np.ndarray] = (NOTHING, NOTHING)
    usual: np.ndarray = field(default_factory=lambda: np.zeros(2))
    spread: np.ndarray = field(default_factory=lambda: np.zeros(2))
    lag: np.ndarray = field(default_factory=lambda: np.zeros(2))
    sensor_size: tuple[float, float] = (float("inf"), float("inf"))
    _cut_off: tuple[int, bool] = (0, False)  # as it was with so many rows

    @property
    def known(self) -> bool:
        """Whether it has been seen by itself often enough."""
        return self.alone >= YOUNG

    @property
    def mask(self) -> tuple[np.ndarray, np.ndarray]:
        """y and x of its pixels."""
        return self.y, self.x

    @property
    def cut_off(self) -> bool:
        """Whether it was cut off when it was last seen."""
        if self._cut_off[0] != len(self.rows):
            areas = [row[3] * row[4] for row in self.rows[-USUAL:]]
            cut_off = len(areas) > LAST and areas[-1 - LAST] < CUT_OFF * sorted(areas)[3 * len(areas) // 4]
            self._cut_off = len(self.rows), bool(cut_off or self._leaves())
        return self._cut_off[1]

    @property
    def shape(self) -> Shape:
        """What it is like now."""
        return Shape(self.last_us, self.place, self.half, self.velocity)

    @property
    def whole(self) -> Shape:
        """The same, or, if it was not cut off, as it was before it sent too few events to be seen whole."""
        return self.shapes[0] if self.shapes and not self.cut_off else self.shape

    def _leaves(self) -> bool:
        """Whether less than CUT_OFF of it would be in the picture in as long as its last LAST rows took."""
        if len(self.rows) <= LAST:
            return False
        place = self.place + self.velocity * ((self.last_us - self.rows[-1 - LAST][0]) * 1e-6)
        low, high = np.maximum(place - self.half, -0.5), np.minimum(place + self.half, np.array(self.sensor_size) - 0.5)
        return bool(np.maximum(high - low, 0).prod() < CUT_OFF * (2 * self.half).prod())

    def way(self, t_us: int) -> np.ndarray:
        """How far its mask has to come until a time, µs, if it goes on: float64 (2,), px."""
        return np.asarray(ways([self], t_us)[0])

    @property
    def sure(self) -> np.ndarray:
        """Which share of its velocity it will have kept, as it varied so far: float64 (2,); what swings keeps little of it."""
        square = self.velocity**2
        return square / np.maximum(square + self.spread, np.finfo(np.float64).tiny)

    def add(self, t_us: int, how: Seen) -> None:
        """A row."""
        self.last_us = t_us
        self.alone += how != Seen.MET
        self.rows.append((t_us, *self.place.tolist(), *(2 * self.half).tolist(), how))

    def take(self, y: np.ndarray, x: np.ndarray, box: np.ndarray, t_us: int, *, waited: bool, enlarged: bool = False) -> None:
        """It is seen by itself.

        Args:
            y: int64 (m,), its mask.
            x: int64 (m,).
            box: of the mask: left, top, right, bottom, px; the latter two are not part of it.
            t_us: when, µs.
            waited: whether it had been lost.
            enlarged: whether it is of another size than before, from now on.
        """
        place, half = 0.5 * (box[:2] + box[2:] - 1.0), 0.5 * (box[2:] - box[:2])
        seconds = (t_us - self.last_us) * 1e-6
        how, ahead = Seen.ALONE, self.place + self.velocity * seconds
        if waited:
            whole, how = self.whole, Seen.HIDDEN
            way = float(np.hypot(*(whole.velocity * (t_us - whole.t_us)))) * 1e-6
            still = max(min(STOPPED_SHARE * way, STOPPED_SIZES * 2 * float(whole.half.max())), STOPPED_PX)
            within = bool((np.abs(place - whole.place) + half <= whole.half + STOPPED_PX).all())
            if not self.cut_off and float(np.hypot(*(place - whole.place))) <= still:
                how, self.half, self.velocity = Seen.STOPPED, whole.half, 0.5 * whole.velocity
            elif not self.cut_off and within and self.alone >= 2 * YOUNG:
                how = Seen.STOPPED
            self.place = place
        else:
            off = place - ahead
            self.velocity = self.velocity + (VELOCITY_GAIN if self.known else FIRST_GAIN) * off / seconds
            self.place = ahead + (POSITION_GAIN if self.known else 1.0) * off
            gain = max(1 / self.alone, VELOCITY_GAIN)
            change = self.velocity - self.usual
            self.usual = self.usual + gain * change
            self.spread = (1 - gain) * (self.spread + gain * change**2)
        self.half = (1 - SIZE_GAIN) * self.half + SIZE_GAIN * half if self.known and not enlarged else half
        self.y, self.x = y, x
        self.lag = np.zeros(2)
        self.own = (y, x)
        self.add(t_us, how)
        if how == Seen.STOPPED:
            self._stood(whole)
        self.shapes = [*self.shapes[-LAST:], self.shape]

    def _stood(self, whole: Shape) -> None:
        """Its rows since then are as it was when it was whole: as it stops, and when it goes on, a part of it is seen."""
        since = sum(row[0] > whole.t_us for row in self.rows)
        box = *whole.place.tolist(), *(2 * whole.half).tolist()
        self.rows[-since:] = [(t_us, *box, how) for t_us, *_, how in self.rows[-since:]]

    def meet(self, mask: tuple[np.ndarray, np.ndarray], own: tuple[np.ndarray, np.ndarray], joint: np.ndarray, t_us: int) -> None:
        """It shares a component with others: it goes on as it went, and keeps its shape; where the joint outline is its own, it
        follows that.

        Args:
            mask: y and x, int64 (m,), where it was expected.
            own: y and x, int64 (n,), its share of the components.
            joint: int64 (c, 4), boxes of the components.
            t_us: when, µs.
        """
        moved, way = np.rint(self.way(t_us)), self.velocity * ((t_us - self.last_us) * 1e-6)
        self.place = self.place + way
        off = np.zeros(2)
        for axis, places in enumerate(own[::-1] if len(own[0]) else ()):
            low, high = int(places.min()), int(places.max())
            outer = []
            if (joint[:, axis] == low).any():
                outer.append(low - (self.place[axis] - self.half[axis] + 0.5))
            if (joint[:, 2 + axis] == high + 1).any():
                outer.append(high - (self.place[axis] + self.half[axis] - 0.5))
            limit = max(3.0, 0.25 * float(self.half[axis]))
            off[axis] = min(max(sum(outer) / len(outer), -limit), limit) if outer else 0.0
        self.place = self.place + EDGE_GAIN * off
        self.lag = self.lag + self.sure * way - moved + EDGE_GAIN * off
        if len(mask[0]):
            self.y, self.x = mask
        self.add(t_us, Seen.MET)
        self.own, self.shapes = own, []


def ways(tracks: Sequence[SceneTrack], t_us: int) -> np.ndarray:
    """`SceneTrack.way` of each of several: float64 (n, 2), px."""
    lags, velocities = (
        np.concatenate([np.zeros(0), *own]).reshape(-1, 2)
        for own in ([track.lag for track in tracks], [track.velocity for track in tracks])
    )
    since_us = t_us - np.array([track.last_us for track in tracks], np.int64)
    return lags + velocities * (since_us * 1e-6)[:, None]
