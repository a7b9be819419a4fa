# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton kernels of inference: lists of spikes unpacked, a layer with its pool over all steps, its spikes listed again.

A sample lies in words of step bits, one int32 a site, padded (`neuron_kernels`). Counts above 1 take several planes of words: bit
t of plane j of a site is bit j of its count at step t.

Every program owns what it writes, but for `fill_planes`, whose steps share words and set their bits by atomic operations.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .neuron_kernels import NEVER, UNITS, driven, membrane, synapses, to_units


@triton.jit
def fill_planes(
    offsets, sites, counts, words, sites_padded, height, width, half, steps, PLANES: tl.constexpr, BLOCK: tl.constexpr
):
    """Lists into step bits. Grid: (samples * steps,), a step each; steps set bits of the same words, so by atomic operations.

    Args:
        offsets: int64 (samples * steps + 1,) into sites and counts, both int32; counts are read where PLANES > 1.
        words: int32 (samples, PLANES, sites_padded), 0 before.
    """
    row = tl.program_id(0)
    first = tl.load(offsets + row)
    length = (tl.load(offsets + row + 1) - first).to(tl.int32)
    bit = tl.full((BLOCK,), 1, tl.int32) << row % steps
    sample = words + (row // steps).to(tl.int64) * (PLANES * sites_padded)
    for i in range(0, length, BLOCK):
        k = i + tl.arange(0, BLOCK)
        listed = k < length
        site = tl.load(sites + first + k, mask=listed, other=0)
        y = site // width
        at = (y + site // (height * width) * (2 * half) + half) * (width + 2 * half) + site % width + half
        if PLANES == 1:
            tl.atomic_or(sample + at, bit, mask=listed, sem="relaxed")
        else:
            count = tl.load(counts + first + k, mask=listed, other=0)
            for j in tl.static_range(PLANES):
                tl.atomic_or(sample + j * sites_padded + at, bit, mask=listed & (((count >> j) & 1) == 1), sem="relaxed")


@triton.jit
def list_active(
    planes, sites_padded, top, left, halo, height_padded, width_padded, listed,
    PLANES: tl.constexpr, HALO_ROWS: tl.constexpr, HALO_COLUMNS: tl.constexpr, FEW: tl.constexpr, SCAN: tl.constexpr,
):  # fmt: skip
    """Sites in reach of a tile at which anything arrives: -> how many, how often, and their words side by side, for `driven`.

    Args:
        top, left: of the rectangle in reach, in padded planes.
        halo: channels * HALO_ROWS * HALO_COLUMNS.
        listed: int32, the program's own: filled with FEW numbers (c * HALO_ROWS + y) * HALO_COLUMNS + x within the rectangle at
            most, and FEW words behind them.
    """
    seen = tl.zeros((SCAN,), tl.int32)
    number = 0
    events = 0
    for i in range(0, halo, SCAN):
        k = i + tl.arange(0, SCAN)
        y = top + k // HALO_COLUMNS % HALO_ROWS
        x = left + k % HALO_COLUMNS
        inside = (k < halo) & (y < height_padded) & (x < width_padded)
        at = (k // (HALO_ROWS * HALO_COLUMNS) * height_padded + y) * width_padded + x
        word = tl.load(planes + at, mask=inside, other=0)
        for j in range(1, PLANES):
            word |= tl.load(planes + j * sites_padded + at, mask=inside, other=0)
        seen |= word
        active = (word != 0).to(tl.int32)
        place = number + tl.cumsum(active, 0) - 1
        room = (active == 1) & (place < FEW)
        tl.store(listed + place, k, mask=room)
        tl.store(listed + FEW + place, word, mask=room)
        number += tl.sum(active)
        events += tl.sum(bits_of(word))
    tl.debug_barrier()  # what one thread listed, others read
    return number, events, seen


@triton.jit
def bits_of(word):
    """How many bits of an int32 are set."""
    pairs = word - ((word >> 1) & 0x55555555)
    fours = (pairs & 0x33333333) + ((pairs >> 2) & 0x33333333)
    bytes_ = (fours + (fours >> 4)) & 0x0F0F0F0F
    return (bytes_ * 0x01010101) >> 24


@triton.jit
def scattered(
    planes, sites_padded, listed, number, table, m, y, x, t, height_padded, width_padded, top, left,
    PLANES: tl.constexpr, HALO_ROWS: tl.constexpr, HALO_COLUMNS: tl.constexpr, FEW: tl.constexpr, SCAN: tl.constexpr,
    KERNEL: tl.constexpr, MAPS: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Synaptic input of step t, event by event: int32 (ROWS, COLS), what `synapses` gives.

    Args:
        listed: from `list_active`, `number` of them; behind them room for FEW more, for those of the step.
        table: int32 (taps, MAPS), weights in units.
        m: int32 (COLS,), maps; y, x: int32 (ROWS,), the neurons, whose first taps lie at (y, x) of the padded planes.
        top, left: see `list_active`.
    """
    now = listed + 2 * FEW
    events = 0
    for i in range(0, number, SCAN):
        k = i + tl.arange(0, SCAN)
        arrives = (tl.load(listed + FEW + k, mask=k < number, other=0) >> t) & 1
        tl.store(now + events + tl.cumsum(arrives, 0) - 1, tl.load(listed + k, mask=k < number, other=0), mask=arrives == 1)
        events += tl.sum(arrives)
    tl.debug_barrier()  # what one thread listed, others read
    current = tl.zeros((ROWS, COLS), tl.int32)
    up = top - y
    beside_first = left - x
    for i in range(events):
        k = tl.load(now + i)
        channel = k // (HALO_ROWS * HALO_COLUMNS)
        below = k // HALO_COLUMNS % HALO_ROWS + up
        beside = k % HALO_COLUMNS + beside_first
        reached = (below >= 0) & (below < KERNEL) & (beside >= 0) & (beside < KERNEL)
        tap = (channel * KERNEL + below) * KERNEL + beside
        w = tl.load(table + tap[:, None] * MAPS + m[None, :], mask=reached[:, None], other=0)
        if PLANES > 1:
            at = (channel * height_padded + top + k // HALO_COLUMNS % HALO_ROWS) * width_padded + left + k % HALO_COLUMNS
            count = 0
            for j in range(PLANES):
                count += ((tl.load(planes + j * sites_padded + at) >> t) & 1) << j
            w = w * count
        current += w
    tl.debug_barrier()  # the list of the next step takes this one's room
    return current


@triton.jit
def infer(
    words, taps, weights, table, theta, fired_words, kept, lists, busy, sites_padded, channels, maps, height, width,
    block, theta_sample, theta_map, theta_row, out_height, out_width, out_half, leak, tiles, tiles_x,
    BY_EVENT: tl.constexpr, STEPS: tl.constexpr, MODE: tl.constexpr, KERNEL: tl.constexpr, POOL: tl.constexpr,
    STRIDE: tl.constexpr, WINDOW: tl.constexpr, CELL_ROWS: tl.constexpr, CELL_COLUMNS: tl.constexpr, POOLED: tl.constexpr,
    PLANES: tl.constexpr,
    WEIGHT_PARTS: tl.constexpr, TAPS: tl.constexpr, CHUNK: tl.constexpr, MAPS: tl.constexpr, COLS: tl.constexpr,
    FEW: tl.constexpr, EVENTS: tl.constexpr, SCAN: tl.constexpr,
):  # fmt: skip
    """A layer and its pool, all steps of a sample.

    Grid: (samples * tiles of CELL_ROWS x CELL_COLUMNS outputs, groups of COLS maps). The rows of a program are the inputs of the
    pool's windows, so that an output is found without leaving it. A first launch, BY_EVENT, does the tiles that EVENTS events or
    fewer reach, from FEW sites or fewer: each event adds its weights. A second one does the others, with products on tensor
    cores: in a kernel of its own, because products take registers, and without them more programs run side by side.

    Args:
        words: int32 (samples, PLANES, sites_padded).
        taps, weights: see `synapses`; table: see `scattered`.
        theta: int32; of sample n, map m, pixel (y, x) at n * theta_sample + m * theta_map + y // block * theta_row + x // block.
        fired_words: int32 (samples, maps, H' + 2 * out_half, W' + 2 * out_half), step bits of the output; 0 before.
        kept: uint8 (samples, STEPS, maps, H', W'), index within its window of the input that is kept; written where POOLED and
            where the output fires.
        lists: int32, 3 * FEW for each program that works BY_EVENT.
        busy: int32 (samples * tiles,), whether a tile is left to products; written BY_EVENT.
        POOL: side of the windows; WINDOW is its square, rounded up to a power of two.
    """
    CELLS: tl.constexpr = CELL_ROWS * CELL_COLUMNS
    ROWS: tl.constexpr = CELLS * WINDOW
    HALO_ROWS: tl.constexpr = (CELL_ROWS - 1) * STRIDE + POOL + KERNEL - 1
    HALO_COLUMNS: tl.constexpr = (CELL_COLUMNS - 1) * STRIDE + POOL + KERNEL - 1
    FEW_SCAN: tl.constexpr = FEW if FEW < SCAN else SCAN
    height_padded = height + KERNEL - 1
    width_padded = width + KERNEL - 1
    if not BY_EVENT:
        if tl.load(busy + tl.program_id(0)) == 0:
            return
    n = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    first_row = tile // tiles_x * CELL_ROWS
    first_column = tile % tiles_x * CELL_COLUMNS
    first_map = tl.program_id(1) * COLS
    m = first_map + tl.arange(0, COLS)
    row = tl.arange(0, ROWS)
    within = row % WINDOW
    cell_y = first_row + row // WINDOW // CELL_COLUMNS
    cell_x = first_column + row // WINDOW % CELL_COLUMNS
    y = cell_y * STRIDE + within // POOL
    x = cell_x * STRIDE + within % POOL
    inside = (cell_y < out_height) & (cell_x < out_width) & (within < POOL * POOL) & (y < height) & (x < width)
    y = tl.minimum(y, height - 1)
    x = tl.minimum(x, width - 1)
    usable = inside[:, None] & (m < maps)[None, :]
    at = m[None, :] * theta_map + (y // block * theta_row + x // block)[:, None]
    level = tl.load(theta + n * theta_sample + at, mask=usable, other=NEVER)
    planes = words + n * (PLANES * sites_padded)
    listed = lists + (tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)) * (3 * FEW)
    number, events, seen = list_active(
        planes, sites_padded, first_row * STRIDE, first_column * STRIDE, channels * (HALO_ROWS * HALO_COLUMNS),
        height_padded, width_padded, listed, PLANES, HALO_ROWS, HALO_COLUMNS, FEW, SCAN,
    )  # fmt: skip
    if BY_EVENT:
        many = (number > FEW) | (events > EVENTS)
        tl.store(busy + tl.program_id(0), many.to(tl.int32), mask=tl.program_id(1) == 0)
        if many | ((number == 0) & (tl.min(level) > 0) & (leak >= 0)):
            return  # left to the second launch; or at rest, where it stays
    out = tl.arange(0, CELLS)
    out_y = first_row + out // CELL_COLUMNS
    out_x = first_column + out % CELL_COLUMNS
    v = tl.zeros((ROWS, COLS), tl.int32)
    bits = tl.zeros((CELLS, COLS), tl.int32)
    for t in range(STEPS):
        current = tl.zeros((ROWS, COLS), tl.int32)
        if driven(seen, t):
            if BY_EVENT:
                current = scattered(
                    planes, sites_padded, listed, number, table, m, y, x, t, height_padded, width_padded, first_row * STRIDE,
                    first_column * STRIDE, PLANES, HALO_ROWS, HALO_COLUMNS, FEW, FEW_SCAN, KERNEL, MAPS, ROWS, COLS,
                )  # fmt: skip
            else:
                for j in range(PLANES):
                    some = synapses(
                        planes + j * sites_padded, taps, weights, y * width_padded + x, t, first_map,
                        True, 1, WEIGHT_PARTS, TAPS, CHUNK, MAPS, ROWS, COLS,
                    )  # fmt: skip
                    current += some << j
        u = membrane(v, current, leak, MODE)
        fired = usable & (u >= level)
        v = tl.where(fired, 0, u)
        if tl.max(fired.to(tl.int32)) > 0:
            # highest potential, then lowest index; potentials lie within 2**24, windows hold up to 64
            strength = tl.where(fired, (u + 2**24) * WINDOW + (WINDOW - 1 - within)[:, None], -1)
            best = tl.max(tl.reshape(strength, (CELLS, WINDOW, COLS)), 1)
            hit = best >= 0
            bits |= hit.to(tl.int32) << t
            if POOLED:
                place = ((n * STEPS + t) * maps + m)[None, :] * (out_height * out_width) + (out_y * out_width + out_x)[:, None]
                tl.store(kept + place, (WINDOW - 1 - (best & (WINDOW - 1))).to(tl.uint8), mask=hit)
    written = ((out_y < out_height) & (out_x < out_width))[:, None] & (m < maps)[None, :]
    out_rows = out_height + 2 * out_half
    at = (((n * maps + m) * out_rows)[None, :] + (out_y + out_half)[:, None]) * (out_width + 2 * out_half)
    tl.store(fired_words + at + (out_x + out_half)[:, None], bits, mask=written)


@triton.jit
def tally(words, counts, sites, height, width, half, parts, STEPS: tl.constexpr, BLOCK: tl.constexpr):
    """How many spikes each part of a sample has at each step. Grid: (samples * parts of BLOCK sites,).

    Args:
        words: int32 (samples, C, H + 2 * half, W + 2 * half); `sites` is C * H * W.
        counts: int32 (samples, STEPS, parts), 0 before.
    """
    n = (tl.program_id(0) // parts).to(tl.int64)
    part = tl.program_id(0) % parts
    word = words_of(words, n, part * BLOCK + tl.arange(0, BLOCK), sites, height, width, half)
    if tl.max((word != 0).to(tl.int32)) > 0:
        for t in range(STEPS):
            tl.store(counts + (n * STEPS + t) * parts + part, tl.sum((word >> t) & 1))


@triton.jit
def words_of(words, n, site, sites, height, width, half):
    """Words of sites (c*H + y)*W + x of sample n."""
    y = site // width + site // (height * width) * (2 * half) + half
    size = sites // width * (width + 2 * half) + sites // (height * width) * (2 * half) * (width + 2 * half)
    return tl.load(words + n * size + y * (width + 2 * half) + site % width + half, mask=site < sites, other=0)


@triton.jit
def list_spikes(
    words, kept_in, ends, counts, out_sites, out_kept, sites, height, width, half, parts, below_width,
    STEPS: tl.constexpr, POOL: tl.constexpr, STRIDE: tl.constexpr, POOLED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Step bits into lists, by sample, step and site. Grid: see `tally`; each program has its own places in the lists.

    Args:
        words, counts: see `tally`.
        kept_in: see `infer`.
        ends: int64 (samples, STEPS, parts), running sums of the counts.
        out_sites, out_kept: int32, address and pooling index of each spike; the latter where POOLED.
        below_width: W of the layer before its pool.
    """
    n = (tl.program_id(0) // parts).to(tl.int64)
    part = tl.program_id(0) % parts
    site = part * BLOCK + tl.arange(0, BLOCK)
    word = words_of(words, n, site, sites, height, width, half)
    if tl.max((word != 0).to(tl.int32)) > 0:
        top = site // width % height * STRIDE
        left = site % width * STRIDE
        for t in range(STEPS):
            mine = (n * STEPS + t) * parts + part
            count = tl.load(counts + mine)
            if count > 0:
                spike = (word >> t) & 1
                place = tl.load(ends + mine) - count + tl.cumsum(spike, 0) - 1
                tl.store(out_sites + place, site, mask=spike == 1)
                if POOLED:
                    within = tl.load(kept_in + (n * STEPS + t) * sites + site, mask=spike == 1, other=0).to(tl.int32)
                    index = (top + within // POOL) * below_width + left + within % POOL
                    tl.store(out_kept + place, index, mask=spike == 1)


@triton.jit
def forward(
    counts, taps, weights, theta, state, spikes, potentials, sample_size, step_size, width_padded,
    maps, height, width, theta_sample, theta_map, theta_pixel, leak, batch, steps,
    MODE: tl.constexpr, INPUT_PARTS: tl.constexpr, WEIGHT_PARTS: tl.constexpr, TAPS: tl.constexpr, CHUNK: tl.constexpr,
    MAPS: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """A layer, with all potentials. Grid: (samples * groups of ROWS neurons, groups of COLS maps).

    Args:
        counts: int32 (batch, steps, planes).
        state: float32 (batch, maps, H, W), before and, changed in place, after.
        spikes, potentials: float32 (steps, batch, maps, H, W).
    """
    groups = tl.cdiv(height * width, ROWS)
    n = (tl.program_id(0) // groups).to(tl.int64)
    first_map = tl.program_id(1) * COLS
    m = first_map + tl.arange(0, COLS)
    pixel = tl.program_id(0) % groups * ROWS + tl.arange(0, ROWS)
    inside = (pixel < height * width)[:, None] & (m < maps)[None, :]
    safe = tl.minimum(pixel, height * width - 1)
    origin = safe // width * width_padded + safe % width
    at = m[None, :] * (height * width) + pixel[:, None]
    each = (n * maps) * (height * width) + at
    level = tl.load(
        theta + n * theta_sample + m[None, :] * theta_map + pixel[:, None] * theta_pixel, mask=inside, other=NEVER
    )  # fmt: skip
    v = to_units(tl.load(state + each, mask=inside, other=0.0))
    for t in range(steps):
        current = synapses(
            counts + n * sample_size + t * step_size, taps, weights, origin, t, first_map,
            False, INPUT_PARTS, WEIGHT_PARTS, TAPS, CHUNK, MAPS, ROWS, COLS,
        )  # fmt: skip
        u = membrane(v, current, leak, MODE)
        fired = u >= level
        v = tl.where(fired, 0, u)
        now = (n + t * batch) * maps * (height * width) + at
        tl.store(spikes + now, fired.to(tl.float32), mask=inside)
        tl.store(potentials + now, u.to(tl.float32) * (1.0 / UNITS), mask=inside)
    tl.store(state + each, v.to(tl.float32) * (1.0 / UNITS), mask=inside)


@triton.jit
def pool_dense(
    spikes, potentials, out_spikes, out_indices, height, width, out_height, out_width, stride,
    POOL: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Max pooling over spikes. Grid: (planes, groups of CELLS outputs). float32 in; float32 and int64 out."""
    plane = tl.program_id(0).to(tl.int64)
    cell = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    index = tl.full((CELLS,), -1, tl.int32)
    best = tl.zeros((CELLS,), tl.float32)
    for j in range(POOL * POOL):
        y = cell // out_width * stride + j // POOL
        x = cell % out_width * stride + j % POOL
        inside = (cell < out_height * out_width) & (y < height) & (x < width)
        at = plane * (height * width) + y * width + x
        fired = tl.load(spikes + at, mask=inside, other=0.0) > 0
        potential = tl.load(potentials + at, mask=inside, other=0.0)
        stronger = fired & ((index < 0) | (potential > best))
        index = tl.where(stronger, y * width + x, index)
        best = tl.where(stronger, potential, best)
    at = plane * (out_height * out_width) + cell
    written = cell < out_height * out_width
    tl.store(out_spikes + at, (index >= 0).to(tl.float32), mask=written)
    tl.store(out_indices + at, index.to(tl.int64), mask=written)
