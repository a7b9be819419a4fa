# mypy: allow-untyped-defs, no-check-untyped-defs
"""Activity traced down through a convolution, event-driven: only where spikes are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled

from .vectors import DOUBLES, TAPS, add_scaled, add_scaled_apart, dot

PIECE = 16
"""Columns of the buffer that are cleared together."""


class Activity(NamedTuple):
    """The activity that is traced back, by step.

    Attributes:
        offsets: int64 (T + 1,) into the others.
        sites: int32, flat addresses in the output of the layer that it is traced through: map * cells + cell.
        kept: int32, the neuron y*W + x of the map that each came from through the pool; empty: the cell itself.
        cells: of a map of the output.
        values: float64 (n, 1), how strongly each is traced; or (n, DOUBLES), by so many parts that are kept apart.
    """

    offsets: np.ndarray
    sites: np.ndarray
    kept: np.ndarray
    cells: int
    values: np.ndarray


class Gates(NamedTuple):
    """The spikes that activity can reach: offsets int64 (T + 1,) into sites, int32 flat addresses (c*H + y)*W + x."""

    offsets: np.ndarray
    sites: np.ndarray


class Table(NamedTuple):
    """Weights of a convolution, and a buffer for activity, wide enough for a line of weights from any column on.

    Most of the buffer is empty, so that it is cleared piece by piece, where something comes.

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
def silent(values, k):
    """Whether nothing is traced of entry k."""
    some = False
    for lane in range(values.shape[1]):
        some |= values[k, lane] != 0.0
    return not some


