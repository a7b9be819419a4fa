# mypy: allow-untyped-defs, no-check-untyped-defs
"""One pass over the events of a span for `stars`."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def placed(events, start, seconds, counts, rates):
    """Events that count, by part of a span and pixel of its picture; -> how many.

    Args:
        events: `Events`, their places in the picture.
        start: of the span, s.
        seconds: its length, s.
        counts: float32 (parts, height, width), raised.
        rates: float64 (n,), filled from the beginning: their rates.
    """
    parts, height, width = counts.shape
    n = 0
    for i in range(len(events.t)):
        column, row = int(np.rint(events.x[i])), int(np.rint(events.y[i]))
        if events.rate[i] < np.inf and 0 <= column < width and 0 <= row < height:
            part = min(int((events.t[i] - start) / seconds * parts), parts - 1)
            counts[part, row, column] += np.float32(1)
            rates[n] = events.rate[i]
            n += 1
    return n
