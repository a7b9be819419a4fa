# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops over all events: columns of some of them, and which are of which object."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def choose(t, x, y, on, chosen, out_t, out_x, out_y, out_on):
    """Fill the columns of those events that are chosen, bool (n,), each with room for one more than there are."""
    n = 0
    for i in range(len(chosen)):
        out_t[n], out_x[n], out_y[n], out_on[n] = t[i], x[i], y[i], on[i]
        n += chosen[i]


@compiled(allocates=True)
def sort_by_number(ids, n):
    """Events by their number, integers from 0 to n, those of one number in their order; those of 0 are left out.

    Returns:
        int64 (m,), indices into ids; int64 (n + 1,), where those of each number from 1 on begin.
    """
    begins = np.zeros(n + 2, np.int64)
    for i in range(len(ids)):
        begins[ids[i] + 1] += 1
    for k in range(n + 1):
        begins[k + 1] += begins[k]
    order, filled = np.empty(len(ids), np.int64), begins.copy()
    for i in range(len(ids)):  # those of 0, too: nothing to decide is quicker
        order[filled[ids[i]]] = i
        filled[ids[i]] += 1
    return order[begins[1] :], begins[1:] - begins[1]


@compiled()
def rename(ids, names):
    """Give the events of each number, int32 (n,), another: that of names, int32, at its place."""
    for i in range(len(ids)):
        ids[i] = names[ids[i]]


@compiled(allocates=True)
def count_pairs(a, b, n, m):
    """How many events have each pair of numbers: int64 (n + 1, m + 1), of integers a from 0 to n and b from 0 to m."""
    counts = np.zeros((n + 1, m + 1), np.int64)
    for i in range(len(a)):
        counts[a[i], b[i]] += 1
    return counts


@compiled()
def look_up_pairs(a, b, table, out):
    """What a table, int32 (n, m), holds for each event's pair of numbers a and b: int32, filled."""
    for i in range(len(a)):
        out[i] = table[a[i], b[i]]
