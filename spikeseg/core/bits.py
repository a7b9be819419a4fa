"""Bits of uint64 words, as compiled loops read them; `packing` makes such words."""

from __future__ import annotations

import numpy as np

from .compiled import compiled


@compiled()
def ones(word: np.uint64) -> np.int64:
    """How many bits of a uint64 are set; compilers turn this form into the machine's instruction."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled()
def lowest(word: np.uint64) -> np.int64:
    """Number of the lowest bit of a uint64 that is set; 64 where none is. ``word & (word - 1)`` clears it."""
    return ones(~word & (word - np.uint64(1)))
