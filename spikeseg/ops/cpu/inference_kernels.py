# mypy: allow-untyped-defs, no-check-untyped-defs
"""Layers run to their end, event-driven: sparse for inference, and dense where every potential is asked for."""

from __future__ import annotations

import math

import numpy as np

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled
from spikeseg.core.sparse import SparseFrames, SpikeLists

from .neuron_kernels import NEVER, ZERO, advance, excites, pour, restless, sort_by_row
from .vectors import WORD, reach_mask


@compiled()
def addresses(frame, sites, counts):
    """Flat addresses of the pixels above 0, and their counts; -> how many. frame: (n,) uint8 or uint16."""
    found = 0
    words = frame[: frame.size // 8 * 8].view(np.uint64)
    per_word = 8 // frame.itemsize
    for k in range(words.size):
        if words[k] == 0:
            continue
        for i in range(k * per_word, (k + 1) * per_word):
            if frame[i]:
                sites[found] = i
                counts[found] = frame[i]
                found += 1
    for i in range(words.size * per_word, frame.size):
        if frame[i]:
            sites[found] = i
            counts[found] = frame[i]
            found += 1
    return found


@compiled()
def above_one(counts):
    """Whether any is."""
    found = False
    for i in range(counts.size):
        found |= counts[i] > 1
    return found


@compiled()
def list_frames(rows, done, offsets, sites, counts):
    """List what is above 0, row by row, from row `done` on; -> rows done: all, or as many as there was room for.

    Args:
        rows: (N, n) uint8 or uint16.
        offsets: int64 (N + 1,), filled up to the row that is returned.
        sites, counts: int32, flat addresses and how often; filled.
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
def deposit(cell, potential, index, marks, best, place):
    """Mark an output cell as spiking, and keep the strongest input's index, the lowest among equals."""
    word, bit = cell >> 6, np.uint64(1) << np.uint64(cell & 63)
    if marks[word] & bit == 0:
        marks[word] |= bit
        best[cell], place[cell] = potential, index
    elif potential > best[cell] or (potential == best[cell] and index < place[cell]):
        best[cell], place[cell] = potential, index


@compiled()
def collect(marks, place, out_sites, out_kept, found):
    """List the marked cells in order and clear the marks; -> entries so far."""
    for word in range(marks.size):
        left = marks[word]
        while left:
            cell = (word << 6) + lowest(left)
            left &= left - np.uint64(1)
            out_sites[found], out_kept[found] = cell, place[cell]
            found += 1
        marks[word] = 0
    return found


@compiled()
def windows(at, kernel, stride, size):
    """Which of a pool's windows a row or column lies in: the first, and one beyond the last."""
    low = max(at + stride - max(kernel, 1), 0)
    return np.int64(np.uint32(low) // np.uint32(stride)), min(size, np.int64(np.uint32(at) // np.uint32(stride)) + 1)


@compiled()
def fire(v, theta, level, row, first, maps, half, width, pool_kernel, stride, out_height, out_width, marks, best, place):
    """Reset what has fired in a part of a row, and mark it in the output.

    Args:
        v, theta: the part, from number `first` of the row on; potentials and thresholds are `level` apart.
        pool_kernel: 0 for no pool, whose output is as large as the frame.
    """
    top, bottom = windows(row, pool_kernel, stride, out_height)
    for start in range(0, v.size, WORD):
        fired = reach_mask(v, theta, start, level)
        while fired:
            i = start + lowest(fired)
            fired &= fired - np.uint64(1)
            potential = np.int32(v[i] - level)
            v[i] = level
            number = np.uint32(first + i)
            column = np.int64(number // np.uint32(maps)) - half
            if column < 0 or column >= width:
                continue
            m, index = np.int64(number % np.uint32(maps)), row * width + column
            left, right = windows(column, pool_kernel, stride, out_width)
            for y in range(top, bottom):
                for x in range(left, right):
                    deposit((m * out_height + y) * out_width + x, potential, index, marks, best, place)


@compiled()
def adapt(thresholds, block, half, theta, patch):
    """Lay thresholds out as `run_sample` takes them.

    Args:
        thresholds: int32 (maps, rows, columns) of blocks, each `block` neurons wide and high.
        theta: int32 (rows, (W + 2 * half) * maps), out of reach beside the frame. patch: int32 (K * maps,), see `pour`.
    """
    maps = thresholds.shape[0]
    columns = theta.shape[1] // maps
    theta[:] = NEVER
    for row in range(theta.shape[0]):
        for column in range(half, columns - half):
            for m in range(maps):
                theta[row, column * maps + m] = thresholds[m, row, (column - half) // block]
    for i in range(patch.size):
        patch[i] = thresholds[i % maps, 0, 0]


@compiled()
def run_sample(
    offsets, sites, counts, steps, height, width, v, table, theta, block, patch, exciting, tiles, tile_of, stamps, opened,
    mode, leak, factor, restless_now, begin, columns, lines, times, pool_kernel, stride, out_height, out_width,
    marks, best, place,
):  # fmt: skip
    """One sample through one layer and its pool; what spikes is marked.

    Args:
        offsets: int64 (T + 1,) into sites (and counts, empty for spikes).
        theta: int32 (rows of blocks, columns * maps); row y uses theta[y // block].
        patch, exciting: see `pour` and `excites`.
        begin, columns, lines, times: room for the sorted input.
        marks, best, place: (T, ...), see `deposit`; marks are 0 before.
    """
    kernel = table.shape[0]
    maps, half = patch.size // kernel, kernel // 2
    stamps[:] = 0
    sort_by_row(offsets, sites, counts, 0, steps, height, width, table.shape[1], begin, columns, lines, times)
    for row in range(height):
        levels = theta[row // block]
        for t in range(steps):
            if exciting:
                a, b = pour(v[row], row, t, begin, columns, lines, table, levels, patch, leak, stamps[row])
                if a < b:
                    fire(
                        v[row, a:b], levels[a:b], np.int32(leak * (t + 1)), row, a, maps, half, width,
                        pool_kernel, stride, out_height, out_width, marks[t], best[t], place[t],
                    )  # fmt: skip
                continue
            found = advance(
                v[row], row, t, begin, columns, lines, times, counts.size > 0, table, patch.size, levels,
                tiles, tile_of, stamps[row], opened, mode, leak, factor, restless_now,
            )  # fmt: skip
            for k in range(found):
                a, b = tiles[opened[k]], tiles[opened[k] + 1]
                fire(
                    v[row, a:b], levels[a:b], ZERO, row, a, maps, half, width,
                    pool_kernel, stride, out_height, out_width, marks[t], best[t], place[t],
                )  # fmt: skip


@compiled(allocates=True)
def run_layer(
    done, offsets, sites, counts, steps, height, width, v, table, thresholds, block, theta, patch,
    fine, fine_of, whole, whole_of, sparse, stamps, opened, mode, leak, factor, begin, columns, lines, times,
    pool_kernel, stride, out_height, out_width, marks, best, place, out_offsets, out_sites, out_kept,
):  # fmt: skip
    """Samples through one layer and its pool, from number `done` on; -> samples done: all, or as many as there was room for.

    Args:
        offsets: int64 (N*T + 1,) into sites (and counts, empty for spikes).
        thresholds: int32 (N, maps, rows, columns) of blocks, or (1, ...) for all samples; theta, patch: room, see `adapt`.
        fine, whole: tiles for samples of fewer and of more spikes than `sparse`.
        marks, best, place: (T, ...), see `deposit`; marks are 0 before and after.
        out_offsets: int64 (N*T + 1,), filled up to the sample that is returned; so are out_sites and out_kept.
    """
    samples = (offsets.size - 1) // steps
    exciting, restless_now, adapted = False, False, False
    while done < samples and out_offsets[done * steps] + place.size <= out_sites.size:
        if not adapted or thresholds.shape[0] > 1:
            adapt(thresholds[min(done, thresholds.shape[0] - 1)], block, table.shape[0] // 2, theta, patch)
            flat = theta.reshape(-1)
            exciting = thresholds.shape[2] * thresholds.shape[3] == 1 and excites(table, flat, mode, leak, factor)
            restless_now = restless(flat, mode, leak, factor)
            adapted = True
        inside = offsets[done * steps : (done + 1) * steps + 1]
        first, last = inside[0], inside[-1]
        often = counts[first:last]
        if not above_one(often):
            often = often[:0]
        poured = exciting and often.size == 0
        tiles, tile_of = (fine, fine_of) if last - first < sparse else (whole, whole_of)
        run_sample(
            inside - first, sites[first:last], often, steps, height, width, v, table, theta, block, patch,
            poured, tiles, tile_of, stamps, opened, mode, leak, factor, restless_now,
            begin, columns, lines, times, pool_kernel, stride, out_height, out_width, marks, best, place,
        )  # fmt: skip
        for t in range(steps):
            at = done * steps + t
            out_offsets[at + 1] = collect(marks[t], place[t], out_sites, out_kept, out_offsets[at])
        done += 1
    return done


@compiled(allocates=True)
def run_dense(
    offsets, sites, counts, v, table, theta, tiles, tile_of, stamps, opened, mode, leak, factor, begin, columns, lines, times,
    state, spikes, potentials,
):  # fmt: skip
    """One sample through one layer, every potential written down.

    Args:
        offsets: int64 (T + 2,): step 0 is the past, without input; so is the first row of begin.
        theta: int32 (maps, H, W).
        state: float32 (maps, H, W), V before and, changed in place, after.
        spikes, potentials: float32 (T, maps, H, W), filled.
    """
    steps, maps, height, width = spikes.shape
    half, unit = table.shape[0] // 2, np.float32(4096.0)
    never = np.full(v.shape[1], NEVER, np.int32)
    sort_by_row(offsets, sites, counts, 1, steps + 1, height, width, table.shape[1], begin, columns, lines, times)
    for row in range(height):
        potential = v[row]
        potential[:] = 0
        stamps[row] = 1  # every tile was seen in step 0, the past
        for m in range(maps):
            for x in range(width):
                potential[(x + half) * maps + m] = np.int32(state[m, row, x] * unit)
        for t in range(1, steps + 1):
            advance(
                potential, row, t, begin, columns, lines, times, True, table, maps * table.shape[0], never,
                tiles, tile_of, stamps[row], opened,
                mode, leak, factor, True,
            )  # fmt: skip
            for m in range(maps):
                for x in range(width):
                    u = potential[(x + half) * maps + m]
                    fired = u >= theta[m, row, x]
                    potentials[t - 1, m, row, x] = np.float32(u) / unit
                    spikes[t - 1, m, row, x] = fired
                    potential[(x + half) * maps + m] = 0 if fired else u
        for m in range(maps):
            for x in range(width):
                state[m, row, x] = np.float32(potential[(x + half) * maps + m]) / unit


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
