"""How the camera moves: the one motion that events all over the sensor share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeseg.core import interrupts

from .camera_tiles import Events, Step, Tiles

LONGEST_S, SHORTEST_S, START_S = 0.4, 5e-4, 0.1
"""Stretches of events that are compared are so long at most, at least, and at the start."""
LEAST = 0.05
"""Stretches hold so many events for each cell at least."""
LADDER = (1.0, 0.25, 0.0625)
"""Where no motion is seen, it is looked for over these shares of START_S."""
SEEN = 0.3
"""A motion that this share of the tiles agrees with is followed."""
MOVES, COVERED, MOVES_CELLS, MOVES_STEPS = 0.6, 0.4, 0.5, 3
"""The camera moves where this share of the tiles, and of the sensor's area, agrees with a shift of so many cells, for so many
steps on end: a few large objects do not cover as much."""
BRIDGED_S = 0.3
"""A camera that turns back stands for less than this."""
SHIFT_CELLS = (2.0, 4.0)
"""Stretches are made longer and shorter to see shifts of this range."""
LOST_STEP_S = 0.2
"""Where no motion is seen, the next look is so much later."""


@dataclass(frozen=True, eq=False)
class CameraMotion:
    """How a static scene moves over the sensor.

    Attributes:
        sensor_size: (width, height), px.
        times_s: float64 (k,), rising: middles of the steps; the motion between them is interpolated.
        rates: float64 (k, 2, 3): a place (x, y) from the sensor's centre moves at rates @ (x, y, 1) px/s. Of no meaning where the
            camera stands.
        moving: bool (k,).
        support: float64 (k,), share of the sensor that agrees with the motion.
    """

    sensor_size: tuple[int, int]
    times_s: np.ndarray
    rates: np.ndarray
    moving: np.ndarray
    support: np.ndarray

    @property
    def still(self) -> bool:
        """Whether the camera stands still throughout (or moves too slowly to tell)."""
        return not bool(self.moving.any())

    def at(self, t_s: np.ndarray) -> np.ndarray:
        """Rates at times (n,): float64 (n, 2, 3)."""
        flat = self.rates.reshape(len(self.rates), 6)
        return np.stack([np.interp(t_s, self.times_s, column) for column in flat.T], -1).reshape(-1, 2, 3)

    def spans(self) -> list[tuple[float, float]]:
        """From when to when the camera moves, s; to the recording's ends where it moves at the first step or the last."""
        edges = np.flatnonzero(np.diff(np.r_[False, self.moving, False].astype(np.int8))).reshape(-1, 2)
        between = np.r_[-np.inf, (self.times_s[1:] + self.times_s[:-1]) / 2, np.inf]
        return [(float(between[begin]), float(between[end])) for begin, end in edges]

    def frame(self, times_s: np.ndarray, origin: int) -> np.ndarray:
        """Float64 (k, 2, 3): where a place (x, y) of the scene, given by where it lies on the sensor at times_s[origin] (from the
        sensor's centre, px), lies at each of times (k,), rising, s: [j] @ (x, y, 1)."""
        whole = np.tile(np.eye(3), (len(times_s), 1, 1))
        seconds = np.diff(times_s)
        rates = self.at((times_s[1:] + times_s[:-1]) / 2)
        now = np.eye(3)
        for k, rate in enumerate(rates * seconds[:, None, None], 1):
            step = np.eye(3)
            step[:2] += rate
            now = step @ now
            whole[k] = now
        return np.asarray((whole @ np.linalg.inv(whole[origin]))[:, :2])

    def settled(self, times_s: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Where places (k, 2), px, at times (k,), rising, s, would be if the camera had stood still since the first: float64
        (k, 2), px."""
        found, back, middle = np.array(places, np.float64), np.eye(3), 0.5 * (np.array(self.sensor_size) - 1)
        if self.still:
            return found
        between = 0.5 * (times_s[1:] + times_s[:-1])
        moves = np.any([(between >= begin) & (between <= end) for begin, end in self.spans()], axis=0)
        steps = np.where(moves[:, None, None], self.at(between), 0.0) * np.diff(times_s)[:, None, None]
        for k, rate in enumerate(steps, 1):
            step = np.eye(3)
            step[:2] += rate
            back = back @ np.linalg.inv(step)
            found[k] = middle + back[:2] @ [*(found[k] - middle), 1.0]
        return found

    @property
    def velocity(self) -> np.ndarray:
        """Float64 (k, 2), px/s, of the scene at the sensor's centre."""
        return np.asarray(self.rates[:, :, 2])


def camera_motion(
    t_s: np.ndarray, x: np.ndarray, y: np.ndarray, sensor_size: tuple[int, int], on: np.ndarray | None = None
) -> CameraMotion:
    """The camera's motion.

    Args:
        t_s: float64 (n,), s, never falling.
        x: integers (n,), px.
        y: integers (n,), px.
        sensor_size: (width, height), px.
        on: bool (n,), polarities; without them weak textures are missed.
    """
    events = Events(np.asarray(t_s, np.float64), x, y, np.zeros(0, bool) if on is None else on)
    tiles = Tiles.of(sensor_size)
    looks = list(_looks(events, tiles)) if len(events.t_s) > 1 and tiles.heard(events) >= MOVES else []
    if not looks:
        return CameraMotion(sensor_size, np.zeros(1), np.zeros((1, 2, 3)), np.zeros(1, bool), np.zeros(1))
    times, rates = np.array([look[0] for look in looks]), np.array([look[2].motion / look[1] for look in looks])
    support, covered, shift = (np.array([getattr(look[2], name) for look in looks]) for name in ("support", "covered", "shift"))
    agreed = (support >= MOVES) & (covered >= COVERED)
    moving = _lasting(agreed & (shift >= MOVES_CELLS), MOVES_STEPS)
    spans = np.array([look[1] for look in looks])
    _bridge(times, rates, moving, agreed | (support >= MOVES) & (shift < 1))
    _settle(times, rates, moving, (support >= MOVES) & (shift < SHIFT_CELLS[0] / 2), spans, sensor_size)
    return CameraMotion(sensor_size, times, rates, moving, support)


def _bridge(times: np.ndarray, rates: np.ndarray, moving: np.ndarray, known: np.ndarray) -> None:
    """Let steps between two that move, BRIDGED_S apart at most, move as well; those that are not known as these two do.

    times (k,), s; rates (k, 2, 3) and moving (k,) are changed in place; known: bool (k,)."""
    sure = np.flatnonzero(moving)
    for before, after in zip(sure[:-1].tolist(), sure[1:].tolist(), strict=True):
        if after - before > 1 and times[after] - times[before] <= BRIDGED_S:
            moving[before:after] = True
            for k in range(before + 1, after):
                if not known[k]:
                    share = (times[k] - times[before]) / (times[after] - times[before])
                    rates[k] = (1 - share) * rates[before] + share * rates[after]


def _settle(
    times: np.ndarray, rates: np.ndarray, moving: np.ndarray, unsure: np.ndarray, spans: np.ndarray, sensor_size: tuple[int, int]
) -> None:
    """Let steps that saw too small a shift to be sure of it take over the motion of the next one that is, if it may be their own.

    times, spans (k,): middles and lengths of the steps' stretches, s. rates: (k, 2, 3), changed in place; moving: bool (k,), too.
    """
    sure, places = moving & ~unsure, np.array([[x, y, 1.0] for x in (-0.25, 0.25) for y in (-0.25, 0.25)]) * [*sensor_size, 1]
    allowed = Tiles.of(sensor_size).bin_px
    for _ in range(len(times)):
        left, known = np.flatnonzero(unsure & ~sure), np.flatnonzero(sure)
        if not len(left) or not len(known):
            return
        other = known[np.abs(times[known] - times[left, None]).argmin(1)]
        change = (rates[left] - rates[other]) * spans[left, None, None]
        alike = (np.linalg.norm(change @ places.T, axis=1).mean(1) < allowed) & (
            np.abs(times[left] - times[other]) <= 2 * LONGEST_S
        )
        if not alike.any():
            return
        rates[left[alike]] = rates[other[alike]]
        moving[left[alike]] = sure[left[alike]] = True


def _looks(events: Events, tiles: Tiles) -> Iterator[tuple[float, float, Step]]:
    """(time, length of a stretch, Step) along a recording."""
    first, last = float(events.t_s[0]), float(events.t_s[-1])
    longest = min(LONGEST_S, (last - first) / 4)
    start = min(START_S, longest)
    span, now = start, first + min(start, longest)
    while True:
        interrupts.check()
        room = min(now - first, last - now)
        if room <= 0 or room < span / 2:
            break
        best, tried = None, set()
        for trial in (span, *(start * share for share in LADDER)):
            length = max(min(trial, room), _least(events, tiles, now))
            if length > room or length in tried:
                continue
            tried.add(length)
            step = _between(events, tiles, now, length)
            if best is None or step.support > best[1].support:
                best = length, step
            if step.support >= SEEN and step.farthest < 0.8:
                break
        if best is None:
            now += max(LOST_STEP_S if longest >= LOST_STEP_S else start, span / 2)
            continue
        length, step = best
        yield now, length, step
        seen = step.support >= SEEN
        if seen:
            low, high = SHIFT_CELLS
            span = length * (0.5 if step.shift > high else 1.0)
            if step.shift < low and length >= 0.99 * span:
                span = min(span * min(2.0, low / max(step.shift, 1e-3)), longest)
        now += max(span / 2, SHORTEST_S) if seen else max(LOST_STEP_S if longest >= LOST_STEP_S else start, span / 2)


def _least(events: Events, tiles: Tiles, now: float) -> float:
    """How long both stretches have to be to hold enough events."""
    least, middle = int(LEAST * tiles.shape[0] * tiles.shape[1]), int(np.searchsorted(events.t_s, now))
    if middle < least or middle + least > len(events.t_s):
        return float("inf")
    return max(now - float(events.t_s[middle - least]), float(events.t_s[middle + least - 1]) - now, SHORTEST_S)


def _between(events: Events, tiles: Tiles, now: float, length: float) -> Step:
    before, after = events.between(now - length, now), events.between(now, now + length)
    return tiles.step(tiles.image(events, before), tiles.image(events, after))


def _lasting(marks: np.ndarray, least: int) -> np.ndarray:
    """Runs of True of at least `least`, or of all there are."""
    edges = np.flatnonzero(np.diff(np.r_[False, marks, False].astype(np.int8)))
    kept = np.zeros(len(marks), bool)
    for begin, end in edges.reshape(-1, 2).tolist():
        kept[begin:end] = end - begin >= min(least, len(marks))
    return kept
