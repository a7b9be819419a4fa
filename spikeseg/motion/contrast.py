"""How the star field moves from moment to moment, by the contrast of its events (ours, after Gallego et al. 2018).

While the telescope turns, a star's velocity changes within a second by more than anything that follows single stars allows for.
But all of them change alike: moved back along the field's motion the events of a moment make a picture of sharp points, along
any other one of streaks. So the motion is that along which the pictures are sharpest, moment by moment, at no more of a change
than a telescope makes: the best path through all velocities (Viterbi 1967), in coarse steps, then in finer ones around it, by
longer moments. The strongest source of a moment does not count: one source is no field of stars.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from spikeseg.core import interrupts

from . import contrast_kernels as kernels
from .contrast_kernels import Moments
from .events import Events
from .frame import Frame

FASTEST_PX_S = 128.0
"""Along each axis velocities are tried up to this, px/s."""

COARSE = 1 / 8, 16.0, 4.0
"""First by moments of so long, s, in such steps, px/s, and cells of this side, px."""

FINER = ((1 / 2, 4.0), (1.0, 2.0))
"""Then by moments of so long, s, in such steps, px/s, two to either side; moments overlap by half."""

CELL_PX = 3.0
"""Side of the cells then, px."""

CHANGE_NATS, MOST_STEPS = 2.0, 2
"""What a change by one step costs from moment to moment, nat; and by how many steps it may be."""

STILL_NATS, KNOWN_NATS = 1.5, 1.0
"""What tells, where nothing else does, for a field that rests, and for what was known of it, nat per moment."""

SMOOTHED = 4
"""Moments over which the coarse motion is averaged."""

NEAR_PX = 10.0
"""What is nearer than this to the strongest source of a moment, px, is its."""

TURNS = np.arange(-8, 9) * 0.0025
"""Rates of the field's rotation that are tried, rad/s."""


def frame_by_contrast(events: Events, sensor_size: tuple[int, int], known: Frame) -> Frame:
    """The frame in which the stars stand still, as the events have it.

    Args:
        events: of a recording; those that do not count are left out.
        sensor_size: (width, height), px.
        known: what was known of it, which holds where the events do not tell otherwise; its times are those of the new one.
    """
    counts = np.isfinite(events.rate)
    t, x, y, rate = events.t[counts], events.x[counts], events.y[counts], events.rate[counts]
    if len(t) < 2:
        return known
    background = 2 * float(np.median(rate))

    def moments(chosen: np.ndarray, seconds: float, apart: float, cell: float, along: Frame | None) -> Moments:
        middles = np.arange(t[0] + apart / 2, max(t[-1], t[0] + apart), apart)
        back, origin = (np.zeros((len(times), 2)) if along is None else along.at(times)[1] for times in (t[chosen], middles))
        columns = np.ascontiguousarray(back[:, 0]), np.ascontiguousarray(back[:, 1])
        return Moments(t[chosen], x[chosen], y[chosen], *columns, middles, origin, seconds / 2, background, cell, *sensor_size)

    seconds, step, cell = COARSE
    axis = np.arange(-FASTEST_PX_S, FASTEST_PX_S + step / 2, step)
    kept = np.ones(len(t), bool)
    of_moments = moments(kept, seconds, seconds, cell, None)
    _, strongest = _told(of_moments, _grid(axis))
    kernels.beside(of_moments, strongest, NEAR_PX, kept)
    nats, _ = _told(moments(kept, seconds, seconds, cell, None), _grid(axis))
    nats = nats.reshape(-1, len(axis), len(axis))
    middles = of_moments.middles
    nats[:, len(axis) // 2, len(axis) // 2] += STILL_NATS
    before = _between(middles, known.times_s, known.rates[:, :2])
    column, row = np.clip(np.rint((before - axis[0]) / step).astype(np.int64), 0, len(axis) - 1).T
    nats[np.arange(len(middles)), row, column] += KNOWN_NATS
    path = _best_path(nats)
    as_before = (path == np.stack([column, row], 1)).all(1, keepdims=True)
    coarse = uniform_filter1d(np.where(as_before, before, axis[path]), SMOOTHED, axis=0, mode="nearest")
    no_turn = np.zeros(len(known.times_s))
    frame = Frame.moving(known.times_s, np.column_stack([_between(known.times_s, middles, coarse), no_turn]), sensor_size)
    offsets = np.arange(-2, 3)
    for seconds, step in FINER:
        of_moments = moments(kept, seconds, seconds / 2, CELL_PX, frame)
        nats, _ = _told(of_moments, _grid(offsets * step))
        nats[:, nats.shape[1] // 2] += KNOWN_NATS
        more = step * offsets[_best_path(nats.reshape(-1, len(offsets), len(offsets)))]
        change = _between(known.times_s, of_moments.middles, more)
        frame = Frame.moving(known.times_s, frame.rates + np.column_stack([change, no_turn]), sensor_size)
    of_moments = moments(kept, 1.0, 1.0, CELL_PX, frame)
    sums = np.array([_told(of_moments, np.zeros((1, 2)), turn)[0].sum() for turn in TURNS.tolist()])
    sums[len(TURNS) // 2] += KNOWN_NATS * len(of_moments.middles)
    turn = np.full(len(known.times_s), TURNS[int(np.argmax(sums))])
    return Frame.moving(known.times_s, np.column_stack([frame.rates[:, :2], turn]), sensor_size)


def _told(moments: Moments, velocities: np.ndarray, turn: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """See `kernels.sharpness`."""
    interrupts.check()
    out, strongest = np.zeros((len(moments.middles), len(velocities))), np.zeros((len(moments.middles), 5))
    kernels.sharpness(moments, velocities, turn, out, strongest)
    return out, strongest


def _between(at_s: np.ndarray, t_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (k, 2) of times (k,), linear between these: float64 (n, 2)."""
    return np.stack([np.interp(at_s, t_s, values[:, axis]) for axis in (0, 1)], -1)


def _grid(axis: np.ndarray) -> np.ndarray:
    """All pairs of an axis' values, the first fastest: float64 (n * n, 2)."""
    return np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype(np.float64)


def _best_path(nats: np.ndarray) -> np.ndarray:
    """Column and row of the path of most evidence through float64 (moments, rows, columns): int64 (moments, 2)."""
    moments, rows, columns = nats.shape
    steps = range(-MOST_STEPS, MOST_STEPS + 1)
    moves = sorted(((x, y) for x in steps for y in steps), key=lambda move: (move[0] ** 2 + move[1] ** 2, move))
    best, came = nats[0].copy(), np.zeros((moments, rows, columns), np.int64)
    for k in range(1, moments):
        around = np.pad(best, MOST_STEPS, constant_values=-np.inf)
        best = np.full((rows, columns), -np.inf)
        for n, (x, y) in enumerate(moves):
            from_there = around[MOST_STEPS + y :, MOST_STEPS + x :][:rows, :columns] - CHANGE_NATS * np.hypot(x, y)
            better = from_there > best
            best[better], came[k][better] = from_there[better], n
        best += nats[k]
    path = np.zeros((moments, 2), np.int64)
    row, column = np.unravel_index(int(np.argmax(best)), best.shape)
    for k in range(moments - 1, -1, -1):
        path[k] = column, row
        x, y = moves[came[k, row, column]]
        row, column = row + y, column + x
    return path
