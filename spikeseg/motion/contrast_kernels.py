# mypy: allow-untyped-defs, no-check-untyped-defs
"""How sharp the picture is that the events of a moment make when they are moved back along a motion (ours)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

MARGIN = 20
"""Cells around the sensor into which events may be moved."""


class Moments(NamedTuple):
    """Events, and the moments at which they are looked at.

    Attributes:
        t: float64 (n,), rising, s.
        x, y: float64 (n,), px.
        back_x, back_y: float64 (n,), by how much they are moved back whatever the motion, px.
        middles: float64 (k,), rising, s.
        origin: float64 (k, 2), how far a moment's events are moved back in its middle, px.
        half: half a moment's length, s.
        rate: of the background, events/s per pixel.
        cell: side of the cells in which events are counted, px.
        width, height: of the sensor, px.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    back_x: np.ndarray
    back_y: np.ndarray
    middles: np.ndarray
    origin: np.ndarray
    half: float
    rate: float
    cell: float
    width: int
    height: int


@compiled(allocates=True)
def sharpness(moments, velocities, turn, out, strongest):
    """Evidence, nat, that the events of each moment are those of points that move by each velocity.

    n events of a cell in which the background has m tell n ln(n/m) - n + m, less the logarithm of the number of cells.

    Args:
        moments: see `Moments`.
        velocities: float64 (v, 2), px/s.
        turn: rate at which the field turns about the sensor's middle, rad/s.
        out: float64 (k, v), filled in.
        strongest: float64 (k, 5), filled in: evidence, place at the moment's middle and velocity of the cell that tells most.
    """
    cell, width, height = moments.cell, moments.width, moments.height
    columns, rows, inverse = int(width / cell) + 2 * MARGIN, int(height / cell) + 2 * MARGIN, 1.0 / cell
    t, n_events = moments.t, len(moments.t)
    counts, cells = np.zeros(columns * rows, np.int32), np.empty(n_events, np.int32)
    usual, price = moments.rate * cell * cell * 2 * moments.half, math.log(width * height / (cell * cell))
    gain = np.zeros(n_events + 1)
    for n in range(1, n_events + 1):
        if n > usual:
            gain[n] = max(n * math.log(n / usual) - n + usual - price, 0.0)
    since, x, y = np.empty(n_events), np.empty(n_events), np.empty(n_events)
    first = last = 0
    for k in range(len(moments.middles)):
        middle = moments.middles[k]
        while first < n_events and t[first] < middle - moments.half:
            first += 1
        last = max(last, first)
        while last < n_events and t[last] < middle + moments.half:
            last += 1
        m = last - first
        for i in range(m):
            e = first + i
            turned = turn * (t[e] - middle)
            back_x = moments.back_x[e] - moments.origin[k, 0] - turned * (moments.y[e] - 0.5 * height)
            back_y = moments.back_y[e] - moments.origin[k, 1] + turned * (moments.x[e] - 0.5 * width)
            since[i] = (t[e] - middle) * inverse
            x[i], y[i] = (moments.x[e] - back_x) * inverse + MARGIN, (moments.y[e] - back_y) * inverse + MARGIN
        for j in range(len(velocities)):
            vx, vy = velocities[j, 0], velocities[j, 1]
            used = 0
            for i in range(m):
                column, row = int(x[i] - vx * since[i]), int(y[i] - vy * since[i])
                if column < 0 or row < 0 or column >= columns or row >= rows:
                    continue
                at = row * columns + column
                cells[used] = at
                used += 1
                counts[at] += 1
            total = 0.0
            for c in range(used):
                n = counts[cells[c]]
                if n > 0:
                    total += gain[n]
                    counts[cells[c]] = 0
                    if gain[n] > strongest[k, 0]:
                        at = cells[c]
                        strongest[k, 0] = gain[n]
                        strongest[k, 1] = (at % columns - MARGIN + 0.5) * cell
                        strongest[k, 2] = (at // columns - MARGIN + 0.5) * cell
                        strongest[k, 3], strongest[k, 4] = vx, vy
            out[k, j] = total


@compiled()
def beside(moments, strongest, near, kept):
    """Which events are not near the strongest source of any moment: bool (n,), filled in. near: px."""
    first = 0
    for k in range(len(moments.middles)):
        middle = moments.middles[k]
        while first < len(moments.t) and moments.t[first] < middle - moments.half:
            first += 1
        i = first
        while i < len(moments.t) and moments.t[i] < middle + moments.half:
            s = moments.t[i] - middle
            x = moments.x[i] - strongest[k, 1] - strongest[k, 3] * s
            y = moments.y[i] - strongest[k, 2] - strongest[k, 4] * s
            kept[i] = strongest[k, 0] <= 0.0 or x * x + y * y > near * near
            i += 1
