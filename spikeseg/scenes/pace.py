"""How a recording is looked at, as the recording itself tells (ours)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.median import weighted_median

from .activity import BLOCK_PX, Activity, background_of_blocks, blocks_of, places_of
from .moments import Moment

WINDOWS_US = (5_000, 10_000, 20_000, 40_000, 80_000)
"""Windows that a recording may be looked at by."""

SAMPLES, SHARE = 24, 0.8
"""Moments at which windows are tried. The shortest counts in which active neurons see, in a given time, this share of the events
that they see in the best one ..."""

TIMES, LEAST_US = 2, 20_000
"""... times TIMES, and no shorter than LEAST_US: pieces of one object would else come apart where few of its events fall ..."""

SMEARS, SURE = (0.2, 0.3), 0.9
"""... but the shortest in which they see the share SURE where half of what is active is a smear, as it moves by more than a fifth
of its extent within LEAST_US; the shortest of all where by more than the second share."""

OF_ALL, SHORTEST_US = 0.1, 5_000
"""A window is no longer than this share of the recording, if that is no less than SHORTEST_US: to see that something moves takes
several."""


def pace(t: np.ndarray, x: np.ndarray, y: np.ndarray, sensor_size: tuple[int, int]) -> int:
    """The window to look at a recording by, µs: long enough that most of what moves is seen, short enough that it is no smear.

    Args:
        t: int64 (n,), rising, µs; one event at least.
        x: int64 (n,), px.
        y: int64 (n,), px.
        sensor_size: (width, height), px.
    """
    first, last = int(t[0]), int(t[-1])
    seen, smear = [], 0.0
    room, blocks = Room.of(sensor_size), blocks_of(x, y, sensor_size)
    places = places_of(x, y)
    for window in WINDOWS_US:
        samples = int(np.clip((last - first) // window, 1, SAMPLES))
        moments = np.linspace(first, last, samples + 2)[1:-1].astype(np.int64)
        mean = background_of_blocks(t, blocks, sensor_size, window)
        events, share = _tried((t, x, y, places), room, mean, window, moments)
        seen.append(events / (window * samples))
        if window == LEAST_US:
            smear = share
    best = max(seen)
    shortest, sure = (
        next(window for window, own in zip(WINDOWS_US, seen, strict=True) if own >= share * best) for share in (SHARE, SURE)
    )
    chosen = min(max(LEAST_US, TIMES * shortest), WINDOWS_US[-1])
    if chosen == LEAST_US:
        chosen = (LEAST_US, min(sure, LEAST_US), WINDOWS_US[0])[sum(smear > least for least in SMEARS)]
    return min(chosen, max(int((last - first) * OF_ALL), SHORTEST_US))


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


def _tried(
    events: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], room: Room, mean: np.ndarray, window: int, moments: np.ndarray
) -> tuple[float, float]:
    """Events at active neurons beyond the background's, and the median, over active neurons, of how far their component moves in
    a window, as a share of its extent."""
    (t, x, y, places), (activity, label, block) = events, room
    activity.rests_on(mean)
    excess, shares, weights = 0.0, [np.zeros(0)], [np.zeros(0, np.int64)]
    for moment in moments.tolist():
        part = slice(*np.searchsorted(t, [moment - window // 2, moment + window // 2]))
        activity.add(places[part])
        if window == LEAST_US:
            now = Moment.of(moment, activity, label, (t[part], x[part], y[part]))
            boxes, pixels = now.components.boxes, now.components.pixels
            shares.append((np.abs(now.drifts()) * window * 1e-6 / (boxes[:, 2:] - boxes[:, :2])).max(1))
            weights.append(np.diff(now.components.begins))
            now.clear()
        else:
            pixels = activity.pixels()
        excess += activity.events_at(pixels) - float(mean.reshape(-1)[block[pixels]].sum())
        activity.clear()
    share, weight = np.concatenate(shares), np.concatenate(weights)
    middle = weighted_median(share, weight) if len(share) else 0.0
    return max(excess, 0.0), middle
