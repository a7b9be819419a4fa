# mypy: allow-untyped-defs, no-check-untyped-defs
"""The loop of `order`: do neighbouring events have one polarity?"""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def agreement(t, x, y, on, step_us, shift, counts):
    """Pairs of events of one place and step that are of one polarity, beyond those that are by chance; and how many might be.

    Args:
        t: int64 (n,), rising, µs.
        x: int64 (n,), px.
        y: int64 (n,), px.
        on: bool (n,), polarity.
        step_us: length of a step, from the first event on, µs.
        shift: a place is 2**shift px wide and high.
        counts: int64 (2, rows, columns) of places, zeros; left so.
    """
    beyond, possible = 0.0, 0.0
    first = 0
    while first < len(t):
        end = t[first] + step_us - (t[first] - t[0]) % step_us
        last, ons = first, np.int64(0)
        while last < len(t) and t[last] < end:
            counts[0, y[last] >> shift, x[last] >> shift] += 1
            counts[1, y[last] >> shift, x[last] >> shift] += on[last]
            ons += on[last]
            last += 1
        pairs, same = np.int64(0), np.int64(0)
        for i in range(first, last):
            row, column = y[i] >> shift, x[i] >> shift
            n, k = counts[0, row, column], counts[1, row, column]
            pairs += n * (n - 1)
            same += k * (k - 1) + (n - k) * (n - k - 1)
            counts[0, row, column], counts[1, row, column] = 0, 0
        n = last - first
        if n > 1:
            chance = (ons * (ons - 1) + (n - ons) * (n - ons - 1)) / (n * (n - 1))
            beyond += same - pairs * chance
            possible += pairs * (1 - chance)
        first = last
    return beyond, possible
