"""The frame of the star field: where its stars stand still, as it drifts and turns over the sensor (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikeseg.tracking.star_field import StarField

STEP_S = 1 / 16
"""The frame's motion is constant for so long, s."""


DIFFERS_PX_S, DIFFERS_SHARE = 0.5, 0.05
"""Frames differ if their stars' velocities do, by this, px/s, in this share of the time."""


STEADY_PX_S = 5.0
"""A field whose velocity changes by more than this in a recording, px/s, is not steady."""

STREAM_PX_S, STREAM_SHARE, STREAM_PERCENT = 10.0, 0.1, 5.0
"""Stars stream if they are faster than this, px/s, and keep to one velocity within STEADY_PX_S or this share of their speed, but
for so much of the time, %, at either end."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Places of the sky on the sensor: centre + R(angle) (place - centre) + shift.

    Attributes:
        times_s: float64 (k,), rising, at equal steps, s.
        angle: float64 (k,), rad, from x towards y.
        shift: float64 (k, 2), px.
        centre: float64 (2,), px.
        rates: float64 (k, 3), of the motion: of a star at the centre of the sensor, px/s, and of the angle, rad/s.
    """

    times_s: np.ndarray
    angle: np.ndarray
    shift: np.ndarray
    centre: np.ndarray
    rates: np.ndarray

    @classmethod
    def of(cls, field: StarField, span_s: tuple[float, float], sensor_size: tuple[int, int]) -> Frame:
        """Of a field that drifts, times in µs on the same clock."""
        times = _steps(*span_s)
        velocity = field.velocity((times + STEP_S / 2) * 1e6)
        return cls.moving(times, np.column_stack([velocity, np.zeros(len(times))]), sensor_size)

    @classmethod
    def moving(cls, times_s: np.ndarray, rates: np.ndarray, sensor_size: tuple[int, int]) -> Frame:
        """From its rates, float64 (k, 3), each for a step: velocity at the sensor's centre, px/s, and angle, rad/s."""
        seconds = np.diff(times_s, append=times_s[-1] + STEP_S)
        turn, half = rates[:, 2] * seconds, rates[:, :2] * seconds[:, None] / 2
        angle, shift = np.cumsum(np.append(0.0, turn[:-1])), np.zeros((len(times_s), 2))
        x = y = 0.0
        steps = np.column_stack([np.cos(turn), np.sin(turn), half])[:-1]
        for k, (cos, sin, half_x, half_y) in enumerate(steps.tolist(), 1):
            x, y = x + half_x, y + half_y
            x, y = cos * x - sin * y + half_x, sin * x + cos * y + half_y
            shift[k] = x, y
        return cls(times_s, angle, shift, np.array(sensor_size) / 2.0 - 0.5, rates)

    def at(self, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Angle (n,) and shift (n, 2) at times (n,), s."""
        if not self.rates.any():
            return np.zeros(len(t_s)), np.zeros((len(t_s), 2))
        angle = np.zeros(len(t_s)) if self.drifts else np.interp(t_s, self.times_s, self.angle)
        return angle, np.stack([np.interp(t_s, self.times_s, self.shift[:, axis]) for axis in (0, 1)], -1)

    @cached_property
    def drifts(self) -> bool:
        """Whether it does not turn."""
        return not self.angle.any()

    @cached_property
    def steady(self) -> bool:
        """Whether the field keeps to about one motion: the telescope does not turn to another one."""
        return bool(np.ptp(self.rates[:, :2], axis=0).max(initial=0.0) <= STEADY_PX_S)

    @cached_property
    def streams(self) -> bool:
        """Whether the stars stream over the sensor, at about one velocity: what rests there is no star."""
        velocity, speed = self.rates[:, :2], np.hypot(*self.rates[:, :2].T)
        low, high = np.percentile(velocity, [STREAM_PERCENT, 100 - STREAM_PERCENT], axis=0)
        steady = float(np.hypot(*(high - low))) <= max(STEADY_PX_S, STREAM_SHARE * float(np.median(speed)))
        return bool(np.percentile(speed, STREAM_PERCENT) >= STREAM_PX_S and steady)

    def to_sky(self, t_s: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Where in the frame places (n, 2) on the sensor are at times (n,): float64 (n, 2), px."""
        angle, shift = self.at(t_s)
        if self.drifts:
            return np.asarray(places - shift)
        return self.centre + _turned(places - self.centre - shift, -angle)

    def to_sensor(self, t_s: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Where on the sensor places (n, 2) of the frame are at times (n,): float64 (n, 2), px."""
        return self.moved(places, *self.at(t_s))

    def moved(self, places: np.ndarray, angle: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """`to_sensor` where the angle (n,) and the shift (n, 2) are known."""
        if self.drifts:
            return np.asarray(places + shift)
        return self.centre + _turned(places - self.centre, angle) + shift

    def velocity(self, t_s: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Velocity of stars at places (n, 2) on the sensor at times (n,): float64 (n, 2), px/s."""
        k = np.clip(np.searchsorted(self.times_s, t_s, side="right") - 1, 0, len(self.times_s) - 1)
        away = places - self.centre
        return self.rates[k, :2] + self.rates[k, 2:] * np.stack([-away[:, 1], away[:, 0]], 1)

    def differs(self, other: Frame) -> bool:
        """Whether another frame at the same times moves differently enough to matter."""
        change = np.abs(self.rates - other.rates)
        away = np.hypot(*change[:, :2].T) + change[:, 2] * float(self.centre.max())
        return bool(np.mean(away > DIFFERS_PX_S) > DIFFERS_SHARE)

    def as_field(self) -> StarField:
        """The motion of the sensor's centre over the stars."""
        edges = np.append(self.times_s, self.times_s[-1] + STEP_S) * 1e6
        change = np.flatnonzero(np.r_[True, np.any(np.diff(self.rates[:, :2], axis=0) != 0, axis=1)])
        return StarField(np.append(edges[change], edges[-1]), self.rates[change, :2])


def _turned(places: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Places (..., 2) turned about the origin."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = places[..., 0], places[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def _steps(first_s: float, last_s: float) -> np.ndarray:
    """Times from the first to behind the last, STEP_S apart."""
    return first_s + STEP_S * np.arange(max(2, int((last_s - first_s) / STEP_S) + 2))


ALIKE_PX_S, ALIKE_SHARE = 2.0, 0.04
"""A star's velocity agrees with the others' within ALIKE_PX_S, px/s, and this share of its speed."""

TOGETHER, TURNING = 3, 4
"""So many things have one velocity at a time if they are stars; or so many, if their field turns."""

EDGE_PX = 4.0
"""The sensor's edge is so wide, px: nearer to it a point's image is cut off."""

BIN_S = 0.25
"""Velocities are compared at this interval, s."""

LOOK_S, APART_PX = 0.1, 8.0
"""At this interval, s, it is asked whether things move alike that are further apart than this, px: nearer ones may be one."""


PAIR_S, KEEP_PX = 2.0, 2.5
"""Two that keep their distance to within KEEP_PX for so long, s, are stars: two objects hardly ever do."""


@dataclass(frozen=True, eq=False)
class Moving:
    """Where something is and how it moves at some times: t_s (n,), states (n, 4): x, y, px, vx, vy, px/s."""

    t_s: np.ndarray
    states: np.ndarray

    def at(self, t_s: np.ndarray) -> np.ndarray:
        """Its states (n, 4) at times (n,), s; NaN where it is not there."""
        states = np.stack([np.interp(t_s, self.t_s, column) for column in self.states.T], -1)
        states[(t_s < self.t_s[0]) | (t_s > self.t_s[-1])] = np.nan
        return states


def rigid(movers: Sequence[Moving], known: Frame, sensor_size: tuple[int, int]) -> tuple[np.ndarray, Frame]:
    """Which of several move like a field of stars, and the frame in which they stand still.

    Args:
        movers: paths, stars or objects.
        known: the frame elsewhere.
        sensor_size: (width, height), px.

    Returns:
        bool (n,), those that agree with the others in at least half of their time; and the frame.
    """
    agree, there = np.zeros(len(movers)), np.zeros(len(movers))
    rates = known.rates.copy()
    centre = known.centre
    edges = np.arange(known.times_s[0], known.times_s[-1] + BIN_S, BIN_S)
    states = np.array([mover.at(edges + BIN_S / 2) for mover in movers]).reshape(-1, len(edges), 4)
    inside = ~np.isnan(states[..., 0])
    for k, low in enumerate(edges.tolist()):
        index = np.flatnonzero(inside[:, k])
        there[index] += 1
        if len(index) < TOGETHER:
            continue
        table = states[index, k]
        motion, members = _consensus(table[:, :2] - centre, table[:, 2:])
        if members.any():
            agree[index[members]] += 1
            rates[(known.times_s >= low) & (known.times_s < low + BIN_S)] = motion
    stars = (there > 0) & (agree >= 0.5 * there)
    return stars, Frame.moving(known.times_s, rates, sensor_size)


def astray(movers: Sequence[Moving], frame: Frame) -> float:
    """For how long, s in all, each of several moves like another one, and unlike the stars of a frame: objects hardly ever do."""
    times = np.arange(frame.times_s[0], frame.times_s[-1], LOOK_S)
    states = np.array([mover.at(times) for mover in movers]).reshape(-1, len(times), 4)
    own = np.array([at[:, 2:] - frame.velocity(times, at[:, :2]) for at in states]).reshape(-1, len(times), 2)
    off = np.hypot(own[..., 0], own[..., 1]) > STEADY_PX_S  # never where something is not there
    total = 0.0
    for k in np.flatnonzero(off.sum(0) > 1).tolist():
        now, moves = states[off[:, k], k], own[off[:, k], k]
        apart, differ = (np.hypot(*np.moveaxis(column[:, None] - column, -1, 0)) for column in (now[:, :2], moves))
        alike = differ <= ALIKE_PX_S + ALIKE_SHARE * np.hypot(*now[:, 2:].T)
        total += LOOK_S * int((alike & (apart > APART_PX)).any(1).sum())
    return total


def pair(movers: Sequence[Moving]) -> np.ndarray | None:
    """The velocity, float64 (2,), px/s, of the two that keep their distance for longest, further apart than APART_PX, and for
    PAIR_S or more; None where there are none."""
    best, velocity = PAIR_S, None
    for k, one in enumerate(movers):
        for other in movers[:k]:
            first, last = max(one.t_s[0], other.t_s[0]), min(one.t_s[-1], other.t_s[-1])
            if last - first < best:
                continue
            times = np.linspace(first, last, 1 + int((last - first) / LOOK_S))
            states = np.array([mover.at(times) for mover in (one, other)])
            between = states[0, :, :2] - states[1, :, :2]
            if np.hypot(*between.T).min() > APART_PX and np.hypot(*np.ptp(between, axis=0)) <= KEEP_PX:
                best, velocity = last - first, states[:, :, 2:].mean((0, 1))
    return velocity


def _consensus(places: np.ndarray, velocities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The motion (vx, vy, turn) that most agree with, and which: bool (n,); none where they are too few."""
    tolerance = ALIKE_PX_S + ALIKE_SHARE * np.hypot(*velocities.T)
    across = np.stack([-places[:, 1], places[:, 0]], 1)
    best, members = np.zeros(3), np.zeros(len(places), bool)
    alike = np.hypot(*np.moveaxis(velocities - velocities[:, None], -1, 0)) <= tolerance
    if (agree := alike.sum(1)).max() >= TOGETHER:
        members = alike[np.argmax(agree)]
        best = np.array([*np.median(velocities[members], axis=0), 0.0])
    first, second = np.triu_indices(len(places), 1)
    between, change = places[second] - places[first], velocities[second] - velocities[first]
    distance = (between**2).sum(1)
    turn = (-between[:, 1] * change[:, 0] + between[:, 0] * change[:, 1]) / np.maximum(distance, 1.0)
    far = np.flatnonzero(distance > 15.0**2)[:400]
    start = velocities[first[far]] - turn[far, None] * across[first[far]]
    alike = np.hypot(*np.moveaxis(velocities - start[:, None] - turn[far, None, None] * across, -1, 0)) <= tolerance
    if (agree := alike.sum(1)).max(initial=0) >= max(TURNING, int(members.sum()) + 2):
        members = alike[np.argmax(agree)]
        design = np.zeros((2 * int(members.sum()), 3))
        design[0::2, 0], design[1::2, 1] = 1, 1
        design[:, 2] = across[members].reshape(-1)
        best = np.linalg.lstsq(design, velocities[members].reshape(-1), rcond=None)[0]
    return best, members
