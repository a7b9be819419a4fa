"""Words of Prophesee's encodings EVT 2.0, EVT 2.1 and EVT 3.0, decoded by numba; `prophesee` says by which rules."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled

from .raw import Columns

Array = np.ndarray

WIDEST = 2**14
"""x and y have at most 14 bits."""
LARGEST_VECTOR, LARGEST_VECTOR_21 = 12, 32
"""Events in one word of EVT 3.0 and of EVT 2.1, at most."""
START = (-1, 0, 0, -1, -1, 0, 0, 0, 0)
"""State of a decoder before the first word; see `evt3`."""


@compiled()
def evt2(words: Array, i: int, n: int, t0: int, state: Array, columns: Columns) -> tuple[int, int]:
    """Decode words from i on into columns from n on, until one of them ends: the next i and n.

    state: high bits of the time (-1: not known yet), -, turns of the counter, -, -, -, triggers, others, events without time.
    """
    t, x, y, p = columns
    high, turns = state[0], state[2]
    while i < len(words) and n < len(t):
        word = np.int64(words[i])
        i += 1
        kind = word >> 28
        if kind <= 1:
            if high < 0:
                state[8] += 1
                continue
            t[n] = t0 + (turns << 34) + (high << 6) + (word >> 22 & 0x3F)
            x[n], y[n], p[n] = word >> 11 & 0x7FF, word & 0x7FF, kind
            n += 1
        elif kind == 8:
            new = word & 0xFFFFFFF
            turns += high - new >= 2**27
            high = new
        elif kind == 10:
            state[6] += 1
        elif kind != 15:  # the rest of the word before
            state[7] += 1
    state[0], state[2] = high, turns
    return i, n


@compiled()
def evt21(words: Array, i: int, n: int, t0: int, state: Array, columns: Columns) -> tuple[int, int]:
    """As `evt2`. Words: type (4 bits), low bits of the time (6), x (11), y (11), and which of the 32 pixels from x on have an
    event, the lowest bit first."""
    t, x, y, p = columns
    high, turns = state[0], state[2]
    while i < len(words) and n + LARGEST_VECTOR_21 <= len(t):
        upper, mask = np.int64(words[i] >> np.uint64(32)), np.int64(words[i] & np.uint64(0xFFFFFFFF))
        i += 1
        kind = upper >> 28
        if kind <= 1:
            now = t0 + (turns << 34) + (high << 6) + (upper >> 22 & 0x3F)
            for bit in range(32):
                if not mask >> bit & 1:
                    continue
                if high < 0:
                    state[8] += 1
                    continue
                t[n], x[n], y[n], p[n] = now, (upper >> 11 & 0x7FF) + bit, upper & 0x7FF, kind
                n += 1
        elif kind == 8:
            new = upper & 0xFFFFFFF
            turns += high - new >= 2**27
            high = new
        elif kind == 10:
            state[6] += 1
        elif kind != 15:  # the rest of the word before
            state[7] += 1
    state[0], state[2] = high, turns
    return i, n


@compiled()
def evt3(words: Array, i: int, n: int, t0: int, state: Array, columns: Columns) -> tuple[int, int]:
    """As `evt2`; state: high bits of the time (-1: not known yet), low bits, turns of the counter, row (-1: none), column (-1:
    none) and polarity of the next vector, triggers, others, events without time or place."""
    t, x, y, p = columns
    high, low, turns, row, column, polarity = state[0], state[1], state[2], state[3], state[4], state[5]
    while i < len(words) and n + LARGEST_VECTOR <= len(t):
        word = np.int64(words[i])
        i += 1
        kind, value = word >> 12, word & 0xFFF
        now = t0 + (turns << 24) + (high << 12) + low
        if kind == 0:
            row = value & 0x7FF
        elif kind == 1:  # the row of an event of another kind
            row = -1
        elif kind == 2:
            if high < 0 or row < 0:
                state[8] += 1
                continue
            t[n], x[n], y[n], p[n] = now, value & 0x7FF, row, value >> 11
            n += 1
        elif kind == 3:
            column, polarity = value & 0x7FF, value >> 11
        elif kind == 4 or kind == 5:
            length = 12 if kind == 4 else 8
            for bit in range(length):
                if not value >> bit & 1:
                    continue
                if high < 0 or row < 0 or column < 0:
                    state[8] += 1
                    continue
                t[n], x[n], y[n], p[n] = now, column + bit, row, polarity
                n += 1
            if column >= 0:
                column = min(column + length, WIDEST)
        elif kind == 6:
            low = value
        elif kind == 8:
            turns += high - value >= 2**11
            low = low if value == high else 0
            high = value
        elif kind == 10:
            state[6] += 1
        elif kind != 7 and kind != 15:  # the rest of the word before
            state[7] += 1
    state[0], state[1], state[2], state[3], state[4], state[5] = high, low, turns, row, column, polarity
    return i, n
