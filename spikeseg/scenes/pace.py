"""How a recording is looked at, as the recording itself tells (ours)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.median import weighted_median

from .activity import BLOCK_PX, Activity, background_of_blocks, blocks_of, neurons_per_px
from .activity_kernels import RADIUS
from .moments import Moment

WINDOWS_US = (5_000, 10_000, 20_000, 40_000, 80_000)
"""Windows that a recording may be looked at by."""

SAMPLES, SHARE = 24, 0.8
"""Moments at which windows are tried. The shortest counts in which active neurons see, in a given time, this share of the events
that they see in the best one ..."""

TIMES, LEAST_US = 2, 20_000
"""... times TIMES, and no shorter than LEAST_US: pieces of one object would else come apart where few of its events fall ..."""

SMEAR = 0.2
"""... but the longest in which less than half of what is active is a smear: it moves by more than this share of its extent within
LEAST_US, and within the window by more than a neuron is wide. What moves by less is spread no further than neurons spread it."""

OF_ALL, SHORTEST_US = 0.1, 5_000
"""A window is no longer than this share of the recording, if that is no less than SHORTEST_US: to see that something moves takes
several."""


def pace(t: np.ndarray, places: np.ndarray, sensor_size: tuple[int, int]) -> int:
    """The window to look at a recording by, µs: long enough that most of what moves is seen, short enough that it is no smear.

    Args:
        t: int64 (n,), rising, µs; one event at least.
        places: uint32 (n,), pixels, see `places_of`.
        sensor_size: (width, height), px.
    """
    first, last = int(t[0]), int(t[-1])
    longest = max(int((last - first) * OF_ALL), SHORTEST_US)
    if longest <= WINDOWS_US[0]:
        return longest
    seen: dict[int, float] = {}
    way_px, room, blocks = 0.0, Room.of(sensor_size), blocks_of(places, sensor_size)
    counts = {window: int(np.clip((last - first) // window, 1, SAMPLES)) for window in WINDOWS_US}
    moments = {window: np.linspace(first, last, n + 2)[1:-1].astype(np.int64) for window, n in counts.items()}
    most = max(_events_in(t, window, moments[window]) / (window * n) for window, n in counts.items())
    for window, n in counts.items():
        if window != LEAST_US and seen.get(WINDOWS_US[0], 0.0) >= SHARE * most > 0:
            continue  # the shortest sees enough, whatever this one sees
        mean = background_of_blocks(t, blocks, sensor_size, window)
        events, way = _tried(t, places, room, mean, window, moments[window])
        seen[window] = events / (window * n)
        if window == LEAST_US:
            way_px = way
    shortest = next(window for window, own in seen.items() if own >= SHARE * max(seen.values()))
    chosen = min(max(LEAST_US, TIMES * shortest), WINDOWS_US[-1])
    if chosen == LEAST_US:
        wide_px = (2 * RADIUS + 1) / neurons_per_px(sensor_size)
        sharp = (window for window in WINDOWS_US if window <= LEAST_US and way_px * window <= wide_px * LEAST_US)
        chosen = max(sharp, default=WINDOWS_US[0])
    return min(chosen, longest)


class Room(NamedTuple):
    """Neurons and labels int32 (H, W) of a sensor, empty, left so; and the block of each pixel, int64 (H * W,)."""

    activity: Activity
    label: np.ndarray
    block: np.ndarray

    @classmethod
    def of(cls, sensor_size: tuple[int, int]) -> Room:
        """Of a sensor (width, height)."""
        column, row = (np.arange(length) // BLOCK_PX for length in sensor_size)
        blocks = np.zeros((int(row[-1]) + 1, int(column[-1]) + 1))
        block = (row[:, None] * blocks.shape[1] + column).reshape(-1)
        return cls(Activity(blocks, sensor_size), np.zeros(sensor_size[::-1], np.int32), block)


def _events_in(t: np.ndarray, window: int, moments: np.ndarray) -> int:
    """How many events lie in windows about moments: no fewer than active neurons see."""
    return int(np.subtract(*(np.searchsorted(t, moments + end) for end in (window // 2, -(window // 2)))).sum())


def _tried(
    t: np.ndarray, places: np.ndarray, room: Room, mean: np.ndarray, window: int, moments: np.ndarray
) -> tuple[float, float]:
    """Events at active neurons beyond the background's, and the median, over active neurons, of how far their component moves in
    LEAST_US, px, where that is more than the share SMEAR of its extent; 0 for the others, and in other windows."""
    activity, label, block = room
    activity.rests_on(mean)
    excess, ways, weights = 0.0, [np.zeros(0)], [np.zeros(0, np.int64)]
    for moment in moments.tolist():
        part = slice(*np.searchsorted(t, [moment - window // 2, moment + window // 2]))
        activity.add(places[part])
        if window == LEAST_US:
            now = Moment.of(moment, activity, label, t[part], places[part])
            boxes, pixels = now.components.boxes, now.components.pixels
            way = np.abs(now.drifts()) * window * 1e-6
            far = (way > SMEAR * (boxes[:, 2:] - boxes[:, :2])).any(1)
            ways.append(np.where(far, way.max(1), 0.0))
            weights.append(np.diff(now.components.begins))
            now.clear()
        else:
            pixels = activity.pixels()
        excess += activity.events_at(pixels) - float(mean.reshape(-1)[block[pixels]].sum())
        activity.clear()
    way, weight = np.concatenate(ways), np.concatenate(weights)
    return max(excess, 0.0), weighted_median(way, weight) if len(way) else 0.0
