"""Sets as bits of words."""

import numpy as np
import pytest

from spikeseg.core.packing import packed, unpacked


@pytest.mark.parametrize("bits", [0, 1, 63, 64, 65, 200])
def test_what_is_packed_is_unpacked(bits):
    flags = np.random.default_rng(bits).random((7, bits)) < 0.3
    words = packed(flags)
    assert words.dtype == np.uint64 and words.shape == (7, -(-bits // 64))
    assert np.array_equal(unpacked(words, bits), flags)
    for row, numbers in zip(flags, words.tolist(), strict=True):
        assert [w for w, number in enumerate(numbers) for b in range(64) if number >> b & 1] == [
            b // 64 for b in np.flatnonzero(row)
        ]
