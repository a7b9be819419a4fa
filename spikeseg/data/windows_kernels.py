# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled: the values of single events in maps over steps and pixels; events counted and left out by their pixels."""

from __future__ import annotations

from spikeseg.core.compiled import compiled


@compiled()
def look_up(t, pixel, chosen, first, last, start_us, step_us, cells, size, out):
    """Raise events to the value of their step and pixel, where that is higher.

    Args:
        t: int64 (n,), µs, never falling.
        pixel: int64 (n,), flat index into a frame.
        chosen: bool (n,), which to look up.
        first: the first event of the window.
        last: the event behind its last.
        start_us: of the window.
        step_us: length of its steps.
        cells: (steps * size,), a value for each step and pixel.
        size: pixels of a frame.
        out: (n,), changed.
    """
    end, step = start_us + step_us, 0
    for i in range(first, last):
        while t[i] >= end:
            end += step_us
            step += size
        if chosen[i]:
            out[i] = max(out[i], cells[step + pixel[i]])


@compiled()
def count(x, y, counts):
    """Add the events (n,) of each pixel to counts (H, W)."""
    for i in range(len(x)):
        counts[y[i], x[i]] += 1


@compiled()
def leave_out(x, y, dropped, kept):
    """Set kept, bool (n,), to False where an event's pixel is dropped, bool (H, W)."""
    for i in range(len(x)):
        kept[i] &= not dropped[y[i], x[i]]
