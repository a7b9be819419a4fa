# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton kernels of the training step.

Everything stays on the device. A launch belongs to slots; the cursor says which positions in the order those are, and whether
there is anything to do: before the start, behind the end, or behind a sample after which a map was dead, it does nothing.

No program reads what another one of the same launch writes: programs meet in atomic additions and minima, whose order does not
matter. Threads of a program do, behind barriers.

Floating point is float32 in the order of operations of `reference`; every launch needs ``enable_fp_fusion=False``, or a
multiplication and an addition would be contracted into one rounding. The assembler of Triton 3.6 does so for sm_100 even then,
where two numbers share an instruction; so a selection stands between each product and its sum.
"""

from __future__ import annotations

import triton
import triton.language as tl

from spikeseg.ops.types import PlasticityForm

from .neuron_kernels import HEIGHT_BITS, HEIGHT_MASK, NEVER, NONE, TOP, UNITS, to_units
from .tile_kernels import NEURONS, SIDE, first_ranks
from .winner_kernels import key_of, select

BASE, END, HALT, PHASE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
"""Fields of the cursor: position in the order of the first slot; positions from END on are not learned; nor are those behind
HALT, where a map died; samples of the batch in hand that came before position 0."""
LR_PLUS, LR_MINUS, WEIGHT_MIN, WEIGHT_MAX = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
FIRST_BASE, DEAD = tl.constexpr(4), tl.constexpr(5)
REST, PLUS, TAU, THETA_MAX = tl.constexpr(6), tl.constexpr(7), tl.constexpr(8), tl.constexpr(9)
TARGET, LR, LOW, HIGH = tl.constexpr(10), tl.constexpr(11), tl.constexpr(12), tl.constexpr(13)
"""Fields of the rule's numbers, float32 on the device."""
MULTIPLICATIVE_RULE = tl.constexpr(int(PlasticityForm.MULTIPLICATIVE))
CUSTOM_RULE = tl.constexpr(int(PlasticityForm.CUSTOM))


