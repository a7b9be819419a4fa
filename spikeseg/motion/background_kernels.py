# mypy: allow-untyped-defs, no-check-untyped-defs
"""One pass over the events for `background`: repeats of a pixel, bursts of rows, and how many events a block has at a moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled


class Bursts(NamedTuple):
    """See the constants of `background`: seconds, events and pixels."""

    repeat_s: float
    row_s: float
    row_events: int
    row_px: int
    block_px: int
    block_s: float


@compiled(allocates=True)
def bursts(t, x, y, width, height, settings, repeated, of_row, moment):
    """Fill in: bool (n,), whether the event repeats its pixel's last; whether it is one of a row's; int64 (n,), how many events
    its block has in its BLOCK_S."""
    n = len(t)
    last = np.full(width * height, -np.inf)
    for i in range(n):
        pixel = y[i] * width + x[i]
        repeated[i] = t[i] - last[pixel] < settings.repeat_s
        last[pixel] = t[i]
    counts, low, high = np.zeros(height, np.int64), np.zeros(height, np.int64), np.zeros(height, np.int64)
    first = 0
    while first < n:
        end = first
        moment_end = (np.floor(t[first] / settings.row_s) + 1) * settings.row_s
        while end < n and (t[end] < moment_end or end == first):
            end += 1
        if end - first >= settings.row_events:
            for i in range(first, end):
                row = y[i]
                if counts[row] == 0:
                    low[row] = high[row] = x[i]
                counts[row] += 1
                low[row], high[row] = min(low[row], x[i]), max(high[row], x[i])
            for i in range(first, end):
                row = y[i]
                of_row[i] = counts[row] >= settings.row_events and high[row] - low[row] >= settings.row_px
            for i in range(first, end):
                counts[y[i]] = 0
        first = end
    columns = (width + settings.block_px - 1) // settings.block_px
    rows = (height + settings.block_px - 1) // settings.block_px
    blocks = np.zeros(columns * rows, np.int64)
    first = 0
    while first < n:
        end = first
        moment_end = (np.floor(t[first] / settings.block_s) + 1) * settings.block_s
        while end < n and (t[end] < moment_end or end == first):
            blocks[(y[end] // settings.block_px) * columns + x[end] // settings.block_px] += 1
            end += 1
        for i in range(first, end):
            moment[i] = blocks[(y[i] // settings.block_px) * columns + x[i] // settings.block_px]
        for i in range(first, end):
            blocks[(y[i] // settings.block_px) * columns + x[i] // settings.block_px] = 0
        first = end
