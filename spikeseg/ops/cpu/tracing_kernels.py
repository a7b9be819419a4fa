# mypy: allow-untyped-defs, no-check-untyped-defs
"""Activity traced down through a convolution, event-driven: only where spikes are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled

from .vectors import TAPS, add_scaled, dot

PIECE = 16
"""Columns of the buffer that fade together."""


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
        stamps: int32 (n, lines of the buffer, ...), numbers for each piece of the buffer, see there.
        spans: int64 (C_out, 5), where the weights of a map are, see `descend`; empty: everywhere.
        kernel, channels, height, width: K, C_in, H, W.
    """

    weights: np.ndarray
    room: np.ndarray
    stamps: np.ndarray
    spans: np.ndarray
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
        table: `Table`; weights (C_out, K, n), as one traced neuron spreads them: of each row from the first column on in which
            there is any in the map, as many as that needs; spans: of each map the rows with weights, from and to, the first
            column, how many weights from there on, and the channel where lines are of one, else 0; room (lines, at least
            (W + K - 1) * C), stamps (2, lines, at least (W + K - 1) / PIECE): see `freshen`, and the last step in which what a
            neuron of the piece spreads to was seen to. Lines are H, of all C_in channels together; or, where no map passes
            anything on to more than one channel, C_in * H, of one channel each (C is 1).
        decay: what a step passes on to the one before.
        out: float64, one entry per gate, filled.
    """
    weights, height, width = table.weights.reshape(-1), table.height, table.width
    kernel, wide, spans = table.kernel, table.weights.shape[2], table.spans
    half, size, apart = kernel // 2, height * width, table.room.shape[0] > height
    channels = 1 if apart else table.channels
    arriving, stamps, ready, of_piece = table.room, table.stamps[0], table.stamps[1], PIECE * channels
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
            top, bottom, left, numbers, channel = spans[m]
            line = channel * height
            if ready[line + y, x // PIECE] != now:
                ready[line + y, x // PIECE] = now
                for row in range(line + max(0, y - half), line + min(height, y - half + kernel)):
                    for piece in range(x // PIECE, min((x // PIECE * PIECE + PIECE + kernel - 2) // PIECE + 1, stamps.shape[1])):
                        freshen(arriving[row], stamps[row], piece, of_piece, now, decay)
            for j in range(max(top, half - y), min(bottom, height + half - y)):
                start = (line + y - half + j) * arriving.shape[1] + (x + left) * channels
                add_scaled(flat, start, weights, (m * kernel + j) * wide, numbers, value)
        start, end, c, y = 0, 0, 0, 0  # the row of the gate in hand: neighbours mostly share it
        for k in range(gates.offsets[t], gates.offsets[t + 1]):
            site = gates.sites[k]
            if site < start or site >= end:
                c, y = site // size, site // width % height
                start = (c * height + y) * width
                end = start + width
                if apart:
                    c, y = 0, c * height + y
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
def sum_pixels(offsets, pixels, values, sums, touched, error, out):
    """Sum what arrived at each pixel in each step, and list the pixels whose sum is above 0; -> how many, and of how many of them
    rounding to float32 is in doubt.

    Args:
        offsets: int64 (T + 1,) into pixels and values.
        pixels: int32, flat addresses of a frame or of several channels of it.
        values: float64, what arrived at each.
        sums: float64 (H * W,) of 0, left so.
        touched: uint64, a bit per pixel, of 0, left so.
        error: bound on the relative error of the values.
        out: room for every entry: int64, flat indices (t*H + y)*W + x, rising; float32, the sums, 0 only where that is in doubt;
            int64, places in these two of what is in doubt.
    """
    index, summed, doubtful = out
    entries, in_doubt, size = 0, 0, sums.size
    for t in range(offsets.size - 1):
        for k in range(offsets[t], offsets[t + 1]):
            if values[k] > 0.0:
                pixel = pixels[k] % size
                sums[pixel] += values[k]
                touched[pixel >> 6] |= np.uint64(1) << np.uint64(pixel & 63)
        for word in range(touched.size):
            left = touched[word]
            while left:
                pixel = (word << 6) + lowest(left)
                left &= left - np.uint64(1)
                value = np.float32(sums[pixel])
                doubt = np.float32(sums[pixel] * (1.0 - error)) != np.float32(sums[pixel] * (1.0 + error))
                sums[pixel] = 0.0
                if value > 0 or doubt:
                    index[entries] = t * size + pixel
                    summed[entries] = value
                    if doubt:
                        doubtful[in_doubt] = entries
                        in_doubt += 1
                    entries += 1
            touched[word] = 0
    return entries, in_doubt


@compiled()
def lead_on(sites, kept, marks, half, chosen, around):
    """Choose spikes by where they were before their pool, and mark what lies around where they are now.

    Args:
        sites: int32, flat addresses.
        kept: int32, pooling index of each; empty: without a pool they are where they were.
        marks: bool, flat, of the frame before the pool: which are chosen.
        half: neurons so far from a chosen spike are marked, px.
        chosen: bool, one per spike, filled.
        around: bool (H, W) of False, of the frame of the sites; filled.
    """
    height, width = around.shape
    for k in range(sites.size):
        place = sites[k] % around.size
        chosen[k] = marks[kept[k] if kept.size else place]
        if chosen[k]:
            y, x = place // width, place % width
            for row in range(max(0, y - half), min(height, y + half + 1)):
                for column in range(max(0, x - half), min(width, x + half + 1)):
                    around[row, column] = True
