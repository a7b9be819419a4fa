"""Outlines of objects over time, and what lies over or stays by another."""

import numpy as np
import pytest

from spikeseg.scenes import outlines
from spikeseg.scenes.outlines import (
    BY,
    OVER_PX,
    SMALL,
    STEP_US,
    gaps,
    joined,
    moments_of,
    outline,
    over_each_other,
    parts_of,
    sizes,
)

N = 100
"""Moments of the outlines that are made up here."""


def still(left, top, right, bottom, there=slice(None)):
    """An outline that stays where it is, at some of N moments: float64 (N, 4)."""
    made = np.full((N, 4), np.nan)
    made[there] = left, top, right, bottom
    return made


def then(first, second, at):
    """The first outline, from number `at` on the second."""
    return np.concatenate([first[:at], second[at:]])


def objects_of(*outlines):
    """The object of each of these pieces, of which each was one of its own."""
    number = np.arange(len(outlines))
    over_each_other(dict(enumerate(outlines)), number)
    return number.tolist()


# -- outlines -----------------------------------------------------------------------------------------


def test_no_course_falls_between_two_moments(course):
    times = moments_of([course((0, 0.059), (0, 0)), course((0.0105, 0.018), (0, 0))])
    assert np.diff(times).max() <= STEP_US and np.isfinite(outline([course((0.0105, 0.018), (0, 0))], times)).any()


def test_moments_span_all_lives_at_equal_steps(course):
    courses = [course((0.3, 0.5), (0, 0)), course((0.1, 0.2), (0, 0)), course((0.4, 0.9), (0, 0))]
    moments = moments_of(courses)
    assert moments[0] == 100_000 and moments[-1] == 900_000 and np.diff(moments) == pytest.approx(STEP_US)
    assert moments_of([course((0.1, 0.111), (0, 0))]).tolist() == [100_000, 111_000]  # shorter than a step


def test_an_outline_goes_with_its_course(course):
    made = outline([course((0, 1), ((10, 50), (110, 50)), (10, 20))], np.array([0.0, 250_000.0, 1_000_000.0]))
    assert made == pytest.approx(np.array([(5, 40, 15, 60), (30, 40, 40, 60), (105, 40, 115, 60)]))


def test_outside_its_life_there_is_none(course):
    times = 1e6 * np.array([0.4, 0.489, 0.491, 0.5, 0.6, 0.609, 0.611, 0.7])  # half a step is not outside
    made = outline([course((0.5, 0.6), (50, 50))], times)
    assert np.isfinite(made).all(1).tolist() == [False, False, True, True, True, True, False, False]
    assert np.isnan(made[[0, 1, 6, 7]]).all()
    assert np.isnan(outline([], times)).all() and outline([], times).shape == (8, 4)


def test_an_outline_holds_all_pieces_that_are_there(course):
    pieces = [course((0, 0.6), (20, 30), (10, 10)), course((0.4, 1), (60, 20), (20, 10))]
    made = outline(pieces, 1e6 * np.array([0.2, 0.5, 0.8, 1.2]))
    assert made[:3] == pytest.approx(np.array([(15, 25, 25, 35), (15, 15, 70, 35), (50, 15, 70, 25)])) and np.isnan(made[3]).all()
    again = outline([course((0, 0.2), (20, 30)), course((0.8, 1), (20, 30))], 1e6 * np.array([0.1, 0.5, 0.9]))
    assert np.isfinite(again[:, 0]).tolist() == [True, False, True]  # behind something in between


def test_gaps_are_the_wider_of_both_axes():
    one = np.tile((0.0, 0.0, 10.0, 10.0), (6, 1))
    other = np.array(
        [(13, 0, 20, 10), (0, 14, 10, 20), (13, 25, 20, 30), (25, 13, 30, 20), (5, 5, 8, 8), (np.nan,) * 4], np.float64
    )
    expected = pytest.approx([3, 4, 15, 15, 0, np.nan], nan_ok=True)
    assert gaps(one, other) == expected and gaps(other, one) == expected


def test_sizes_are_the_longer_sides():
    made = sizes(np.array([(0, 0, 10, 4), (5, 5, 7, 25), (np.nan,) * 4], np.float64))
    assert made == pytest.approx([10, 20, np.nan], nan_ok=True)


# -- over each other ----------------------------------------------------------------------------------

LARGE = still(0, 0, 60, 60)


