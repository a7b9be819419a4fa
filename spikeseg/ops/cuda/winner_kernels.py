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
SLOTS, SLOT_PARTS = tl.constexpr(16), tl.constexpr(4)
"""Maps that are looked at again in a round, and threads of each at a row of tiles."""


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
def rivals(
    keys, best, radius, row_bits, column_bits, ORDERED: tl.constexpr, NEAR: tl.constexpr, HELD: tl.constexpr, MAPS: tl.constexpr
):
    """Of each map: (ORDERED) how many keys lie below its best, and (NEAR) the least of them within the radius, else NONE. (MAPS, 1)

    Args:
        keys: int64 (MAPS,), the bests; of maps that have won, what won.
        best: int64 (MAPS, 2), the same for both threads of a map.
    """
    y, x = place_of(best, row_bits, column_bits)
    reach = (y * 0 + 2 * radius).to(tl.uint32)
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    below = tl.zeros((MAPS, 2), tl.int32)
    rival = tl.full((MAPS, 2), NONE, tl.int64)
    for i in tl.static_range(0, HELD, 2):
        key = tl.load(keys + i + half)
        if ORDERED:
            below += (key < best).to(tl.int32)
        if NEAR:
            row, column = place_of(key, row_bits, column_bits)
            near = (row - (y - radius)).to(tl.uint32, bitcast=True) <= reach  # from -radius to radius
            near = near & ((column - (x - radius)).to(tl.uint32, bitcast=True) <= reach)
            rival = tl.where(near & (key < rival), key, rival)
    rival = tl.min(rival, 1)[:, None]
    return tl.sum(below, 1)[:, None], tl.where(rival < best, rival, NONE)


@triton.jit
def strike(struck, y, x, wins, height, width, across, radius, tall, wide, MAPS: tl.constexpr):
    """Strike out what lies near the winners, at (y, x) of the maps that win, for all maps."""
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    last = tl.minimum(x + radius, width - 1) // SIDE
    lowest = tl.minimum(y + radius, height - 1) // SIDE
    for above in range(0, tall, 2):
        row = tl.maximum(y - radius, 0) // SIDE + above + half
        up = tl.maximum(y - radius - row * SIDE, 0)
        down = tl.minimum(y + radius - row * SIDE, SIDE - 1)
        rows = (1 << ((down + 1) * SIDE)) - (1 << (up * SIDE))
        for before in range(wide):
            tile_x = tl.maximum(x - radius, 0) // SIDE + before
            left = tl.maximum(x - radius - tile_x * SIDE, 0)
            right = tl.minimum(x + radius - tile_x * SIDE, SIDE - 1)
            columns = (2 << right) - (1 << left)
            inside = wins & (row <= lowest) & (tile_x <= last)
            tl.atomic_or(struck + row * across + tile_x, rows & (columns * 0x1111), mask=inside, sem="relaxed")


