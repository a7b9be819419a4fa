"""Kernels of framing over events, compiled; `framing` is their only caller.

Without bounds checks: x and y have to be on the sensor, t sorted. They are compiled for the columns of EVENT_DTYPE, as they
lie in the structured array, and kept on disk (beside the package, or in NUMBA_CACHE_DIR).
"""

from __future__ import annotations

import numpy as np
from numba import types

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled

Array = np.ndarray

_STARTS = types.Array(types.int64, 1, "A", readonly=True)
_TABLE = types.Array(types.uint64, 1, "C", readonly=True)
_POSITIONS = types.uint64[::1]


def _column(kind: types.Type) -> types.Array:
    """A field of a packed structured array; contiguous and writable columns pass too."""
    return types.Array(kind, 1, "A", readonly=True, aligned=False)


_T, _X, _P = _column(types.int64), _column(types.int16), _column(types.boolean)


@compiled(types.int64(_T, types.int64, types.int64))
def reach(t: Array, i: int, time: int) -> int:
    """The first index from i on whose t is at least `time`."""
    low, stride = i, 64
    high = low + stride
    while high < len(t) and t[high] < time:
        low, stride = high, 2 * stride
        high = low + stride
    high = min(high, len(t))
    while low < high:
        middle = (low + high) // 2
        if t[middle] < time:
            low = middle + 1
        else:
            high = middle
    return low


@compiled(types.UniTuple(types.int64, 5)(_T, _X, _X))
def scan(t: Array, x: Array, y: Array) -> tuple[int, int, int, int, int]:
    """First index where t goes back (0: nowhere), and x from, x to, y from, y to; there has to be an event."""
    back = 0
    x_low = x_high = x[0]
    y_low = y_high = y[0]
    for i in range(1, len(t)):
        if t[i] < t[i - 1] and back == 0:
            back = i
        x_low, x_high = min(x_low, x[i]), max(x_high, x[i])
        y_low, y_high = min(y_low, y[i]), max(y_high, y[i])
    return back, x_low, x_high, y_low, y_high


@compiled(types.int64(_T, _STARTS, types.int64))
def inside(t: Array, start_us: Array, window_us: int) -> int:
    """Events in the windows that start at start_us (rising), once for each window that holds them."""
    count = first = 0
    for k in range(len(start_us)):
        first = reach(t, first, start_us[k])
        count += reach(t, first, start_us[k] + window_us) - first
    return count


@compiled(types.void(_X, _X, types.int64[::1], types.int64[::1], types.int64[::1]))
def pixels(x: Array, y: Array, rows: Array, columns: Array, flat: Array) -> None:
    """rows[y] + columns[x] of each event."""
    for i in range(flat.size):
        flat[i] = rows[np.uint16(y[i])] + columns[np.uint16(x[i])]


@compiled(
    types.void(_T, _X, _X, _P, _STARTS, types.int64, types.int64, _TABLE, _TABLE, types.uint64, _POSITIONS),
)
def place(
    t: Array, x: Array, y: Array, p: Array, start_us: Array, steps: int, timestep_us: int,
    rows: Array, columns: Array, area: int, positions: Array,
) -> None:  # fmt: skip
    """Where each of the events ``inside`` falls in frames (N, T, 2*area), as a flat index; rows[y] + columns[x] is the place of a
    sensor's pixel in `area`."""
    first, n, frame = 0, 0, np.uint64(0)
    for k in range(len(start_us)):
        first = reach(t, first, start_us[k])
        i, edge = first, start_us[k]
        for _ in range(steps):
            edge += timestep_us
            end = reach(t, i, edge)
            for j in range(i, end):
                positions[n + j - i] = frame + rows[np.uint16(y[j])] + columns[np.uint16(x[j])] + area * np.uint64(p[j])
            n += end - i
            i = end
            frame += np.uint64(2) * area


@compiled(types.void(types.uint8[::1], _POSITIONS, types.uint8), types.void(types.uint16[::1], _POSITIONS, types.uint16))
def write(frames: Array, positions: Array, value: int) -> None:
    """Write `value` wherever an event falls."""
    for i in range(positions.size):
        frames[positions[i]] = value


@compiled(types.int64(types.uint16[::1], _POSITIONS))
def count(frames: Array, positions: Array) -> int:
    """Add 1 wherever an event falls. Returns the first place where 16 bits do not suffice, or -1."""
    most = np.uint16(np.iinfo(np.uint16).max)
    for i in range(positions.size):
        events = frames[positions[i]]
        if events == most:
            return positions[i]
        frames[positions[i]] = events + np.uint16(1)
    return -1


@compiled(
    types.int64(
        _POSITIONS, types.int64, types.int32[::1], types.uint64[::1], types.int64[::1], types.int32[::1], types.int32[::1]
    )
)
def listed(positions: Array, most: int, tally: Array, touched: Array, offsets: Array, sites: Array, counts: Array) -> int:
    """Frames (rows, cells) as lists, from where events fall, row by row. Returns the first place of more than `most`, or -1.

    Args:
        positions: flat indices into (rows, cells), row by row.
        most: that a cell may hold.
        tally: of one row's cells, 0; left so.
        touched: a bit for each of them, 0; left so.
        offsets: (rows + 1,), filled.
        sites: filled, rising in each row; needs room for every event.
        counts: filled, of each site; likewise.
    """
    i, filled = 0, 0
    for row in range(offsets.size - 1):
        begin, end = np.uint64(row * tally.size), np.uint64((row + 1) * tally.size)
        while i < positions.size and positions[i] < end:
            cell = np.int64(positions[i] - begin)
            if tally[cell] == most:
                return int(positions[i])
            tally[cell] += 1
            touched[cell >> 6] |= np.uint64(1) << np.uint64(cell & 63)
            i += 1
        for word in range(touched.size):
            left = touched[word]
            while left:
                cell = (word << 6) + lowest(left)
                left &= left - np.uint64(1)
                sites[filled], counts[filled] = cell, tally[cell]
                tally[cell] = 0
                filled += 1
            touched[word] = 0
        offsets[row + 1] = filled
    return -1
