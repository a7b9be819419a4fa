"""Passes over the events of a span, and over the places of a path."""

import numpy as np
import pytest

from spikeseg.motion.star_kernels import summed, taken


@pytest.mark.parametrize("size", [(5, 40), (1, 3), (3, 1), (1, 1)])
def test_counts_are_summed_over_neighbours_within_the_picture(size):
    counts = np.random.default_rng(1).integers(0, 1000, (2, *size)).astype(np.float32)
    sums, padded = np.full_like(counts, -1), np.pad(counts, ((0, 0), (1, 1), (1, 1)))
    summed(counts, np.zeros(size[1] + 2, np.float32), sums)
    moved = [padded[:, y : y + size[0], x : x + size[1]] for y in range(3) for x in range(3)]
    assert np.array_equal(sums, np.sum(moved, axis=0))


def test_stars_take_most_first_and_nothing_twice():
    """Three clusters of places within 1 px: a second star finds what the first has left."""
    places = np.array([(0, 0), (1, 0), (20, 0), (20, 1), (21, 0), (50, 0)], np.float64)
    gained, reach = np.array([4.0, 3.0, 1.0, 2.0, 3.0, 5.0]), np.ones(6)
    assert [taken(places, reach, gained, 1) for _ in range(4)] == [7.0, 6.0, 5.0, 0.0]
    assert not gained.any()


@pytest.mark.parametrize(("step", "most"), [(1, 6.0), (2, 6.0), (3, 5.0), (5, 4.0)])
def test_every_so_many_places_are_tried(step, most):
    """In a row with a reach of 1 px, each takes itself and its neighbours."""
    places, gained = np.stack([np.arange(5.0), np.zeros(5)], 1), np.array([1.0, 3.0, 1.0, 2.0, 2.0])
    assert taken(places, np.ones(5), gained, step) == most


def test_what_is_near_tells_its_own_reach():
    places, reach = np.array([(0, 0), (1, 0), (2, 0)], np.float64), np.array([0.5, 1.0, 2.0])
    gained = np.array([4.0, 2.0, 1.0])
    assert taken(places, reach, gained, 3) == 7.0 and gained.tolist() == [0.0, 0.0, 0.0]
    assert taken(places, reach[::-1].copy(), np.array([4.0, 2.0, 1.0]), 3) == 6.0
