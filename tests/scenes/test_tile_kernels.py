"""The compiled parts of tiles against slow ones."""

import numpy as np
import pytest

from spikeseg.scenes.tile_kernels import agree_on, cap, count_events, in_noise, peaks, solve, spread_over


def test_events_are_counted_in_whole_cells():
    x, y, on = np.array([0, 1, 2, 6, 5]), np.array([0, 1, 2, 0, 3]), np.array([True, False, True, True, False])
    signed, total = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    cells = np.array([0, 0, 1, 1, -1], np.int32), np.array([0, 0, 1, 1, 2, 2, -1], np.int32)
    count_events(x, y, on, *cells, signed, total)
    np.testing.assert_array_equal(total, [[2, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(signed, [[0, 0, 0], [0, 1, -1]])
    count_events(x[1:3], y[1:3], np.zeros(0, bool), *cells, signed, total)
    np.testing.assert_array_equal(total, [[3, 0, 0], [0, 2, 1]])
    np.testing.assert_array_equal(signed, [[0, 0, 0], [0, 1, -1]])


def test_images_are_capped_and_in_units_of_their_noise():
    rng = np.random.default_rng(0)
    total, signed, mean = (rng.integers(0, 9, (7, 5)).astype(np.float32) for _ in range(3))
    share = np.minimum(total, np.float32(3)) / np.maximum(total, 1)
    capped, values = (signed * share, total * share), np.empty((7, 5), np.complex64)
    cap(signed, total, np.float32(3))
    assert np.array_equal(signed, capped[0]) and np.array_equal(total, capped[1]) and total.max() <= 3
    in_noise(signed, total, mean, np.float32(0.02), values)
    assert np.array_equal(values, (signed + 1j * (total - mean)) / np.sqrt(mean + np.float32(0.02)))


@pytest.mark.parametrize(("side", "block"), [(8, 2), (5, 1)])
def test_events_of_tiles_and_over_how_many_blocks_they_are_spread(side, block):
    total = np.random.default_rng(1).integers(0, 2, (12, 14)).astype(np.float32)
    corner, (held, spread) = np.array([[0, 0], [4, 6], [1, 3]]), np.empty((2, 3))
    total[:2, :2] = 0
    spread_over(total, corner, side, block, held, spread)
    for (i, j), own, over in zip(corner, held, spread, strict=True):
        tile = total[i : i + side, j : j + side]
        blocks = [[(tile[a : a + block, b : b + block] > 0).sum() for b in range(0, side, block)] for a in range(0, side, block)]
        assert own == tile.sum() and over == np.sum(blocks) ** 2 / (np.size(blocks) * np.square(blocks).sum())


def paraboloid(x, y, top, bends, side=9):
    """A surface about a peak, from the middle on; bends: along columns, along rows and mixed."""
    row, column = np.mgrid[:side, :side] - side // 2
    a, b = column - x, row - y
    return (top - (bends[0] * a * a + bends[1] * b * b + 2 * bends[2] * a * b) / 2).astype(np.float32)


def test_the_peak_of_a_paraboloid_is_found_near_the_guess():
    surface = np.stack([paraboloid(1.25, -0.25, 8, (2, 1, 0.5)), paraboloid(-2, 2.25, 4, (1, 1, 0)), np.zeros((9, 9))])
    found = np.empty((3, 6))
    peaks(surface.astype(np.float32), np.array([[4, 4], [4, 4], [4, 4]]), 2, 1e-3, found)
    assert np.allclose(found[0], [5.25, 3.75, surface[0, 4, 5], 2, 1, 0.5])
    assert np.allclose(found[1], [2, 6.25, surface[1, 6, 2], 1, 1, 0])
    assert np.array_equal(found[2, [2, 3, 4, 5]], [0, 1e-3, 1e-3, 0])  # the first of equals, kept off the edge
    peaks(surface[1:2].astype(np.float32), np.array([[6, 2]]), 1, 1e-3, found)  # which is out of reach: no further than a cell
    assert np.array_equal(found[0, :2], [4, 4])


def test_tiles_agree_on_what_most_of_them_see():
    """Exactly where all do, with a weight of 0 aside; and nearly so where one misses it by far."""
    rng = np.random.default_rng(2)
    basis = np.column_stack([rng.uniform(-1, 1, (30, 2)), np.ones(30)])
    truth = np.array([0.5, -1.0, 6.0, 0.25, 2.0, -3.0])
    found = np.column_stack([basis @ truth[:3] / 2, basis @ truth[3:] / 2, *rng.uniform(4, 9, (3, 30)), np.full(30, 0.3)])
    weight, solved = np.ones(30), np.empty(6)
    found[4, :2], weight[4] = 50, 0
    agree_on(found, weight, basis, 2, 0.0, 3, np.empty((6, 7)), solved)
    assert np.allclose(solved, truth, atol=1e-6)
    found[7, :2] += 20
    agree_on(found, weight, basis, 2, 0.0, 1, np.empty((6, 7)), solved)
    once = np.abs(solved - truth).max()
    agree_on(found, weight, basis, 2, 0.0, 3, np.empty((6, 7)), solved)
    assert np.abs(solved - truth).max() < 0.3 * once
    agree_on(found, weight, basis, 2, 1e6, 1, np.empty((6, 7)), solved)
    assert np.allclose(solved[[0, 1, 3, 4]], 0, atol=1e-3) and np.abs(solved[[2, 5]]).min() > 1


def test_equations_are_solved_whatever_their_order():
    rng = np.random.default_rng(3)
    matrix, right, found = rng.standard_normal((5, 5)), rng.standard_normal(5), np.empty(5)
    matrix[0, 0] = 0.0
    solve(np.column_stack([matrix, right]), found)
    assert np.allclose(matrix @ found, right)