@pytest.mark.parametrize(
    ("left", "does"),
    [
        (20, True),
        (60 + OVER_PX - 6, True),  # six of its ten pixels are in the large one, or within OVER_PX of it
        (60 + OVER_PX - 5.9, False),
        (90, False),
    ],
)
def test_what_another_covers_most_of_is_one_with_it(left, does):
    small = still(left, 20, left + 10, 30)
    assert objects_of(LARGE, small) == ([0, 0] if does else [0, 1])
    down = [own[:, [1, 0, 3, 2]] for own in (LARGE, small)]
    assert objects_of(*down) == ([0, 0] if does else [0, 1])


@pytest.mark.parametrize(("moments", "does"), [(80, True), (79, False)])
def test_for_most_of_the_shorter_life(moments, does):
    inside, outside = still(20, 20, 30, 30), still(90, 20, 100, 30)
    assert objects_of(LARGE, then(inside, outside, moments)) == ([0, 0] if does else [0, 1])


@pytest.mark.parametrize(("begins", "does"), [(20, True), (21, False)])
def test_where_it_is_there_alone_counts(begins, does):
    """They are there together for 40 or 39 of 50 moments."""
    large, small = still(0, 0, 60, 60, slice(0, 60)), still(20, 20, 30, 30, slice(begins, begins + 50))
    assert objects_of(large, small) == ([0, 0] if does else [0, 1])


def test_the_longest_lived_gives_its_number():
    small = still(20, 20, 30, 30)
    short = still(0, 0, 60, 60, slice(0, 90))
    assert objects_of(short, small) == [1, 1] and objects_of(small, short) == [0, 0]


def test_what_has_been_made_one_is_looked_at_as_one():
    """The third lies in the corner between the first two: over what holds both, over none of them."""
    second, third = still(52, 40, 72, 60, slice(0, 90)), still(62, 0, 72, 10, slice(0, 80))
    assert objects_of(LARGE, third) == [0, 1] and objects_of(second, third) == [0, 1]
    assert objects_of(LARGE, second, third) == [0, 0, 0] and objects_of(third, second, LARGE) == [2, 2, 2]
    number = np.array([7, 7, 3])
    over_each_other({0: LARGE, 1: still(61 + OVER_PX, 40, 80, 60), 2: still(68, 0, 78, 10, slice(0, 80))}, number)
    assert number.tolist() == [7, 7, 7]


def test_all_pieces_of_what_lies_over_another_go_with_it():
    number = np.array([0, 1, 1, 1])
    pieces = {0: LARGE, 1: still(20, 20, 30, 30, slice(0, 40)), 2: still(40, 20, 50, 30, slice(40, 80))}
    over_each_other(pieces, number)  # the last one has no outline
    assert number.tolist() == [0, 0, 0, 0]


# -- small ones by a large one ------------------------------------------------------------------------

EDGE = 60 + BY * 60
"""A small one by LARGE begins at this x at most."""


def near(left=EDGE, side=6, there=slice(None)):
    return still(left, 20, left + side, 20 + side, there)


@pytest.mark.parametrize(
    ("left", "events", "does"),
    [
        (EDGE, SMALL * 1000, True),
        (EDGE, SMALL * 1000 + 1, False),
        (EDGE + 0.1, SMALL * 1000, False),
        (30, 10, True),
        (200, 10, False),
    ],
)
def test_a_small_one_that_stays_by_a_large_one_is_a_part_of_it(left, events, does):
    assert parts_of([LARGE, near(left)], np.array([1000, int(events)])).tolist() == ([0, 0] if does else [0, 1])
    assert parts_of([near(left), LARGE], np.array([int(events), 1000])).tolist() == ([1, 1] if does else [0, 1])


def test_how_far_the_longer_side_of_the_large_one_tells():
    flat = still(0, 15, 60, 35)
    assert parts_of([flat, near()], np.array([1000, 10])).tolist() == [0, 0]
    assert parts_of([still(40, 15, 60, 35), near()], np.array([1000, 10])).tolist() == [0, 1]


@pytest.mark.parametrize(("moments", "does"), [(70, True), (69, False)])
def test_not_when_it_leaves(moments, does):
    expected = [0, 0] if does else [0, 1]
    assert parts_of([LARGE, then(near(), near(200), moments)], np.array([1000, 10])).tolist() == expected
    gone = still(0, 0, 60, 60, slice(0, moments))  # the large one ends before it
    assert parts_of([gone, near()], np.array([1000, 10])).tolist() == expected


def test_of_its_own_life():
    assert parts_of([LARGE, near(there=slice(50, 60))], np.array([1000, 10])).tolist() == [0, 0]
    assert parts_of([LARGE, near(there=slice(0, 0))], np.array([1000, 10])).tolist() == [0, 1]  # never there


