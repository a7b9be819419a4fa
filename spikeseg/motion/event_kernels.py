# mypy: allow-untyped-defs, no-check-untyped-defs
"""The loop of `events.index_of`, and one step of a walk over an index."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled

BLOCK_PX = 8
"""Side of a block of the index, px."""


@compiled(allocates=True)
def indexed(events, columns, rows, start, tick, ticks):
    """The order and the beginnings of an `Index`."""
    n, blocks = len(events.t), columns * rows
    key = np.empty(n, np.int64)
    begins = np.zeros(ticks * blocks + 1, np.int64)
    for i in range(n):
        of_tick = min(max(int((events.t[i] - start) / tick), 0), ticks - 1)
        key[i] = (of_tick * rows + int(events.y[i]) // BLOCK_PX) * columns + int(events.x[i]) // BLOCK_PX
        begins[key[i] + 1] += 1
    for k in range(ticks * blocks):
        begins[k + 1] += begins[k]
    order, filled = np.empty(n, np.int64), begins[:-1].copy()
    for i in range(n):
        order[filled[key[i]]] = i
        filled[key[i]] += 1
    return order, begins


@compiled(inlined=True)
def insert(out, began, n, i):
    """Put event i among out[began:n], whose numbers rise. Blocks of an index come one after the other, their events in order."""
    k = n
    while k > began and out[k - 1] > i:
        out[k] = out[k - 1]
        k -= 1
    out[k] = i
