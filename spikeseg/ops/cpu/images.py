# mypy: allow-untyped-defs, no-check-untyped-defs
"""Images on a CPU, event-driven: latency code, layers whose neurons fire at most once, potentials at the end.

Bit for bit what `reference.images` gives. Potentials are int32 in units of 2**-12, laid out as in `neuron_kernels`; a neuron that
may fire no more is put so far down that no input lifts it to its threshold.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from spikeseg.core.compiled import compiled
from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.reference.images import check_filters, check_grid
from spikeseg.ops.reference.layers import pooled_size
from spikeseg.ops.types import SingleSpikeLayer

from .arguments import InputSpikes, OutputSpikes, Pool
from .memory import Membranes, as_array, in_units
from .neuron_kernels import LOWEST, NEVER, add

BLOCK = 256
"""Images at a time: room is made for all spikes that there can be."""
SPENT = np.int32(-NEVER)
_NONE = np.empty(0, np.int32)


class OnceOnly(NamedTuple):
    """How neurons fire at most once, and which have.

    Attributes:
        theta: int32 (maps,), thresholds in units.
        bounds: int64 (H, 2), the columns of each row that a step has touched, first and one beyond the last.
        reached: bool (maps * H' * W',), cells of the pool's output that have spiked.
        inhibit: whether the first neuron to fire at a position silences those of the other maps there.
    """

    theta: np.ndarray
    bounds: np.ndarray
    reached: np.ndarray
    inhibit: bool


class Responses(NamedTuple):
    """Scratch memory of `oriented_latency`.

    Attributes:
        padded: int32 (H + K - 1, W + K - 1), an image with its border repeated.
        single: int32 (H, W), the response of one filter.
        strongest: int32 (H', W'), the strongest pooled response of all filters so far.
        which: int32 (H', W'), the filter that it comes from.
        keys: int64 (H' * W',), spikes as keys that sort by strength and address.
    """

    padded: np.ndarray
    single: np.ndarray
    strongest: np.ndarray
    which: np.ndarray
    keys: np.ndarray


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


def oriented_latency(images: np.ndarray, filters: Tensor, contrast: float, steps: int, pool: tuple[int, int]) -> SpikeLists:
    """See `reference.images.oriented_latency`."""
    check_filters(filters)
    units, (height, width), (window, stride) = in_units(filters), images.shape[1:], pool
    size = (pooled_size(height, window, stride), pooled_size(width, window, stride))
    border = len(units[0]) // 2 * 2
    scratch = Responses(
        np.empty((height + border, width + border), np.int32),
        np.empty((height, width), np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty(math.prod(size), np.int64),
    )
    parts = []
    for first in range(0, max(len(images), 1), BLOCK):
        block = np.ascontiguousarray(images[first : first + BLOCK])
        offsets, sites = np.zeros(len(block) * steps + 1, np.int64), np.empty(len(block) * math.prod(size), np.int32)
        least = max(1, math.ceil(contrast * SCALE))
        _oriented_latency(block, units, (least, steps), Pool(window, stride, *size), scratch, offsets, sites)
        parts.append(SpikeLists(offsets, sites[: offsets[-1]].copy(), (steps, len(units), *size)))
    return SpikeLists.joined(parts)


def fire_once(lists: SpikeLists, layer: SingleSpikeLayer) -> SpikeLists:
    """See `reference.images.fire_once`."""
    steps, _, height, width = lists.shape
    maps, (kernel, stride) = len(layer.weight), layer.pool
    size = (pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    cells, windows = maps * math.prod(size), math.ceil(kernel / stride) ** 2
    room = min(cells, height * width * windows) if layer.inhibit else cells
    membranes = _membranes(lists, layer.weight)
    bounds, reached = np.empty((height, 2), np.int64), np.empty(cells, np.bool_)
    once, pool = OnceOnly(in_units(layer.threshold), bounds, reached, layer.inhibit), Pool(kernel, stride, *size)
    parts = []
    for first in range(0, max(lists.samples, 1), BLOCK):
        part = lists.part(first, min(first + BLOCK, lists.samples))
        offsets, sites = np.zeros(len(part.offsets), np.int64), np.empty(part.samples * room, np.int32)
        spikes, out = InputSpikes(part.offsets, part.sites, _NONE), OutputSpikes(offsets, sites, _NONE)
        _fire_once(spikes, steps, membranes.neurons, once, pool, out)
        parts.append(SpikeLists(offsets, sites[: offsets[-1]].copy(), (steps, maps, *size)))
    return SpikeLists.joined(parts)


def final_potentials(lists: SpikeLists, weight: Tensor, grid: tuple[int, int]) -> np.ndarray:
    """See `reference.images.final_potentials`."""
    check_grid(grid, lists.shape[2:])
    membranes = _membranes(lists, weight)
    steps, _, height, _ = lists.shape
    highest = np.empty((lists.samples, len(weight), *grid), np.int32)
    spikes = InputSpikes(lists.offsets, lists.sites, _NONE)
    _final(spikes, steps, membranes.neurons, np.empty((height, 2), np.int64), highest)
    return (highest / SCALE).astype(np.float32)


def _membranes(lists: SpikeLists, weight: Tensor) -> Membranes:
    membranes = Membranes(weight, lists.shape[2:], LeakMode.NONE, 0.0)
    membranes.tabulate(as_array(weight))
    return membranes


@compiled()
def _extend(image, padded):
    """Fill `padded` with an image, its border repeated on all sides."""
    height, width = image.shape
    above, left = (padded.shape[0] - height) // 2, (padded.shape[1] - width) // 2
    for y in range(padded.shape[0]):
        row = image[min(max(y - above, 0), height - 1)]
        for x in range(padded.shape[1]):
            padded[y, x] = row[min(max(x - left, 0), width - 1)]


@compiled()
def _respond(image, kernel, least, padded, keys):
    """List the pixels that respond, as keys that sort by strength and address; -> how many."""
    height, width, size = image.shape[0], image.shape[1], kernel.shape[0]
    count = 0
    _extend(image, padded)
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
    entries = 0
    for n in range(images.shape[0]):
        count = _respond(images[n], kernel, least, padded, keys)
        entries = _listed(keys[:count], offsets[n * steps + 1 : (n + 1) * steps + 1], sites, entries)


@compiled(allocates=True)
def _listed(keys, ends, sites, entries):
    """List an image's spikes by rank, equal numbers in each step; -> how many there are in the list now.

    ends: int64 (T,), filled: where each step's spikes end."""
    count, steps, done = keys.size, ends.size, 0
    keys.sort()
    for t in range(steps):
        start = entries
        while done < count and done * steps // count == t:
            sites[entries] = keys[done] & (2**31 - 1)
            entries += 1
            done += 1
        sites[start:entries].sort()
        ends[t] = entries
    return entries


