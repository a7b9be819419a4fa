# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton: first spikes of small tiles of neurons in one sample, all steps, in integers.

What arrives at a tile in a step is known beforehand, as a list of at most `room` spikes (`training_kernels.unpack`). Each spike
of the list adds its weights to the potentials that it reaches. A tile at which more arrive in some step uses the tensor cores.
Sums of integers do not depend on their order: both give the same bits.

A spike costs a program the same whether it reaches one neuron of the tile or all, so tiles are small: with kernels of 5 x 5, a
spike costs 64 neurons' work in tiles of 4 x 4, and 144 in tiles of 8 x 8.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .neuron_kernels import HEIGHT_MASK, NEVER, PART_BITS, PART_MASK, TOP, membrane

SIDE = tl.constexpr(4)
"""Neurons along the side of a square tile."""
NEURONS = tl.constexpr(16)
PARTS = tl.constexpr(4)
"""Parts of 7 bits that hold any weight."""
AT_ONCE = tl.constexpr(2)
"""Spikes of a list whose weights are loaded together."""


@triton.jit
def listed_input(events, count, table, m, KERNEL: tl.constexpr, BITS: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr):
    """Synaptic input of a tile from a list of spikes: int32 (NEURONS, COLS).

    Args:
        events: int32 (count,), spikes: row and column within what the tile sees, BITS each, above them c*K*K + row*K + column.
        table: int32 (TAPS, MAPS).
        m: int32 (COLS,), the maps.
    """
    neuron = tl.arange(0, NEURONS)
    y = neuron // SIDE
    x = neuron % SIDE
    first = table + (m[None, :] - (y * KERNEL + x)[:, None] * MAPS)
    total = tl.zeros((NEURONS, COLS), tl.int32)
    for i in range(0, count, AT_ONCE):
        for j in tl.static_range(AT_ONCE):
            event = tl.load(events + i + j, mask=i + j < count, other=-1)  # -1 lies beyond the reach of every neuron
            below = ((event >> BITS) & ((1 << BITS) - 1)) - y
            beside = (event & ((1 << BITS) - 1)) - x
            reached = (below >= 0) & (below < KERNEL) & (beside >= 0) & (beside < KERNEL)
            total += tl.load(first + (event >> (2 * BITS)) * MAPS, mask=reached[:, None], other=0)
    return total


@triton.jit
def dense_input(
    source, taps, table, origin, t, m, TAPS: tl.constexpr, CHUNK: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr
):
    """The same from words of step bits, as a product of int8, weights in parts of 7 bits.

    Args:
        source: the sample's words.
        taps: int32 (TAPS,), offsets.
        origin: int32 (NEURONS,), address of each neuron's first tap.
    """
    inner = tl.arange(0, CHUNK)
    total = tl.zeros((NEURONS, COLS), tl.int32)
    for k in range(0, TAPS, CHUNK):
        arrived = tl.load(source + origin[:, None] + tl.load(taps + k + inner)[None, :])
        x = ((arrived >> t) & 1).to(tl.int8)
        w = tl.load(table + (k + inner)[:, None] * MAPS + m[None, :])
        for part in tl.static_range(PARTS):
            cut = w >> (part * PART_BITS)
            if part + 1 < PARTS:
                cut = cut & PART_MASK
            total += tl.dot(x, cut.to(tl.int8), out_dtype=tl.int32) << (part * PART_BITS)
    return total


@triton.jit
def ranks_of(
    source, counts, events, room, taps, table, levels, origin, m, leak, DENSE: tl.constexpr,
    STEPS: tl.constexpr, MODE: tl.constexpr, KERNEL: tl.constexpr, BITS: tl.constexpr,
    TAPS: tl.constexpr, CHUNK: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """`first_ranks` in one of the two ways."""
    level = tl.load(levels + m)
    v = tl.zeros((NEURONS, COLS), tl.int32)
    rank = tl.full((NEURONS, COLS), NEVER, tl.int32)
    for t in range(STEPS):
        count = tl.load(counts + t)
        if DENSE:
            current = tl.zeros((NEURONS, COLS), tl.int32)
            if count > 0:
                current = dense_input(source, taps, table, origin, t, m, TAPS, CHUNK, MAPS, COLS)
        else:
            current = listed_input(events + t * room, count, table, m, KERNEL, BITS, MAPS, COLS)
        u = membrane(v, current, leak, MODE)
        fired = u >= level[None, :]
        v = tl.where(fired, 0, u)
        rank = tl.where(fired & (rank == NEVER), t * (HEIGHT_MASK + 1) + (TOP - u), rank)
    return rank


@triton.jit
def first_ranks(
    source, counts, events, room, taps, table, levels, origin, m, leak,
    STEPS: tl.constexpr, MODE: tl.constexpr, KERNEL: tl.constexpr, BITS: tl.constexpr,
    TAPS: tl.constexpr, CHUNK: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Ranks of a tile's first spikes, NEVER where there is none: int32 (NEURONS, COLS).

    Args:
        counts: int32 (STEPS,), spikes that arrive in each step.
        events: int32 (STEPS, room), which ones, where they are no more than `room`.
        levels: int32 (MAPS,), thresholds.
    """
    t = tl.arange(0, 32)
    if tl.max(tl.load(counts + t, mask=t < STEPS, other=0), 0) > room:
        rank = ranks_of(
            source, counts, events, room, taps, table, levels, origin, m, leak, True,
            STEPS, MODE, KERNEL, BITS, TAPS, CHUNK, MAPS, COLS,
        )  # fmt: skip
    else:
        rank = ranks_of(
            source, counts, events, room, taps, table, levels, origin, m, leak, False,
            STEPS, MODE, KERNEL, BITS, TAPS, CHUNK, MAPS, COLS,
        )  # fmt: skip
    return rank
