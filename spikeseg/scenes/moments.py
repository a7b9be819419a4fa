"""What is active at a moment, and how it moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .activity import Activity, Components
from .activity_kernels import moments_of

LEAST_EVENTS = 20
"""From so few events no velocity is taken."""

SURE = 3.0
"""A velocity counts from so many standard errors."""


class Moment(NamedTuple):
    """What is there at a time.

    Attributes:
        t_us: µs.
        components: of the active neurons.
        label: int32 (H, W), number of the component + 1 of each pixel, 0 for none.
        t: int64 (n,), of the events of the window, µs.
        places: uint32 (n,), their pixels, see `places_of`.
    """

    t_us: int
    components: Components
    label: np.ndarray
    t: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, t_us: int, activity: Activity, label: np.ndarray, t: np.ndarray, places: np.ndarray) -> Moment:
        """What is active now; `label` (H, W) of zeros is filled in, `clear` empties it again."""
        components = activity.components()
        numbers = np.arange(1, len(components) + 1, dtype=np.int32)
        label.reshape(-1)[components.pixels] = np.repeat(numbers, np.diff(components.begins))
        return cls(t_us, components, label, t, places)

    def clear(self) -> None:
        """Empty the labels."""
        self.label.reshape(-1)[self.components.pixels] = 0

    def drifts(self, wanted: Sequence[int] | None = None) -> np.ndarray:
        """Velocity of each component within the window: float64 (n, 2), px/s, by least squares of its events' places on their
        times; 0 where these do not tell one. wanted: of these components alone, 0 for the others; None: of all."""
        chosen = np.full(len(self.components), wanted is None)
        chosen[wanted or []] = True
        sums = moments_of(self.t, self.places, self.t_us, self.label, chosen).T
        (n, s, ss), p, pp, sp = sums[:3], sums[3:5], sums[5:7], sums[7:]  # the latter of both axes
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = ss - s * s / n
            velocity = (sp - s * p / n) / spread
            error = np.sqrt(np.maximum(pp - p * p / n, 0) / n / spread)
            told = (n >= LEAST_EVENTS) & (spread > 0)
            return np.ascontiguousarray(np.where(told & (np.abs(velocity) > SURE * error), velocity, 0.0).T)
