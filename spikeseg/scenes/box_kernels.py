# mypy: allow-untyped-defs, no-check-untyped-defs
"""The loop of `boxes`: what an object's events around a moment extend over, each moved along to that moment."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


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
    found = np.full((len(moments), 4), np.nan)
    for k in range(len(moments)):
        for w in range(len(windows)):
            first = np.searchsorted(t, moments[k] - windows[w])
            last = np.searchsorted(t, moments[k] + windows[w], side="right")
            n = last - first
            if n < least[k]:
                continue
            for axis in range(2):
                place = np.empty(n)
                for i in range(n):
                    at = x[first + i] if axis == 0 else y[first + i]
                    place[i] = at - velocity[k, axis] * (t[first + i] - moments[k]) * 1e-6
                off = int(outer * n + root * np.sqrt(n))
                found[k, axis], found[k, 2 + axis] = nth(place, off), nth(place, n - 1 - off)
            break
    return found
