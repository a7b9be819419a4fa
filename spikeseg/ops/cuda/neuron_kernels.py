# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton kernels of the neurons: convolution and membrane over all steps of a sample, in integers.

Potentials are int32 in units of 2**-12. A synaptic input is a matrix product of whole numbers on the tensor cores, which multiply
int8 and add int32 without rounding: a weight is cut into parts of 7 bits (the last one signed), the parts stand side by side as
columns of one product, and are put together afterwards.

Rows of a product are neurons' positions, its inner dimension the C*K*K synapses ("taps"). Input planes lie padded by K//2 on
every side, so that the input of the tap with offset ``taps[k]`` of the neuron at (y, x) is ``plane[y * width + x + taps[k]]``,
without a test for borders.

Where steps come as bits, one int32 per site holds a sample: 4 bytes a site are read once for all steps, a first spike is
"any bit up to t", and T <= 32.
"""

from __future__ import annotations

import triton
import triton.language as tl

from spikeseg.core.grid import GRID_BITS, SCALE
from spikeseg.core.leak import LeakCode

SUBTRACTIVE, MULTIPLICATIVE = tl.constexpr(int(LeakCode.SUBTRACTIVE)), tl.constexpr(int(LeakCode.MULTIPLICATIVE))
UNITS = tl.constexpr(SCALE)
STEP_MASK, HALF_STEP = tl.constexpr(2**GRID_BITS - 1), tl.constexpr(2 ** (GRID_BITS - 1))
SHIFT = tl.constexpr(GRID_BITS)
"""The grid, `spikeseg.core.grid`: units in 1, and what rounding a product back to units takes."""
PART_BITS = tl.constexpr(7)
PART_MASK = tl.constexpr(127)

NEVER = tl.constexpr(2**31 - 1)
"""Rank of a neuron that has not fired, and a threshold out of reach: potentials stay below 2**24."""
HEIGHT_BITS = tl.constexpr(26)
HEIGHT_MASK = tl.constexpr(2**26 - 1)
TOP = tl.constexpr(2**25)
"""Ranks sort first spikes: step, then ``TOP - potential`` in HEIGHT_BITS bits."""
ADDRESS_BITS = tl.constexpr(28)
ADDRESS_MASK = tl.constexpr(2**28 - 1)
NONE = tl.constexpr(2**63 - 1)
"""Keys sort candidates: rank, then flat address (m*H + y)*W + x; NONE is no candidate."""
SIDE = tl.constexpr(8)
"""Neurons along the side of a square tile, in training."""

BASE, END, HALT, PHASE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
"""Fields of the cursor: position in the order of the first slot; positions from END on are not learned; nor are those behind
HALT, where a map died; samples of the batch in hand that came before position 0."""


@triton.jit
def to_units(value):
    """float32 rounded to the grid, half to even, in its units: int32."""
    scaled = value * UNITS  # by a power of two: exact
    below = tl.floor(scaled)
    rest = scaled - below  # exact
    units = below.to(tl.int32)
    return units + ((rest > 0.5) | ((rest == 0.5) & ((units & 1) == 1))).to(tl.int32)


@triton.jit
def membrane(v, current, leak, MODE: tl.constexpr):
    """Pre-reset potential. leak: in units (subtractive), or the factor times UNITS (multiplicative)."""
    if MODE == SUBTRACTIVE:
        u = tl.maximum(v + current - leak, 0)
    elif MODE == MULTIPLICATIVE:
        product = v.to(tl.int64) * leak
        below = product >> SHIFT  # floor, of negative ones too
        rest = product & STEP_MASK
        kept = below + ((rest > HALF_STEP) | ((rest == HALF_STEP) & ((below & 1) == 1))).to(tl.int64)
        u = kept.to(tl.int32) + current
    else:
        u = v + current
    return u


@triton.jit
def synapses(
    source, taps, weights, origin, t, first_map,
    BITS: tl.constexpr, INPUT_PARTS: tl.constexpr, WEIGHT_PARTS: tl.constexpr, TAPS: tl.constexpr, CHUNK: tl.constexpr,
    MAPS: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Synaptic input of step t: int32 (ROWS, COLS).

    Args:
        source: the sample's planes; words of step bits (BITS), or the counts of step t.
        taps: int32 (TAPS,), offsets; TAPS is padded to a multiple of CHUNK, with taps of weight 0.
        weights: int8 (TAPS, WEIGHT_PARTS, MAPS).
        origin: int32 (ROWS,), address of each neuron's first tap.
        first_map: of COLS.
    """
    inner = tl.arange(0, CHUNK)
    column = tl.arange(0, WEIGHT_PARTS * COLS)
    beside = column // COLS * MAPS + first_map + column % COLS
    total = tl.zeros((ROWS, COLS), tl.int32)
    for part in tl.static_range(INPUT_PARTS):
        product = tl.zeros((ROWS, WEIGHT_PARTS * COLS), tl.int32)
        for k in range(0, TAPS, CHUNK):
            arrived = tl.load(source + origin[:, None] + tl.load(taps + k + inner)[None, :]).to(tl.int32)
            if BITS:
                x = (arrived >> t) & 1
            elif part + 1 < INPUT_PARTS:
                x = (arrived >> (part * PART_BITS)) & PART_MASK
            else:
                x = arrived >> (part * PART_BITS)
            w = tl.load(weights + (k + inner)[:, None] * (WEIGHT_PARTS * MAPS) + beside[None, :])
            product += tl.dot(x.to(tl.int8), w, out_dtype=tl.int32)
        parts = tl.reshape(product, (ROWS, WEIGHT_PARTS, COLS))
        shift = (part + tl.arange(0, WEIGHT_PARTS)) * PART_BITS
        total += tl.sum(parts << shift[None, :, None], 1)
    return total


