"""Images on a CPU, event-driven: latency code, layers whose neurons fire at most once, potentials at the end.

Bit for bit what `reference.images` gives. Potentials are int32 in units of 2**-12, laid out as in `neuron_kernels`; a neuron that
may fire no more is put so far down that no input lifts it to its threshold.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from spikeseg.core.compiled import compiled
from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.reference.images import check_grid
from spikeseg.ops.reference.layers import pooled_size
from spikeseg.ops.types import SingleSpikeLayer

from .memory import Membranes, as_array, in_units
from .neuron_kernels import LOWEST, NEVER, add

BLOCK = 256
"""Images at a time: room is made for all spikes that there can be."""
SPENT = np.int32(-NEVER)


def latency(images: np.ndarray, kernel: Tensor, contrast: float, steps: int) -> SpikeLists:
    """See `reference.images.latency`."""
    units, (height, width) = in_units(kernel), images.shape[1:]
    half = len(units) // 2
    padded = np.empty((height + 2 * half, width + 2 * half), np.int32)
    keys = np.empty(height * width, np.int64)
    parts = []
    for first in range(0, max(len(images), 1), BLOCK):
        block = np.ascontiguousarray(images[first : first + BLOCK])
        offsets, sites = np.zeros(len(block) * steps + 1, np.int64), np.empty(block.size, np.int32)
        _latency(block, units, max(1, math.ceil(contrast * SCALE)), steps, padded, keys, offsets, sites)
        parts.append(SpikeLists(offsets, sites[: offsets[-1]].copy(), (steps, 2, height, width)))
    return SpikeLists.joined(parts)


def fire_once(lists: SpikeLists, layer: SingleSpikeLayer) -> SpikeLists:
    """See `reference.images.fire_once`."""
    steps, _, height, width = lists.shape
    maps, (kernel, stride) = len(layer.weight), layer.pool
    size = (pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    cells, reached = maps * math.prod(size), math.ceil(kernel / stride) ** 2
    room = min(cells, height * width * reached) if layer.inhibit else cells
    scratch = _membranes(lists, layer.weight)
    theta, bounds, seen = in_units(layer.threshold), np.empty((height, 2), np.int64), np.empty(cells, np.bool_)
    parts = []
    for first in range(0, max(lists.samples, 1), BLOCK):
        part = lists.part(first, min(first + BLOCK, lists.samples))
        offsets, sites = np.zeros(len(part.offsets), np.int64), np.empty(part.samples * room, np.int32)
        _fire_once(
            part.offsets, part.sites, steps, width, scratch.neurons.v, scratch.neurons.table, theta, bounds,
            kernel, stride, *size, layer.inhibit, seen, offsets, sites,
        )  # fmt: skip
        parts.append(SpikeLists(offsets, sites[: offsets[-1]].copy(), (steps, maps, *size)))
    return SpikeLists.joined(parts)


def final_potentials(lists: SpikeLists, weight: Tensor, grid: tuple[int, int]) -> np.ndarray:
    """See `reference.images.final_potentials`."""
    check_grid(grid, lists.shape[2:])
    scratch = _membranes(lists, weight)
    found = np.empty((lists.samples, len(weight), *grid), np.int32)
    _final(lists.offsets, lists.sites, lists.shape[0], lists.shape[3], scratch.neurons.v, scratch.neurons.table, found)
    return (found / SCALE).astype(np.float32)


def _membranes(lists: SpikeLists, weight: Tensor) -> Membranes:
    scratch = Membranes(weight, lists.shape[2:], LeakMode.NONE, 0.0)
    scratch.tabulate(as_array(weight))
    return scratch


@compiled()
def _respond(image, kernel, least, padded, keys):
    """List the pixels that respond, as keys that sort by strength and address; -> how many."""
    height, width, size = image.shape[0], image.shape[1], kernel.shape[0]
    half, count = size // 2, 0
    for y in range(padded.shape[0]):
        row = image[min(max(y - half, 0), height - 1)]
        for x in range(padded.shape[1]):
            padded[y, x] = row[min(max(x - half, 0), width - 1)]
    for y in range(height):
        for x in range(width):
            response = np.int64(0)
            for ky in range(size):
                for kx in range(size):
                    response += kernel[ky, kx] * padded[y + ky, x + kx]
            if abs(response) >= least:
                site = (height + y if response > 0 else y) * width + x
                keys[count] = (-abs(response) << 31) | site
                count += 1
    return count


@compiled(allocates=True)
def _latency(images, kernel, least, steps, padded, keys, offsets, sites):
    """kernel: int32 (K, K). least: int64. padded: int32 (H + K - 1, W + K - 1). keys: int64 (H * W,)."""
    found = 0
    for n in range(images.shape[0]):
        count = _respond(images[n], kernel, least, padded, keys)
        keys[:count].sort()
        done = 0
        for t in range(steps):
            start = found
            while done < count and done * steps // count == t:
                sites[found] = keys[done] & (2**31 - 1)
                found += 1
                done += 1
            sites[start:found].sort()
            offsets[n * steps + t + 1] = found


@compiled()
def _pour(offsets, sites, width, v, table, span, bounds):
    """Add the spikes of one step; bounds: int64 (H, 2), the columns of each row that were touched, first and one beyond."""
    height, kernel = v.shape[0], table.shape[0]
    half, maps = kernel // 2, span // kernel
    for k in range(offsets[0], offsets[1]):
        place = sites[k] % (height * width)
        y, x, channel = place // width, place % width, sites[k] // (height * width)
        for row in range(max(0, y - half), min(height, y + half + 1)):
            add(v[row, x * maps : x * maps + span], table[row - y + half, channel, :span])
            bounds[row, 0] = min(bounds[row, 0], max(0, x - half))
            bounds[row, 1] = max(bounds[row, 1], min(width, x + half + 1))


@compiled()
def _above(v, theta):
    """How far the highest potential of a position lies above its threshold."""
    above = LOWEST
    for m in range(v.size):
        above = max(above, np.int32(v[m] - theta[m]))
    return above


@compiled()
def _step(
    offsets, sites, width, v, table, theta, bounds, pool, stride, out_height, out_width, inhibit, seen, out, found
):  # fmt: skip
    """One step of a sample; -> how many spikes there are in the list now."""
    maps, height, half = theta.size, v.shape[0], table.shape[0] // 2
    bounds[:, 0], bounds[:, 1] = width, 0
    _pour(offsets, sites, width, v, table, maps * table.shape[0], bounds)
    for row in range(height):
        for column in range(bounds[row, 0], bounds[row, 1]):
            here = v[row, (column + half) * maps : (column + half + 1) * maps]
            if _above(here, theta) < 0:
                continue
            best = -1
            for m in range(maps):
                if here[m] < theta[m] or (inhibit and best >= 0 and here[m] <= here[best]):
                    continue
                best = m
                if not inhibit:
                    here[m] = SPENT
                    found = _pooled(m, row, column, pool, stride, out_height, out_width, seen, out, found)
            if inhibit:
                here[:] = SPENT
                found = _pooled(best, row, column, pool, stride, out_height, out_width, seen, out, found)
    return found


@compiled(allocates=True)
def _fire_once(
    offsets, sites, steps, width, v, table, theta, bounds, pool, stride, out_height, out_width, inhibit, seen, out_offsets, out
):  # fmt: skip
    """theta: int32 (maps,). bounds: see `_pour`. seen: bool (maps * H' * W',)."""
    found = 0
    for n in range((offsets.size - 1) // steps):
        v[:] = 0
        seen[:] = False
        for t in range(steps):
            start, at = found, n * steps + t
            found = _step(
                offsets[at : at + 2], sites, width, v, table, theta, bounds,
                pool, stride, out_height, out_width, inhibit, seen, out, found,
            )  # fmt: skip
            out[start:found].sort()
            out_offsets[at + 1] = found


@compiled()
def _pooled(m, row, column, pool, stride, height, width, seen, out, found):
    """List the outputs of a pool that a spike is the first to reach; -> how many there are in the list now."""
    for y in range(max(0, (row - pool + stride) // stride), min(height - 1, row // stride) + 1):
        for x in range(max(0, (column - pool + stride) // stride), min(width - 1, column // stride) + 1):
            site = (m * height + y) * width + x
            if not seen[site]:
                seen[site] = True
                out[found] = site
                found += 1
    return found


@compiled()
def _final(offsets, sites, steps, width, v, table, found):
    """found: int32 (N, maps, rows, columns of the grid)."""
    maps, rows, columns = found.shape[1], found.shape[2], found.shape[3]
    height, half = v.shape[0], table.shape[0] // 2
    span = maps * table.shape[0]
    for n in range(found.shape[0]):
        v[:] = 0
        for k in range(offsets[n * steps], offsets[(n + 1) * steps]):
            place = sites[k] % (height * width)
            y, x, channel = place // width, place % width, sites[k] // (height * width)
            for row in range(max(0, y - half), min(height, y + half + 1)):
                add(v[row, x * maps : x * maps + span], table[row - y + half, channel, :span])
        found[n] = LOWEST
        for row in range(height):
            for column in range(width):
                here = v[row, (column + half) * maps : (column + half + 1) * maps]
                cell = found[n, :, row * rows // height, column * columns // width]
                for m in range(maps):
                    cell[m] = max(cell[m], here[m])
