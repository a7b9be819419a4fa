# mypy: allow-untyped-defs, no-check-untyped-defs
"""Event-driven neurons in integers: one spike adds a few contiguous rows, and only the neurons that it reaches are tested.

Potentials are int32 in units of 2**-12, so every sum is exact. They are laid out by row, then column and map together,
``v[row, (column + K//2) * maps + map]``: under a K x K kernel one input spike at column x adds K*maps contiguous numbers, from
x*maps on, to each of K rows. K//2 columns on either side take what falls outside the frame; their thresholds are unreachable.

Neurons of a row are run for several steps before those of the next one, while their potentials are in the fastest cache; for that
the input is sorted by step and row (`sort_by_row`). Rows are cut into tiles of a few columns. A tile that receives nothing in a
step cannot fire, so it is skipped, and its leak is applied when it next receives input (`stamps` holds the last step that it was
run for, plus 1; 0 before the first).

Where input is only excitatory (no negative weight, no multiplicative leak, no threshold of 0), a neuron that reaches its
threshold within a step stays above it until the step's end, so that it is enough to test the neurons that a spike reaches when it
arrives (`integrate_excitatory`). Potentials are then stored with the leak of all steps so far added: a leak raises the floor and
the thresholds instead of lowering every potential.
"""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.core.grid import SCALE32
from spikeseg.core.leak import LeakCode

from .vectors import add_line

NEVER = np.int32(2**30)
"""An unreachable threshold: potentials stay below 2**24."""
ZERO, ONCE, LOWEST = np.int32(0), np.int32(1), np.int32(-(2**31))


@compiled()
def add(v, w):
    for i in range(v.size):
        v[i] += w[i]


@compiled()
def add_lines(v, inputs, first, last, counted, table, here, maps):
    """Add the weights of inputs `first` to `last` - 1 of a `SortedInput` to a row's potentials."""
    columns, lines, times, wide = inputs.columns, inputs.lines, inputs.times, table.shape[2]
    for k in range(first, last):
        if counted and times[k] != 1:
            add_line(v, columns[k] * maps, table, here + lines[k], wide, times[k])
        else:  # without a multiplication
            add_line(v, columns[k] * maps, table, here + lines[k], wide, ONCE)


@compiled()
def forget(v, mode, leak, factor, times):
    """Apply the leak of `times` steps without input."""
    if mode == LeakCode.SUBTRACTIVE:
        lost = np.int32(min(np.int64(leak) * times, np.int64(NEVER)))
        for i in range(v.size):
            v[i] = max(np.int32(v[i] - lost), ZERO)
    elif mode == LeakCode.MULTIPLICATIVE:
        for _ in range(times):
            for i in range(v.size):
                v[i] = np.int32(np.rint(np.float64(v[i]) * factor))


@compiled()
def leak_and_test(v, theta, mode, leak):
    """End a step: leak and floor of the subtractive mode; -> how far the highest potential lies above its threshold.

    numba widens sums of int32; the casts keep them, so that they run at full width."""
    above = LOWEST
    if mode == LeakCode.SUBTRACTIVE:
        for i in range(v.size):
            u = max(np.int32(v[i] - leak), ZERO)
            v[i] = u
            above = max(above, np.int32(u - theta[i]))
    else:
        for i in range(v.size):
            above = max(above, np.int32(v[i] - theta[i]))
    return above


@compiled()
def open_tile(v, stamps, tile, t, mode, leak, factor):
    """Apply the leak of the steps that a tile was skipped in, before the input of step t."""
    before = stamps[tile]
    if before == 0:
        v[:] = 0
    elif mode == LeakCode.SUBTRACTIVE:
        if before < t:
            forget(v, mode, leak, factor, t - before)
    elif mode == LeakCode.MULTIPLICATIVE:
        forget(v, mode, leak, factor, t + 1 - before)
    stamps[tile] = t + 1