def test_no_part_of_a_part():
    """The third stays by the second, which is a part of the first; from that it is too far."""
    second, third = near(70, 20), near(93, 4)
    events = np.array([10_000, 1000, 100])
    assert parts_of([LARGE, second, third], events).tolist() == [0, 0, 2]
    assert parts_of([second, third], events[1:]).tolist() == [0, 0]
    assert parts_of([LARGE, second, near(65, 4)], events).tolist() == [0, 0, 0]
    assert parts_of([LARGE, second, third], np.array([4900, 1000, 100])).tolist() == [0, 1, 1]


def test_of_two_large_ones_the_one_with_more_events():
    other = still(70, 0, 130, 60)
    for events, whole in (((900, 1000), 1), ((1000, 900), 0), ((900, 900), 0)):
        assert parts_of([LARGE, other, near(62)], np.array([*events, 10])).tolist() == [0, 1, whole]


def test_none_at_all():
    assert parts_of([], np.zeros(0, np.int64)).tolist() == []
    assert parts_of([LARGE], np.array([0])).tolist() == objects_of(LARGE) == [0]


@pytest.mark.parametrize(("speck", "objects"), [(2, [0, 0]), (20, [0, 1])])
def test_moments_at_which_little_is_seen_of_a_piece_count_little(speck, objects):
    small = then(still(40, 40, 60, 60), still(200, 40, 200 + speck, 40 + speck), 70)
    assert objects_of(still(30, 30, 80, 80), small) == objects


@pytest.mark.parametrize(("speck", "whole"), [(2, [0, 0]), (20, [0, 1])])
def test_nor_do_they_where_it_stays_by_another(speck, whole):
    small = then(near(side=20), near(200, speck), 60)
    assert parts_of([LARGE, small], np.array([1000, 10])).tolist() == whole


def wandering(rng):
    """An outline of some size that wanders about, for a while."""
    made, first = np.full((N, 4), np.nan), rng.integers(0, N - 5)
    last = rng.integers(first + 1, N + 1)
    corner = rng.uniform(0, 100, 2) + np.cumsum(rng.normal(0, 2, (N, 2)), 0)
    made[first:last] = np.hstack([corner, corner + rng.uniform(2, 60, 2)])[first:last]
    return made


@pytest.mark.parametrize("seed", range(5))
def test_what_never_comes_near_need_not_be_looked_at(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    made, events = [wandering(rng) for _ in range(60)], rng.integers(1, 5_000, 60)
    found, asked = parts_of(made, events), outlines._stays_by
    pairs = [(small, large) for small in range(60) for large in range(60) if events[small] <= SMALL * events[large]]
    whole = np.arange(60)
    for small, large in sorted(pairs, key=lambda pair: (-events[pair[0]], pair[0], -events[pair[1]], pair[1])):
        if whole[small] == small and whole[large] == large and asked(made[small], made[large]):
            whole[small] = large
    assert found.tolist() == whole.tolist() and 5 < np.count_nonzero(whole != np.arange(60))
    calls = []
    monkeypatch.setattr(outlines, "_stays_by", lambda *pair: bool(calls.append(pair)) or asked(*pair))
    assert parts_of(made, events).tolist() == found.tolist() and len(calls) < len(pairs) / 2


def test_the_outline_of_several_pieces_joins_theirs(course):
    courses = [course((0.01, 0.05), ((10, 50), (30, 20))), course((0.0, 0.03), (40, 40)), course((0.04, 0.2), ((0, 0), (9, 9)))]
    times = moments_of(courses)
    one, two, three = (outline([own], times) for own in courses)
    np.testing.assert_array_equal(joined(joined(one, two), three), outline(courses, times))
    assert np.isnan(joined(one, two)[-1]).all() and joined(one, three)[-1].tolist() == three[-1].tolist()


def test_outlines_while_both_are_there(course):
    """Neither before the second begins nor after the first ends; none where they never are at the same time."""
    one = [course((0.0, 0.2), (50, 50)), course((0.1, 0.3), (70, 50))]
    t_us, first, second = outlines.while_both(one, [course((0.2, 0.6), (20, 50))])
    assert t_us[[0, -1]] == pytest.approx([0.2e6, 0.3e6], abs=outlines.STEP_US) and len(first) == len(second) == len(t_us)
    assert first[-1].tolist() == [64, 44, 76, 56] and np.unique(second, axis=0).tolist() == [[14, 44, 26, 56]]
    assert not len(outlines.while_both(one, [course((0.5, 0.6), (20, 50))])[0])
