"""Sets as bits of uint64 words: packed, and as compiled loops read them."""

from __future__ import annotations

import numpy as np

from .compiled import compiled


def packed(flags: np.ndarray) -> np.ndarray:
    """bool (n, bits) -> uint64 (n, W): bit b of a row is bit b % 64 of its word b // 64; bits beyond the last are 0."""
    n, bits = flags.shape
    padded = np.zeros((n, -(-bits // 64) * 64), bool)
    padded[:, :bits] = flags
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def unpacked(words: np.ndarray, bits: int) -> np.ndarray:
    """The bool (n, bits) of which `packed` made these words."""
    flags = np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, count=bits, bitorder="little")
    return flags.view(bool)


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