@compiled()
def first_from(sites, low, high, least):
    """The first of the numbers low to high - 1 at which rising sites are at `least` or beyond; high where none is."""
    while low < high:
        middle = (low + high) // 2
        if sites[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@compiled()
def sort_by_row(spikes, first_step, last_step, channel, shape, inputs):
    """Sort the input of some steps by step and row.

    Args:
        spikes: `InputSpikes`.
        first_step: the first of the steps.
        last_step: one beyond the last.
        channel: the first of the channels that are read.
        shape: (C, H, W): how many of them, and the size of the input.
        inputs: `SortedInput`, filled for these steps.
    """
    channels, height, width = shape
    offsets, sites, counts = spikes.offsets, spikes.sites, spikes.counts
    begin, columns, lines, times = inputs.begin, inputs.columns, inputs.lines, inputs.times
    lowest, size = channel * height * width, channels * height * width
    for t in range(first_step, last_step):
        first = first_from(sites, offsets[t], offsets[t + 1], lowest)
        last = first_from(sites, first, offsets[t + 1], lowest + size)
        starts = begin[t]
        starts[:] = 0
        y, end = 0, lowest + width  # the row of the address in hand, and where it ends: addresses rise
        for k in range(first, last):
            while sites[k] >= end:
                end += width
                y = y + 1 if y + 1 < height else 0
            starts[y + 1] += 1
        starts[0] = first
        for y in range(height):
            starts[y + 1] += starts[y]
        c, y, end = 0, 0, lowest + width
        for k in range(first, last):
            while sites[k] >= end:
                end += width
                y += 1
                if y == height:
                    c, y = c + 1, 0
            at = starts[y]
            starts[y] += 1
            columns[at], lines[at] = sites[k] - end + width, c - y * channels
            if counts.size:
                times[at] = counts[k]
        for y in range(height, 0, -1):
            starts[y] = starts[y - 1]
        starts[0] = first


@compiled()
def reaches(v, theta, level):
    """Whether a neuron is at its threshold; potentials are stored `level` higher."""
    above = LOWEST
    for i in range(v.size):
        above = max(above, np.int32(v[i] - theta[i]))
    return above >= level


@compiled()
def add_and_test(v, w, theta, floor):
    """Add the weights of one spike to potentials of at least `floor`; -> how far the highest lies above its threshold."""
    above = LOWEST
    for i in range(v.size):
        u = np.int32(max(v[i], floor) + w[i])
        v[i] = u
        above = max(above, np.int32(u - theta[i]))
    return above


@compiled()
def lift(v, theta, floor):
    """Raise potentials to a floor; -> how far the highest lies above its threshold."""
    above = LOWEST
    for i in range(v.size):
        u = max(v[i], floor)
        v[i] = u
        above = max(above, np.int32(u - theta[i]))
    return above


@compiled()
def add_capped(v, w):
    """Saturating addition of uint16."""
    for i in range(v.size):
        u = v[i]
        v[i] = np.uint16(u + min(w[i], np.uint16(~u)))


@compiled()
def add_and_test_capped(v, w, below, floor):
    """`add_and_test` in uint16; below, and what it returns: see `lift_capped`."""
    above = np.uint16(0)
    for i in range(v.size):
        u = max(v[i], floor)
        u = np.uint16(u + min(w[i], np.uint16(~u)))
        v[i] = u
        above = max(above, np.uint16(max(u, below[i]) - below[i]))
    return above


@compiled()
def lift_capped(v, below, floor):
    """`lift` in uint16; -> how far the highest lies above the number just below its threshold, at least 0."""
    above = np.uint16(0)
    for i in range(v.size):
        u = max(v[i], floor)
        v[i] = u
        above = max(above, np.uint16(max(u, below[i]) - below[i]))
    return above


@compiled(inlined=True)
def integrate_excitatory(neurons, row, t, inputs, theta, patch):
    """Run one row's neurons through step t, where input is only excitatory; -> between which numbers of the row neurons may be
    at their thresholds, the first and one beyond the last; (0, 0) where none is. Potentials are then stored leak * (t + 1)
    higher.

    Where spikes are few, neurons are tested as each arrives; where they are many, once at the end of the step.

    Args:
        neurons: `Neurons`.
        row: the row.
        t: the step.
        inputs: `SortedInput`.
        theta: int32 (L,), thresholds of the row.
        patch: int32 (K * maps,), thresholds of the neurons that one spike reaches.
    """
    kept = min(row, neurons.v.shape[0] - 1)
    v, table, touched, leak, maps = neurons.v[kept], neurons.table, neurons.stamps[kept], neurons.leak, neurons.maps
    begin, columns, lines = inputs.begin, inputs.columns, inputs.lines
    height, kernel, wide, span = begin.shape[1] - 1, table.shape[0], table.shape[2], patch.size
    half = kernel // 2
    low, high, here = max(0, row - half), min(height, row + half + 1), (row + half) * table.shape[1]
    if begin[t, low] == begin[t, high]:
        return 0, 0
    if not touched[0]:
        v[:] = 0
        touched[0] = 1
    floor, level = np.int32(leak * t), np.int32(leak * (t + 1))
    beside = half * maps
    if (begin[t, high] - begin[t, low]) * span * 4 >= theta.size * 5:
        if touched[0] != t + 1:
            lift(v[: theta.size], theta, floor)
        for k in range(begin[t, low], begin[t, high]):
            add_line(v, columns[k] * maps, table, here + lines[k], wide, ONCE)
        touched[0] = t + 2
        return (beside, theta.size - beside) if lift(v[: theta.size], theta, level) >= level else (0, 0)
    touched[0] = 1
    first, last = theta.size, 0
    all_lines = table.reshape(-1, wide)
    for k in range(begin[t, low], begin[t, high]):
        start = columns[k] * maps
        if add_and_test(v[start : start + span], all_lines[here + lines[k], :span], patch, floor) >= level:
            first, last = min(first, start), max(last, start + span)
    if first < beside:
        v[first:beside] = level
    if last > theta.size - beside:
        v[theta.size - beside : last] = level
    first, last = max(first, beside), min(last, theta.size - beside)
    return (first, last) if first < last else (0, 0)


@compiled(inlined=True)
def integrate(neurons, row, t, inputs, counted, theta, tiles, restless):
    """Run one row's neurons through step t; -> how many tiles have a neuron at its threshold (``opened`` names them).

    Args:
        neurons: `Neurons`.
        row: the row.
        t: the step.
        inputs: `SortedInput`.
        counted: whether inputs have counts; else each counts once.
        theta: int32 (L,), thresholds of the row.
        tiles: `Tiles`.
        restless: neurons without input may fire too.
    """
    kept = min(row, neurons.v.shape[0] - 1)
    v, table, stamps, opened = neurons.v[kept], neurons.table, neurons.stamps[kept], neurons.opened
    mode, leak, factor, maps = neurons.mode, neurons.leak, neurons.factor, neurons.maps
    begin, columns, starts, tile_of = inputs.begin, inputs.columns, tiles.starts, tiles.of_column
    height, kernel = begin.shape[1] - 1, table.shape[0]
    half = kernel // 2
    n_open = 0
    low, high, here = max(0, row - half), min(height, row + half + 1), (row + half) * table.shape[1]
    if begin[t, low] == begin[t, high] and not restless:
        return 0
    in_one_piece = starts.size == 2
    if in_one_piece or restless:
        for tile in range(starts.size - 1):
            open_tile(v[starts[tile] : starts[tile + 1]], stamps, tile, t, mode, leak, factor)
            opened[n_open] = tile
            n_open += 1
    first, last = begin[t, low], begin[t, high]
    if not in_one_piece:
        for k in range(first, last):
            for tile in range(tile_of[columns[k]], tile_of[columns[k] + kernel - 1] + 1):
                if stamps[tile] != t + 1:
                    open_tile(v[starts[tile] : starts[tile + 1]], stamps, tile, t, mode, leak, factor)
                    opened[n_open] = tile
                    n_open += 1
    add_lines(v, inputs, first, last, counted, table, here, maps)
    reaching = 0
    for k in range(n_open):
        a, b = starts[opened[k]], starts[opened[k] + 1]
        if leak_and_test(v[a:b], theta[a:b], mode, leak) >= 0:
            opened[reaching] = opened[k]
            reaching += 1
    return reaching


@compiled()
def tabulate(weight, table, m):
    """Round map m's weights (C_out, C_in, K, K) into the table."""
    channels, kernel, maps = weight.shape[1], weight.shape[2], weight.shape[0]
    for c in range(channels):
        for ky in range(kernel):
            for kx in range(kernel):
                units = np.int32(np.rint(weight[m, c, ky, kx] * SCALE32))
                table[kernel - 1 - ky, c, (kernel - 1 - kx) * maps + m] = units


@compiled()
def lay_out(threshold, theta, patch, maps, half, width):
    """Thresholds of the maps, rounded: along one row, unreachable beside the frame, and for the neurons that one spike
    reaches."""
    theta[:] = NEVER
    for i in range(patch.size):
        patch[i] = np.int32(np.rint(threshold[i % maps] * SCALE32))
    for column in range(half, half + width):
        for m in range(maps):
            theta[column * maps + m] = np.int32(np.rint(threshold[m] * SCALE32))


@compiled()
def restless(theta, neurons):
    """Whether a neuron without input may fire, so that no tile may be skipped."""
    mode, leak, factor = neurons.mode, neurons.leak, neurons.factor
    if (mode == LeakCode.SUBTRACTIVE and leak < 0) or (mode == LeakCode.MULTIPLICATIVE and not 0.0 <= factor <= 1.0):
        return True
    lowest = NEVER
    for i in range(theta.size):
        lowest = min(lowest, theta[i])
    return lowest <= 0


@compiled()
def excites(theta, neurons):
    """Whether input is only excitatory, see the module's docstring."""
    if neurons.mode == LeakCode.MULTIPLICATIVE or restless(theta, neurons):
        return False
    weights = neurons.table.reshape(-1)
    lowest = ZERO
    for i in range(weights.size):
        lowest = min(lowest, weights[i])
    return lowest >= 0
