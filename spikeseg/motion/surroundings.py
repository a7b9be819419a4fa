"""What surrounds a path and moves along with it (ours).

The background is smooth in place. A ghost of the optics, the rays of a planet or the edge of a cloud is not: each of its clumps
has more events than the background expects, often of one polarity alone, and would look like an object. But a point source has
nearly all of its events within a few px, an extended one just as many around it. So the evidence of a path is that against
the background as it is in a ring around it, of each polarity.
"""

from __future__ import annotations

import math

import numpy as np

from .footprint import REACH
from .path_kernels import NEAR

RING_PX2 = math.pi * (REACH**2 - NEAR**2)
"""Area of the ring, px²."""

PARTS = 8
"""Parts of a path's time, of which half have to agree: what only crosses is no surroundings."""

CHANCE = 4.0
"""As many events as CHANCE standard deviations, and CHANCE, beyond what the background expects may be chance."""


def raised_by(ring: np.ndarray, seconds: float) -> np.ndarray:
    """How many times as much as the background the surroundings send: float64 (PARTS, 2), OFF and ON in each part of a path's
    time, >= 1; 1 in all of them where the median of all parts may be chance.

    Args:
        ring: float64 (PARTS, 2, 2), in each part, of OFF and of ON: events in the ring beyond what may be the object's own, and
            the times in which the background sends one at the pixel of each, added up, s: that is area times seconds if it is
            right, whether or not it is the same everywhere.
        seconds: for which the path lasts.
    """
    times = ring[..., 1] * (PARTS / (RING_PX2 * seconds))
    expected = np.maximum(ring[..., 0].sum(0), 0.0) / np.maximum(times.mean(0), 1e-9)
    beyond = (np.median(times, 0) - 1) * expected > CHANCE * (np.sqrt(expected) + 1)
    return np.where(beyond, np.maximum(times, 1.0), 1.0)