@compiled()
def _add_scaled(out, values, factor):
    for x in range(out.size):
        out[x] = np.int32(out[x] + factor * values[x])


@compiled()
def _filtered(padded, kernel, single):
    """The absolute response of a filter at every pixel; zeros around a smaller filter cost nothing."""
    height, width = single.shape
    single[:] = 0
    for ky in range(kernel.shape[0]):
        for kx in range(kernel.shape[1]):
            if kernel[ky, kx]:
                for y in range(height):
                    _add_scaled(single[y], padded[y + ky, kx : kx + width], kernel[ky, kx])
    for y in range(height):
        for x in range(width):
            single[y, x] = abs(single[y, x])


@compiled()
def _strongest(number, pool, scratch):
    """Pool a filter's response, and keep it wherever it is stronger than those of the filters before."""
    single, (height, width) = scratch.single, scratch.single.shape
    for y in range(pool.height):
        for x in range(pool.width):
            highest = np.int32(0)
            for row in range(y * pool.stride, min(height, y * pool.stride + pool.kernel)):
                for column in range(x * pool.stride, min(width, x * pool.stride + pool.kernel)):
                    highest = max(highest, single[row, column])
            if highest > scratch.strongest[y, x]:
                scratch.strongest[y, x], scratch.which[y, x] = highest, number


