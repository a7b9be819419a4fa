# mypy: allow-untyped-defs, no-check-untyped-defs
"""One pass over the events for `background`: repeats of a pixel, bursts of rows, and how many events a block has at a moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

BLOCK_PX = 24
"""Side of the blocks of the sensor in which bursts and drifts are looked for, px."""

CELLS, POINT = 3, 2 / 3
"""Where 2 x 2 of the CELLS x CELLS cells of a block have more than this share of its events, these are a point's that passes, no
burst's."""


class Bursts(NamedTuple):
    """See the constants of `background`: seconds, events and pixels."""

    repeat_s: float
    row_s: float
    row_events: int
    row_px: int
    block_s: float
    points: bool


@compiled(allocates=True)
def bursts(t, x, y, width, height, settings, repeated, of_row, moment):
    """Fill in: bool (n,), whether the event repeats its pixel's last; whether it is one of a row's; int64 (n,), how many events
    its block has in its BLOCK_S; where `settings.points`, without repeats, and as many as beside a point that passes."""
    n = len(t)
    last = np.full(width * height, -np.inf)
    for i in range(n):
        pixel = y[i] * width + x[i]
        repeated[i] = t[i] - last[pixel] < settings.repeat_s
        last[pixel] = t[i]
    counts, low, high = np.zeros(height, np.int64), np.zeros(height, np.int64), np.zeros(height, np.int64)
    first = 0
    while first < n:
        end, most = first, 0
        moment_end = (np.floor(t[first] / settings.row_s) + 1) * settings.row_s
        while end < n and (t[end] < moment_end or end == first):
            counts[y[end]] += 1
            most = max(most, counts[y[end]])
            end += 1
        if most >= settings.row_events:
            for i in range(first, end):
                low[y[i]] = high[y[i]] = x[i]
            for i in range(first, end):
                row = y[i]
                low[row], high[row] = min(low[row], x[i]), max(high[row], x[i])
            for i in range(first, end):
                row = y[i]
                of_row[i] = counts[row] >= settings.row_events and high[row] - low[row] >= settings.row_px
        for i in range(first, end):
            counts[y[i]] = 0
        first = end
    columns = (width + BLOCK_PX - 1) // BLOCK_PX
    rows = (height + BLOCK_PX - 1) // BLOCK_PX
    column_of, row_of = np.arange(width) // BLOCK_PX, np.arange(height) // BLOCK_PX * columns
    cell_of = np.arange(max(width, height)) % BLOCK_PX // (BLOCK_PX // CELLS)
    blocks, cells = np.zeros(columns * rows, np.int64), np.zeros((columns * rows, CELLS, CELLS), np.int64)
    first = 0
    while first < n:
        end = first
        moment_end = (np.floor(t[first] / settings.block_s) + 1) * settings.block_s
        while end < n and (t[end] < moment_end or end == first):
            moment[end] = row_of[y[end]] + column_of[x[end]]
            if settings.points and not repeated[end]:
                cells[moment[end], cell_of[y[end]], cell_of[x[end]]] += 1
            blocks[moment[end]] += 1
            end += 1
        for i in range(first, end):
            block = moment[i]
            if settings.points and blocks[block] > 0:
                blocks[block] = -1 - beside_point(cells[block])
                cells[block] = 0
            moment[i] = abs(blocks[block] + 1) if settings.points else blocks[block]
        blocks[:] = 0
        first = end


@compiled()
def beside_point(cells):
    """Events of a block, from the counts of its cells, int64 (CELLS, CELLS); without a point's, see `POINT`."""
    total = most = 0
    for i in range(CELLS):
        for j in range(CELLS):
            total += cells[i, j]
            if i and j:
                most = max(most, cells[i - 1, j - 1] + cells[i - 1, j] + cells[i, j - 1] + cells[i, j])
    if most <= POINT * total:
        return total
    return int((total - most) * (CELLS * CELLS / (CELLS * CELLS - 4)))


@compiled()
def count(x, y, marks, counts, hidden, counted):
    """Events that no mark excludes.

    Args:
        x: int16 (n,), px.
        y: int16 (n,), px.
        marks: three times bool (n,): of a star, repeated, one of a row's.
        counts: float64 (height, width), raised by such events.
        hidden: bool (height, width), set where stars have events.
        counted: bool (n,), filled: whether the event is such a one.
    """
    of_star, repeated, of_row = marks
    for i in range(len(x)):
        counted[i] = not (of_star[i] or repeated[i] or of_row[i])
        if counted[i]:
            counts[y[i], x[i]] += 1.0
        elif of_star[i]:
            hidden[y[i], x[i]] = True


@compiled()
def blocks(t, x, y, hot, grid, counted, cell, counts):
    """Events by step of time and block of the sensor.

    Args:
        t: float64 (n,), s.
        x: int16 (n,), px.
        y: int16 (n,), px.
        hot: bool (height, width).
        grid: first time and length of a step, s.
        counted: bool (n,), cleared for events of hot pixels.
        cell: int32 (n,), filled: where in the flat counts the event belongs.
        counts: float64 (steps, rows, columns), raised by those that are counted.
    """
    origin, length = grid
    steps, rows, columns = counts.shape
    flat = counts.reshape(-1)
    for i in range(len(t)):
        step = min(int((t[i] - origin) / length), steps - 1)
        cell[i] = (step * rows + y[i] // BLOCK_PX) * columns + x[i] // BLOCK_PX
        counted[i] = counted[i] and not hot[y[i], x[i]]
        if counted[i]:
            flat[cell[i]] += 1.0


@compiled()
def rates(x, y, counted, background, block, rate):
    """Fill in, float64 (n,): background of each event, events/s; inf where it is not counted.

    Args:
        x: int16 (n,), px.
        y: int16 (n,), px.
        counted: bool (n,).
        background: float64 (height, width), mean of each pixel, events/s; int32 (n,), block of each event in its time; float64,
            by how much these exceed the mean; int64 (n,), events of its block at its moment.
        block: what a moment's block takes in, px² s.
        rate: filled.
    """
    steady, cell, drift, moment = background
    for i in range(len(x)):
        if not counted[i]:
            rate[i] = np.inf
            continue
        own = steady[y[i], x[i]] * drift[cell[i]]
        expected = max(own, 1e-9) * block
        if moment[i] > expected + 5 * np.sqrt(expected) + 5:
            own = own * moment[i] / expected
        rate[i] = max(own, 1e-4)
