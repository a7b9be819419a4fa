# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops of the noise filters, event by event."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled

NEVER = np.iinfo(np.int64).min // 2
"""Time of the last event of a pixel that had none, µs: long before any."""


@compiled(allocates=True)
def ages(t, x, y, size):
    """Time since the last event of the eight pixels around each event, µs: int64 (n,), -1 without any.

    t, x, y: int64 (n,), t rising, on a sensor of this size (width, height)."""
    width, height = size
    last = np.full((height + 2, width + 2), NEVER, np.int64)
    found = np.full(len(t), -1, np.int64)
    for i in range(len(t)):
        r, c = y[i] + 1, x[i] + 1
        newest = NEVER
        for k in range(9):
            if k != 4:
                newest = max(newest, last[r - 1 + k // 3, c - 1 + k % 3])
        if newest > NEVER:
            found[i] = t[i] - newest
        last[r, c] = t[i]
    return found


@compiled(allocates=True)
def densities(t, x, y, p, size, radius, window):
    """How many pixels of the square around each event had an event of its polarity at most `window` µs ago: int64 (n,).

    t, x, y: see `ages`; p: int64 (n,), 0 or 1; radius: px, half of the square's side."""
    width, height = size
    last = np.full((2, height + 2 * radius, width + 2 * radius), NEVER, np.int64)
    found = np.zeros(len(t), np.int64)
    for i in range(len(t)):
        r, c = y[i] + radius, x[i] + radius
        for dr in range(-radius, radius + 1):
            for dc in range(-radius, radius + 1):
                found[i] += t[i] - last[p[i], r + dr, c + dc] <= window
        last[p[i], r, c] = t[i]
    return found


@compiled(allocates=True)
def surfaces(t, x, y, p, size, radius, tau):
    """Mean over the square around each event of exp(-age / tau) of each pixel's last event of its polarity: float64 (n,).

    See `densities`; tau: µs."""
    width, height = size
    last = np.full((2, height + 2 * radius, width + 2 * radius), NEVER, np.int64)
    found = np.zeros(len(t))
    for i in range(len(t)):
        r, c = y[i] + radius, x[i] + radius
        for dr in range(-radius, radius + 1):
            for dc in range(-radius, radius + 1):
                found[i] += np.exp((last[p[i], r + dr, c + dc] - t[i]) / tau)
        last[p[i], r, c] = t[i]
    return found / (2 * radius + 1) ** 2


@compiled(allocates=True)
def distances(x, y, length, near):
    """City-block distance of each event to the nearest of the last `length` events that were near another and of the last
    `length` that were not, px: int64 (n,), -1 without any. Near is what lies at most `near` px from one of them."""
    window, filled, at = np.zeros((2, length, 2), np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    found = np.full(len(x), -1, np.int64)
    for i in range(len(x)):
        best = -1
        for kind in range(2):
            for k in range(filled[kind]):
                distance = abs(window[kind, k, 0] - x[i]) + abs(window[kind, k, 1] - y[i])
                if best < 0 or distance < best:
                    best = distance
        found[i] = best
        kind = 0 if 0 <= best <= near else 1
        window[kind, at[kind], 0], window[kind, at[kind], 1] = x[i], y[i]
        at[kind] = (at[kind] + 1) % length
        filled[kind] = min(filled[kind] + 1, length)
    return found