@triton.jit
def best_of_tile(ranks, word, here, part, tile_y, tile_x, c, row_bits, column_bits, PARTS: tl.constexpr, MAPS: tl.constexpr):
    """The best that is left of a tile of map c, in the part of it that each of PARTS threads looks at: keys.

    Args:
        ranks: of the tile and map.
        word: neurons that are struck, a bit each.
    """
    best = part * 0 + NEVER
    place = part * 0
    for k in tl.static_range(0, NEURONS, PARTS):
        neuron = k + part
        rank = tl.load(ranks + neuron * MAPS, mask=here & (((word >> neuron) & 1) == 0), other=NEVER)
        place = tl.where(rank < best, neuron, place)
        best = tl.minimum(best, rank)
    return key_of(best, tile_y * SIDE + place // SIDE, tile_x * SIDE + place % SIDE, c, row_bits, column_bits)


@triton.jit
def best_of_maps(
    ranks, tile_best, row_best, struck, c, y, x, again, height, width, rows, across, row_bits, column_bits, radius, tall, wide,
    PARTS: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """The least key of some maps, after a new look at the tiles within the radius of (y, x): int64 (n,).

    Args:
        c, y, x: int32 (n, 2, PARTS), maps and places: of the threads of a map.
        again: which maps; what comes out of others is of no use.
    """
    half = tl.arange(0, 2)[None, :, None] + c * 0
    part = tl.arange(0, PARTS)[None, None, :] + c * 0
    first, last = tl.maximum(x - radius, 0) // SIDE, tl.minimum(x + radius, width - 1) // SIDE
    upper, lowest = tl.maximum(y - radius, 0) // SIDE, tl.minimum(y + radius, height - 1) // SIDE
    none = tl.where(again, NONE, NONE)
    best = none
    for i in range(0, rows, 2 * PARTS):
        row = i + 2 * part + half
        outside = again & (row < rows) & ((row < upper) | (row > lowest))
        best = tl.minimum(best, tl.load(row_best + row * MAPS + c, mask=outside, other=NONE))
    for above in range(0, tall, 2):
        row = upper + above + half
        inside = again & (row <= lowest)
        left = none
        for i in range(0, across, AT_ONCE):
            for j in tl.static_range(0, AT_ONCE, PARTS):
                tile_x = i + j + part
                outside = inside & ((tile_x < first) | (tile_x > last))
                left = tl.minimum(left, tl.load(tile_best + (row * across + tile_x) * MAPS + c, mask=outside, other=NONE))
        for before in range(wide):
            tile_x = first + before
            here = inside & (tile_x <= last)
            tile = row * across + tile_x
            word = tl.load(struck + tile, mask=here, other=0)
            key = best_of_tile(
                ranks + tile * (NEURONS * MAPS) + c, word, here, part, row, tile_x, c, row_bits, column_bits, PARTS, MAPS
            )
            key = tl.min(key, 2)[:, :, None] + none * 0
            tl.store(tile_best + tile * MAPS + c, key, mask=here & (part == 0))
            left = tl.minimum(left, key)
        left = tl.min(left, 2)[:, :, None] + none * 0
        tl.store(row_best + row * MAPS + c, left, mask=inside & (part == 0))
        best = tl.minimum(best, left)
    return tl.min(tl.min(best, 2), 1)


@triton.jit
def select(
    ranks, tile_best, row_best, struck, slots, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, HELD: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """The winners of a sample.

    Args:
        ranks: int32 (rows, across, NEURONS, MAPS), of tiles. Without BY_POSITION neither they nor `tile_best` nor `struck` are
            used, and the first row holds the best of all.
        tile_best: int64 (rows, across, MAPS).
        row_best: int64 (rows, MAPS). NONE afterwards.
        struck: int32 (rows, across), 0 before and afterwards.
        slots: int64 (SLOTS,), for the kernel's own use.
        winners: int64; the k-th winner of map m is written to ``winners[k * MAPS + m]``.
        won: int32 (MAPS,), how many each map has; written.
        rows, across: tiles below and beside each other, up to multiples of AT_ONCE.
        LIMITED: whether `limit` is less than there would be otherwise.
        HELD, MAPS: maps, up to an even number, and up to what there is room for.
    """
    half = tl.arange(0, 2)[None, :] + tl.zeros((MAPS, 2), tl.int32)
    c = tl.arange(0, MAPS)[:, None] + tl.zeros((MAPS, 2), tl.int32)
    reach = (2 * radius + SIDE - 1) // SIDE + 1  # tiles that 2 * radius + 1 neurons beside each other can lie in
    tall, wide = tl.minimum(reach, (height + SIDE - 1) // SIDE), tl.minimum(reach, (width + SIDE - 1) // SIDE)
    count = tl.zeros((MAPS, 2), tl.int32)
    best = tl.full((MAPS, 2), NONE, tl.int64)
    for i in range(0, rows, AT_ONCE):
        for j in tl.static_range(0, AT_ONCE, 2):
            best = tl.minimum(best, tl.load(row_best + (i + j + half) * MAPS + c))
    best = tl.min(best, 1)[:, None] + tl.zeros((MAPS, 2), tl.int64)
    if BY_MAP:
        tl.store(winners + c, best, mask=half == 0)
        more = True
        while more:
            tl.debug_barrier()  # the bests, written by some threads, are read by others
            best = tl.where(count == 0, tl.load(winners + c), NONE)
            below, rival = rivals(winners, best, radius, row_bits, column_bits, LIMITED, BY_POSITION, HELD, MAPS)
            waits = rival < best
            if LIMITED:
                waits = waits & (below < limit)
            top = tl.min(tl.where(waits, best, NONE))
            wins = best < top
            if LIMITED:
                wins = wins & (below < limit)
            count += wins.to(tl.int32)
            more = top != NONE
            if BY_POSITION:
                if more:
                    y, x = place_of(best, row_bits, column_bits)
                    strike(struck, y, x, wins, height, width, across, radius, tall, wide, MAPS)
                    slot = tl.arange(0, SLOTS)
                    tl.store(slots + slot, tl.full((SLOTS,), NONE, tl.int64))
                    tl.debug_barrier()  # before some are filled
                    again = rival < top
                    others = waits & (rival >= top)
                    place = tl.cumsum(others.to(tl.int32), 0)
                    tl.store(slots + SLOTS - place, best, mask=others & (place <= SLOTS) & (half == 0))
                    tl.debug_barrier()  # before those that are struck take their places
                    place = tl.cumsum(again.to(tl.int32), 0) - 1
                    tl.store(slots + place, best, mask=again & (place < SLOTS) & (half == 0))
                    tl.debug_barrier()  # what is struck, and whose turn it is, is known to all threads
                    key = tl.load(slots + slot)[:, None, None] + tl.zeros((SLOTS, 2, SLOT_PARTS), tl.int64)
                    y, x = place_of(key, row_bits, column_bits)
                    m = ((key & 0xFFFFFFFF) >> (row_bits + column_bits)).to(tl.int32)
                    left = best_of_maps(
                        ranks, tile_best, row_best, struck, m, y, x, key != NONE, height, width, rows, across,
                        row_bits, column_bits, radius, tall, wide, SLOT_PARTS, MAPS,
                    )  # fmt: skip
                    key = tl.load(slots + slot)
                    m = ((key & 0xFFFFFFFF) >> (row_bits + column_bits)).to(tl.int32)
                    tl.store(winners + m, left, mask=key != NONE)
    else:
        n = 0
        top = tl.min(best)
        while (n < limit) & (top != NONE):
            wins = best == top
            tl.store(winners + count * MAPS + c, best, mask=wins & (half == 0))
            count += wins.to(tl.int32)
            n += 1
            y, x = place_of(top, row_bits, column_bits)
            strike(struck, y + 0 * c, x + 0 * c, wins, height, width, across, radius, tall, wide, MAPS)
            tl.debug_barrier()  # what is struck, and the bests of tiles and rows, are known to all threads
            m = tl.arange(0, MAPS)[:, None, None] + tl.zeros((MAPS, 2, 1), tl.int32)
            left = best_of_maps(
                ranks, tile_best, row_best, struck, m, y + 0 * m, x + 0 * m, m >= 0, height, width, rows, across,
                row_bits, column_bits, radius, tall, wide, 1, MAPS,
            )  # fmt: skip
            best = left[:, None] + tl.zeros((MAPS, 2), tl.int64)
            top = tl.min(best)
    tl.debug_barrier()  # all threads have read what is now reset
    for i in range(0, rows, 2):
        tl.store(row_best + (i + half) * MAPS + c, tl.full((MAPS, 2), NONE, tl.int64))
    if BY_POSITION:
        for i in range(0, rows * across, 2 * MAPS):
            tile = i + 2 * c + half
            tl.store(struck + tile, tl.zeros((MAPS, 2), tl.int32), mask=tile < rows * across)
    tl.store(won + c, count, mask=half == 0)


@triton.jit
def select_alone(
    ranks, tile_best, row_best, struck, slots, winners, won, height, width, rows, across, row_bits, column_bits, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, HELD: tl.constexpr, MAPS: tl.constexpr,
):  # fmt: skip
    """`select` as a launch of one program."""
    select(
        ranks, tile_best, row_best, struck, slots, winners, won, height, width, rows, across, row_bits, column_bits, radius,
        limit, BY_MAP, BY_POSITION, LIMITED, HELD, MAPS,
    )  # fmt: skip
