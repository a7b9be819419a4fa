"""What is active at a moment, and how it moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .activity import Activity, Components

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
        t, x, y: int64 (n,), the events of the window.
    """

    t_us: int
    components: Components
    label: np.ndarray
    t: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, t_us: int, activity: Activity, label: np.ndarray, events: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Moment:
        """What is active now; `label` (H, W) of zeros is filled in, `clear` empties it again."""
        components = activity.components()
        numbers = np.arange(1, len(components) + 1, dtype=np.int32)
        label.reshape(-1)[components.pixels] = np.repeat(numbers, np.diff(components.begins))
        return cls(t_us, components, label, *events)

    def clear(self) -> None:
        """Empty the labels."""
        self.label.reshape(-1)[self.components.pixels] = 0

    def drift(self, k: int) -> np.ndarray:
        """Velocity of component k within the window: float64 (2,), px/s, by least squares of its events' places on their times;
        0 where these do not tell one."""
        left, top, right, bottom = self.components.boxes[k]
        inside = (self.x >= left) & (self.x < right) & (self.y >= top) & (self.y < bottom)
        inside[inside] = self.label[self.y[inside], self.x[inside]] == k + 1
        if np.count_nonzero(inside) < LEAST_EVENTS:
            return np.zeros(2)
        since = (self.t[inside] - self.t_us) * 1e-6
        since = since - since.mean()
        places = np.stack([self.x[inside], self.y[inside]], 1).astype(np.float64)
        places -= places.mean(0)
        spread = float(since @ since)
        if spread <= 0:
            return np.zeros(2)
        velocity = since @ places / spread
        return np.where(np.abs(velocity) > SURE * np.sqrt((places**2).mean(0) / spread), velocity, 0.0)
