"""Inputs of the Triton kernels, laid out for them: padded planes, addresses of synapses, weights in parts."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode

PART_BITS = 7
NEVER = 2**31 - 1
"""An unreachable threshold."""
EXACT = {"enable_fp_fusion": False, "enable_reflect_ftz": False}
"""Options of every launch: no multiplication and addition contracted into one rounding, no small number flushed to 0."""
STEP_BITS = 32
"""Steps that fit into the word of a site."""


def launching_on(device: torch.device) -> AbstractContextManager[object]:
    """Launches go to the current device: make it this one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def power_of_two(number: int) -> int:
    """The smallest power of two that is not less."""
    return 1 << max(0, number - 1).bit_length()


def in_units(values: Tensor) -> Tensor:
    """Rounded to the grid, half to even, in its units: int32."""
    return torch.round(values.float() * SCALE).to(torch.int32)


def leak_units(mode: LeakMode, leak: float) -> int:
    """The leak in units of the grid. Raises ValueError where it is not on the grid: integers could not follow."""
    units = leak * SCALE
    if mode is not LeakMode.NONE and units != round(units):
        raise ValueError(f"leak {leak!r} is not a multiple of 2**-12; round it with spikeseg.core.grid.snap_number")
    return round(units)


def parts_of(largest: int) -> int:
    """How many parts of 7 bits, the last one a signed byte, hold whole numbers up to this size: 1, 2 or 4."""
    return next(parts for parts in (1, 2, 4) if largest < 1 << PART_BITS * parts or parts == 4)


class Geometry(NamedTuple):
    """Where the synapses of a layer lie in its padded input.

    Attributes:
        channels, height, width: of the input.
        half: zeros on every side.
        taps: int32, offset of each synapse (c, ky, kx) from its neuron's first; padded with 0 to a multiple of the chunk.
    """

    channels: int
    height: int
    width: int
    half: int
    taps: Tensor

    @classmethod
    def of(cls, weight: Tensor, size: tuple[int, int]) -> Geometry:
        """Of weights (C_out, C_in, K, K) over frames of a size (H, W). Raises ValueError for an even K."""
        channels, kernel = weight.shape[1], weight.shape[-1]
        if kernel % 2 == 0:
            raise ValueError(f"kernels of size {kernel} have no centre; K must be odd")
        return _geometry(channels, kernel, (int(size[0]), int(size[1])), weight.device)

    @property
    def row(self) -> int:
        """Sites of a padded row."""
        return self.width + 2 * self.half

    @property
    def plane(self) -> int:
        """Sites of a padded channel."""
        return (self.height + 2 * self.half) * self.row

    @property
    def sites(self) -> int:
        """Sites of a padded sample."""
        return self.channels * self.plane

    def padded(self, values: Tensor, fill: int = 0) -> Tensor:
        """(..., C, H, W) -> (..., sites), a copy."""
        room = values.new_full((*values.shape[:-2], self.height + 2 * self.half, self.row), fill)
        room[..., self.half : self.half + self.height, self.half : self.half + self.width] = values
        return room.reshape(*values.shape[:-3], self.sites)


@functools.lru_cache(maxsize=128)
def _geometry(channels: int, kernel: int, size: tuple[int, int], device: torch.device) -> Geometry:
    """`Geometry.of`, kept: nothing changes its taps."""
    height, width, half = *size, kernel // 2
    side = torch.arange(kernel)
    plane = torch.arange(channels) * ((height + 2 * half) * (width + 2 * half))
    offsets = (plane[:, None, None] + side[:, None] * (width + 2 * half) + side).reshape(-1)
    taps = F.pad(offsets, (0, -len(offsets) % chunk(len(offsets)))).to(torch.int32)
    return Geometry(channels, height, width, half, taps.to(device))


def chunk(synapses: int) -> int:
    """Synapses that a product takes at a time; int8 products need 32 or more."""
    return 64 if synapses > 32 else 32


def columns(maps: int) -> int:
    """Maps that a program takes: enough to use an input often, few enough for the registers."""
    return min(32, max(16, power_of_two(maps)))


def padded_maps(maps: int) -> int:
    """Maps that the tables have room for: a power of two, so that tiles of `columns` fill it."""
    return max(16, power_of_two(maps))


def tabulated(weight: Tensor, parts: int) -> Tensor:
    """Weights (C_out, C_in, K, K) rounded and cut up for the products: int8 (taps, parts, padded maps)."""
    maps = len(weight)
    units = in_units(weight).reshape(maps, -1).t()
    units = F.pad(units, (0, padded_maps(maps) - maps, 0, -len(units) % chunk(len(units))))
    low = [units >> PART_BITS * i & (1 << PART_BITS) - 1 for i in range(parts - 1)]
    return torch.stack([*low, units >> PART_BITS * (parts - 1)], 1).to(torch.int8).contiguous()


def by_tap(weight: Tensor) -> Tensor:
    """Weights (C_out, C_in, K, K) as training keeps them: float32 (taps, padded maps), 0 where there is none."""
    maps, synapses = len(weight), weight[0].numel()
    flat = weight.detach().float().reshape(maps, synapses).t()
    return F.pad(flat, (0, padded_maps(maps) - maps, 0, -synapses % chunk(synapses))).contiguous()


def weight_parts(weight: Tensor) -> int:
    """Parts that hold these weights."""
    largest = float(weight.abs().max())
    return max(2, parts_of(round(largest * SCALE) + 1))


def levels(threshold: Tensor, maps: int) -> Tensor:
    """Thresholds of maps in units, (padded maps,), unreachable where there is no map."""
    return F.pad(in_units(threshold), (0, padded_maps(maps) - maps), value=NEVER)


def unit_table(weight: Tensor) -> Tensor:
    """Weights (C_out, C_in, K, K) rounded, in units: int32 (taps, padded maps)."""
    maps = len(weight)
    return F.pad(in_units(weight).reshape(maps, -1).t(), (0, padded_maps(maps) - maps)).contiguous()
