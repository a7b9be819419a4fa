"""Scratch memory of the event-driven kernels, and torch tensors as they take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode

from . import neuron_kernels
from .arguments import Neurons, SortedInput, Tiles
from .vectors import LANES, padded

TILE = 256
"""Potentials in a tile, about, where input is sparse: small tiles skip more silence, large ones use whole vectors."""

LINE = 16
"""int32 in a cache line."""

SPARSE = 0.25
"""Up to this share of neurons with input in a step, rows are cut into tiles; beyond, a row is one tile."""


class Membranes:
    """Memory of one layer at one frame size: potentials, weight table and the tiles' bookkeeping.

    Where rows are run through all steps one after the other (row_by_row), they share the memory of one.

    Attributes:
        length: numbers in a row, (W + 2 * (K // 2)) * maps.
        neurons: as the kernels take them; untabulated.
        fine, whole: rows cut into tiles, and left in one piece.
        sparse_rate: a sample with fewer spikes a step is run in fine tiles.
    """

    def __init__(
        self, weight: Tensor | np.ndarray, size: tuple[int, int], mode: LeakMode, leak: float, *, row_by_row: bool = False
    ) -> None:
        maps, channels, kernel = weight.shape[:3]
        height, width = size
        columns = width + kernel - 1
        self.length = columns * maps
        self.fine, self.whole = (_tiles(columns, k, maps) for k in (max(1, TILE // maps), columns))
        self.sparse_rate = SPARSE * height * width / kernel**2
        tiles, kept = len(self.fine.starts) - 1, 1 if row_by_row else height
        self.neurons = Neurons(
            v=aligned(kept, padded(self.length) + LANES),
            table=aligned(kernel, channels, padded(kernel * maps)),
            stamps=np.zeros((kept, tiles), np.int32),
            opened=np.zeros(tiles, np.int32),
            columns=width,
            maps=maps,
            mode=int(mode.code),
            leak=np.int32(0 if mode is LeakMode.NONE else round(leak * SCALE)),
            factor=float(leak),
        )
        none = np.zeros(0, np.int32)
        self._sorted = SortedInput(np.zeros((0, height + 1), np.int64), none, none, none)

    def tabulate(self, weight: np.ndarray) -> None:
        """Round the weights (C_out, C_in, K, K) into the table."""
        for m in range(len(weight)):
            neuron_kernels.tabulate(weight, self.neurons.table, m)

    def sorted_input(self, steps: int, spikes: int) -> SortedInput:
        """Buffers for the sorted input of so many steps and spikes."""
        begin, columns, lines, times = self._sorted
        if len(begin) < steps:
            begin = np.zeros((steps, begin.shape[1]), np.int64)
        if len(columns) < spikes:
            columns, lines, times = (np.zeros(2 * spikes, np.int32) for _ in range(3))
        self._sorted = SortedInput(begin, columns, lines, times)
        return self._sorted


def _tiles(columns: int, per_tile: int, maps: int) -> Tiles:
    """Rows of so many columns, cut into tiles of `per_tile` columns, fewer in the last."""
    starts = np.array([*range(0, columns, per_tile), columns], np.int32) * np.int32(maps)
    return Tiles(starts, (np.arange(columns) // per_tile).astype(np.int32))


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
