"""The first spike of each pixel in one window."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.first_spikes import first_spikes
from spikeseg.data.recording import checked


def recording(rows, size=(6, 5)):
    t, x, y, p = np.array(rows, np.int64).reshape(-1, 4).T
    return checked("a", "a", t, x, y, p, size)


def test_by_hand():
    """The first event of a pixel wins, OFF or ON; what comes after the window or lies outside is left out."""
    rows = [(1000, 1, 2, 1), (1001, 1, 2, 0), (1015, 0, 0, 0), (1019, 3, 1, 1), (1020, 2, 2, 1), (1005, 5, 4, 1)]
    dense = first_spikes([recording(sorted(rows))], 2, 10.0, (4, 4)).dense()
    assert np.argwhere(dense[0]).tolist() == [[0, 1, 2, 1], [1, 0, 0, 0], [1, 1, 1, 3]]


def test_recordings_without_events():
    lists = first_spikes([recording([]), recording([(5, 1, 1, 1)])], 3, 10.0, (5, 6))
    assert lists.shape == (3, 2, 5, 6) and lists.samples == 2 and len(lists.sites) == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equal_to_a_slow_loop(seed):
    rng = np.random.default_rng(seed)
    n, steps = int(rng.integers(0, 60)), int(rng.integers(1, 6))
    rows = np.stack([np.sort(rng.integers(0, 100, n)), rng.integers(0, 6, n), rng.integers(0, 5, n), rng.integers(0, 2, n)], 1)
    expected, seen = np.zeros((1, steps, 2, 4, 5), np.uint8), set()
    for t, x, y, p in rows.tolist():
        step = (t - rows[0, 0]) // 15
        if step < steps and x < 5 and y < 4 and (x, y) not in seen:
            seen.add((x, y))
            expected[0, step, p, y, x] = 1
    np.testing.assert_array_equal(first_spikes([recording(rows.tolist())], steps, 15, (4, 5)).dense(), expected)
