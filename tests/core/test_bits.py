"""Bits of words."""

import numpy as np

from spikeseg.core.bits import lowest, ones


def test_bits_are_counted_and_the_lowest_is_found():
    rng = np.random.default_rng(0)
    words = [0, 1, 2**63, 2**64 - 1, *(int(word) << int(by) & 2**64 - 1 for word, by in rng.integers(0, 64, (200, 2)))]
    for word in words:
        digits = f"{word:064b}"
        assert ones(np.uint64(word)) == digits.count("1")
        assert lowest(np.uint64(word)) == (64 if word == 0 else digits[::-1].index("1"))
