# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton: winner-take-all in one program.

A candidate is a rank (`neuron_kernels.TOP`) at a neuron. A key is the rank, in the upper half of an int64, and the neuron's
address in the lower one: map, row, column, each in the bits that it needs. The smallest key wins.

Three levels hold the best of each map: ranks of neurons, keys of the best of every tile, and of every row of tiles. A winner
costs one look at the tiles that it strikes, their rows, and the bests of all rows; two threads share a map, a row of tiles each.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .neuron_kernels import NEVER, NONE
from .tile_kernels import NEURONS, SIDE

AT_ONCE = tl.constexpr(8)
"""Lists of keys are padded to a multiple of this."""


@triton.jit
def key_of(rank, y, x, c, row_bits, column_bits):
    """Key of a rank at (y, x) of map c; NONE where there is no candidate."""
    address = (c.to(tl.int64) << (row_bits + column_bits)) | ((y << column_bits) | x).to(tl.int64)
    return tl.where(rank == NEVER, NONE, (rank.to(tl.int64) << 32) | address)


@triton.jit
def struck_tile(ranks, tile_y, tile_x, y, x, c, radius, row_bits, column_bits, MAPS: tl.constexpr):
    """Strike out what lies near (y, x) in a tile, tile_y and map c of each thread; -> keys of the best that is left. (2, MAPS)"""
    best = tl.full((2, MAPS), NEVER, tl.int32)
    place = tl.zeros((2, MAPS), tl.int32)
    for i in tl.static_range(SIDE):
        below = tile_y * SIDE - y + i
        row = tl.where((below <= radius) & (-below <= radius), NEVER, 0)
        for j in tl.static_range(SIDE):
            beside = tile_x * SIDE - x + j + 0 * c
            column = tl.where((beside <= radius) & (-beside <= radius), NEVER, 0)
            at = ranks + (4 * i + j) * MAPS
            rank = tl.load(at) | (row & column)  # all bits of NEVER, or none: ranks are not negative
            tl.store(at, rank)
            place = tl.where(rank < best, 4 * i + j, place)
            best = tl.minimum(best, rank)
    return key_of(best, tile_y * SIDE + place // SIDE, tile_x * SIDE + place % SIDE, c, row_bits, column_bits)


@triton.jit
def least_of_four(keys, step: tl.constexpr):
    """The least of four keys, `step` apart: two chains of comparisons, which do not wait for each other."""
    a = tl.minimum(tl.load(keys), tl.load(keys + step))
    b = tl.minimum(tl.load(keys + 2 * step), tl.load(keys + 3 * step))
    return tl.minimum(a, b)


@triton.jit
def best_of_maps(row_best, rows, half, c, MAPS: tl.constexpr):
    """The least key of each map, the even rows' and the odd ones': int64 (2, MAPS)."""
    best = tl.full((2, MAPS), NONE, tl.int64)
    for i in range(0, rows, AT_ONCE):
        best = tl.minimum(best, least_of_four(row_best + (i + half) * MAPS + c, 2 * MAPS))
    return best


@triton.jit
def select(
    ranks, tile_best, row_best, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """The winners of a sample.

    Args:
        ranks: int32 (rows, across, NEURONS, MAPS), of tiles; those near a winner are struck out. Without BY_POSITION neither they
            nor `tile_best` are used, and one row holds the best of all.
        tile_best: int64 (rows, across, MAPS).
        row_best: int64 (rows, MAPS). NONE afterwards.
        winners: int64; the k-th winner of map m is written to ``winners[k * MAPS + m]``.
        won: int32 (MAPS,), how many each map has; written.
        rows, across: tiles below and beside each other and, with none to win, at least one row more, up to multiples of AT_ONCE.
        LIMITED: whether `limit` is less than one per map.
    """
    half = tl.arange(0, 2)[:, None] + tl.zeros((2, MAPS), tl.int32)
    c = tl.arange(0, MAPS)[None, :] + tl.zeros((2, MAPS), tl.int32)
    count = tl.zeros((2, MAPS), tl.int32)
    best = best_of_maps(row_best, rows, half, c, MAPS)
    if not BY_POSITION:
        keys = tl.broadcast_to(tl.min(best, 0)[None, :], (2, MAPS))
        if LIMITED:
            last = tl.min(tl.full((MAPS,), -1, tl.int64), 0)
            for _ in range(limit):
                last = tl.min(tl.min(tl.where(keys > last, keys, NONE), 0), 0)
            keys = tl.where(keys <= last, keys, NONE)
        tl.store(winners + c, keys, mask=half == 0)
        count += (keys != NONE).to(tl.int32)
    else:
        n = 0
        top = tl.min(best)
        while (n < limit) & (top != NONE):
            x = (top & ((1 << column_bits) - 1)).to(tl.int32)
            y = ((top >> column_bits) & ((1 << row_bits) - 1)).to(tl.int32)
            m = ((top & 0xFFFFFFFF) >> (row_bits + column_bits)).to(tl.int32)
            tl.store(winners + count * MAPS + c, top, mask=(c == m) & (half == 0))
            count += (c == m).to(tl.int32)
            n += 1
            first = tl.maximum(x - radius, 0) // SIDE
            last = tl.minimum(x + radius, width - 1) // SIDE
            lowest = tl.minimum(y + radius, height - 1) // SIDE
            for upper in range(tl.maximum(y - radius, 0) // SIDE, lowest + 1, 2):
                row = upper + half
                tiles = tile_best + row * (across * MAPS) + c
                for tile_x in range(first, last + 1):
                    tl.store(tiles + tile_x * MAPS, tl.full((2, MAPS), NONE, tl.int64))  # what they hold is out of date
                tl.debug_barrier()  # before this row of tiles is read, whichever thread reads it
                left = tl.full((2, MAPS), NONE, tl.int64)
                for i in range(0, across, AT_ONCE):
                    some = tiles + i * MAPS
                    left = tl.minimum(left, tl.minimum(least_of_four(some, MAPS), least_of_four(some + 4 * MAPS, MAPS)))
                for tile_x in range(first, last + 1):
                    tile = ranks + (row * across + tile_x) * (NEURONS * MAPS) + c
                    key = struck_tile(tile, row, tile_x, y, x, c, radius, row_bits, column_bits, MAPS)
                    tl.store(tiles + tile_x * MAPS, key)
                    left = tl.minimum(left, key)
                tl.store(row_best + (row * MAPS + c), left)
            tl.debug_barrier()  # what a thread wrote of a map, the other one of this map reads
            best = best_of_maps(row_best, rows, half, c, MAPS)
            if BY_MAP:
                best = tl.where(count == 0, best, NONE)
            top = tl.min(best)
            tl.debug_barrier()  # both have read the bests of rows before the next winner changes them
    tl.debug_barrier()  # all threads have read what is now reset
    for i in range(0, rows, 2):
        tl.store(row_best + ((i + half) * MAPS + c), tl.full((2, MAPS), NONE, tl.int64))
    tl.store(won + c, count, mask=half == 0)


@triton.jit
def select_alone(
    ranks, tile_best, row_best, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """`select` as a launch of one program."""
    select(
        ranks, tile_best, row_best, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
        BY_MAP, BY_POSITION, LIMITED, MAPS,
    )  # fmt: skip
