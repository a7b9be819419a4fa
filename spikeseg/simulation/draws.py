"""Random numbers, vectors and smooth fields that the simulated sky and its noise are drawn from."""

from __future__ import annotations

import numpy as np

MOST_EVENTS = 5e8
"""Events that a recording may be expected to hold: they are drawn in memory."""


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """One number between the bounds (> 0), uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def vector(rng: np.random.Generator, length: float) -> np.ndarray:
    """A vector of that length in any direction: float64 (2,)."""
    angle = rng.uniform(0, 2 * np.pi)
    return length * np.array([np.cos(angle), np.sin(angle)])


def smooth_field(rng: np.random.Generator, sensor_size: tuple[int, int], strength: float) -> np.ndarray:
    """A gentle gradient with a bowl, exp of a quadratic: float64 (H, W), mean 1."""
    width, height = sensor_size
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    a, b, c = rng.normal(0, strength, 3)
    field = np.exp(a * x + b * y + c * (x**2 + y**2))
    return field / field.mean()