@compiled(allocates=True)
def _oriented_latency(images, filters, limits, pool, scratch, offsets, sites):
    """filters: int32 (C, K, K). limits: least response, int, and steps. scratch: `Responses`."""
    entries, (least, steps), keys = 0, limits, scratch.keys
    for n in range(images.shape[0]):
        _extend(images[n], scratch.padded)
        scratch.strongest[:] = 0
        for number in range(filters.shape[0]):
            _filtered(scratch.padded, filters[number], scratch.single)
            _strongest(number, pool, scratch)
        count = 0
        for y in range(pool.height):
            for x in range(pool.width):
                if scratch.strongest[y, x] >= least:
                    site = (scratch.which[y, x] * pool.height + y) * pool.width + x
                    keys[count] = (-np.int64(scratch.strongest[y, x]) << 31) | site
                    count += 1
        entries = _listed(keys[:count], offsets[n * steps + 1 : (n + 1) * steps + 1], sites, entries)


@compiled()
def _integrate(offsets, sites, neurons, bounds):
    """Add the spikes of some steps, offsets int64 (2,) into sites. bounds: see `OnceOnly`; extended."""
    v, table, width, maps = neurons.v, neurons.table, neurons.columns, neurons.maps
    height, span = v.shape[0], maps * table.shape[0]
    half = table.shape[0] // 2
    for k in range(offsets[0], offsets[1]):
        pixel = sites[k] % (height * width)
        y, x, channel = pixel // width, pixel % width, sites[k] // (height * width)
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
def _step(offsets, sites, neurons, once, pool, out, entries):
    """One step of a sample, offsets int64 (2,) into sites; -> how many spikes there are in the list `out` now."""
    v, maps, half, width = neurons.v, neurons.maps, neurons.table.shape[0] // 2, neurons.columns
    theta, bounds, inhibit = once.theta, once.bounds, once.inhibit
    bounds[:, 0], bounds[:, 1] = width, 0
    _integrate(offsets, sites, neurons, bounds)
    for row in range(v.shape[0]):
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
                    entries = _pooled(m, row, column, pool, once.reached, out, entries)
            if inhibit:
                here[:] = SPENT
                entries = _pooled(best, row, column, pool, once.reached, out, entries)
    return entries


@compiled(allocates=True)
def _fire_once(spikes, steps, neurons, once, pool, out):
    """All samples of `spikes`, of so many steps. out: `OutputSpikes`, whose offsets and sites are filled."""
    entries = 0
    for n in range((spikes.offsets.size - 1) // steps):
        neurons.v[:] = 0
        once.reached[:] = False
        for t in range(steps):
            start, at = entries, n * steps + t
            entries = _step(spikes.offsets[at : at + 2], spikes.sites, neurons, once, pool, out.sites, entries)
            out.sites[start:entries].sort()
            out.offsets[at + 1] = entries


@compiled()
def _pooled(m, row, column, pool, reached, out, entries):
    """List the outputs of a pool that a spike is the first to reach; -> how many there are in the list now."""
    kernel, stride, height, width = pool.kernel, pool.stride, pool.height, pool.width
    for y in range(max(0, (row - kernel + stride) // stride), min(height - 1, row // stride) + 1):
        for x in range(max(0, (column - kernel + stride) // stride), min(width - 1, column // stride) + 1):
            site = (m * height + y) * width + x
            if not reached[site]:
                reached[site] = True
                out[entries] = site
                entries += 1
    return entries


@compiled()
def _final(spikes, steps, neurons, bounds, highest):
    """Highest potential of each cell at the end, int32 (N, maps, rows, columns of the grid); filled."""
    v, width, half = neurons.v, neurons.columns, neurons.table.shape[0] // 2
    maps, rows, columns = highest.shape[1], highest.shape[2], highest.shape[3]
    height = v.shape[0]
    for n in range(highest.shape[0]):
        v[:] = 0
        _integrate(spikes.offsets[n * steps : (n + 1) * steps + 1 : steps], spikes.sites, neurons, bounds)
        highest[n] = LOWEST
        for row in range(height):
            for column in range(width):
                here = v[row, (column + half) * maps : (column + half + 1) * maps]
                cell = highest[n, :, row * rows // height, column * columns // width]
                for m in range(maps):
                    cell[m] = max(cell[m], here[m])
