# mypy: allow-untyped-defs, no-check-untyped-defs
"""Layers run over all steps, event-driven: sparse for inference, dense where every potential is asked for."""

from __future__ import annotations

import math

import numpy as np

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled
from spikeseg.core.grid import SCALE32
from spikeseg.core.sparse import SparseFrames, SpikeLists

from .arguments import InputSpikes, PooledCells, Thresholds
from .neuron_kernels import NEVER, ZERO, excites, integrate, integrate_excitatory, restless, sort_by_row
from .vectors import WORD, reach_mask

SPARSE = 0.8
"""Share of a row's tiles that input has to reach at most, in the steps in which any does, for the row to be run tile by tile."""


@compiled()
def addresses(frame, sites, counts):
    """Flat addresses of the pixels above 0, and their counts; -> how many. frame: (n,) uint8 or uint16."""
    entries = 0
    words = frame[: frame.size // 8 * 8].view(np.uint64)
    per_word = 8 // frame.itemsize
    for k in range(words.size):
        if words[k] == 0:
            continue
        for i in range(k * per_word, (k + 1) * per_word):
            if frame[i]:
                sites[entries] = i
                counts[entries] = frame[i]
                entries += 1
    for i in range(words.size * per_word, frame.size):
        if frame[i]:
            sites[entries] = i
            counts[entries] = frame[i]
            entries += 1
    return entries


@compiled()
def above_one(counts):
    """Whether any is."""
    several = False
    for i in range(counts.size):
        several |= counts[i] > 1
    return several


@compiled()
def list_frames(rows, done, offsets, sites, counts):
    """List what is above 0, row by row, from row `done` on; -> rows done: all, or as many as there was room for.

    Args:
        rows: (N, n) uint8 or uint16.
        done: rows done before.
        offsets: int64 (N + 1,), filled up to the row that is returned.
        sites: int32, flat addresses; filled.
        counts: int32, how often each; filled.
    """
    while done < rows.shape[0] and offsets[done] + rows.shape[1] <= sites.size:
        offsets[done + 1] = offsets[done] + addresses(rows[done], sites[offsets[done] :], counts[offsets[done] :])
        done += 1
    return done


def listed(frames: np.ndarray | SparseFrames) -> SparseFrames:
    """Frames (N, T, P, H, W) of whole numbers as lists, where they are not given as such."""
    if isinstance(frames, SparseFrames):
        return frames
    if frames.dtype not in (np.uint8, np.uint16):
        return SparseFrames.of(frames)
    samples, steps, *site = frames.shape
    rows = np.ascontiguousarray(frames).reshape(samples * steps, math.prod(site))
    offsets = np.zeros(len(rows) + 1, np.int64)
    sites, counts = (np.empty(int(np.count_nonzero(rows)) + rows.shape[1], np.int32) for _ in range(2))
    list_frames(rows, 0, offsets, sites, counts)
    return SparseFrames(SpikeLists(offsets, sites[: offsets[-1]], (steps, site[0], site[1], site[2])), counts[: offsets[-1]])


@compiled()
def deposit(cell, potential, index, cells):
    """Set an output cell's bit, and keep its strongest input's index, the lowest among equals. cells: `PooledCells` of a step."""
    spiked, potentials, indices = cells.spiked, cells.potentials, cells.indices
    word, bit = cell >> 6, np.uint64(1) << np.uint64(cell & 63)
    if spiked[word] & bit == 0:
        spiked[word] |= bit
        potentials[cell], indices[cell] = potential, index
    elif potential > potentials[cell] or (potential == potentials[cell] and index < indices[cell]):
        potentials[cell], indices[cell] = potential, index


@compiled()
def collect(spiked, indices, out_sites, out_kept, entries):
    """List the cells whose bits are set, in order, and clear the bits; -> entries so far."""
    for word in range(spiked.size):
        left = spiked[word]
        while left:
            cell = (word << 6) + lowest(left)
            left &= left - np.uint64(1)
            out_sites[entries], out_kept[entries] = cell, indices[cell]
            entries += 1
        spiked[word] = 0
    return entries


@compiled()
def windows(at, kernel, stride, size):
    """Which of a pool's windows a row or column lies in: the first, and one beyond the last."""
    low = max(at + stride - max(kernel, 1), 0)
    return np.int64(np.uint32(low) // np.uint32(stride)), min(size, np.int64(np.uint32(at) // np.uint32(stride)) + 1)


@compiled()
def fire(v, theta, level, row, first, layer, cells):
    """Reset what has fired in a part of a row, and set its bits in the output.

    Args:
        v: the potentials, from number `first` of the row on.
        theta: their thresholds.
        level: offset of the potentials above their true values.
        row: the row.
        first: number of the first one in the row.
        layer: `LayerScratch`.
        cells: `PooledCells` of the step.
    """
    neurons, pool = layer.neurons, layer.pool
    maps, half = neurons.maps, neurons.table.shape[0] // 2
    kernel, stride, height, width = pool.kernel, pool.stride, pool.height, pool.width
    columns = neurons.columns
    top, bottom = windows(row, kernel, stride, height)
    for start in range(0, v.size, WORD):
        fired = reach_mask(v, theta, start, level)
        while fired:
            i = start + lowest(fired)
            fired &= fired - np.uint64(1)
            potential = np.int32(v[i] - level)
            v[i] = level
            number = np.uint32(first + i)
            column = np.int64(number // np.uint32(maps)) - half
            if column < 0 or column >= columns:
                continue
            m, index = np.int64(layer.maps[number % np.uint32(maps)]), row * columns + column
            left, right = windows(column, kernel, stride, width)
            for y in range(top, bottom):
                for x in range(left, right):
                    deposit((m * height + y) * width + x, potential, index, cells)


@compiled()
def repeat(own, line):
    """Fill a line, int32 (n * m,), with int32 (m,) again and again."""
    for first in range(0, line.size, own.size):
        for m in range(own.size):
            line[first + m] = own[m]


@compiled()
def lay_out_blocks(thresholds, chosen, block, half, theta, patch):
    """Lay thresholds out as `run_sample` takes them.

    Args:
        thresholds: int32 (maps of the layer, rows, columns) of blocks.
        chosen: int32 (maps,), those of the layer that are run.
        block: neurons that a block is wide and high.
        half: columns beside the frame.
        theta: see `Thresholds`; filled.
        patch: see `Thresholds`; filled.
    """
    maps = chosen.size
    columns = theta.shape[1] // maps
    theta[:] = NEVER
    own = patch[:maps]  # thresholds of the block in hand
    for row in range(theta.shape[0]):
        for first in range(half, columns - half, block):
            for m in range(maps):
                own[m] = thresholds[chosen[m], row, (first - half) // block]
            repeat(own, theta[row, first * maps : min(first + block, columns - half) * maps])
    for i in range(patch.size):
        patch[i] = thresholds[chosen[i % maps], 0, 0]


@compiled()
def worth_cutting(begin, row, half, tiles):
    """Whether the input of all steps reaches so few tiles of a row that it is run tile by tile.

    Args:
        begin: see `SortedInput`.
        row: the row.
        half: K // 2.
        tiles: `Tiles`, into which it would be cut.
    """
    low, high, all_tiles = max(0, row - half), min(begin.shape[1] - 1, row + half + 1), tiles.starts.size - 1
    reached, there = 0, 0
    for t in range(begin.shape[0]):
        spikes = begin[t, high] - begin[t, low]
        reached += min(spikes * 2, all_tiles)  # one mostly reaches two at most
        there += (spikes > 0) * all_tiles
    return reached < SPARSE * there


@compiled()
def run_sample(spikes, layer, thresholds):
    """One sample through maps of one layer and its pool; the bits of what spikes are set in the layer's cells.

    Args:
        spikes: `InputSpikes`.
        layer: `LayerScratch`.
        thresholds: `Thresholds`; row y uses theta[y // block].
    """
    neurons, inputs, cells, patch = layer.neurons, layer.inputs, layer.cells, thresholds.patch
    steps, counted = spikes.offsets.size - 1, spikes.counts.size > 0
    v, height, half = neurons.v[0], inputs.begin.shape[1] - 1, neurons.table.shape[0] // 2
    sort_by_row(spikes, 0, steps, layer.channel, (neurons.table.shape[1], height, neurons.columns), inputs)
    for row in range(height):
        theta = thresholds.theta[row // layer.block]
        neurons.stamps[0] = 0
        cut = not thresholds.exciting and not thresholds.restless and worth_cutting(inputs.begin[:steps], row, half, layer.fine)
        tiles = layer.fine if cut else layer.whole
        for t in range(steps):
            if thresholds.exciting:
                a, b = integrate_excitatory(neurons, row, t, inputs, theta, patch)
                if a < b:
                    now = PooledCells(cells.spiked[t], cells.potentials[t], cells.indices[t])
                    fire(v[a:b], theta[a:b], np.int32(neurons.leak * (t + 1)), row, a, layer, now)
                continue
            reaching = integrate(neurons, row, t, inputs, counted, theta, tiles, thresholds.restless)
            for k in range(reaching):
                a, b = tiles.starts[neurons.opened[k]], tiles.starts[neurons.opened[k] + 1]
                now = PooledCells(cells.spiked[t], cells.potentials[t], cells.indices[t])
                fire(v[a:b], theta[a:b], ZERO, row, a, layer, now)


@compiled(allocates=True)
def run_layer(done, spikes, steps, thresholds, layers, out):
    """Samples through one layer and its pool, from number `done` on; -> samples done: all, or as many as there was room for.

    Args:
        done: samples done before.
        spikes: `InputSpikes` of N samples, one after the other.
        steps: of a sample.
        thresholds: int32 (N, maps, rows, columns) of blocks, or (1, ...) for all samples.
        layers: `LayerScratch` of each group of its maps that are run together; they share pool and cells.
        out: `OutputSpikes`, filled up to the sample that is returned.
    """
    offsets, cells = spikes.offsets, layers[0].cells
    samples = (offsets.size - 1) // steps
    traits, adapted = np.zeros((len(layers), 2), np.bool_), False  # whether input is only excitatory, and neurons restless
    while done < samples and out.offsets[done * steps] + cells.indices.size <= out.sites.size:
        if not adapted or thresholds.shape[0] > 1:
            for g in range(len(layers)):
                theta, neurons = layers[g].theta, layers[g].neurons
                given, half = thresholds[min(done, thresholds.shape[0] - 1)], neurons.table.shape[0] // 2
                lay_out_blocks(given, layers[g].maps, layers[g].block, half, theta, layers[g].patch)
                flat = theta.reshape(-1)
                traits[g, 0] = thresholds.shape[2] * thresholds.shape[3] == 1 and excites(flat, neurons)
                traits[g, 1] = restless(flat, neurons)
            adapted = True
        inside = offsets[done * steps : (done + 1) * steps + 1]
        first, last = inside[0], inside[-1]
        counts = spikes.counts[first:last]
        if not above_one(counts):
            counts = counts[:0]
        sample = InputSpikes(inside - first, spikes.sites[first:last], counts)
        for g in range(len(layers)):
            levels = Thresholds(layers[g].theta, layers[g].patch, traits[g, 0] and counts.size == 0, traits[g, 1])
            run_sample(sample, layers[g], levels)
        for t in range(steps):
            at = done * steps + t
            out.offsets[at + 1] = collect(cells.spiked[t], cells.indices[t], out.sites, out.kept, out.offsets[at])
        done += 1
    return done


@compiled(allocates=True)
def run_dense(spikes, neurons, theta, tiles, inputs, state, out_spikes, potentials):
    """One sample through one layer, with every potential.

    Args:
        spikes: `InputSpikes` of T + 1 steps: step 0 is the past, without input.
        neurons: `Neurons`.
        theta: int32 (maps, H, W).
        tiles: `Tiles`.
        inputs: `SortedInput`.
        state: float32 (maps, H, W), V before and, changed in place, after.
        out_spikes: float32 (T, maps, H, W), filled.
        potentials: float32 (T, maps, H, W), filled.
    """
    steps, maps, height, width = out_spikes.shape
    half = neurons.table.shape[0] // 2
    never = np.full(neurons.v.shape[1], NEVER, np.int32)
    sort_by_row(spikes, 1, steps + 1, 0, (neurons.table.shape[1], height, width), inputs)
    potential = neurons.v[0]
    for row in range(height):
        potential[:] = 0
        neurons.stamps[0] = 1  # every tile was seen in step 0, the past
        for m in range(maps):
            for x in range(width):
                potential[(x + half) * maps + m] = np.int32(state[m, row, x] * SCALE32)
        for t in range(1, steps + 1):
            integrate(neurons, row, t, inputs, True, never, tiles, True)
            for m in range(maps):
                for x in range(width):
                    u = potential[(x + half) * maps + m]
                    fired = u >= theta[m, row, x]
                    potentials[t - 1, m, row, x] = np.float32(u) / SCALE32
                    out_spikes[t - 1, m, row, x] = fired
                    potential[(x + half) * maps + m] = 0 if fired else u
        for m in range(maps):
            for x in range(width):
                state[m, row, x] = np.float32(potential[(x + half) * maps + m]) / SCALE32


@compiled()
def pool_dense(spikes, potentials, kernel, stride, out_spikes, out_indices):
    """Max pooling over spikes. spikes, potentials: float32 (N, H, W); out: float32 and int64 (N, H', W')."""
    samples, height, width = spikes.shape
    for n in range(samples):
        for y in range(out_spikes.shape[1]):
            for x in range(out_spikes.shape[2]):
                index = np.int64(-1)
                best = np.float32(0.0)
                for r in range(y * stride, min(y * stride + kernel, height)):
                    for q in range(x * stride, min(x * stride + kernel, width)):
                        if spikes[n, r, q] > 0 and (index < 0 or potentials[n, r, q] > best):
                            index, best = r * width + q, potentials[n, r, q]
                out_indices[n, y, x] = index
                out_spikes[n, y, x] = np.float32(1.0) if index >= 0 else np.float32(0.0)
