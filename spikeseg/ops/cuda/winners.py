"""Winner-take-all on a GPU: device memory for candidates and winners, and the operation `select_winners`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.ops.types import WTA_MODES

from . import neuron_kernels, tile_kernels, winner_kernels
from .memory import EXACT, launching_on, padded_maps

NONE: int = neuron_kernels.NONE.value
NEVER: int = neuron_kernels.NEVER.value
SIDE: int = tile_kernels.SIDE.value
NEURONS: int = tile_kernels.NEURONS.value
STEP_SHIFT = 32 + neuron_kernels.HEIGHT_BITS.value
"""Bits of a key below the step, in training."""
MOST_STEPS, MOST_NEURONS = 2**9, 2**28


def padded(count: int) -> int:
    """Keys in a list, so that threads need not look where it ends."""
    return count + -count % winner_kernels.AT_ONCE.value


class Contest:
    """The competition among neurons (C, H, W), in some samples at a time.

    Attributes:
        ranks: int32 (samples, H, W, maps), int32; tile_best, row_best: int64, best of each map; see `winner_kernels.select`.
            Memory of one element where the mode needs none.
        winners: int64 (samples, most of a map, maps), keys; won: int32 (samples, maps), how many of them there are.
        sizes: arguments of `winner_kernels.select` from `height` to `limit`, without the radius and the limit themselves.
        options: its constants.
        limit: winners that a sample can have.
        most: winners that a map can have in a sample.
    """

    def __init__(
        self,
        shape: Sequence[int],
        mode: str,
        radius: int,
        max_winners: int | None,
        *,
        samples: int = 1,
        device: torch.device | None = None,
    ) -> None:
        maps, height, width = shape
        by_map, by_position = mode != "local", mode != "global"
        room = padded_maps(maps)
        rows = padded(-(-height // SIDE) + 1 if by_position else 1)
        across = padded(-(-width // SIDE) if by_position else 1)
        apart = -(-height // (radius + 1)) * -(-width // (radius + 1)) if by_position else maps
        most = min(maps, apart) if by_map else apart
        self.limit = most if max_winners is None else min(most, max_winners)
        self.most = 1 if by_map else max(1, self.limit)
        self.sizes = (height, width, rows, across, (height - 1).bit_length(), (width - 1).bit_length())
        self.options: dict[str, Any] = {
            "BY_MAP": by_map, "BY_POSITION": by_position, "LIMITED": self.limit < maps,
            "MAPS": room, "num_warps": min(16, max(4, 2 * room // 32)),
        }  # fmt: skip
        tiles = (rows, across) if by_position else (1, 1)
        self.ranks = torch.full((samples, *tiles, NEURONS, room), NEVER, dtype=torch.int32, device=device)
        self.tile_best = torch.full((samples, *tiles, room), NONE, dtype=torch.int64, device=device)
        self.row_best = torch.full((samples, rows, room), NONE, dtype=torch.int64, device=device)
        self.winners = torch.zeros(samples, self.most, room, dtype=torch.int64, device=device)
        self.won = torch.zeros(samples, room, dtype=torch.int32, device=device)

    def rows(self, sample: int = 0) -> Tensor:
        """Winners of a sample, in order: int64 rows (what a key has above its address, shifted by 32; map, row, column)."""
        index = torch.arange(self.most, device=self.won.device)[:, None]
        keys = self.winners[sample][index < self.won[sample]].sort().values
        row_bits, column_bits = self.sizes[4:]
        row, column = keys >> column_bits & (1 << row_bits) - 1, keys & (1 << column_bits) - 1
        return torch.stack((keys >> 32, (keys & 2**32 - 1) >> row_bits + column_bits, row, column), 1)


def select_winners(
    first: Tensor, potential: Tensor, n_steps: int, *, mode: str, radius: int, max_winners: int | None = None
) -> Tensor:
    """See `reference.select_winners`. Raises ValueError for more steps or neurons than there is room for."""
    if mode not in WTA_MODES:
        raise ValueError(f"unknown winner-take-all mode {mode!r}; one of {', '.join(WTA_MODES)}")
    if n_steps > MOST_STEPS or first.numel() >= MOST_NEURONS:
        raise ValueError(
            f"{n_steps} steps of {first.numel()} neurons; this backend ranks up to {MOST_STEPS} of fewer than {MOST_NEURONS}"
        )
    maps, height, width = first.shape
    contest = Contest(first.shape, mode, radius, max_winners, device=first.device)
    strength = torch.round(potential.double() * SCALE).to(torch.int64)
    order = torch.where(first < n_steps, (first.to(torch.int64) << 40) - strength, NONE)
    _, ranks = torch.unique(order, return_inverse=True)  # ranks that are dense: any potential has room
    ranks = torch.where(first < n_steps, ranks, NEVER).permute(1, 2, 0)
    keys = ranks << 32
    row_bits, column_bits = contest.sizes[4:]
    keys |= torch.arange(maps, device=first.device) << row_bits + column_bits
    keys |= (torch.arange(height, device=first.device) << column_bits)[:, None, None]
    keys |= torch.arange(width, device=first.device)[:, None]
    keys = torch.where(ranks == NEVER, NONE, keys)
    if contest.options["BY_POSITION"]:
        _, rows, across, neurons, room = contest.ranks.shape
        tiled = keys.new_empty(contest.ranks.shape)
        for values, none, kept in ((ranks, NEVER, contest.ranks), (keys, NONE, tiled)):
            frame = kept.new_full((rows * SIDE, across * SIDE, room), none)
            frame[:height, :width, :maps] = values
            kept[0] = frame.reshape(rows, SIDE, across, SIDE, room).transpose(1, 2).reshape(rows, across, neurons, room)
        contest.tile_best[:] = tiled.amin(3)
        contest.row_best[:] = contest.tile_best.amin(2)
    else:
        contest.row_best[0, 0, :maps] = keys.amin((0, 1))
    with launching_on(first.device):
        winner_kernels.select_alone[(1,)](
            contest.ranks, contest.tile_best, contest.row_best, contest.winners, contest.won, *contest.sizes, radius,
            contest.limit, **contest.options, **EXACT,
        )  # fmt: skip
    winners = contest.rows()
    winners[:, 0] = first[winners[:, 1], winners[:, 2], winners[:, 3]]
    return winners
