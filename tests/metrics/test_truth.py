import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE
from spikeseg.metrics.truth import PIXELS_AT_ONCE, disc_pixels, distinct, event_truth, in_parts, positions, span


def labels(*points):
    """From (t in ms, x, y, id)."""
    return np.array([(t * 1000, x, y, i) for t, x, y, i in points], LABEL_DTYPE)


def events(*points):
    """From (t in ms, x, y)."""
    return np.array([(t * 1000, x, y, True) for t, x, y in points], EVENT_DTYPE)


def at(found):
    return [(int(p["index"]), int(p["id"]), float(p["x"]), float(p["y"])) for p in found]


LINE = labels((0, 10, 20, 1), (100, 20, 20, 1), (300, 20, 40, 1))


def test_positions_are_linear_between_label_points():
    found = positions(LINE, np.array([0, 25_000, 100_000, 200_000, 300_000]))
    assert at(found) == [(0, 1, 10, 20), (1, 1, 12.5, 20), (2, 1, 20, 20), (3, 1, 20, 30), (4, 1, 20, 40)]


def test_nothing_before_the_first_and_after_the_last_point():
    assert at(positions(LINE, np.array([-1, 300_001]))) == []


def test_nothing_in_gaps_but_the_points_themselves():
    gap = labels((0, 0, 0, 1), (1000, 10, 0, 1), (2001, 20, 0, 1))
    found = positions(gap, np.array([500_000, 1_000_000, 1_500_000, 2_001_000]))
    assert at(found) == [(0, 1, 5, 0), (1, 1, 10, 0), (3, 1, 20, 0)]  # 1000 ms is bridged, 1001 ms is not
    assert len(positions(gap, np.array([1_500_000]), max_gap_us=1_001_000)) == 1


def test_objects_do_not_mix_and_no_order_is_needed():
    mixed = labels((100, 1, 1, 2), (100, 20, 20, 1), (0, 10, 20, 1), (0, 1, 1, 2))
    assert at(positions(mixed, np.array([50_000, 0]))) == [
        (0, 1, 15, 20),
        (1, 1, 10, 20),
        (0, 2, 1, 1),
        (1, 2, 1, 1),
    ]


def test_a_lone_point_is_there_at_its_own_time_only():
    assert at(positions(labels((5, 3, 4, 9)), np.array([4999, 5000, 5001]))) == [(1, 9, 3, 4)]


def test_two_points_of_one_object_at_one_time_are_no_gap():
    double = labels((0, 0, 0, 1), (10, 10, 0, 1), (10, 10, 0, 1), (20, 20, 0, 1))
    assert at(positions(double, np.array([5000, 10_000, 15_000]))) == [(0, 1, 5, 0), (1, 1, 10, 0), (2, 1, 15, 0)]


def test_empty_in_empty_out():
    none = labels()
    assert len(positions(none, np.array([1]))) == 0 and len(positions(LINE, np.zeros(0, int))) == 0
    assert event_truth(events(), LINE, 5).shape == (0,)
    assert not event_truth(events((0, 10, 20)), none, 5).any()


def test_events_within_the_radius_are_true_the_border_included():
    some = events((0, 13, 24), (0, 14, 24), (50, 15, 20), (50, 10, 20), (50, 9, 20), (400, 20, 40))
    np.testing.assert_array_equal(event_truth(some, LINE, 5), [True, False, True, True, False, False])


def test_an_event_near_any_object_is_true():
    two = labels((0, 10, 10, 1), (100, 10, 10, 1), (0, 50, 10, 2), (100, 50, 10, 2))
    np.testing.assert_array_equal(event_truth(events((50, 10, 10), (50, 50, 10), (50, 30, 10)), two, 2), [True, True, False])


