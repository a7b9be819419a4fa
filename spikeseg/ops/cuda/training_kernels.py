# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton kernels of the training step, after the neurons (`neuron_kernels.first_spikes`): winners, STDP, homeostasis.

Everything stays on the device. A launch belongs to a slot; the cursor says which position in the order that is, and whether there
is anything to do: behind the end, or behind a sample after which a map was dead, a launch does nothing.

Floating point is float32 in the order of operations of `reference`; every launch of `learn` and `apply_stdp` needs
``enable_fp_fusion=False``, or a multiplication and an addition would be contracted into one rounding.
"""

from __future__ import annotations

import triton
import triton.language as tl

from spikeseg.ops.types import PlasticityForm

from .neuron_kernels import (
    ADDRESS_BITS,
    ADDRESS_MASK,
    BASE,
    END,
    HALT,
    HEIGHT_BITS,
    NONE,
    PART_BITS,
    PART_MASK,
    PHASE,
    SIDE,
    to_units,
)

LR_PLUS, LR_MINUS, WEIGHT_MIN, WEIGHT_MAX = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
FIRST_BASE, DEAD = tl.constexpr(4), tl.constexpr(5)
REST, PLUS, TAU, THETA_MAX = tl.constexpr(6), tl.constexpr(7), tl.constexpr(8), tl.constexpr(9)
TARGET, LR, LOW, HIGH = tl.constexpr(10), tl.constexpr(11), tl.constexpr(12), tl.constexpr(13)
"""Fields of the rule's numbers, float32 on the device."""
MULTIPLICATIVE_RULE = tl.constexpr(int(PlasticityForm.MULTIPLICATIVE))
CUSTOM_RULE = tl.constexpr(int(PlasticityForm.CUSTOM))


