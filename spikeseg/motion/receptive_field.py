"""Receptive fields of the maps: what an event adds to each of the neurons around it (ours)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from .evidence import UNIT
from .footprint import Footprint
from .scales import SECTORS, directions

REACH = 2
"""A neuron sees events up to so many cells from its middle, along each axis."""

WIDE = 2 * REACH
"""So many neurons along each axis see an event."""

OFF_PATH = 0.15
"""Variance of the object's place about that of the nearest neuron, along each axis, cells squared: neurons lie a cell apart,
their velocities as well, and sub-slices are added in whole cells."""

LEAST_SHIFT = 0.4
"""Events are moved to the middle of a box where they lie off it by this share of a cell or more: by less, rounding does more
harm."""


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Where a neuron's events lie around its middle, which is the corner that its cell shares with the next ones.

    Attributes:
        weights: uint8 (SECTORS + 1, 256, 2 * cell * cell, WIDE, WIDE), units: what an event adds to the neurons around it, by
            direction of motion, what it weighs where the field is densest, polarity and place in its cell (row, then column),
            and by the neuron's row and column.
        first: int64 (SECTORS + 1, 2 * cell * cell, 2), column and row of the first of these neurons, from the event's cell on.
        area_px: one over the highest density, px²: a flat field of this area is as dense.
        flat: whether it is a box; else Gaussian.
    """

    weights: np.ndarray
    first: np.ndarray
    area_px: float
    flat: bool

    @property
    def far(self) -> int:
        """How many cells from an event its neurons may lie, along either axis."""
        return int(max(-self.first.min(), self.first.max() + WIDE - 1))

    @property
    def differ(self) -> bool:
        """Whether the directions do."""
        return bool((self.first != self.first[:1]).any() or (self.weights != self.weights[:1]).any())

    @classmethod
    def box(cls, cell_px: int, footprint: Footprint) -> ReceptiveField:
        """A flat one of 2 x 2 cells. Events are moved, by cells, by how far those of their polarity lie from the path in the
        mean, where that is LEAST_SHIFT or more."""
        return cls._flat(cell_px, footprint.displacement())

    @classmethod
    def of(cls, cell_px: int, footprint: Footprint) -> ReceptiveField:
        """That of a footprint: round about where its ON events, and its OFF events, lie in the mean, wider by OFF_PATH."""
        return cls._round(cell_px, footprint.displacement(), footprint.sigma())

    @classmethod
    @functools.lru_cache(maxsize=16)
    def _flat(cls, cell_px: int, displacement: tuple[float, float]) -> ReceptiveField:
        on, off = (move if max(map(abs, displacement)) >= LEAST_SHIFT * cell_px else 0.0 for move in displacement)
        first, _ = _neurons(cell_px, (on, off))
        inside = np.zeros((WIDE, WIDE), np.bool_)
        inside[REACH - 1 : REACH + 1, REACH - 1 : REACH + 1] = True
        weights = np.arange(256)[:, None, None, None] * inside
        shape = (*first.shape[:1], 256, first.shape[1], WIDE, WIDE)
        return cls(np.broadcast_to(weights, shape).astype(np.uint8, order="C"), first, float((2 * cell_px) ** 2), True)

    @classmethod
    @functools.lru_cache(maxsize=16)
    def _round(cls, cell_px: int, displacement: tuple[float, float], sigma_px: float) -> ReceptiveField:
        variance = sigma_px**2 + OFF_PATH * cell_px**2
        first, away = _neurons(cell_px, displacement)
        density = np.exp(-0.5 * (away**2).sum(-1) / variance)  # of the highest
        ratio = np.expm1(np.arange(256) / UNIT)[:, None, None, None]
        weights = np.stack([np.rint(UNIT * np.log1p(ratio * part)) for part in density]).astype(np.uint8)
        return cls(weights, first, 2 * math.pi * variance, False)


def _neurons(cell_px: int, displacement: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The neurons around an event: `ReceptiveField.first`, and how far from the middle of each an event lies, px: float64
    (SECTORS + 1, 2 * cell * cell, WIDE, WIDE, 2), columns first."""
    on, off = displacement
    place = np.stack(np.meshgrid(np.arange(cell_px), np.arange(cell_px)), -1).reshape(-1, 2)  # by row, then column
    moved = place - np.array([off, on])[:, None, None] * directions()[:, None, None]
    moved = moved.reshape(SECTORS + 1, -1, 2)
    first = np.floor((moved + 0.5) / cell_px).astype(np.int64) - REACH
    middle = (first[:, :, None] + np.arange(1, WIDE + 1)[:, None]) * cell_px - 0.5  # (SECTORS + 1, kinds, WIDE, 2)
    along = moved[:, :, None] - middle
    away = np.empty((*first.shape[:2], WIDE, WIDE, 2))
    away[..., 0], away[..., 1] = along[:, :, None, :, 0], along[:, :, :, None, 1]
    return first, away
