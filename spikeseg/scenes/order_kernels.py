# mypy: allow-untyped-defs, no-check-untyped-defs
"""The loops of `order`: do neighbouring events have one polarity, and from which cells do events come?"""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def agreement(t, x, y, on, own, step_us, shift, counts):
    """Pairs of events of one place and step that are of one polarity, beyond those that are by chance; and how many might be.

    Args:
        t: int64 (n,), rising, µs.
        x: int64 (n,), px.
        y: int64 (n,), px.
        on: bool (n,), polarity.
        own: int64 (m,), which events are looked at, rising.
        step_us: length of a step, from the first of them on, µs.
        shift: a place is 2**shift px wide and high.
        counts: int64 (rows, columns) of places, zeros; left so.
    """
    beyond, possible = 0.0, 0.0
    first = 0
    while first < len(own):
        now = t[own[first]]
        end = now + step_us - (now - t[own[0]]) % step_us
        last, ons = first, np.int64(0)
        while last < len(own) and t[own[last]] < end:
            i = own[last]
            bright = np.int64(on[i])
            counts[y[i] >> shift, x[i] >> shift] += 1 + (bright << 32)
            ons += bright
            last += 1
        pairs, same = np.int64(0), np.int64(0)
        for j in range(first, last):
            row, column = y[own[j]] >> shift, x[own[j]] >> shift
            n, k = counts[row, column] & 0xFFFFFFFF, counts[row, column] >> 32
            pairs += n * (n - 1)
            same += k * (k - 1) + (n - k) * (n - k - 1)
            counts[row, column] = 0
        n = last - first
        if n > 1:
            chance = (ons * (ons - 1) + (n - ons) * (n - ons - 1)) / (n * (n - 1))
            beyond += same - pairs * chance
            possible += pairs * (1 - chance)
        first = last
    return beyond, possible


@compiled()
def cells_of(x, y, own, shift, rank, out):
    """Cells of all events from the first of some to the last of them that fall into a cell with any of these; -> how many.

    Args:
        x: int64 (n,), px.
        y: int64 (n,), px.
        own: int64 (m,), 1 or more of the events, rising.
        shift: a cell is 2**shift px wide and high.
        rank: int64 (rows, columns) of cells, scratch of zeros.
        out: int64, filled: the cells' numbers, from 0, row by row.
    """
    for j in range(len(own)):
        rank[y[own[j]] >> shift, x[own[j]] >> shift] = 1
    cells = 0
    for row in range(rank.shape[0]):
        for column in range(rank.shape[1]):
            cells += rank[row, column]
            rank[row, column] *= cells
    n = 0
    for i in range(own[0], own[-1] + 1):
        cell = rank[y[i] >> shift, x[i] >> shift]
        out[n] = cell - 1
        n += cell > 0
    return n
