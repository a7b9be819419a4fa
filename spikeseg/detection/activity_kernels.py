# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops of the activity filters, event by event."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled(allocates=True)
def denoise_events(t, x, y, size, filter_time):
    """`activity.denoise`; t, x, y: int64 (n,), on a sensor of this size (width, height). -> bool (n,)."""
    width, height = size
    until = np.full((width + 2, height + 2), filter_time, np.int64)  # a border that no event extends
    until[0, :] = until[-1, :] = until[:, 0] = until[:, -1] = np.iinfo(np.int64).min
    kept = np.zeros(len(t), np.bool_)
    for i in range(len(t)):
        c, r = x[i] + 1, y[i] + 1
        until[c, r] = t[i] + filter_time
        beside = max(until[c - 1, r], until[c + 1, r], until[c, r - 1], until[c, r + 1])
        kept[i] = beside > t[i]
    return kept


@compiled(allocates=True)
def grade_events(t, x, y, size, dy, dx, pad, tau):
    """`activity.graded`; t, x, y, size: see `denoise_events`; dy, dx: int64 (m,), offsets of pixels within reach, at most `pad`
    each. -> float64 (n,)."""
    width, height = size
    count = np.zeros((height + 2 * pad, width + 2 * pad))
    last = np.zeros((height + 2 * pad, width + 2 * pad))
    scores = np.zeros(len(t))
    for i in range(len(t)):
        r, c = y[i] + pad, x[i] + pad
        total = 0.0
        for k in range(len(dy)):
            rr, cc = r + dy[k], c + dx[k]
            if count[rr, cc] > 0.0:
                total += count[rr, cc] * np.exp((last[rr, cc] - t[i]) / tau)
        scores[i] = total
        count[r, c] = count[r, c] * np.exp((last[r, c] - t[i]) / tau) + 1.0
        last[r, c] = t[i]
    return scores
