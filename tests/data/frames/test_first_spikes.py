"""The first spike of each pixel in one window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.frames.first_spikes import first_spikes
from spikeseg.data.recording import checked


def recording(rows, size=(6, 5)):
    t, x, y, p = np.array(rows, np.int64).reshape(-1, 4).T
    return checked("a", "a", {"t": t, "x": x, "y": y, "p": p}, size)


def test_by_hand():
    """The first event of a pixel wins, OFF or ON; what comes after the window or lies outside is left out."""
    rows = [(1000, 1, 2, 1), (1001, 1, 2, 0), (1015, 0, 0, 0), (1019, 3, 1, 1), (1020, 2, 2, 1), (1005, 5, 4, 1)]
    dense = first_spikes([recording(sorted(rows))], 2, 10.0, (4, 4)).dense()
    assert np.argwhere(dense[0]).tolist() == [[0, 1, 2, 1], [1, 0, 0, 0], [1, 1, 1, 3]]


@pytest.mark.parametrize("first, second", [(0, 1), (1, 0)])
def test_the_first_listed_of_equal_time_wins(first, second):
    dense = first_spikes([recording([(7, 2, 3, first), (7, 2, 3, second)])], 4, 10.0, (5, 6)).dense()
    assert np.argwhere(dense[0]).tolist() == [[0, first, 3, 2]]


def test_an_event_after_the_window_does_not_count_and_each_recording_begins_at_its_own_first_event():
    """The last microsecond of the window is in it, the next is not; a step need not be a whole number of microseconds."""
    late = recording([(10**12, 0, 0, 1), (10**12 + 24, 1, 0, 1), (10**12 + 25, 2, 0, 1)])
    early = recording([(0, 3, 1, 0), (12, 4, 1, 0), (13, 5, 1, 0)])
    dense = first_spikes([late, early], 2, 12.5, (5, 6)).dense()
    assert np.argwhere(dense).tolist() == [[0, 0, 1, 0, 0], [0, 1, 1, 0, 1], [1, 0, 0, 1, 3], [1, 0, 0, 1, 4], [1, 1, 0, 1, 5]]


def test_recordings_without_events():
    lists = first_spikes([recording([]), recording([(5, 1, 1, 1)])], 3, 10.0, (5, 6))
    assert lists.shape == (3, 2, 5, 6) and lists.samples == 2 and len(lists.sites) == 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5), st.integers(0, 4), st.integers(0, 1)), max_size=60),
             min_size=1, max_size=3),
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 7), st.sampled_from([1, 15, 7.5, 33.3]),
)  # fmt: skip
def test_equal_to_a_slow_loop(several, steps, height, width, step_us):
    several = [sorted(rows, key=lambda row: row[0]) for rows in several]
    expected = np.zeros((len(several), steps, 2, height, width), np.uint8)
    for n, rows in enumerate(several):
        seen = set()
        for t, x, y, p in rows:
            step = int((t - rows[0][0]) // step_us)
            if step < steps and x < width and y < height and (x, y) not in seen:
                seen.add((x, y))
                expected[n, step, p, y, x] = 1
    lists = first_spikes([recording(rows) for rows in several], steps, step_us, (height, width))
    np.testing.assert_array_equal(lists.dense(), expected)
