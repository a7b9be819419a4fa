# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton: winner-take-all in one program, in rounds.

A candidate is a rank (`neuron_kernels.TOP`) at a neuron. A key is the rank, in the upper half of an int64, and the neuron's
address in the lower one: map, row, column, each in the bits that it needs. The smallest key wins.

Three levels hold the best of each map: ranks of neurons, keys of the best of every tile, and of every row of tiles. Neurons near
winners are struck out for all maps at once, in one word of a tile. Of a map whose best is struck, the tiles around it are looked
at again; what its other tiles and rows hold may be struck too, but never lies above the best that is left in them.

Where a map wins once, many win in a round. Let `top` be the least of those maps' bests that have a smaller best, or an earlier
winner, within the radius. Every best below `top` wins. They are all the greedy choice would take next, one after the other: of a
map that has not won nothing lies below its best, each of them stands (what strikes a best has a smaller key and is within the
radius, so a best that is struck is not below `top`), and none strikes another. What comes after them lies at `top` or above:
rounds give winners in order.
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
def place_of(key, row_bits, column_bits):
    """Row and column of a key: int32."""
    address = key.to(tl.int32)
    return (address >> column_bits) & ((1 << row_bits) - 1), address & ((1 << column_bits) - 1)


@triton.jit
def rivals(keys, best, radius, row_bits, column_bits, NEAR: tl.constexpr, MAPS: tl.constexpr):
    """Of each map: how many others' keys lie below its best, and (NEAR) whether one of them is within the radius. (MAPS, 2)

    Args:
        keys: int64 (MAPS,), the bests, of maps that have won what won.
        best: int64 (MAPS, 2), the same of both threads of a map.
    """
    y, x = place_of(best, row_bits, column_bits)
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    below = tl.zeros((MAPS, 2), tl.int32)
    clash = tl.zeros((MAPS, 2), tl.int32)
    for i in tl.static_range(0, MAPS, 2):
        other = tl.load(keys + i + half)
        below += (other < best).to(tl.int32)
        if NEAR:
            other_y, other_x = place_of(other, row_bits, column_bits)
            apart = tl.maximum(tl.abs(other_y - y), tl.abs(other_x - x))
            clash |= ((other < best) & (apart <= radius)).to(tl.int32)
    return tl.sum(below, 1)[:, None], tl.max(clash, 1)[:, None] > 0


@triton.jit
def strike(struck, y, x, wins, height, width, across, radius, span, MAPS: tl.constexpr):
    """Strike out what lies near the winners, at (y, x) of the maps that win, for all maps."""
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    last = tl.minimum(x + radius, width - 1) // SIDE
    lowest = tl.minimum(y + radius, height - 1) // SIDE
    for above in range(0, span, 2):
        row = tl.maximum(y - radius, 0) // SIDE + above + half
        up = tl.maximum(y - radius - row * SIDE, 0)
        down = tl.minimum(y + radius - row * SIDE, SIDE - 1)
        rows = (1 << ((down + 1) * SIDE)) - (1 << (up * SIDE))
        for before in range(span):
            tile_x = tl.maximum(x - radius, 0) // SIDE + before
            left = tl.maximum(x - radius - tile_x * SIDE, 0)
            right = tl.minimum(x + radius - tile_x * SIDE, SIDE - 1)
            columns = (2 << right) - (1 << left)
            inside = wins & (row <= lowest) & (tile_x <= last)
            tl.atomic_or(struck + row * across + tile_x, rows & (columns * 0x1111), mask=inside, sem="relaxed")


