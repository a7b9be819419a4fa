# mypy: allow-untyped-defs, no-check-untyped-defs
"""Passes over the events of a span for `stars`, and over the places of a path for `paths`."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.core.interpolation_kernels import knot_before, linear


@compiled()
def drifted(t, x, y, times, shift, corner, places):
    """Places of events in a frame that does not turn, float64 (2, n), filled: columns and rows, from a corner (x, y) on.

    t: float64 (n,), rising, s; times: float64 (k,), s, and shift: float64 (k, 2), px, see `frame.Frame`.
    """
    knot, shift_x, shift_y = 0, shift[:, 0], shift[:, 1]
    for i in range(len(t)):
        knot = knot_before(t[i], times, knot)
        places[0, i] = x[i] - linear(t[i], times, shift_x, knot) - corner[0]
        places[1, i] = y[i] - linear(t[i], times, shift_y, knot) - corner[1]


@compiled()
def placed(events, start, seconds, counts, rates):
    """Events that count, by part of a span and pixel of its picture; -> how many.

    Args:
        events: `Events`, their places in the picture.
        start: of the span, s.
        seconds: its length, s.
        counts: float32 (parts, height, width), raised.
        rates: float64 (n,), filled from the beginning: their rates.
    """
    parts, height, width = counts.shape
    n = 0
    for i in range(len(events.t)):
        column, row = int(np.rint(events.x[i])), int(np.rint(events.y[i]))
        if events.rate[i] < np.inf and 0 <= column < width and 0 <= row < height:
            part = min(int((events.t[i] - start) / seconds * parts), parts - 1)
            counts[part, row, column] += np.float32(1)
            rates[n] = events.rate[i]
            n += 1
    return n


@compiled()
def summed(counts, column, sums):
    """Counts of 3 x 3 pixels, nothing beyond the picture.

    Args:
        counts: float32 (parts, height, width), whole numbers.
        column: float32 (width + 2,), zeros, used.
        sums: float32 (parts, height, width), filled.
    """
    parts, height, width = counts.shape
    left, middle, right = column[:width], column[1 : width + 1], column[2:]
    for part in range(parts):
        for y in range(height):
            above, own, below = counts[part, max(y - 1, 0)], counts[part, y], counts[part, min(y + 1, height - 1)]
            more, less = np.float32(0 < y), np.float32(y < height - 1)
            for x in range(width):
                middle[x] = own[x] + more * above[x] + less * below[x]
            for x in range(width):
                sums[part, y, x] = left[x] + middle[x] + right[x]


@compiled()
def taken(places, reach, gained, step):
    """Of what a path has gained, what it has near that of its places where this is most: set to 0 there; -> how much.

    Args:
        places: float64 (n, 2), px.
        reach: float64 (n,), within which each is near another one, px.
        gained: float64 (n,), >= 0, changed.
        step: every so many places are tried.
    """
    most, best = -1.0, 0
    for k in range(0, len(places), step):
        total = 0.0
        for i in range(len(places)):
            x, y = places[i, 0] - places[k, 0], places[i, 1] - places[k, 1]
            if x * x + y * y <= reach[i] * reach[i]:
                total += gained[i]
        if total > most:
            most, best = total, k
    for i in range(len(places)):
        x, y = places[i, 0] - places[best, 0], places[i, 1] - places[best, 1]
        if x * x + y * y <= reach[i] * reach[i]:
            gained[i] = 0.0
    return most
