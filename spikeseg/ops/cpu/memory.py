"""Scratch memory of the event-driven kernels, and torch tensors as they take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode

from . import neuron_kernels as cpu_kernels
from .vectors import LANES, padded

TILE = 256
"""Potentials in a tile, about, where input is sparse: small tiles find silence, large ones run at full width."""

LINE = 16
"""int32 in a cache line."""

SPARSE = 0.25
"""Up to this share of neurons with input in a step, rows are cut into tiles; beyond, a row is one tile."""


class Membranes:
    """Scratch of one layer at one frame size: potentials, weight table and the tiles' bookkeeping.

    Attributes:
        length: numbers in a row, (W + 2 * (K // 2)) * maps.
        v: int32 (H, more than length): a line of the table fits in from any column on.
        table: int32 (K, C, at least K * maps), whole vectors, 0 beyond.
        fine, whole: rows cut into tiles, and left in one piece: each int32, the first number of each tile and the row's end, and
            int32, the tile of each column.
        sparse_rate: a sample with fewer spikes a step is run in fine tiles.
        stamps: int32 (H, tiles in a row); opened: int32 (tiles in a row,).
        dynamics: mode, leak in units, factor, as the kernels take them.
    """

    def __init__(self, weight: Tensor, size: tuple[int, int], mode: LeakMode, leak: float) -> None:
        maps, channels, kernel = weight.shape[:3]
        height, width = size
        columns = width + kernel - 1
        step = max(1, TILE // maps)
        self.length = columns * maps
        self.v = aligned(height, padded(self.length) + LANES)
        self.table = aligned(kernel, channels, padded(kernel * maps))
        self.fine, self.whole = (
            (np.array([*range(0, columns, k), columns], np.int32) * np.int32(maps), (np.arange(columns) // k).astype(np.int32))
            for k in (step, columns)
        )
        self.sparse_rate = SPARSE * height * width / kernel**2
        self.stamps = np.zeros((height, len(self.fine[0]) - 1), np.int32)
        self.opened = np.zeros(len(self.fine[0]) - 1, np.int32)
        self._begin = np.zeros((0, height + 1), np.int64)
        self._columns = self._lines = self._times = np.zeros(0, np.int32)
        number = {LeakMode.NONE: 0, LeakMode.SUBTRACTIVE: 1, LeakMode.MULTIPLICATIVE: 2}[mode]
        units = np.int32(round(leak * SCALE)) if mode is LeakMode.SUBTRACTIVE else np.int32(0)
        self.dynamics = (number, units, float(leak))

    def tabulate(self, weight: np.ndarray) -> None:
        """Round the weights (C_out, C_in, K, K) into the table."""
        for m in range(len(weight)):
            cpu_kernels.tabulate(weight, self.table, m)

    def tiling(self, spikes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The tiles for a sample of so many spikes in so many steps."""
        return self.fine if spikes < self.sparse_rate * steps else self.whole

    def sorting(self, steps: int, spikes: int) -> tuple[np.ndarray, ...]:
        """Room for the sorted input of so many steps and spikes: begin, columns, lines, times, as the kernels take them."""
        if len(self._begin) < steps:
            self._begin = np.zeros((steps, len(self.v) + 1), np.int64)
        if len(self._columns) < spikes:
            self._columns, self._lines, self._times = (np.zeros(2 * spikes, np.int32) for _ in range(3))
        return self._begin, self._columns, self._lines, self._times


def aligned(*shape: int, dtype: Any = np.int32) -> np.ndarray:
    """Zeros that begin with a cache line: an access that straddles two costs twice."""
    size = int(np.prod(shape))
    room = np.zeros(size + LINE * 4, dtype)
    start = -room.ctypes.data % (LINE * 4) // room.itemsize
    array: np.ndarray = room[start : start + size].reshape(shape)
    return array


def as_array(tensor: Tensor, dtype: Any = np.float32) -> np.ndarray:
    """The tensor's own memory where it has this dtype and is contiguous, else a copy."""
    array: np.ndarray = np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype)
    return array


def in_units(values: Tensor) -> np.ndarray:
    """Rounded to the grid, in its units."""
    array: np.ndarray = np.rint(as_array(values) * np.float32(SCALE)).astype(np.int32)
    return array
