"""The loops of the background estimate over pixels and blocks, compiled; `background` is their only caller.

Events are counted in float64: whole numbers, so no sum depends on its order. Compiled code is kept on disk (beside the package,
or in NUMBA_CACHE_DIR).
"""

from __future__ import annotations

import numpy as np
from numba import types

from spikeseg.core.compiled import compiled

Array = np.ndarray

_PIXELS, _BLOCKS, _MASK = types.float64[:, :, ::1], types.float64[:, :, ::1], types.boolean[:, ::1]


_LIST = types.Array(types.int32, 1, "C", readonly=True)


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


@compiled(types.void(_LIST, _LIST, _PIXELS))
def count_listed(sites: Array, counts: Array, fired: Array) -> None:
    """`count`, of a window's sites (in P * H * W) of all steps and how often each."""
    pixels = fired.reshape(fired.size)
    pixels[:] = 0.0
    for k in range(sites.size):
        pixels[sites[k]] += counts[k]


@compiled(types.void(types.float64[::1], types.int64, types.float64[::1]))
def fold(columns: Array, side: int, sums: Array) -> None:
    """Sums of `side` columns each, the last of what is left."""
    for b in range(sums.size):
        sums[b] = 0.0
        for x in range(b * side, min((b + 1) * side, columns.size)):
            sums[b] += columns[x]


@compiled(types.void(_PIXELS, types.int64, _BLOCKS), allocates=True)
def block_sums(values: Array, side: int, sums: Array) -> None:
    """Sums of values (P, H, W) over square blocks, into (P, hb, wb)."""
    _, height, width = values.shape
    columns = np.empty(width)
    for p in range(sums.shape[0]):
        for r in range(sums.shape[1]):
            columns[:] = 0.0
            for y in range(r * side, min((r + 1) * side, height)):
                row = values[p, y]
                for x in range(width):  # over whole rows: several times faster than block by block
                    columns[x] += row[x]
            fold(columns, side, sums[p, r])


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


@compiled(types.void(_PIXELS, _MASK, types.int64, _BLOCKS, types.float64[:, ::1]), allocates=True)
def quiet_sums(fired: Array, quiet: Array, side: int, sums: Array, pixels: Array) -> None:
    """Per block: events of the quiet pixels into sums (P, hb, wb), their number into pixels (hb, wb)."""
    polarities, height, width = fired.shape
    counted, events = np.empty(width), np.empty((polarities, width))
    for r in range(pixels.shape[0]):
        counted[:] = 0.0
        events[:] = 0.0
        for y in range(r * side, min((r + 1) * side, height)):
            mask = quiet[y]
            for x in range(width):
                counted[x] += mask[x]
            for p in range(polarities):
                row, total = fired[p, y], events[p]
                for x in range(width):
                    total[x] += row[x] * mask[x]
        fold(counted, side, pixels[r])
        for p in range(polarities):
            fold(events[p], side, sums[p, r])


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


@compiled(
    types.void(
        _PIXELS, _PIXELS, types.int64, types.float64[:, ::1], types.int64, types.UniTuple(types.float64, 3), types.int64, _BLOCKS
    ),
    allocates=True,
)
def window_rate(
    fired: Array, total: Array, side: int, pixels: Array, steps: int, hot: tuple[float, float, float], halo: int, rate: Array
) -> None:
    """Events per pixel and step of the quiet pixels of each block (P, hb, wb); where none is quiet, what is typical there.

    Args:
        fired, total: events (P, H, W) of a window, and of all windows so far.
        side, pixels: of the blocks; how many (hb, wb) each holds.
        steps: of the window.
        hot: a pixel is hot above hot[0] * m + hot[1] * sqrt(m) + hot[2] events, m being typical of its block.
        halo: side of the square that is left out around it.
        rate: filled.
    """
    mean, typical, quiet = np.empty_like(rate), np.empty_like(rate), np.ones(fired.shape[1:], np.bool_)
    for events in (total, fired):
        block_sums(events, side, mean)
        mean /= pixels
        medians(mean, typical)
        leave_out(events, hot[0] * typical + hot[1] * np.sqrt(typical) + hot[2], side, halo, quiet)
    counted = np.empty(pixels.shape)
    quiet_sums(fired, quiet, side, mean, counted)
    for p in range(rate.shape[0]):
        for r in range(rate.shape[1]):
            for c in range(rate.shape[2]):
                share = counted[r, c] / pixels[r, c]
                rate[p, r, c] = (mean[p, r, c] / pixels[r, c] / share if share > 0 else typical[p, r, c]) / steps