@triton.jit
def arrivals(source, taps, origin, TAPS: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr):
    """Steps at which anything at all reaches these neurons: words (ROWS, CHUNK), for `driven`."""
    inner = tl.arange(0, CHUNK)
    arrived = tl.zeros((ROWS, CHUNK), tl.int32)
    for k in range(0, TAPS, CHUNK):
        arrived |= tl.load(source + origin[:, None] + tl.load(taps + k + inner)[None, :])
    return arrived


@triton.jit
def driven(arriving, t):
    """Whether anything arrives at step t. arriving: from `arrivals`."""
    return tl.max((arriving >> t) & 1) > 0


@triton.jit(do_not_specialize=["slot"])
def first_spikes(
    words, taps, weights, theta, competing, keys, tile_best, cursor, slot, sample_size, width_padded,
    maps, height, width, tiles_x, leak,
    STEPS: tl.constexpr, MODE: tl.constexpr, COMPETITION: tl.constexpr, KEEP: tl.constexpr,
    WEIGHT_PARTS: tl.constexpr, TAPS: tl.constexpr, CHUNK: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Training, first of three: a layer's first spikes in one sample, as keys, and the best of every tile and map.

    Grid: (tiles of SIDE x SIDE neurons, groups of COLS maps).

    Args:
        words: int32 (slots, sample_size); `slot` is this sample's.
        theta: int32 (MAPS,), out of reach from `maps` on.
        competing: float32 (maps, H, W).
        keys: int64 (tiles, SIDE * SIDE, MAPS), written when KEEP; tile_best: int64 (tiles, MAPS).
    """
    position = tl.load(cursor + BASE) + slot
    if (position >= tl.load(cursor + END)) | (position > tl.load(cursor + HALT)):
        return
    ROWS: tl.constexpr = SIDE * SIDE
    tile = tl.program_id(0)
    first_map = tl.program_id(1) * COLS
    m = first_map + tl.arange(0, COLS)
    row = tl.arange(0, ROWS)
    y = tile // tiles_x * SIDE + row // SIDE
    x = tile % tiles_x * SIDE + row % SIDE
    inside = (y < height) & (x < width)
    origin = tl.minimum(y, height - 1) * width_padded + tl.minimum(x, width - 1)
    source = words + slot.to(tl.int64) * sample_size
    level = tl.load(theta + m)
    arrived = arrivals(source, taps, origin, TAPS, CHUNK, ROWS)
    v = tl.zeros((ROWS, COLS), tl.int32)
    rank = tl.full((ROWS, COLS), NEVER, tl.int32)
    for t in range(STEPS):
        current = tl.zeros((ROWS, COLS), tl.int32)
        if driven(arrived, t):
            current = synapses(
                source, taps, weights, origin, t, first_map, True, 1, WEIGHT_PARTS, TAPS, CHUNK, MAPS, ROWS, COLS
            )  # fmt: skip
        u = membrane(v, current, leak, MODE)
        fired = u >= level[None, :]
        v = tl.where(fired, 0, u)
        rank = tl.where(fired & (rank == NEVER), t * (HEIGHT_MASK + 1) + (TOP - u), rank)
    candidate = (rank != NEVER) & inside[:, None] & (m < maps)[None, :]
    if COMPETITION:
        u = TOP - (rank & HEIGHT_MASK)
        at = (m[None, :] * height + y[:, None]) * width + x[:, None]
        needed = tl.load(competing + at, mask=candidate, other=0.0)
        candidate = candidate & (u.to(tl.float32) * (1.0 / UNITS) >= needed)
    address = (m[None, :] * height + y[:, None]) * width + x[:, None]
    key = tl.where(candidate, (rank.to(tl.int64) << ADDRESS_BITS) | address.to(tl.int64), NONE)
    if KEEP:
        tl.store(keys + (tile * ROWS + row)[:, None] * MAPS + m[None, :], key)
    tl.store(tile_best + tile * MAPS + m, tl.min(key, 0))
