"""Whole vectors against the loops that they stand for."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="the cpu backend needs numba")

from spikeseg.core.compiled import compiled
from spikeseg.ops.cpu import vectors
from spikeseg.ops.cpu.vectors import DOUBLES, LANES, NARROW, TAPS, WIDE, WORD


@compiled()
def summed(a, start, step, b, at, stride, lines, out):
    out[0] = vectors.dot(a, start, step, b, at, stride, lines)


@pytest.mark.parametrize("numbers", [1, NARROW, NARROW + 1, LANES, LANES + 1, 2 * LANES + 3 * NARROW])
def test_a_line_is_added_from_any_number_on(numbers):
    rng = np.random.default_rng(numbers)
    wide = vectors.padded(numbers)
    assert 0 <= wide - numbers < NARROW and wide % NARROW == 0
    table = np.zeros((2, 3, wide), np.int32)
    table[..., :numbers] = rng.integers(-4096, 4096, (2, 3, numbers))
    for start, line, times in ((0, 0, 1), (7, 4, 9), (33, 5, 65_535), (1, 2, 0)):
        v = rng.integers(-(2**20), 2**20, start + wide + 5).astype(np.int32)
        want = v.copy()
        want[start : start + wide] += np.int32(times) * table.reshape(6, wide)[line]
        vectors.add_line(v, start, table, line, wide, np.int32(times))
        assert np.array_equal(v, want)


@pytest.mark.parametrize("numbers", [DOUBLES, WIDE, 2 * WIDE + DOUBLES])
def test_a_line_of_float64_is_added_scaled(numbers):
    rng = np.random.default_rng(0)
    table = rng.random((4, numbers))
    v = rng.random(12 + numbers)
    want = v.copy()
    want[11 : 11 + numbers] += table[3] * 0.25
    vectors.add_scaled(v, 11, table.reshape(-1), 3 * numbers, numbers, 0.25)
    assert np.array_equal(v, want)


def test_a_line_of_float64_is_added_by_several_factors_apart():
    rng = np.random.default_rng(0)
    table, factors, v = rng.random((4, 2 * DOUBLES)), rng.random(3 * DOUBLES), rng.random(50)
    want = v.copy()
    want[11 : 11 + 2 * DOUBLES**2] += (table[3][:, None] * factors[None, DOUBLES : 2 * DOUBLES]).reshape(-1)
    vectors.add_scaled_apart(v, 11, table.reshape(-1), 3 * 2 * DOUBLES, 2 * DOUBLES, factors, DOUBLES)
    assert np.array_equal(v, want)


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_a_dot_product_is_summed_line_by_line_and_then_in_pairs(lines):
    rng = np.random.default_rng(1)
    a, b, out = rng.random((8, 13)), rng.random((4, 2, TAPS)), np.zeros(1)
    start, step, at, stride = 2 * 13 + 3, 13, TAPS, 2 * TAPS
    summed(a, start, step, b, at, stride, lines, out)
    lanes = np.zeros(TAPS)
    for line in range(lines):
        lanes = lanes + a[2 + line, 3 : 3 + TAPS] * b[line, 1]
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    assert out[0] == lanes[0]


@pytest.mark.parametrize("size", [1, WORD - 1, WORD, WORD + 1, 3 * WORD + 5])
def test_the_mask_says_who_is_at_the_threshold(size):
    rng = np.random.default_rng(size)
    v, theta = rng.integers(-3, 4, size).astype(np.int32), rng.integers(-3, 4, size).astype(np.int32)
    for level in (0, 2):
        for start in range(0, size, WORD):
            mask = int(vectors.reach_mask(v, theta, start, np.int32(level)))
            want = [bool(v[i] - level >= theta[i]) for i in range(start, min(start + WORD, size))]
            assert [bool(mask >> i & 1) for i in range(WORD)] == want + [False] * (WORD - len(want))
