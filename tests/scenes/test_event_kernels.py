"""Loops over all events: their numbers counted and sorted, as numpy does it."""

import numpy as np

from spikeseg.scenes.event_kernels import count_pairs, look_up_pairs, rename, sort_by_number


def test_events_are_counted_by_their_numbers_in_one_pass():
    rng = np.random.default_rng(0)
    for m in (0, 1, 500):
        ids, others = rng.integers(0, 4, m).astype(np.int32), rng.integers(0, 8, m).astype(np.int32)
        pairs = np.zeros((4, 8), np.int64)
        np.add.at(pairs, (ids, others), 1)
        assert np.array_equal(count_pairs(ids, others, 3, 7), pairs)
        table, found = rng.integers(0, 99, (4, 8)).astype(np.int32), np.empty(m, np.int32)
        look_up_pairs(ids, others, table, found)
        assert np.array_equal(found, table[ids, others])
        names, before = np.array([0, 7, 7, 2], np.int32), ids.copy()
        rename(ids, names)
        assert np.array_equal(ids, names[before])


def test_events_sorted_by_number_keep_their_order():
    order, begins = sort_by_number(np.array([2, 0, 1, 3, 2, 1], np.int32), 4)
    assert order.tolist() == [2, 5, 0, 4, 3] and begins.tolist() == [0, 2, 4, 5, 5]
