"""Scratch memory of the event-driven kernels, and torch tensors as they take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode

from . import cpu_kernels

TILE = 256
"""Potentials in a tile, at least: small tiles find silence, large ones run at full width. Measured: benchmarks/training.py."""

class Membranes:
    """Scratch of one layer at one frame size: potentials, weight table and the tiles' bookkeeping.

    Attributes:
        v: int32 (H, (W + 2 * (K // 2)) * maps).
        table: int32 (C, K, K * maps).
        tiles: int32, first number of each tile in a row, and the row's end.
        stamps, opened: int32 (H * tiles in a row).
        dynamics: mode, leak in units, factor, as the kernels take them.
    """

    def __init__(self, weight: Tensor, size: tuple[int, int], mode: LeakMode, leak: float) -> None:
        maps, channels, kernel = weight.shape[:3]
        height, width = size
        columns = width + kernel - 1
        step = max(1, TILE // maps)
        self.v = np.zeros((height, columns * maps), np.int32)
        self.table = np.zeros((channels, kernel, kernel * maps), np.int32)
        self.tiles = np.array([*range(0, columns, step), columns], np.int32) * np.int32(maps)
        self.stamps = np.zeros(height * (len(self.tiles) - 1), np.int32)
        self.opened = np.zeros_like(self.stamps)
        number = {LeakMode.NONE: 0, LeakMode.SUBTRACTIVE: 1, LeakMode.MULTIPLICATIVE: 2}[mode]
        units = np.int32(round(leak * SCALE)) if mode is LeakMode.SUBTRACTIVE else np.int32(0)
        self.dynamics = (number, units, float(leak))

    def tabulate(self, weight: np.ndarray) -> None:
        """Round the weights (C_out, C_in, K, K) into the table."""
        for m in range(len(weight)):
            cpu_kernels.tabulate(weight, self.table, m)

    @property
    def bookkeeping(self) -> tuple[Any, ...]:
        """tiles, stamps, opened, mode, leak, factor: as the kernels take them."""
        return self.tiles, self.stamps, self.opened, *self.dynamics


def as_array(tensor: Tensor, dtype: Any = np.float32) -> np.ndarray:
    """The tensor's own memory where it has this dtype and is contiguous, else a copy."""
    array: np.ndarray = np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype)
    return array


def in_units(values: Tensor) -> np.ndarray:
    """Rounded to the grid, in its units."""
    array: np.ndarray = np.rint(as_array(values) * np.float32(SCALE)).astype(np.int32)
    return array
