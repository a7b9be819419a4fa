# mypy: allow-untyped-defs, no-check-untyped-defs
"""The filter of `kalman`, compiled: number by number. Means and covariances are those of `kalman.Beliefs`."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def begin_all(positions, noise, first, out_mean, out_covariance):
    """Beliefs after one measurement each, float64 (n, 2), px: there, and of unknown velocity.

    noise, first: variances of a measurement, px², and of a velocity, px²/s². out_...: filled."""
    for k in range(positions.shape[0]):
        for axis in range(2):
            out_mean[k, 0, axis] = positions[k, axis]
            out_mean[k, 1, axis] = 0.0
        out_covariance[k, 0], out_covariance[k, 1], out_covariance[k, 2] = noise, 0.0, first


@compiled()
def predict_all(mean, covariance, seconds, wander, both, speed, out_mean, out_covariance):
    """Beliefs after a time of 0 or more without a measurement.

    For an acceleration of density q, px²/s³, over s seconds the three covariances grow by wander = q s³/3, both = q s²/2 and
    speed = q s. out_...: filled; may be the arrays given, changed in place."""
    for k in range(mean.shape[0]):
        p, b, v = covariance[k, 0], covariance[k, 1], covariance[k, 2]
        for axis in range(2):
            out_mean[k, 0, axis] = mean[k, 0, axis] + seconds * mean[k, 1, axis]
            out_mean[k, 1, axis] = mean[k, 1, axis]
        out_covariance[k, 0] = p + seconds * (2 * b + seconds * v) + wander
        out_covariance[k, 1] = b + seconds * v + both
        out_covariance[k, 2] = v + speed


@compiled()
def update_all(mean, covariance, positions, noise, out_mean, out_covariance):
    """Beliefs after a measured position each, float64 (n, 2), px.

    noise: variance of a measurement, px². out_...: filled; may be the arrays given."""
    for k in range(mean.shape[0]):
        p, b, v = covariance[k, 0], covariance[k, 1], covariance[k, 2]
        scale = p + noise
        for axis in range(2):
            off = positions[k, axis] - mean[k, 0, axis]
            out_mean[k, 0, axis] = mean[k, 0, axis] + p / scale * off
            out_mean[k, 1, axis] = mean[k, 1, axis] + b / scale * off
        out_covariance[k, 0] = p - p * p / scale
        out_covariance[k, 1] = b - p * b / scale
        out_covariance[k, 2] = v - b * b / scale


@compiled()
def gate(mean, variance, reach, positions, near, cost):
    """Which measurements lie within reach of which points, and their squared distances in units of the variance.

    Args:
        mean: float64 (n, 2, 2).
        variance: float64 (n,), of the predicted measurement, px².
        reach: float64 (n,), px.
        positions: float64 (m, 2), px.
        near: bool (n, m), filled.
        cost: float64 (n, m), filled.
    """
    for i in range(mean.shape[0]):
        for j in range(positions.shape[0]):
            dx, dy = mean[i, 0, 0] - positions[j, 0], mean[i, 0, 1] - positions[j, 1]
            squared = dx * dx + dy * dy
            near[i, j] = squared <= reach[i] * reach[i]
            cost[i, j] = squared / variance[i]


@compiled(allocates=True)
def smooth_track(times, positions, acceleration, noise, first, mean, covariance):
    """Filter forwards, then smooth backwards; equations as in `predict_all` and `update_all`.

    Args:
        times: float64 (n,), s.
        positions: float64 (n, 2), px.
        acceleration: its spectral density, px²/s³.
        noise: variance of a measurement, px².
        first: variance of the first velocity, px²/s².
        mean: float64 (n, 2, 2) of 0, filled.
        covariance: float64 (n, 3) of 0, filled.
    """
    n = times.size
    ahead_mean, ahead = np.zeros((n, 2, 2)), np.zeros((n, 3))
    mean[0, 0], covariance[0, 0], covariance[0, 2] = positions[0], noise, first
    for k in range(1, n):
        s = times[k] - times[k - 1]
        p, b, v = covariance[k - 1]
        ahead[k, 0] = p + s * (2 * b + s * v) + acceleration * s**3 / 3
        ahead[k, 1] = b + s * v + acceleration * s**2 / 2
        ahead[k, 2] = v + acceleration * s
        ahead_mean[k, 0] = mean[k - 1, 0] + s * mean[k - 1, 1]
        ahead_mean[k, 1] = mean[k - 1, 1]
        p, b, v = ahead[k]
        scale = p + noise
        off = positions[k] - ahead_mean[k, 0]
        mean[k, 0] = ahead_mean[k, 0] + p / scale * off
        mean[k, 1] = ahead_mean[k, 1] + b / scale * off
        covariance[k, 0], covariance[k, 1], covariance[k, 2] = p - p * p / scale, b - p * b / scale, v - b * b / scale
    for k in range(n - 2, -1, -1):
        s = times[k + 1] - times[k]
        p, b, v = covariance[k]
        x, y, z = ahead[k + 1]
        d = x * z - y * y
        # gain = P F' A^-1, with P = (p b; b v), F = (1 s; 0 1), A = (x y; y z)
        c00, c01, c10, c11 = p + s * b, b, b + s * v, v
        g00, g01 = (c00 * z - c01 * y) / d, (c01 * x - c00 * y) / d
        g10, g11 = (c10 * z - c11 * y) / d, (c11 * x - c10 * y) / d
        gap = mean[k + 1, 0] - ahead_mean[k + 1, 0]
        drift = mean[k + 1, 1] - ahead_mean[k + 1, 1]
        mean[k, 0] += g00 * gap + g01 * drift
        mean[k, 1] += g10 * gap + g11 * drift
        e0, e1, e2 = covariance[k + 1, 0] - x, covariance[k + 1, 1] - y, covariance[k + 1, 2] - z
        covariance[k, 0] = p + g00 * (g00 * e0 + g01 * e1) + g01 * (g00 * e1 + g01 * e2)
        covariance[k, 1] = b + g10 * (g00 * e0 + g01 * e1) + g11 * (g00 * e1 + g01 * e2)
        covariance[k, 2] = v + g10 * (g10 * e0 + g11 * e1) + g11 * (g10 * e1 + g11 * e2)