@triton.jit
def unpack(
    offsets, sites, order, cursor, words, sample_size, plane_size, width_padded, height, width, half,
    STEPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Lists of the next samples into step bits. Grid: (slots, STEPS). words: int32 (slots, sample_size), 0 before."""
    slot = tl.program_id(0)
    t = tl.program_id(1)
    position = tl.load(cursor + BASE) + slot
    if position >= tl.load(cursor + END):
        return
    n = tl.load(order + position)
    first = tl.load(offsets + n * STEPS + t)
    count = (tl.load(offsets + n * STEPS + t + 1) - first).to(tl.int32)
    bit = tl.full((BLOCK,), 1, tl.int32) << t
    for i in range(0, count, BLOCK):
        k = i + tl.arange(0, BLOCK)
        site = tl.load(sites + first + k, mask=k < count, other=0)
        y = site // width % height
        at = site // (height * width) * plane_size + (y + half) * width_padded + site % width + half
        tl.atomic_or(words + slot.to(tl.int64) * sample_size + at, bit, mask=k < count, sem="relaxed")


@triton.jit
def best_of_maps(tile_best, tiles, MAPS: tl.constexpr, CHUNK: tl.constexpr):
    """Smallest key of every map: int64 (MAPS,)."""
    m = tl.arange(0, MAPS)
    best = tl.full((CHUNK, MAPS), NONE, tl.int64)
    for i in range(0, tiles, CHUNK):
        tile = i + tl.arange(0, CHUNK)
        keys = tl.load(tile_best + tile[:, None] * MAPS + m[None, :], mask=(tile < tiles)[:, None], other=NONE)
        best = tl.minimum(best, keys)
    return tl.min(best, 0)


@triton.jit(do_not_specialize=["slot"])
def select(
    keys, tile_best, winners, n_winners, cursor, slot, tiles, tiles_x, height, width, radius, limit,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr,
    MAPS: tl.constexpr, CHUNK: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Training, second of three: winner-take-all, by one program. Winners come out in the order of their keys.

    Args:
        keys: int64 (tiles, SIDE * SIDE, MAPS); those near a winner are struck out (BY_POSITION).
        tile_best: int64 (tiles, MAPS), kept in step with them.
        winners: int64; BY_MAP the winning key of each map, or NONE: (MAPS,); else `n_winners` keys one after the other.
        n_winners: int32 (1,).
        LIMITED: whether `limit` is less than one per map.
    """
    position = tl.load(cursor + BASE) + slot
    if (position >= tl.load(cursor + END)) | (position > tl.load(cursor + HALT)):
        return
    m = tl.arange(0, MAPS)
    best = best_of_maps(tile_best, tiles, MAPS, CHUNK)
    if not BY_POSITION:
        if LIMITED:
            last = tl.min(tl.full((MAPS,), -1, tl.int64), 0)
            for _ in range(limit):
                last = tl.min(tl.where(best > last, best, NONE), 0)
            best = tl.where(best <= last, best, NONE)
        tl.store(winners + m, best)
    else:
        taken = tl.full((MAPS,), NONE, tl.int64)
        top = tl.min(best, 0)
        n = 0
        row = tl.arange(0, SIDE * SIDE)
        while (n < limit) & (top != NONE):
            address = (top & ADDRESS_MASK).to(tl.int32)
            y = address // width % height
            x = address % width
            if BY_MAP:
                taken = tl.where(m == address // (height * width), top, taken)
            else:
                tl.store(winners + n, top)
            n += 1
            first_column = tl.maximum(x - radius, 0) // SIDE
            last_column = tl.minimum(x + radius, width - 1) // SIDE
            for tile_y in range(tl.maximum(y - radius, 0) // SIDE, tl.minimum(y + radius, height - 1) // SIDE + 1):
                for tile_x in range(first_column, last_column + 1):
                    below = row // SIDE + tile_y * SIDE - y
                    beside = row % SIDE + tile_x * SIDE - x
                    near = (below <= radius) & (-below <= radius) & (beside <= radius) & (-beside <= radius)
                    tile = tile_y * tiles_x + tile_x
                    for first in range(0, MAPS, COLS):
                        some = first + tl.arange(0, COLS)
                        at = keys + (tile * (SIDE * SIDE) + row)[:, None] * MAPS + some[None, :]
                        left = tl.where(near[:, None], NONE, tl.load(at))
                        tl.store(at, left)
                        tl.store(tile_best + tile * MAPS + some, tl.min(left, 0))
            tl.debug_barrier()  # what one thread wrote, others read
            best = best_of_maps(tile_best, tiles, MAPS, CHUNK)
            if BY_MAP:
                best = tl.where(taken == NONE, best, NONE)
            top = tl.min(best, 0)
            tl.debug_barrier()
        if BY_MAP:
            tl.store(winners + m, taken)
        tl.store(n_winners, n)


@triton.jit
def changed(w, early, numbers, FORM: tl.constexpr):
    """A weight after STDP; FORM: `PlasticityForm` but CUSTOM."""
    rate = tl.where(early, tl.load(numbers + LR_PLUS), -tl.load(numbers + LR_MINUS))
    if FORM == MULTIPLICATIVE_RULE:
        w = w + rate * (w * (1.0 - w))
    else:
        w = w + rate
    return tl.minimum(tl.maximum(w, tl.load(numbers + WEIGHT_MIN)), tl.load(numbers + WEIGHT_MAX))


@triton.jit(do_not_specialize=["slot"])
def learn(
    words, taps, weight, weights, winners, n_winners, cursor, slot, numbers, threshold, theta, theta_units,
    wins, recent_wins, seen, competing, sample_size, width_padded, height, width, synapses, dead_warmup, batch_size,
    BY_MAP: tl.constexpr, FORM: tl.constexpr, MAP_RULE: tl.constexpr, COMPETITION: tl.constexpr, RECOVERY: tl.constexpr,
    WEIGHT_PARTS: tl.constexpr, MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Training, third of three: STDP and homeostasis of map m, and what the next batch convolves with.

    Grid: (maps, 1), or with COMPETITION (maps, 1 + groups of BLOCK neurons): the first program of a map learns, the others move
    its thresholds of the competition.

    Args:
        weight: float32 (maps, synapses), the master; weights: int8 (TAPS, WEIGHT_PARTS, MAPS), what convolves. Both are left to
            the caller where FORM is CUSTOM.
        threshold, theta: float32 (maps,); theta_units: int32 (MAPS,), what is compared with.
        wins, recent_wins, seen: int64 (maps,).
    """
    position = tl.load(cursor + BASE) + slot
    if (position >= tl.load(cursor + END)) | (position > tl.load(cursor + HALT)):
        return
    m = tl.program_id(0)
    part = tl.program_id(1)
    size = height * width
    first = 0
    last = 0
    if BY_MAP:
        first = m
        last = m + 1
    else:
        last = tl.load(n_winners)
    if part > 0:
        if COMPETITION:
            pixel = (part - 1) * BLOCK + tl.arange(0, BLOCK)
            rate = tl.zeros((BLOCK,), tl.float32)
            for k in range(first, last):
                key = tl.load(winners + k)
                address = (key & ADDRESS_MASK).to(tl.int32)
                rate = tl.where((key != NONE) & (address == m * size + pixel), 1.0, rate)
            at = competing + m * size + pixel
            level = tl.load(at, mask=pixel < size, other=0.0) + tl.load(numbers + LR) * (rate - tl.load(numbers + TARGET))
            level = tl.minimum(tl.maximum(level, tl.load(numbers + LOW)), tl.load(numbers + HIGH))
            tl.store(at, level, mask=pixel < size)
        return
    won = 0
    source = words + slot.to(tl.int64) * sample_size
    for k in range(first, last):
        key = tl.load(winners + k)
        address = (key & ADDRESS_MASK).to(tl.int32)
        if (key != NONE) & (address // size == m):
            won += 1
            t = (key >> (ADDRESS_BITS + HEIGHT_BITS)).to(tl.int32)
            if FORM != CUSTOM_RULE:
                origin = address // width % height * width_padded + address % width
                for i in range(0, synapses, BLOCK):
                    j = i + tl.arange(0, BLOCK)
                    bits = tl.load(source + origin + tl.load(taps + j, mask=j < synapses, other=0))
                    early = (bits << (31 - t)) != 0  # any step up to t
                    w = tl.load(weight + m * synapses + j, mask=j < synapses, other=0.0)
                    tl.store(weight + m * synapses + j, changed(w, early, numbers, FORM), mask=j < synapses)
                tl.debug_barrier()  # the next winner may read what another thread wrote
    total = tl.load(wins + m) + won
    recent = tl.load(recent_wins + m) + won
    samples = tl.load(seen + m) + 1
    tl.store(wins + m, total)
    tl.store(recent_wins + m, recent)
    tl.store(seen + m, samples)
    adapted = tl.load(theta + m)
    if MAP_RULE:
        raised = adapted + tl.load(numbers + PLUS) * won
        rest = tl.load(numbers + REST)
        decayed = raised - tl.div_rn(raised - rest, tl.load(numbers + TAU))
        adapted = tl.minimum(tl.maximum(decayed, rest), tl.load(numbers + THETA_MAX))
        tl.store(theta + m, adapted)
    level = tl.load(numbers + FIRST_BASE) + adapted
    tl.store(threshold + m, level)
    if RECOVERY:
        if (samples >= dead_warmup) & (recent.to(tl.float32) < tl.load(numbers + DEAD) * samples.to(tl.float32)):
            tl.store(cursor + HALT, position)  # the same from every map; this sample is learned to its end
    if (position + 1 + tl.load(cursor + PHASE)) % batch_size == 0:
        tl.store(theta_units + m, to_units(level))
        if FORM != CUSTOM_RULE:
            for i in range(0, synapses, BLOCK):
                j = i + tl.arange(0, BLOCK)
                units = to_units(tl.load(weight + m * synapses + j, mask=j < synapses, other=0.0))
                for piece in tl.static_range(WEIGHT_PARTS):
                    cut = units >> (piece * PART_BITS)
                    if piece + 1 < WEIGHT_PARTS:
                        cut = cut & PART_MASK
                    tl.store(weights + (j * WEIGHT_PARTS + piece) * MAPS + m, cut.to(tl.int8), mask=j < synapses)


@triton.jit
def apply_stdp(
    weight, first_input, taps, winners, n_winners, numbers, width_padded, synapses, FORM: tl.constexpr, BLOCK: tl.constexpr
):
    """STDP of a list of winners. Grid: (maps,).

    Args:
        first_input: int32 planes, padded; late where silent.
        winners: int32 rows (step, map, row, column).
    """
    m = tl.program_id(0)
    for k in range(n_winners):
        if tl.load(winners + k * 4 + 1) == m:
            t = tl.load(winners + k * 4)
            origin = tl.load(winners + k * 4 + 2) * width_padded + tl.load(winners + k * 4 + 3)
            for i in range(0, synapses, BLOCK):
                j = i + tl.arange(0, BLOCK)
                early = tl.load(first_input + origin + tl.load(taps + j, mask=j < synapses, other=0)) <= t
                w = tl.load(weight + m * synapses + j, mask=j < synapses, other=0.0)
                tl.store(weight + m * synapses + j, changed(w, early, numbers, FORM), mask=j < synapses)
            tl.debug_barrier()  # the next winner may read what another thread wrote
