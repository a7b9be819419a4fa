"""Passes over the places of a path."""

import numpy as np
import pytest

from spikeseg.motion.star_kernels import taken


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