@triton.jit
def unpack(
    offsets, sites, order, cursor, words, counts, events, sample_size, plane_size, width_padded, height, width, half,
    tiles_y, tiles_x, room,
    STEPS: tl.constexpr, KERNEL: tl.constexpr, BITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Lists of the next samples, to step bits and to lists of what each tile sees. Grid: (slots, STEPS).

    Args:
        words: int32 (slots, sample_size), 0 before.
        counts: int32 (slots, tiles, STEPS), 0 before.
        events: int32 (slots, tiles, STEPS, room), as `tile_kernels.listed_input` takes them; in no order, for their sum has none.
    """
    slot = tl.program_id(0)
    t = tl.program_id(1)
    position = tl.load(cursor + BASE) + slot
    if (position < 0) | (position >= tl.load(cursor + END)):
        return
    SEEN: tl.constexpr = SIDE + KERNEL - 1
    SPAN: tl.constexpr = (SEEN - 1) // SIDE + 1
    n = tl.load(order + position)
    first = tl.load(offsets + n * STEPS + t)
    count = (tl.load(offsets + n * STEPS + t + 1) - first).to(tl.int32)
    bit = tl.full((BLOCK,), 1, tl.int32) << t
    for i in range(0, count, BLOCK):
        k = i + tl.arange(0, BLOCK)
        site = tl.load(sites + first + k, mask=k < count, other=0)
        c = site // (height * width)
        y = site // width % height + half
        x = site % width + half
        at = words + slot.to(tl.int64) * sample_size + c * plane_size + y * width_padded + x
        tl.atomic_or(at, bit, mask=k < count, sem="relaxed")
        for above in tl.static_range(SPAN):
            for before in tl.static_range(SPAN):
                tile_y = y // SIDE - above
                tile_x = x // SIDE - before
                row = y - tile_y * SIDE
                column = x - tile_x * SIDE
                seen = (k < count) & (tile_y >= 0) & (tile_y < tiles_y) & (row < SEEN)
                seen = seen & (tile_x >= 0) & (tile_x < tiles_x) & (column < SEEN)
                list_ = (slot.to(tl.int64) * (tiles_y * tiles_x) + tile_y * tiles_x + tile_x) * STEPS + t
                place_ = tl.atomic_add(counts + list_, 1, mask=seen, sem="relaxed")  # a place of its own for every spike
                event = (((c * KERNEL + row) * KERNEL + column) << (2 * BITS)) | (row << BITS) | column
                tl.store(events + list_ * room + place_, event, mask=seen & (place_ < room))


@triton.jit
def changed(w, early, used, numbers, FORM: tl.constexpr):
    """Weights after STDP, where they are used; FORM: `PlasticityForm` but CUSTOM."""
    rate = tl.where(early, tl.load(numbers + LR_PLUS), -tl.load(numbers + LR_MINUS))
    if FORM == MULTIPLICATIVE_RULE:
        w = w + tl.where(used, rate * (w * (1.0 - w)), 0.0)
    else:
        w = w + rate
    return tl.minimum(tl.maximum(w, tl.load(numbers + WEIGHT_MIN)), tl.load(numbers + WEIGHT_MAX))


@triton.jit
def learn(
    words, taps, master, table, levels, winners, won, cursor, position, numbers, threshold, theta, wins, recent_wins, seen,
    width_padded, maps, synapses, row_bits, column_bits, dead_warmup, batch_size,
    FORM: tl.constexpr, MAP_RULE: tl.constexpr, RECOVERY: tl.constexpr, MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """STDP and homeostasis after a sample, of all maps at once, and what the next batch runs under.

    Args:
        words: int32, the sample's.
        master: float32 (TAPS, MAPS), table: int32 (TAPS, MAPS), the same rounded, in units. Both are left to the caller where
            FORM is CUSTOM.
        levels: int32 (MAPS,), thresholds in units.
        position: of the sample in the order.
        threshold, theta: float32 (maps,); wins, recent_wins, seen: int64 (maps,).
    """
    c = tl.arange(0, MAPS)
    real = c < maps
    ends = (position + 1 + tl.load(cursor + PHASE)) % batch_size == 0
    count = tl.load(won + c)
    if FORM != CUSTOM_RULE:
        for k in range(tl.max(count, 0)):
            key = tl.load(winners + k * MAPS + c, mask=k < count, other=0)
            t = (key >> (32 + HEIGHT_BITS)).to(tl.int32)
            y = ((key >> column_bits) & ((1 << row_bits) - 1)).to(tl.int32)
            x = (key & ((1 << column_bits) - 1)).to(tl.int32)
            for i in range(0, synapses, BLOCK):
                j = i + tl.arange(0, BLOCK)
                here = (j < synapses)[:, None] & (k < count)[None, :]
                tap = tl.load(taps + j, mask=j < synapses, other=0)
                bits = tl.load(words + (tap[:, None] + (y * width_padded + x)[None, :]), mask=here, other=0)
                early = (bits << (31 - t)[None, :]) != 0  # any step up to t
                at = master + j[:, None] * MAPS + c[None, :]
                w = tl.load(at, mask=here, other=0.0)
                w = changed(w, early, here, numbers, FORM)
                tl.store(at, w, mask=here)
                if batch_size == 1:
                    tl.store(table + j[:, None] * MAPS + c[None, :], to_units(w), mask=here)
            tl.debug_barrier()  # a map's next winner, or the table, reads what other threads may have written
        if ends & (batch_size > 1):
            for i in range(0, synapses, BLOCK):
                j = i + tl.arange(0, BLOCK)
                here = (j < synapses)[:, None] & real[None, :]
                at = j[:, None] * MAPS + c[None, :]
                tl.store(table + at, to_units(tl.load(master + at, mask=here, other=0.0)), mask=here)
    total = tl.load(wins + c, mask=real, other=0) + count
    recent = tl.load(recent_wins + c, mask=real, other=0) + count
    samples = tl.load(seen + c, mask=real, other=0) + 1
    adapted = tl.load(theta + c, mask=real, other=0.0)
    if MAP_RULE:
        raised = adapted + tl.where(real, tl.load(numbers + PLUS) * count.to(tl.float32), 0.0)
        rest = tl.load(numbers + REST)
        decayed = raised - tl.div_rn(raised - rest, tl.load(numbers + TAU))
        adapted = tl.minimum(tl.maximum(decayed, rest), tl.load(numbers + THETA_MAX))
    level = tl.load(numbers + FIRST_BASE) + adapted
    tl.debug_barrier()  # every thread has read the counters that are now written
    tl.store(wins + c, total, mask=real)
    tl.store(recent_wins + c, recent, mask=real)
    tl.store(seen + c, samples, mask=real)
    tl.store(theta + c, adapted, mask=real)
    tl.store(threshold + c, level, mask=real)
    if ends:
        tl.store(levels + c, to_units(level), mask=real)
    if RECOVERY:
        dead = (samples >= dead_warmup) & (recent.to(tl.float32) < tl.load(numbers + DEAD) * samples.to(tl.float32)) & real
        if tl.max(dead.to(tl.int32), 0) > 0:
            tl.store(cursor + HALT, position)
    tl.debug_barrier()  # the next sample of the batch goes on from all this


@triton.jit(do_not_specialize=["slot"])
def first_spikes(
    words, counts, events, taps, table, levels, competing, ranks, tile_best, row_best, cursor, slot,
    sample_size, width_padded, room, maps, height, width, tiles_x, rows, across, row_bits, column_bits, leak,
    STEPS: tl.constexpr, MODE: tl.constexpr, COMPETITION: tl.constexpr, BY_POSITION: tl.constexpr,
    KERNEL: tl.constexpr, BITS: tl.constexpr, TAPS: tl.constexpr, CHUNK: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Training, first of two: candidates in samples that see the same weights. Grid: (tiles, groups of COLS maps, samples).

    Args:
        words, counts, events: of all slots, from `unpack`; `slot` is the first sample's.
        competing: float32 (H, W, MAPS), what a potential must reach to take part (COMPETITION).
        ranks: int32 (samples, rows, across, NEURONS, MAPS); tile_best: int64 (samples, rows, across, MAPS); row_best: int64
            (samples, rows, MAPS), NONE before; see `winner_kernels.select`.
        The rest: see `tile_kernels.first_ranks`.
    """
    s = tl.program_id(2).to(tl.int64)
    position = tl.load(cursor + BASE) + slot + s
    if (position < 0) | (position >= tl.load(cursor + END)) | (position > tl.load(cursor + HALT)):
        return
    tile = tl.program_id(0)
    tiles = tl.num_programs(0)
    m = tl.program_id(1) * COLS + tl.arange(0, COLS)
    neuron = tl.arange(0, NEURONS)
    y = tile // tiles_x * SIDE + neuron // SIDE
    x = tile % tiles_x * SIDE + neuron % SIDE
    origin = tl.minimum(y, height - 1) * width_padded + tl.minimum(x, width - 1)
    lists = ((slot + s) * tiles + tile) * STEPS
    rank = first_ranks(
        words + (slot + s) * sample_size, counts + lists, events + lists * room, room, taps, table, levels, origin, m, leak,
        STEPS, MODE, KERNEL, BITS, TAPS, CHUNK, MAPS, COLS,
    )  # fmt: skip
    inside = ((y < height) & (x < width))[:, None] & (m < maps)[None, :]
    if COMPETITION:
        u = TOP - (rank & HEIGHT_MASK)
        needed = tl.load(competing + (y * width + x)[:, None] * MAPS + m[None, :], mask=inside, other=0.0)
        inside = inside & (u.to(tl.float32) * (1.0 / UNITS) >= needed)
    rank = tl.where(inside, rank, NEVER)
    best = tl.min(key_of(rank, y[:, None], x[:, None], m[None, :], row_bits, column_bits), 0)
    row = 0
    if BY_POSITION:
        row = tile // tiles_x
        at = (s * rows + row) * across + tile % tiles_x
        tl.store(ranks + (at * NEURONS + neuron)[:, None] * MAPS + m[None, :], rank)
        tl.store(tile_best + at * MAPS + m, best)
    # programs of a row come in any order, and leave the same least key
    tl.atomic_min(row_best + (s * rows + row) * MAPS + m, best, mask=best != NONE, sem="relaxed")


@triton.jit(do_not_specialize=["slot"])
def settle(
    words, taps, master, table, levels, ranks, tile_best, row_best, winners, won, cursor, slot,
    numbers, threshold, theta, wins, recent_wins, seen,
    sample_size, width_padded, maps, height, width, rows, across, row_bits, column_bits, radius, limit, most, samples,
    synapses, dead_warmup, batch_size,
    BY_MAP: tl.constexpr, BY_POSITION: tl.constexpr, LIMITED: tl.constexpr, MAPS: tl.constexpr,
    FORM: tl.constexpr, MAP_RULE: tl.constexpr, RECOVERY: tl.constexpr, BLOCK: tl.constexpr,
    SELECT: tl.constexpr, LEARN: tl.constexpr,
):  # fmt: skip
    """Training, second of two: winners (SELECT; a program each sample), and what is learned from them (LEARN; one program, the
    samples one after the other). One launch does both where there is one sample.

    Args:
        winners: int64 (samples, most, MAPS); won: int32 (samples, MAPS).
        The rest: see `winner_kernels.select` and `learn`.
    """
    begin = tl.load(cursor + BASE) + slot
    end = tl.load(cursor + END)
    if SELECT:
        s = tl.program_id(0).to(tl.int64)
        if (begin + s < 0) | (begin + s >= end) | (begin + s > tl.load(cursor + HALT)):
            return
        tiles = s * rows * across * MAPS
        select(
            ranks + tiles * NEURONS, tile_best + tiles, row_best + s * (rows * MAPS),
            winners + s * most * MAPS, won + s * MAPS, height, width, rows, across, row_bits, column_bits, radius, limit,
            BY_MAP, BY_POSITION, LIMITED, MAPS,
        )  # fmt: skip
        tl.debug_barrier()  # winners, written by some threads, are read by others
    if LEARN:
        for i in range(samples):
            position = begin + i
            if (position >= 0) & (position < end) & (position <= tl.load(cursor + HALT)):
                learn(
                    words + (slot + i).to(tl.int64) * sample_size, taps, master, table, levels,
                    winners + i * most * MAPS, won + i * MAPS, cursor, position, numbers,
                    threshold, theta, wins, recent_wins, seen, width_padded, maps, synapses, row_bits, column_bits,
                    dead_warmup, batch_size, FORM, MAP_RULE, RECOVERY, MAPS, BLOCK,
                )  # fmt: skip


@triton.jit(do_not_specialize=["slot"])
def adapt_competition(
    competing, winners, won, cursor, slot, numbers, pixels, width, row_bits, column_bits,
    MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Homeostasis of the competition after the sample of a slot. Grid: (groups of BLOCK pixels,).

    Args:
        competing: float32 (H, W, MAPS).
        winners, won: the sample's, from `train`.
        pixels: H * W.
    """
    position = tl.load(cursor + BASE) + slot
    if (position < 0) | (position >= tl.load(cursor + END)) | (position > tl.load(cursor + HALT)):
        return
    c = tl.arange(0, MAPS)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    count = tl.load(won + c)
    hit = tl.zeros((BLOCK, MAPS), tl.int32)
    for k in range(tl.max(count, 0)):
        key = tl.load(winners + k * MAPS + c, mask=k < count, other=0)
        y = ((key >> column_bits) & ((1 << row_bits) - 1)).to(tl.int32)
        x = (key & ((1 << column_bits) - 1)).to(tl.int32)
        hit |= ((pixel[:, None] == (y * width + x)[None, :]) & (k < count)[None, :]).to(tl.int32)
    at = competing + pixel[:, None] * MAPS + c[None, :]
    inside = (pixel < pixels)[:, None]
    rate = tl.load(numbers + LR)
    gained = rate * (1.0 - tl.load(numbers + TARGET))
    lost = rate * (0.0 - tl.load(numbers + TARGET))
    level = tl.load(at, mask=inside, other=0.0) + tl.where(hit > 0, gained, lost)
    level = tl.minimum(tl.maximum(level, tl.load(numbers + LOW)), tl.load(numbers + HIGH))
    tl.store(at, level, mask=inside)


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
                tl.store(weight + m * synapses + j, changed(w, early, j < synapses, numbers, FORM), mask=j < synapses)
            tl.debug_barrier()  # the next winner may read what another thread wrote
