"""The words of event_camera_msgs' encoding libcaer_cmp, decoded by numba."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled

from .raw import Columns


@compiled()
def libcaer_cmp(words: np.ndarray, base_us: int, columns: Columns) -> tuple[int, int, int]:
    """Decode the words of one message, uint16 (n,): 4 bits say what it is, 12 its value.

    0 and 1 are the high and the low 12 bits of the time since the message's; 2 the column; 3 an event: row (11 bits), polarity;
    4 row and polarity of the next vector; 5 which of the 8 rows from there on have an event. A message begins with its column.

    Args:
        words: of the message.
        base_us: the message's time.
        columns: t, x, y, p, with room for eight times as many events as words.

    Returns how many events there are, how many were without a place, and how many words have another meaning.
    """
    t, x, y, p = columns
    n, lost, unknown = 0, 0, 0
    high, low, column, row, polarity = 0, 0, -1, -1, 0
    for k in range(len(words)):
        word = int(words[k])
        kind, value = word >> 12, word & 0xFFF
        if kind == 0:
            high = value << 12
        elif kind == 1:
            low = value
        elif kind == 2:
            column = value & 0x7FF
        elif kind == 3:
            if column < 0:
                lost += 1
                continue
            t[n], x[n], y[n], p[n] = base_us + (high | low), column, value & 0x7FF, value >> 11
            n += 1
        elif kind == 4:
            row, polarity = value & 0x7FF, value >> 11
        elif kind == 5:
            for bit in range(8):
                if not value >> bit & 1:
                    continue
                if column < 0 or row < 0:
                    lost += 1
                    continue
                t[n], x[n], y[n], p[n] = base_us + (high | low), column, row + bit, polarity
                n += 1
            if row >= 0:
                row = min(row + 8, 2**12)
        else:
            unknown += 1
    return n, lost, unknown
