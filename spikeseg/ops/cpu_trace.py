"""Spikes traced back to the pixels that caused them, event-driven: only where spikes are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spikeseg.compiled import compiled

from . import cpu_inference, cpu_kernels
from .cpu_memory import as_array
from .lists import Sparse, SpikeLists
from .types import Layer, PooledSpikes


@compiled()
def add_weighted(a, w, value):
    for i in range(a.size):
        a[i] += value * w[i]


@compiled()
def untabulate(weight, table):
    """Rounded excitatory weights (C_out, C_in, K, K) as one traced neuron spreads them: float64 (C_out, K, K * C_in)."""
    maps, channels, kernel = weight.shape[:3]
    for m in range(maps):
        for c in range(channels):
            for ky in range(kernel):
                for kx in range(kernel):
                    units = np.float64(np.rint(weight[m, c, ky, kx] * cpu_kernels.UNITS))
                    table[m, ky, kx * channels + c] = max(units, 0.0) / 4096.0


@compiled()
def descend(offsets, neurons, values, table, height, width, traced, gate_offsets, gate_sites, decay, out):
    """Through one convolution, from the last step to the first: what arrives at each spike of the layer below.

    Args:
        offsets: int64 (T + 1,) into neurons, flat addresses (m*H + y)*W + x, and values, float64.
        traced: float64 (H, (W + K - 1) * C_in), scratch.
        gate_offsets, gate_sites: the spikes below.
        decay: what a step passes on to the one before.
        out: float64, one entry per spike below, filled.
    """
    kernel, span = table.shape[1], table.shape[2]
    channels, half, size = span // kernel, kernel // 2, height * width
    traced[:] = 0.0
    flat = traced.reshape(-1)
    for t in range(offsets.size - 2, -1, -1):
        if decay != 1.0:
            for i in range(flat.size):
                flat[i] *= decay
        for k in range(offsets[t], offsets[t + 1]):
            if values[k] == 0.0:
                continue
            m = neurons[k] // size
            y = neurons[k] // width % height
            start = neurons[k] % width * channels
            for j in range(max(0, half - y), min(kernel, height + half - y)):
                add_weighted(traced[y - half + j, start : start + span], table[m, j], values[k])
        for k in range(gate_offsets[t], gate_offsets[t + 1]):
            c = gate_sites[k] // size
            y = gate_sites[k] // width % height
            out[k] = traced[y, (gate_sites[k] % width + half) * channels + c]


@compiled()
def reached(offsets, sites, kept, latest, found, out_offsets, out_sites, out_kept):
    """Every site that has spiked up to each step, with the pooling index of its last spike; fills out only if it has room.

    Args:
        latest: int32 (sites of the layer,), -1 everywhere; scratch. found: int32 of the same size, scratch.
    """
    count, n = 0, 0
    for t in range(offsets.size - 1):
        for k in range(offsets[t], offsets[t + 1]):
            if latest[sites[k]] < 0:
                found[n] = sites[k]
                n += 1
            latest[sites[k]] = kept[k] if kept.size else 0
        for k in range(n):
            if out_sites.size:
                out_sites[count] = found[k]
                out_kept[count] = latest[found[k]]
            count += 1
        out_offsets[t + 1] = count
    return count


@compiled()
def light_up(offsets, pixels, values, sums, marks, out_index, out_value):
    """Sum what arrived at each pixel in each step, and list what is lit; -> how many.

    Args:
        offsets: int64 (T + 1,) into pixels, int32 flat addresses of a frame or of several channels of it, and values, float64.
        sums: float64 (H * W,) of 0; marks: uint64, a bit per pixel, of 0; both left so.
        out_index: int64, flat indices (t*H + y)*W + x, rising; out_value: float32. Room for every entry.
    """
    found, size = 0, sums.size
    for t in range(offsets.size - 1):
        for k in range(offsets[t], offsets[t + 1]):
            if values[k] > 0.0:
                pixel = pixels[k] % size
                sums[pixel] += values[k]
                marks[pixel >> 6] |= np.uint64(1) << np.uint64(pixel & 63)
        for word in range(marks.size):
            if marks[word] == 0:
                continue
            marks[word] = 0
            for pixel in range(word << 6, min(size, (word + 1) << 6)):
                value = np.float32(sums[pixel])
                sums[pixel] = 0.0
                if value > 0:
                    out_index[found] = t * size + pixel
                    out_value[found] = value
                    found += 1
    return found


def trace(
    frames: np.ndarray, layers: Sequence[Layer], found: Sequence[PooledSpikes], *, delay_connections: bool, decay: float
) -> list[Sparse]:
    """See `reference_trace.trace`: equal bit for bit where decay is 0 or 1, to float32 rounding between."""
    gates = [PooledSpikes(_listed(frames), None), *found[:-1]]
    tables, scratch = [], []
    for layer, gate in zip(layers, gates, strict=True):
        maps, channels, kernel = layer.weight.shape[:3]
        tables.append(np.zeros((maps, kernel, kernel * channels)))
        untabulate(as_array(layer.weight), tables[-1])
        scratch.append(np.zeros((gate.lists.shape[2], (gate.lists.shape[3] + kernel - 1) * channels)))
    samples, steps, _, height, width = frames.shape
    sums, marks = np.zeros(height * width), np.zeros(height * width // 64 + 1, np.uint64)
    lit = []
    for n in range(samples):
        last = found[-1].lists.part(n, n + 1)
        offsets, neurons, values = last.offsets, last.sites, np.ones(len(last.sites))
        for i in range(len(layers) - 1, -1, -1):
            lists, kept = gates[i].part(n, n + 1)
            if not delay_connections:
                lists, kept = so_far(lists, kept)
            shape = lists.shape
            arrived = np.zeros(len(lists.sites))
            descend(
                offsets, neurons, values, tables[i], shape[2], shape[3], scratch[i], lists.offsets, lists.sites,
                decay if delay_connections else 0.0, arrived,
            )  # fmt: skip
            offsets, neurons, values = lists.offsets, lists.sites, arrived
            if i and kept is not None:
                below = gates[i - 1].lists.shape
                neurons = lists.sites // (shape[2] * shape[3]) * (below[2] * below[3]) + kept
        index, value = np.empty(len(neurons), np.int64), np.empty(len(neurons), np.float32)
        count = light_up(offsets, neurons, values, sums, marks, index, value)
        lit.append(Sparse((steps, height, width), index[:count].copy(), value[:count].copy()))
    return lit


def _listed(frames: np.ndarray) -> SpikeLists:
    """Where samples (N, T, C, H, W) are above 0."""
    samples, steps, *site = frames.shape
    rows = np.ascontiguousarray(frames).reshape(samples * steps, math.prod(site))
    if rows.dtype not in (np.uint8, np.uint16):
        return SpikeLists.of(frames)
    offsets = np.zeros(len(rows) + 1, np.int64)
    sites, counts = (np.empty(int(np.count_nonzero(rows)) + rows.shape[1], np.int32) for _ in range(2))
    cpu_inference.list_frames(rows, 0, offsets, sites, counts)
    return SpikeLists(offsets, sites[: offsets[-1]], (steps, site[0], site[1], site[2]))


_NONE = np.empty(0, np.int32)


def so_far(lists: SpikeLists, kept: np.ndarray | None) -> tuple[SpikeLists, np.ndarray | None]:
    """Spikes up to each step, and the pooling index of the last of each site."""
    cells = int(np.prod(lists.shape[1:]))
    indices = _NONE if kept is None else kept
    offsets = np.zeros(lists.shape[0] + 1, np.int64)

    def fill(sites: np.ndarray, out: np.ndarray) -> int:
        scratch = np.full(cells, -1, np.int32), np.zeros(cells, np.int32)
        count: int = reached(lists.offsets, lists.sites, indices, *scratch, offsets, sites, out)
        return count

    count = fill(_NONE, _NONE)
    sites, out = np.zeros(count, np.int32), np.zeros(count, np.int32)
    fill(sites, out)
    return SpikeLists(offsets, sites, lists.shape), None if kept is None else out
