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
NONE = tl.constexpr(2**63 - 1)
"""Keys sort candidates: rank, then address (`winner_kernels`); NONE is no candidate."""


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
