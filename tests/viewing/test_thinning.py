"""Which events are drawn."""

import numpy as np

from spikeseg.viewing.thinning import drawn_events, thinned


def drawn(objects, stars, others, most):
    owners = np.random.default_rng(1).permutation(np.repeat([1, 2, 0], [objects, stars, others]))
    chosen = drawn_events(owners, np.array([1]), most)
    assert np.all(np.diff(chosen) > 0)
    assert np.array_equal(chosen, drawn_events(owners, np.array([1]), most))
    return np.bincount(owners[chosen], minlength=3)[[1, 2, 0]].tolist()


def test_all_are_drawn_where_they_are_few():
    assert drawn(10, 20, 30, 60) == [10, 20, 30]
    assert drawn(0, 0, 0, 60) == [0, 0, 0]


def test_objects_come_first_then_stars():
    assert drawn(10, 200, 3000, 100) == [10, 45, 45]
    assert drawn(400, 200, 3000, 100) == [50, 25, 25]


def test_room_that_others_leave_is_used():
    assert drawn(400, 5, 10, 100) == [85, 5, 10]
    assert drawn(10, 400, 20, 100) == [10, 70, 20]
    assert drawn(400, 0, 0, 100) == [100, 0, 0]


def test_a_track_keeps_its_ends():
    kept = thinned(np.array([5, 1, 7]), most=5)
    assert kept.tolist() == [*[1, 0, 0, 1, 1], 1, *[1, 0, 0, 1, 0, 0, 1]]
    assert thinned(np.array([5, 1]), most=6).all()
