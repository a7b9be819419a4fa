"""The loops of framing over events, compiled; `frames` is their only caller, and `frames.locate` says what they mean.

None looks where it writes: x and y have to be on the sensor, t sorted. They are compiled for the columns of EVENT_DTYPE, as they
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
_PLACES = types.uint64[::1]


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
def pixels(x: Array, y: Array, rows: Array, columns: Array, found: Array) -> None:
    """rows[y] + columns[x] of each event."""
    for i in range(found.size):
        found[i] = rows[np.uint16(y[i])] + columns[np.uint16(x[i])]


@compiled(
    types.void(_T, _X, _X, _P, _STARTS, types.int64, types.int64, _TABLE, _TABLE, types.uint64, _PLACES),
)
def place(
    t: Array, x: Array, y: Array, p: Array, start_us: Array, steps: int, timestep_us: int,
    rows: Array, columns: Array, area: int, places: Array,
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
                places[n + j - i] = frame + rows[np.uint16(y[j])] + columns[np.uint16(x[j])] + area * np.uint64(p[j])
            n += end - i
            i = end
            frame += np.uint64(2) * area


@compiled(types.void(types.uint8[::1], _PLACES, types.uint8), types.void(types.uint16[::1], _PLACES, types.uint16))
def mark(frames: Array, places: Array, value: int) -> None:
    """Write `value` wherever an event falls."""
    for i in range(places.size):
        frames[places[i]] = value


@compiled(types.int64(types.uint16[::1], _PLACES))
def count(frames: Array, places: Array) -> int:
    """Add 1 wherever an event falls. Returns the first place where 16 bits do not suffice, or -1."""
    most = np.uint16(np.iinfo(np.uint16).max)
    for i in range(places.size):
        events = frames[places[i]]
        if events == most:
            return places[i]
        frames[places[i]] = events + np.uint16(1)
    return -1


@compiled(
    types.int64(_PLACES, types.int64, types.int32[::1], types.uint64[::1], types.int64[::1], types.int32[::1], types.int32[::1])
)
def listed(places: Array, most: int, tally: Array, marks: Array, offsets: Array, sites: Array, counts: Array) -> int:
    """Frames (rows, cells) as lists, from where events fall, row by row. Returns the first place of more than `most`, or -1.

    Args:
        tally: of one row's cells, 0; marks: a bit for each, 0. Both are left so.
        offsets: (rows + 1,), filled; so are sites, rising in each row, and counts, which need room for every event.
    """
    i, found = 0, 0
    for row in range(offsets.size - 1):
        begin, end = np.uint64(row * tally.size), np.uint64((row + 1) * tally.size)
        while i < places.size and places[i] < end:
            cell = np.int64(places[i] - begin)
            if tally[cell] == most:
                return int(places[i])
            tally[cell] += 1
            marks[cell >> 6] |= np.uint64(1) << np.uint64(cell & 63)
            i += 1
        for word in range(marks.size):
            left = marks[word]
            while left:
                cell = (word << 6) + lowest(left)
                left &= left - np.uint64(1)
                sites[found], counts[found] = cell, tally[cell]
                tally[cell] = 0
                found += 1
            marks[word] = 0
        offsets[row + 1] = found
    return -1