@compiled()
def divided(number, by):
    """number // by, of int32 that are not negative: a division of 64 bits takes several times as long."""
    return np.int64(np.uint32(number) // np.uint32(by))


@compiled()
def descend(activity, gates, table, back, out):
    """Through one convolution, from the last step to the first: what arrives at each spike of the layer below.

    Args:
        activity: `Activity`, of L parts: 1 or DOUBLES.
        gates: `Gates`.
        table: `Table`; weights (C_out, K, n), as one traced neuron spreads them: of each row from the first column on in which
            there is any in the map, as many as that needs; spans: of each map the rows with weights, from and to, the first
            column, how many weights from there on, and the channel where lines are of one, else 0; room (lines, at least
            (W + K - 1) * C * L), stamps (2, lines, at least (W + K - 1) / PIECE): up to which step each piece of a line holds
            something, else it is empty, whatever it holds; and the last step in which what a neuron of the piece spreads to
            was seen to. Lines are H, of all C_in channels together; or, where no map passes anything on to more than one
            channel, C_in * H, of one channel each (C is 1).
        back: whether activity reaches earlier steps, too.
        out: float64 (gates, L), filled.
    """
    weights, height, width = table.weights.reshape(-1), table.height, table.width
    kernel, wide, spans = table.kernel, table.weights.shape[2], table.spans
    half, apart = kernel // 2, table.room.shape[0] > height
    channels = 1 if apart else table.channels
    values, lanes = activity.values, activity.values.shape[1]
    arriving, stamps, ready, of_piece = table.room, table.stamps[0], table.stamps[1], PIECE * channels * lanes
    table.stamps[:] = 0
    flat, factors, steps = arriving.reshape(-1), values.reshape(-1), activity.offsets.size - 1
    for t in range(steps - 1, -1, -1):
        now, m, start, end = np.int32(1 if back else steps - t), 0, 0, 0
        for k in range(activity.offsets[t], activity.offsets[t + 1]):
            site = activity.sites[k]
            if site < start or site >= end:
                m = divided(site, activity.cells)
                start = m * activity.cells
                end = start + activity.cells
            if silent(values, k):
                continue
            place = np.int64(activity.kept[k]) if activity.kept.size else site - start
            y = divided(place, width)
            x = place - y * width
            top, bottom, left, numbers, channel = spans[m]
            line = channel * height
            if ready[line + y, x // PIECE] != now:
                ready[line + y, x // PIECE] = now
                for row in range(line + max(0, y - half), line + min(height, y - half + kernel)):
                    for piece in range(x // PIECE, min((x // PIECE * PIECE + PIECE + kernel - 2) // PIECE + 1, stamps.shape[1])):
                        if stamps[row, piece] != now:
                            arriving[row, piece * of_piece : (piece + 1) * of_piece] = 0.0
                            stamps[row, piece] = now
            for j in range(max(top, half - y), min(bottom, height + half - y)):
                row, at = line + y - half + j, (m * kernel + j) * wide
                if lanes == 1:
                    add_scaled(flat, row * arriving.shape[1] + (x + left) * channels, weights, at, numbers, factors[k])
                else:
                    to = row * arriving.shape[1] + (x + left) * channels * DOUBLES
                    add_scaled_apart(flat, to, weights, at, numbers, factors, k * DOUBLES)
        start, end, c, y = 0, 0, 0, 0  # the row of the gate in hand: neighbours mostly share it
        for k in range(gates.offsets[t], gates.offsets[t + 1]):
            site = gates.sites[k]
            if site < start or site >= end:
                y = divided(site, width)
                start = y * width
                end = start + width
                if not apart:
                    c = divided(y, height)
                    y -= c * height
            column = site - start + half
            if stamps[y, column // PIECE] != now:
                out[k] = 0.0
            elif lanes == 1:
                out[k, 0] = arriving[y, column * channels + c]
            else:
                for lane in range(DOUBLES):
                    out[k, lane] = arriving[y, (column * channels + c) * DOUBLES + lane]


@compiled()
def descend_few(activity, gates, table, back, out):
    """`descend` from few maps to many: gathers the activity at each gate instead of scattering it everywhere.

    Args:
        activity: `Activity`, of one part.
        gates: see `descend`.
        back: see `descend`.
        out: float64 (gates, L), filled: if L is 1, with what arrives, else of each map apart, of which there are L at most.
        table: `Table`; weights (C_in, K, C_out, at least K, beyond which it is 0), of maps below and above, mirrored in both
            axes; room (H + K - 1, C_out, at least W + K - 1); stamps (1, H + K - 1): 1 for each row of the
            room in which something is. Both are 0, and left so.
    """
    weights, kernel, height, width = table.weights, table.kernel, table.height, table.width
    wide, before = weights.shape[3], kernel - 1 - kernel // 2
    above, lines = table.room, table.stamps[0]
    _, maps, stride = above.shape
    lanes, cells = out.shape[1], activity.cells
    flat, taps, of_row = above.reshape(-1), weights.reshape(-1), maps * stride
    for t in range(activity.offsets.size - 2, -1, -1):
        if not back:
            clear(above, lines)
        for k in range(activity.offsets[t], activity.offsets[t + 1]):
            m = divided(activity.sites[k], cells)
            place = np.int64(activity.kept[k]) if activity.kept.size else activity.sites[k] - m * cells
            y = divided(place, width)
            lines[y + before] = 1
            above[y + before, m, place - y * width + before] += activity.values[k, 0]
        start, end, c, y, near = 0, 0, 0, 0, False  # the row of the gate in hand, and whether something is near it
        for k in range(gates.offsets[t], gates.offsets[t + 1]):
            site = gates.sites[k]
            if site < start or site >= end:
                y = divided(site, width)
                start = y * width
                end = start + width
                c = divided(y, height)
                y -= c * height
                near = False
                for j in range(kernel):
                    near |= lines[y + j] > 0
            out[k] = 0.0
            if not near:
                continue
            line, at = c * kernel * maps * wide, y * of_row + site - start
            for i in range(0, wide, TAPS):
                if lanes == 1:
                    out[k, 0] += dot(taps, line + i, wide, flat, at + i, stride, kernel * maps)
                else:
                    for m in range(maps):
                        out[k, m] += dot(taps, line + m * wide + i, maps * wide, flat, at + m * stride + i, of_row, kernel)
    clear(above, lines)


@compiled()
def clear(above, lines):
    """Clear the lines in which something is, see `descend_few`."""
    for y in range(lines.size):
        if lines[y]:
            above[y] = 0.0
            lines[y] = 0


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
def most_within(sites, across, counts, columns):
    """How many spikes lie in one square of so many cells a side, at most, whatever their maps and steps.

    Args:
        sites: int32, flat addresses, mostly rising.
        across: cells.
        counts: int32 (H, W) of 0, left so.
        columns: int32 (W,), scratch.
    """
    flat, start, end = counts.reshape(-1), 0, 0
    for k in range(sites.size):
        site = sites[k]
        if site < start or site >= end:
            start = divided(site, flat.size) * flat.size
            end = start + flat.size
        flat[site - start] += 1
    most = 0
    columns[:] = 0
    for y in range(counts.shape[0]):
        inside = 0
        for x in range(columns.size):
            columns[x] += counts[y, x] - (counts[y - across, x] if y >= across else 0)
            inside += columns[x] - (columns[x - across] if x >= across else 0)
            most = max(most, inside)
    flat[:] = 0
    return most


@compiled()
def lead_on(offsets, sites, kept, since, half, chosen, around):
    """Choose spikes by where they were before their pool, and when, and mark what lies around where they are now.

    Args:
        offsets: int64 (T + 1,) into sites and kept.
        sites: int32, flat addresses.
        kept: int32, pooling index of each; empty: without a pool they are where they were.
        since: int32, flat, of the frame before the pool: the step from which on spikes are chosen.
        half: neurons so far from a chosen spike are marked, px.
        chosen: bool, one per spike, filled.
        around: int32 (H, W) of the frame of the sites, of T or more; lowered to the first step of a chosen spike so near.
    """
    height, width = around.shape
    for t in range(offsets.size - 1):
        for k in range(offsets[t], offsets[t + 1]):
            place = sites[k] % around.size
            chosen[k] = since[kept[k] if kept.size else place] <= t
            if chosen[k]:
                y, x = place // width, place % width
                for row in range(max(0, y - half), min(height, y + half + 1)):
                    for column in range(max(0, x - half), min(width, x + half + 1)):
                        around[row, column] = min(around[row, column], np.int32(t))