@triton.jit
def best_of_tile(ranks, word, inside, tile_y, tile_x, c, row_bits, column_bits, MAPS: tl.constexpr):
    """The best that is left of a tile and map of each thread: keys. word: neurons that are struck, a bit each."""
    best = tl.full((MAPS, 2), NEVER, tl.int32)
    place = tl.zeros((MAPS, 2), tl.int32)
    for k in tl.static_range(NEURONS):
        rank = tl.load(ranks + k * MAPS, mask=inside, other=NEVER)
        rank = tl.where(((word >> k) & 1) == 0, rank, NEVER)
        place = tl.where(rank < best, k, place)
        best = tl.minimum(best, rank)
    return key_of(best, tile_y * SIDE + place // SIDE, tile_x * SIDE + place % SIDE, c, row_bits, column_bits)


@triton.jit
def best_of_maps(
    ranks, tile_best, row_best, struck, y, x, again, height, width, rows, across, row_bits, column_bits, radius, span,
    MAPS: tl.constexpr,
):  # fmt: skip
    """The least key of each map, after a new look at the tiles within the radius of (y, x): int64 (MAPS, 2), of both threads.

    Args:
        again: which maps; what comes out of others is of no use.
    """
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    c = tl.arange(0, MAPS)[:, None] + tl.zeros((MAPS, 2), tl.int32)
    first, last = tl.maximum(x - radius, 0) // SIDE, tl.minimum(x + radius, width - 1) // SIDE
    upper, lowest = tl.maximum(y - radius, 0) // SIDE, tl.minimum(y + radius, height - 1) // SIDE
    best = tl.full((MAPS, 2), NONE, tl.int64)
    for i in range(0, rows, AT_ONCE):
        for j in tl.static_range(0, AT_ONCE, 2):
            row = i + j + half
            key = tl.load(row_best + row * MAPS + c, mask=again, other=NONE)
            best = tl.minimum(best, tl.where((row < upper) | (row > lowest), key, NONE))
    for above in range(0, span, 2):
        row = upper + above + half
        inside = again & (row <= lowest)
        left = tl.full((MAPS, 2), NONE, tl.int64)
        for i in range(0, across, AT_ONCE):
            for j in tl.static_range(AT_ONCE):
                key = tl.load(tile_best + (row * across + i + j) * MAPS + c, mask=inside, other=NONE)
                left = tl.minimum(left, tl.where((i + j < first) | (i + j > last), key, NONE))
        for before in range(span):
            tile_x = first + before
            here = inside & (tile_x <= last)
            tile = row * across + tile_x
            word = tl.load(struck + tile, mask=here, other=0)
            key = best_of_tile(ranks + tile * (NEURONS * MAPS) + c, word, here, row, tile_x, c, row_bits, column_bits, MAPS)
            tl.store(tile_best + tile * MAPS + c, key, mask=here)
            left = tl.minimum(left, key)
        tl.store(row_best + row * MAPS + c, left, mask=inside)
        best = tl.minimum(best, left)
    return tl.min(best, 1)[:, None] + tl.zeros((MAPS, 2), tl.int64)


@triton.jit
def select(
    ranks, tile_best, row_best, struck, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """The winners of a sample.

    Args:
        ranks: int32 (rows, across, NEURONS, MAPS), of tiles. Without BY_POSITION neither they nor `tile_best` nor `struck` are
            used, and the first row holds the best of all.
        tile_best: int64 (rows, across, MAPS).
        row_best: int64 (rows, MAPS). NONE afterwards.
        struck: int32 (rows, across), 0 before and afterwards.
        winners: int64; the k-th winner of map m is written to ``winners[k * MAPS + m]``.
        won: int32 (MAPS,), how many each map has; written.
        rows, across: tiles below and beside each other, up to multiples of AT_ONCE.
        LIMITED: whether `limit` is less than there would be otherwise.
    """
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    c = tl.arange(0, MAPS)[:, None] + tl.zeros((MAPS, 2), tl.int32)
    span = tl.minimum((2 * radius + SIDE - 1) // SIDE + 1, tl.maximum(rows, across))
    count = tl.zeros((MAPS, 2), tl.int32)
    best = tl.full((MAPS, 2), NONE, tl.int64)
    for i in range(0, rows, AT_ONCE):
        for j in tl.static_range(0, AT_ONCE, 2):
            best = tl.minimum(best, tl.load(row_best + (i + j + half) * MAPS + c))
    best = tl.min(best, 1)[:, None] + tl.zeros((MAPS, 2), tl.int64)
    n = 0
    more = tl.min(best) != NONE
    while more:
        if BY_MAP:
            tl.store(winners + c, best, mask=(count == 0) & (half == 0))
            tl.debug_barrier()
            below, again = rivals(winners, best, radius, row_bits, column_bits, BY_POSITION, MAPS)
            again = again & (best != NONE)
            if LIMITED:
                top = tl.min(tl.where(again & (below < limit), best, NONE))
                wins = (best < top) & (below < limit)
            else:
                top = tl.min(tl.where(again, best, NONE))
                wins = best < top
            y, x = place_of(best, row_bits, column_bits)
            more = top != NONE
        else:
            top = tl.min(best)
            wins = best == top
            again = best != NONE
            tl.store(winners + count * MAPS + c, best, mask=wins & (half == 0))
            y, x = place_of(top, row_bits, column_bits)
            y, x = y + 0 * c, x + 0 * c
            n += 1
            more = n < limit
        count += wins.to(tl.int32)
        if BY_MAP:
            best = tl.where(wins, NONE, best)
        if BY_POSITION:
            if more:
                strike(struck, y, x, wins, height, width, across, radius, span, MAPS)
                tl.debug_barrier()
                left = best_of_maps(
                    ranks, tile_best, row_best, struck, y, x, again, height, width, rows, across, row_bits, column_bits,
                    radius, span, MAPS,
                )  # fmt: skip
                best = tl.where(again, left, best)
                if not BY_MAP:
                    more = tl.min(best) != NONE
    tl.debug_barrier()
    for i in range(0, rows, 2):
        tl.store(row_best + (i + half) * MAPS + c, tl.full((MAPS, 2), NONE, tl.int64))
    if BY_POSITION:
        for i in range(0, rows * across, 2 * MAPS):
            tile = i + 2 * c + half
            tl.store(struck + tile, tl.zeros((MAPS, 2), tl.int32), mask=tile < rows * across)
    tl.store(won + c, count, mask=half == 0)


@triton.jit
def select_alone(
    ranks, tile_best, row_best, struck, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """`select` as a launch of one program."""
    select(
        ranks, tile_best, row_best, struck, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
        BY_MAP, BY_POSITION, LIMITED, MAPS,
    )  # fmt: skip