def test_events_far_from_the_border_do_not_wrap():
    """int16 coordinates: differences must not be taken in them."""
    far = labels((0, 32_000, 0, 1), (1, 32_000, 0, 1))
    assert not event_truth(np.array([(0, 0, 32_000, True)], EVENT_DTYPE), far, 5).any()


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(-3, 12),
    y=st.floats(-3, 9),
    radius=st.floats(0, 4),
)
def test_disc_pixels_are_those_within_the_radius(x, y, radius):
    row, column, inside = disc_pixels(np.array([x]), np.array([y]), (7, 10), radius)
    rows, columns = np.mgrid[:7, :10]
    expected = np.argwhere(np.hypot(rows - y, columns - x) <= radius).tolist()
    assert sorted(zip(row[inside].tolist(), column[inside].tolist(), strict=True)) == sorted(map(tuple, expected))


def test_disc_pixels_of_no_points():
    assert all(part.shape == (0, 49) for part in disc_pixels(np.zeros(0), np.zeros(0), (5, 5), 2))


def test_span_is_from_the_first_to_the_last_label():
    assert span(labels((7, 0, 0, 2), (3, 0, 0, 1), (5, 0, 0, 1))) == (3000, 7000)
    assert span(labels()) is None


@pytest.mark.parametrize("t0", [0, 2**45])
def test_late_clocks_lose_nothing(t0):
    shifted = LINE.copy()
    shifted["t"] += t0
    assert at(positions(shifted, np.array([25_000]) + t0)) == [(0, 1, 12.5, 20)]


def plainly(points, name, t, max_gap_us):
    """Where an object is at a time: between two successive label points that are near enough, or on one."""
    own = sorted((int(p["t"]), p["x"], p["y"]) for p in points if p["id"] == name)
    for (t0, x0, y0), (t1, x1, y1) in itertools.pairwise(own):
        if t0 <= t <= t1 <= t0 + max_gap_us:
            share = (t - t0) / (t1 - t0)
            return x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    return next(((x, y) for when, x, y in own if when == t), None)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_points=st.integers(0, 12),
    n_events=st.integers(0, 30),
    radius=st.floats(0, 8),
    gap=st.integers(1, 300),
)
def test_positions_and_event_truth_equal_the_definition(seed, n_points, n_events, radius, gap):
    rng = np.random.default_rng(seed)
    points, some = np.zeros(n_points, LABEL_DTYPE), np.zeros(n_events, EVENT_DTYPE)
    points["t"] = rng.permutation(40)[:n_points] * 10
    points["x"], points["y"], points["id"] = *rng.uniform(0, 20, (2, n_points)), rng.integers(1, 4, n_points)
    some["t"] = np.sort(rng.integers(-10, 410, n_events))
    some["x"], some["y"] = rng.integers(0, 20, (2, n_events))
    expected = {(i, name): plainly(points, name, t, gap) for i, t in enumerate(some["t"].tolist()) for name in (1, 2, 3)}
    expected = {key: place for key, place in expected.items() if place}
    found = {(i, name): (x, y) for i, name, x, y in at(positions(points, some["t"], gap))}
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(place) for key, place in expected.items())
    near = {i for (i, _), (x, y) in found.items() if np.hypot(x - some["x"][i], y - some["y"][i]) <= radius}
    assert set(np.flatnonzero(event_truth(some, points, radius, gap)).tolist()) == near


@pytest.mark.parametrize(("count", "radius"), [(0, 5.0), (1, 100.0), (1000, 100.0), (100_000, 1.0)])
def test_discs_are_taken_in_parts_that_fit_the_memory(count, radius):
    parts = [np.arange(count)[part] for part in in_parts(count, radius)]
    assert np.array_equal(np.concatenate([np.zeros(0, int), *parts]), np.arange(count))
    for part in parts:
        row, _, _ = disc_pixels(np.zeros(len(part)), np.zeros(len(part)), (5, 5), radius)
        assert row.size <= PIXELS_AT_ONCE


@pytest.mark.parametrize("values", [[], [7], [3, 3, 3], [5, -1, 5, 2, -1], np.random.default_rng(0).integers(0, 50, 300)])
def test_distinct_values_are_those_of_numpy(values):
    np.testing.assert_array_equal(distinct(np.array(values, np.int64)), np.unique(np.array(values, np.int64)))
