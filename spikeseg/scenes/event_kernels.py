# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops over all events: which are of which object."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled(allocates=True)
def sort_by_number(ids, n):
    """Events by their number from 1 to n, those of one number in their order; 0 and beyond are left out.

    Returns:
        int64 (m,), indices into ids; int64 (n + 1,), where those of each number begin.
    """
    begins = np.zeros(n + 1, np.int64)
    for i in range(len(ids)):
        if 0 < ids[i] <= n:
            begins[ids[i]] += 1
    for k in range(n):
        begins[k + 1] += begins[k]
    order, filled = np.empty(begins[n], np.int64), begins.copy()
    for i in range(len(ids)):
        if 0 < ids[i] <= n:
            order[filled[ids[i] - 1]] = i
            filled[ids[i] - 1] += 1
    return order, begins


@compiled(allocates=True)
def count_by_number(ids, on, n):
    """How many events have each number from 0 to n, and how many of them are ON: int64 (n + 1,) each.

    ids: integers (m,), from 0 to n; on: bool (m,)."""
    events, bright = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    for i in range(len(ids)):
        events[ids[i]] += 1
        bright[ids[i]] += on[i]
    return events, bright


@compiled(allocates=True)
def count_pairs(a, b, n, m):
    """How many events have each pair of numbers: int64 (n + 1, m + 1), of integers a from 0 to n and b from 0 to m."""
    counts = np.zeros((n + 1, m + 1), np.int64)
    for i in range(len(a)):
        counts[a[i], b[i]] += 1
    return counts
