# mypy: allow-untyped-defs, no-check-untyped-defs
"""Spikes traced back to the pixels that caused them, event-driven: only where spikes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled
from spikeseg.core.grid import SCALE, SCALE32
from spikeseg.core.sparse import SparseFrames, SparseMap, SpikeLists
from spikeseg.ops.types import Layer, PooledSpikes

from . import inference_kernels
from .memory import as_array
from .vectors import DOUBLES, TAPS, add_scaled, dot

PIECE = 16
"""Columns of the buffer that fade together."""

FEW = 4
"""A layer with this many times fewer maps than the one below is traced by `descend_few`."""


class Activity(NamedTuple):
    """The activity that is traced back, by step.

    Attributes:
        offsets: int64 (T + 1,) into the others.
        neurons: int32, flat addresses (m*H + y)*W + x.
        values: float64, how strongly each is traced.
    """

    offsets: np.ndarray
    neurons: np.ndarray
    values: np.ndarray


class Gates(NamedTuple):
    """The spikes that activity can reach: offsets int64 (T + 1,) into sites, int32 flat addresses (c*H + y)*W + x."""

    offsets: np.ndarray
    sites: np.ndarray


class Table(NamedTuple):
    """Weights of a convolution, and a buffer for activity, wide enough for a line of weights from any column on.

    Activity fades from step to step; most of the buffer is empty, so that it fades piece by piece, where something is.

    Attributes:
        weights, room (the buffer): float64, see `descend` and `descend_few`.
        stamps: int32 (n, H, ...), numbers for each piece of the buffer, see there.
        kernel, channels, height, width: K, C_in, H, W.
    """

    weights: np.ndarray
    room: np.ndarray
    stamps: np.ndarray
    kernel: int
    channels: int
    height: int
    width: int


@compiled()
def fade(room, decay, times):
    """What a step passes on to the one before, so many steps on end."""
    if decay != 1.0:
        for _ in range(times):
            for i in range(room.size):
                room[i] *= decay


@compiled()
def freshen(line, stamps, piece, size, now, decay):
    """Fade a piece of a line of the buffer up to the present step.

    Args:
        line: float64, the line.
        stamps: int32, the last step up to which each of its pieces has faded, from 1; 0: it is empty, whatever it holds.
        piece: its number.
        size: numbers in a piece.
        now: the step, from 1.
        decay: see `descend`.
    """
    before = stamps[piece]
    if before == now:
        return
    part = line[piece * size : (piece + 1) * size]
    if before == 0:
        part[:] = 0.0
    else:
        fade(part, decay, now - before)
    stamps[piece] = now


@compiled()
def descend(activity, gates, table, decay, out):
    """Through one convolution, from the last step to the first: what arrives at each spike of the layer below.

    Args:
        activity: `Activity`.
        gates: `Gates`.
        table: `Table`; weights (C_out, K, at least K * C_in, beyond which it is 0), as one traced neuron spreads them; room
            (H, at least (W + K - 1) * C_in); stamps (2, H, at least (W + K - 1) / PIECE): see `freshen`, and the last step in
            which what a neuron of the piece spreads to was seen to.
        decay: what a step passes on to the one before.
        out: float64, one entry per gate, filled.
    """
    weights, channels, height, width = table.weights, table.channels, table.height, table.width
    kernel, wide = table.kernel, weights.shape[2]
    half, size, of_piece = kernel // 2, height * width, PIECE * table.channels
    arriving, stamps, ready = table.room, table.stamps[0], table.stamps[1]
    table.stamps[:] = 0
    flat, steps = arriving.reshape(-1), activity.offsets.size - 1
    for t in range(steps - 1, -1, -1):
        now = np.int32(steps - t)
        for k in range(activity.offsets[t], activity.offsets[t + 1]):
            value, neuron = activity.values[k], activity.neurons[k]
            if value == 0.0:
                continue
            m = neuron // size
            y, x = neuron // width % height, neuron % width
            top, bottom = max(0, half - y), min(kernel, height + half - y)
            if ready[y, x // PIECE] != now:
                ready[y, x // PIECE] = now
                for row in range(y - half + top, y - half + bottom):
                    for piece in range(x // PIECE, min((x // PIECE * PIECE + PIECE + kernel - 2) // PIECE + 1, stamps.shape[1])):
                        freshen(arriving[row], stamps[row], piece, of_piece, now, decay)
            for j in range(top, bottom):
                add_scaled(flat, (y - half + j) * arriving.shape[1] + x * channels, weights, m * kernel + j, wide, value)
        start, end, c, y = 0, 0, 0, 0  # the row of the gate in hand: neighbours mostly share it
        for k in range(gates.offsets[t], gates.offsets[t + 1]):
            site = gates.sites[k]
            if site < start or site >= end:
                c, y = site // size, site // width % height
                start = (c * height + y) * width
                end = start + width
            column = site - start + half
            piece = column // PIECE
            if stamps[y, piece] == 0:
                out[k] = 0.0
                continue
            if stamps[y, piece] != now:
                freshen(arriving[y], stamps[y], piece, of_piece, now, decay)
            out[k] = arriving[y, column * channels + c]


@compiled()
def descend_few(activity, gates, table, decay, out):
    """`descend` from few maps to many: gathers the activity at each gate instead of scattering it everywhere.

    Args:
        activity: see `descend`.
        gates: see `descend`.
        decay: see `descend`.
        out: see `descend`.
        table: `Table`; weights (C_in, C_out, K, at least K, beyond which it is 0), of maps below and above, mirrored in both
            axes; room (C_out, H + K - 1, at least W + K - 1); stamps (1, C_out, H + K - 1): 1 for each line of the
            room in which something is. Both are 0, and left so.
    """
    weights, kernel, height, width = table.weights, table.kernel, table.height, table.width
    wide, before = weights.shape[3], kernel - 1 - kernel // 2
    above, lines = table.room, table.stamps[0]
    maps, rows, stride = above.shape
    size = height * width
    flat, taps = above.reshape(-1), weights.reshape(-1)
    for t in range(activity.offsets.size - 2, -1, -1):
        for m in range(maps):
            for y in range(rows):
                if lines[m, y]:
                    fade(above[m, y], decay, 1)
        for k in range(activity.offsets[t], activity.offsets[t + 1]):
            neuron = activity.neurons[k]
            m, y = neuron // size, neuron // width % height + before
            lines[m, y] = 1
            above[m, y, neuron % width + before] += activity.values[k]
        start, end, c, y, near = 0, 0, 0, 0, np.uint64(0)  # the row of the gate in hand, and in which maps something is near it
        for k in range(gates.offsets[t], gates.offsets[t + 1]):
            site = gates.sites[k]
            if site < start or site >= end:
                c, y = site // size, site // width % height
                start = (c * height + y) * width
                end = start + width
                near = np.uint64(0)
                for m in range(maps):
                    for j in range(kernel):
                        near |= np.uint64(lines[m, y + j]) << np.uint64(m & 63)
            left, arrived = near, 0.0
            while left:
                first = lowest(left)
                left &= left - np.uint64(1)
                for m in range(first, maps, 64):
                    for i in range(0, wide, TAPS):
                        line, at = (c * maps + m) * kernel * wide, (m * rows + y) * stride + site - start
                        arrived += dot(taps, line + i, wide, flat, at + i, stride, kernel)
            out[k] = arrived
    for m in range(maps):
        for y in range(rows):
            if lines[m, y]:
                above[m, y] = 0.0
                lines[m, y] = 0


@compiled()
def reached(offsets, sites, kept, latest, fired, out_offsets, out_sites, out_kept):
    """Every site that has spiked up to each step, with the pooling index of its last spike; fills the outputs only if they are
    large enough.

    Args:
        offsets: int64 (T + 1,) into sites and kept.
        sites: int32, the spikes.
        kept: int32, pooling index of each; empty: none.
        latest: int32 (sites of the layer,), -1 everywhere; scratch.
        fired: int32 of the same size, scratch.
        out_offsets: int64 (T + 1,), filled.
        out_sites: int32, filled if large enough.
        out_kept: int32, filled as well.
    """
    count, n = 0, 0
    for t in range(offsets.size - 1):
        for k in range(offsets[t], offsets[t + 1]):
            if latest[sites[k]] < 0:
                fired[n] = sites[k]
                n += 1
            latest[sites[k]] = kept[k] if kept.size else 0
        for k in range(n):
            if out_sites.size:
                out_sites[count] = fired[k]
                out_kept[count] = latest[fired[k]]
            count += 1
        out_offsets[t + 1] = count
    return count


@compiled()
def sum_pixels(offsets, pixels, values, sums, touched, out_index, out_value):
    """Sum what arrived at each pixel in each step, and list the pixels whose sum is above 0; -> how many.

    Args:
        offsets: int64 (T + 1,) into pixels and values.
        pixels: int32, flat addresses of a frame or of several channels of it.
        values: float64, what arrived at each.
        sums: float64 (H * W,) of 0, left so.
        touched: uint64, a bit per pixel, of 0, left so.
        out_index: int64, flat indices (t*H + y)*W + x, rising. Room for every entry.
        out_value: float32.
    """
    entries, size = 0, sums.size
    for t in range(offsets.size - 1):
        for k in range(offsets[t], offsets[t + 1]):
            if values[k] > 0.0:
                pixel = pixels[k] % size
                sums[pixel] += values[k]
                touched[pixel >> 6] |= np.uint64(1) << np.uint64(pixel & 63)
        for word in range(touched.size):
            if touched[word] == 0:
                continue
            touched[word] = 0
            for pixel in range(word << 6, min(size, (word + 1) << 6)):
                value = np.float32(sums[pixel])
                sums[pixel] = 0.0
                if value > 0:
                    out_index[entries] = t * size + pixel
                    out_value[entries] = value
                    entries += 1
    return entries


def trace(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> list[SparseMap]:
    """See `reference.trace`: equal bit for bit where decay is 0 or 1, to float32 rounding between."""
    gates = [PooledSpikes(inference_kernels.listed(frames).lists, None), *spikes[:-1]]
    descents = [_Descent(layer, gate.lists) for layer, gate in zip(layers, gates, strict=True)]
    samples, steps, _, height, width = frames.shape
    sums, touched = np.zeros(height * width), np.zeros(height * width // 64 + 1, np.uint64)
    saliency = []
    for n in range(samples):
        last = spikes[-1].lists.part(n, n + 1)
        if not len(last.sites):
            saliency.append(SparseMap((steps, height, width), np.zeros(0, np.int64), np.zeros(0, np.float32)))
            continue
        offsets, neurons, values = last.offsets, last.sites, np.ones(len(last.sites))
        for i in range(len(layers) - 1, -1, -1):
            lists, kept = gates[i].part(n, n + 1)
            if not delay_connections:
                lists, kept = so_far(lists, kept)
            shape = lists.shape
            arrived = np.zeros(len(lists.sites))
            left = decay if delay_connections else 0.0
            descents[i].run(Activity(offsets, neurons, values), lists, left, arrived)
            offsets, neurons, values = lists.offsets, lists.sites, arrived
            if i and kept is not None:
                below = gates[i - 1].lists.shape
                neurons = lists.sites // (shape[2] * shape[3]) * (below[2] * below[3]) + kept
        index, value = np.empty(len(neurons), np.int64), np.empty(len(neurons), np.float32)
        count = sum_pixels(offsets, neurons, values, sums, touched, index, value)
        saliency.append(SparseMap((steps, height, width), index[:count].copy(), value[:count].copy()))
    return saliency


class _Descent:
    """A convolution as traces go down through it, with its scratch. gates: the spikes below."""

    def __init__(self, layer: Layer, gates: SpikeLists) -> None:
        maps, channels, kernel = layer.weight.shape[:3]
        _, _, height, width = gates.shape
        if maps * FEW <= channels:
            self._kernel = descend_few
            weights = _padded(_excitatory(layer.weight)[:, :, ::-1, ::-1].transpose(1, 0, 2, 3), TAPS)
            room = np.zeros((maps, height + kernel - 1, width + kernel - 1 + weights.shape[-1]))
            stamps = np.zeros((1, *room.shape[:2]), np.int32)
        else:
            self._kernel = descend
            lines = _excitatory(layer.weight).transpose(0, 2, 3, 1).reshape(maps, kernel, kernel * channels)
            weights = _padded(lines, DOUBLES)
            pieces = -(-(width + kernel - 1) // PIECE)
            room = np.zeros((height, pieces * PIECE * channels + weights.shape[-1]))
            stamps = np.zeros((2, height, pieces), np.int32)
        self._table = Table(weights, room, stamps, kernel, channels, height, width)

    def run(self, activity: Activity, gates: SpikeLists, decay: float, out: np.ndarray) -> None:
        """See `descend`."""
        self._kernel(activity, Gates(gates.offsets, gates.sites), self._table, decay, out)


def _padded(lines: np.ndarray, lanes: int) -> np.ndarray:
    """The last axis lengthened with 0 to a multiple of `lanes`."""
    beyond = -lines.shape[-1] % lanes
    return np.ascontiguousarray(np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(0, beyond)]))


def _excitatory(weight: Tensor) -> np.ndarray:
    """float64 (C_out, C_in, K, K), rounded as the network rounds; 0 for what inhibits."""
    return np.maximum(np.rint(as_array(weight) * SCALE32), 0.0).astype(np.float64) / SCALE


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
