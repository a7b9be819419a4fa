# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled: the densest point of velocities, and slopes of tracks."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def slope(t, positions, out):
    """Slope per s of the straight line nearest to positions (n, 2) at times (n,), µs, into out (2,)."""
    mean = 0.0
    for k in range(t.size):
        mean += t[k]
    mean /= t.size
    squares = 0.0
    out[0] = out[1] = 0.0
    for k in range(t.size):
        off = (t[k] - mean) * 1e-6
        squares += off * off
        out[0] += off * positions[k, 0]
        out[1] += off * positions[k, 1]
    out[0] /= squares
    out[1] /= squares


@compiled()
def density(x, y, points, weight, variance):
    """Sum of Gaussians at (x, y). points: float64 (n, 2); weight, variance: float64 (n,)."""
    total = 0.0
    for k in range(weight.size):
        dx, dy = x - points[k, 0], y - points[k, 1]
        total += weight[k] * np.exp(-(dx * dx + dy * dy) / (2 * variance[k]))
    return total


@compiled()
def climb(peak, steps, points, weight, variance):
    """Mean shift of peak (2,), in place, towards the densest point nearby."""
    for _ in range(steps):
        total, x, y = 0.0, 0.0, 0.0
        for k in range(weight.size):
            dx, dy = peak[0] - points[k, 0], peak[1] - points[k, 1]
            pull = weight[k] * np.exp(-(dx * dx + dy * dy) / (2 * variance[k])) / variance[k]
            total += pull
            x += pull * points[k, 0]
            y += pull * points[k, 1]
        peak[0], peak[1] = x / total, y / total
