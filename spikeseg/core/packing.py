"""Sets as bits of uint64 words."""

from __future__ import annotations

import numpy as np


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
