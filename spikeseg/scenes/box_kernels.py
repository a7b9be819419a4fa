# mypy: allow-untyped-defs, no-check-untyped-defs
"""The loop of `boxes`: what an object's events around a moment extend over, each moved along to that moment."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled

SAMPLE = 256
"""Numbers of a sample, by which the outermost of many are found."""


@compiled()
def nth(values, n):
    """The number that would be at place n if float64 (m,), which is reordered, were sorted (Hoare's selection)."""
    first, last = 0, values.size - 1
    while first < last:
        pivot, low, high = values[(first + last) // 2], first, last
        while low <= high:
            while values[low] < pivot:
                low += 1
            while values[high] > pivot:
                high -= 1
            if low <= high:
                values[low], values[high] = values[high], values[low]
                low += 1
                high -= 1
        if n <= high:
            last = high
        elif n >= low:
            first = low
        else:
            break
    return values[n]


@compiled()
def outermost(values, n, few, room):
    """The numbers that would be at place n from the start and from the end if float64 (m,), which is reordered, were sorted. Of
    many, the ends alone are sorted out, by what is that far out in a sample of them.

    few: float64, scratch, of so many as are a sample; room: float64 (2, m), scratch.
    """
    m, size = values.size, few.size
    if m < 8 * size:
        return nth(values, n), nth(values, m - 1 - n)
    for i in range(size):
        few[i] = values[i * m // size]
    share = size * (n + 1) / m
    rank = min(int(share + 4 * np.sqrt(share)) + 2, size // 2)
    low, high = nth(few, rank), nth(few, size - 1 - rank)
    below, above = 0, 0
    for i in range(m):
        room[0, below] = room[1, above] = values[i]
        below += values[i] <= low
        above += values[i] >= high
    first = nth(room[0, :below], n) if below > n else nth(values, n)
    return first, nth(room[1, :above], above - 1 - n) if above > n else nth(values, m - 1 - n)


@compiled(allocates=True)
def extents(t, x, y, moments, velocity, windows, least, outer, root):
    """Lowest and highest place of events around moments, but for the outermost.

    Args:
        t: int64 (n,), of one object's events, rising, µs.
        x: int64 (n,), px.
        y: int64 (n,), px.
        moments: int64 (m,), rising, µs.
        velocity: float64 (m, 2), px/s.
        windows: int64 (w,), half lengths that are tried until there are `least` events, rising, µs.
        least: int64 (m,), events, of each moment.
        outer: share that is left out at each side ...
        root: ... and this times the root of their number.

    Returns:
        float64 (m, 4): lowest x and y, highest x and y; NaN where there are too few events even in the longest window.
    """
    found, few = np.full((len(moments), 4), np.nan), np.empty(SAMPLE)
    for k in range(len(moments)):
        for w in range(len(windows)):
            first = np.searchsorted(t, moments[k] - windows[w])
            last = np.searchsorted(t, moments[k] + windows[w], side="right")
            n = last - first
            if n < least[k]:
                continue
            place, room = np.empty(n), np.empty((2, n))
            for axis in range(2):
                for i in range(n):
                    at = x[first + i] if axis == 0 else y[first + i]
                    place[i] = at - velocity[k, axis] * (t[first + i] - moments[k]) * 1e-6
                off = int(outer * n + root * np.sqrt(n))
                found[k, axis], found[k, 2 + axis] = outermost(place, off, few, room)
            break
    return found
