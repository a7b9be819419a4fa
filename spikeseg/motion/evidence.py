"""What goes into the maps and what comes out of them, in whole units, and what a backend of them does."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np

UNIT = 8
"""Units per nat."""

STAY, ASIDE = 0.4, 0.11
"""Probability that a path stays in its map's cell from one interval to the next, and about that of each of four neighbours."""

SIDE = round(UNIT * math.log(STAY / ASIDE))
"""What a step to a neighbouring cell costs more than staying, in units; a diagonal one costs it twice."""

MOVE_NATS = -math.log(STAY)
"""What staying costs, nat: part of the leak."""


class EventWeights(NamedTuple):
    """Events of one interval as the maps take them.

    Attributes:
        subslice: int64 (n,), 0 to SUBSLICES - 1.
        x, y: int64 (n,), px.
        on: bool (n,), polarity.
        weight: uint8 (n,), units: where a receptive field is densest.
    """

    subslice: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray
    weight: np.ndarray

    @classmethod
    def empty(cls, n: int) -> EventWeights:
        """Room for n events."""
        subslice, x, y = np.empty((3, n), np.int64)
        return cls(subslice, x, y, np.empty(n, np.bool_), np.empty(n, np.uint8))


class Spikes(NamedTuple):
    """Neurons at or above a threshold: int64 (n,) each, by map, then row, then column.

    Attributes:
        map, x, y: which; x, y in cells.
        potential: in units.
    """

    map: np.ndarray
    x: np.ndarray
    y: np.ndarray
    potential: np.ndarray


class Backend(Protocol):
    """State of all maps of a scale, and how it goes on."""

    def step(self, events: EventWeights, leak: int) -> None:
        """Go on by one interval. leak: in units."""

    def spikes(self, threshold: int) -> Spikes:
        """The neurons whose potential reaches the threshold."""

    def clear(self, boxes: np.ndarray) -> None:
        """Set the potentials of all maps to 0 in boxes (n, 4): first and last column, first and last row, in cells."""

    def potentials(self) -> np.ndarray:
        """uint8 (K, h, w), a copy."""
