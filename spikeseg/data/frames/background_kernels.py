"""Kernels of the background estimate over pixels and blocks, compiled; `background` is their only caller.

Events are counted in float64: whole numbers, so no sum depends on its order. Compiled code is kept on disk (beside the package,
or in NUMBA_CACHE_DIR).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types

from spikeseg.core.compiled import compiled

Array = np.ndarray

_PIXELS, _BLOCKS, _MASK = types.float64[:, :, ::1], types.float64[:, :, ::1], types.boolean[:, ::1]


class Blocks(NamedTuple):
    """The square blocks of a frame; those at the right and lower border may be cut off.

    Attributes:
        side: in pixels.
        of_site: int32 (P * H * W,), the block, of P * hb * wb, of each polarity and pixel.
        pixels: float64 (hb, wb), how many each holds.
    """

    side: int
    of_site: Array
    pixels: Array


class Past(NamedTuple):
    """Events so far.

    Attributes:
        fired: float64 (P, H, W), 0 between windows.
        total: float64 (P, H, W), of all windows.
        sums: float64 (P, hb, wb), `total` by blocks.
    """

    fired: Array
    total: Array
    sums: Array


def _frames(kind: types.Type) -> types.Array:
    return types.Array(kind, 4, "C", readonly=True)


@compiled(*(types.void(_frames(kind), _PIXELS) for kind in (types.uint8, types.uint16, types.float64)))
def count(window: Array, fired: Array) -> None:
    """Events of each pixel of a window (T, P, H, W) into fired (P, H, W)."""
    flat, pixels = window.reshape(window.shape[0], fired.size), fired.reshape(fired.size)
    pixels[:] = 0.0
    for step in range(flat.shape[0]):
        for i in range(pixels.size):
            pixels[i] += flat[step, i]


@compiled()
def add(sites: Array, counts: Array, of_site: Array, fired: Array, total: Array, sums: Array, total_sums: Array) -> None:
    """Add to the events of a window and of all, (P * H * W,), and to their sums by blocks (P * hb * wb,)."""
    for k in range(sites.size):
        site, count = np.uint64(sites[k]), counts[k]
        block = np.uint64(of_site[site])
        fired[site] += count
        total[site] += count
        sums[block] += count
        total_sums[block] += count


@compiled(types.void(types.float64[::1], types.int64, types.float64[::1]))
def fold(columns: Array, side: int, sums: Array) -> None:
    """Sums of `side` columns each, the last of what is left."""
    for b in range(sums.size):
        sums[b] = 0.0
        for x in range(b * side, min((b + 1) * side, columns.size)):
            sums[b] += columns[x]


@compiled(types.void(_PIXELS, _BLOCKS, types.int64, types.int64, _MASK), allocates=True)
def leave_out(fired: Array, limit: Array, side: int, halo: int, quiet: Array) -> None:
    """Clear `quiet` (H, W) in a square of side `halo` around each pixel that fired more than its block's limit."""
    polarities, height, width = fired.shape
    most, reach = np.empty(width), halo // 2
    for p in range(polarities):
        for y in range(height):
            row, over = fired[p, y], 0
            for b in range(limit.shape[2] if y % side == 0 else 0):
                most[b * side : (b + 1) * side] = limit[p, y // side, b]
            for x in range(width):
                over += row[x] > most[x]
            for x in range(width if over else 0):
                if row[x] > most[x]:
                    quiet[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = False


@compiled()
def leave_out_listed(sites: Array, fired: Array, limit: Array, of_site: Array, halo: int, quiet: Array) -> None:
    """`leave_out`, of fired (P * H * W,) where only the sites are above 0; limit: (P * hb * wb,)."""
    reach, width = halo // 2, quiet.shape[1]
    for k in range(sites.size):
        site = np.uint64(sites[k])
        if fired[site] > limit[np.uint64(of_site[site])]:
            y, x = sites[k] % quiet.size // width, sites[k] % width
            quiet[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = False


@compiled()
def quiet_sums(sites: Array, counts: Array, quiet: Array, of_site: Array, sums: Array) -> None:
    """Per block: events of the quiet pixels (H * W,) into sums (P * hb * wb,), which are 0."""
    for k in range(sites.size):
        pixel = sites[k]
        while pixel >= quiet.size:
            pixel -= quiet.size
        if quiet[np.uint64(pixel)]:
            sums[np.uint64(of_site[np.uint64(sites[k])])] += counts[k]


@compiled(types.void(_MASK, types.int64, types.float64[:, ::1]), allocates=True)
def quiet_pixels(quiet: Array, side: int, pixels: Array) -> None:
    """Quiet pixels of each block into pixels (hb, wb)."""
    height, width = quiet.shape
    counted = np.empty(width)
    for r in range(pixels.shape[0]):
        counted[:] = 0.0
        for y in range(r * side, min((r + 1) * side, height)):
            mask = quiet[y]
            for x in range(width):
                counted[x] += mask[x]
        fold(counted, side, pixels[r])


@compiled()
def middle(a: float, b: float, c: float) -> float:
    """The median of three."""
    return max(min(a, b), min(max(a, b), c))


@compiled(types.void(_BLOCKS, _BLOCKS), allocates=True)
def medians(blocks: Array, result: Array) -> None:
    """Median of each block (P, hb, wb) and its eight neighbours; the border repeats itself.

    It is the median of: the highest of the columns' lowest, the median of their medians, the lowest of their highest."""
    polarities, rows, columns = blocks.shape
    low, mid, high = np.empty(columns), np.empty(columns), np.empty(columns)
    for p in range(polarities):
        for r in range(rows):
            above, here, below = blocks[p, max(r - 1, 0)], blocks[p, r], blocks[p, min(r + 1, rows - 1)]
            for c in range(columns):
                low[c] = min(above[c], here[c], below[c])
                mid[c] = middle(above[c], here[c], below[c])
                high[c] = max(above[c], here[c], below[c])
            for c in range(columns):
                a, b = max(c - 1, 0), min(c + 1, columns - 1)
                highest, lowest = max(low[a], low[c], low[b]), min(high[a], high[c], high[b])
                result[p, r, c] = middle(highest, middle(mid[a], mid[c], mid[b]), lowest)


@compiled(allocates=True)
def window_rate(
    sites: Array, counts: Array, past: Past, blocks: Blocks, steps: int, hot: tuple[float, float, float], halo: int, rate: Array
) -> None:
    """Events per pixel and step of the quiet pixels of each block (P, hb, wb); where none is quiet, the block's typical rate.

    Args:
        sites: (n,), flat index into (P, H, W) of each event of a window.
        counts: (n,), how often each; whole numbers, so that no sum depends on its order.
        past: events so far, to which these are added.
        blocks: of the frame.
        steps: of the window.
        hot: a pixel is hot above hot[0] * m + hot[1] * sqrt(m) + hot[2] events, m being typical of its block.
        halo: side of the square that is left out around it.
        rate: filled.
    """
    fired, total = past.fired.reshape(past.fired.size), past.total.reshape(past.total.size)
    of_site, sums = blocks.of_site, np.zeros_like(rate)
    add(sites, counts, of_site, fired, total, sums.reshape(sums.size), past.sums.reshape(sums.size))
    typical, quiet = np.empty_like(rate), np.ones(past.fired.shape[1:], np.bool_)
    medians(past.sums / blocks.pixels, typical)
    leave_out(past.total, hot[0] * typical + hot[1] * np.sqrt(typical) + hot[2], blocks.side, halo, quiet)
    medians(sums / blocks.pixels, typical)
    limit = hot[0] * typical + hot[1] * np.sqrt(typical) + hot[2]
    leave_out_listed(sites, fired, limit.reshape(limit.size), of_site, halo, quiet)
    counted = np.empty(blocks.pixels.shape)
    quiet_pixels(quiet, blocks.side, counted)
    sums[:] = 0.0
    quiet_sums(sites, counts, quiet.reshape(quiet.size), of_site, sums.reshape(sums.size))
    for k in range(sites.size):
        fired[np.uint64(sites[k])] = 0.0
    for p in range(rate.shape[0]):
        for r in range(rate.shape[1]):
            for c in range(rate.shape[2]):
                share = counted[r, c] / blocks.pixels[r, c]
                rate[p, r, c] = (sums[p, r, c] / blocks.pixels[r, c] / share if share > 0 else typical[p, r, c]) / steps
