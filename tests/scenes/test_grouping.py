"""Tracks of one object made one."""

import numpy as np
import pytest

from spikeseg.scenes.course import Course
from spikeseg.scenes.grouping import AGAIN_S, ALIKE, LONE, SHARED, SHARED_LONE, follows, groups, together
from spikeseg.scenes.track import SceneTrack, Seen

NONE = np.zeros(0, np.int64)


def rows_of(start_s, end_s, place, velocity, size=(12.0, 12.0), step_s=0.02):
    """Rows of a straight way; place: at start_s."""
    t = np.arange(start_s, end_s, step_s)
    where = np.array(place, float) + np.outer(t - start_s, velocity)
    sizes = np.broadcast_to(np.asarray(size, float), where.shape)
    return [(s * 1e6, *p, *z, Seen.ALONE) for s, p, z in zip(t.tolist(), where.tolist(), sizes.tolist(), strict=True)]


def track_of(number, *parts, part_of=0):
    rows = [row for part in parts for row in part]
    last = np.array(rows[-1][1:5])
    return SceneTrack(number, int(rows[-1][0]), last[:2], np.zeros(2), last[2:] / 2, NONE, NONE, rows, len(rows), part_of)


def course_of(*parts):
    return Course.of(track_of(1, *parts))


def group(*all_rows):
    return groups([track_of(k, rows) for k, rows in enumerate(all_rows, 1)]).tolist()


FIRST = rows_of(0, 0.6, (10, 50), (100, 0))  # until x = 68 at 0.58 s


@pytest.mark.parametrize(
    ("start_s", "place", "velocity", "size", "does"),
    [
        (0.9, (100, 50), (100, 0), 12, True),  # where the first leads
        (0.9, (100, 53), (100, 0), 12, True),
        (0.9, (69, 50), (100, 0), 12, True),  # where it stood
        (0.9, (100, 90), (100, 0), 12, False),
        (0.9, (150, 50), (100, 0), 12, False),
        (0.9, (0, 50), (-100, 0), 12, False),
        (0.9, (100, 50), (100, 0), 12 * ALIKE * 1.1, False),
        (0.9, (100, 50), (100, 0), 12 / ALIKE / 1.1, False),
        (0.58 + AGAIN_S + 0.1, (158, 50), (100, 0), 12, False),  # too late
        (0.58 + AGAIN_S - 0.1, (138, 50), (100, 0), 12, True),
        (0.4, (50, 50), (100, 0), 12, False),  # both are there at one time
    ],
)
def test_one_follows_another_behind_something(start_s, place, velocity, size, does):
    second = rows_of(start_s, start_s + 0.5, place, velocity, (size, size))
    assert (follows(course_of(FIRST), course_of(second)) < 1) == does
    assert not follows(course_of(second), course_of(FIRST)) < 1
    assert group(FIRST, second) == ([0, 0] if does else [0, 1])


def test_the_better_of_two_follows():
    good, worse = rows_of(0.9, 1.4, (100, 51), (100, 0)), rows_of(0.9, 1.4, (100, 60), (100, 200))
    fits = [follows(course_of(FIRST), course_of(own)) for own in (good, worse)]
    assert fits[0] < fits[1] < 1
    assert group(FIRST, worse, good) == [0, 1, 0] and group(FIRST, good, worse) == [0, 0, 1]


def test_a_chain_of_pieces_is_one():
    assert group(FIRST, rows_of(0.8, 1.2, (90, 50), (100, 0)), rows_of(1.5, 2.0, (160, 50), (100, 0))) == [0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "does"),
    [
        (rows_of(0, 0.6, (10, 64), (100, 0)), True),
        (rows_of(0.1, 0.6, (34, 50), (100, 0)), True),
        (rows_of(0, 0.6, (10, 64), (100, 80)), False),  # parts
        (rows_of(0, 0.6, (10, 100), (100, 0)), False),  # as fast, but afar
        (rows_of(0, 0.6, (10, 64), (-100, 0)), False),
        (rows_of(0.52, 0.6, (62, 64), (100, 0)), False),  # at the same time for a moment alone
    ],
)
def test_pieces_side_by_side_are_one_where_they_move_as_one(rows, does):
    one, other = course_of(FIRST), course_of(rows)
    assert together(one, other) == together(other, one) == does
    assert group(FIRST, rows) == ([0, 0] if does else [0, 1])


def test_of_pieces_none_moves_differently():
    """The third keeps to the second, but not to the first."""
    second = rows_of(0, 0.6, (10, 64), (100, 0))
    assert group(FIRST, second, rows_of(0, 0.6, (10, 78), (100, 100))) == [0, 0, 1]


def test_what_lies_over_another_is_one_with_it():
    large = rows_of(0, 1, (50, 50), (50, 0), (60, 60))
    inside = rows_of(0.2, 0.9, (34, 40), (98, 0), (8, 8))
    assert not together(course_of(large), course_of(inside))
    assert group(large, inside) == [0, 0] and group(inside, large) == [0, 0]
    passing = rows_of(0.2, 0.9, (-60, 40), (330, 0), (8, 8))  # over it for a short time
    assert group(large, passing) == [0, 1]


def test_numbers_are_those_of_the_first_tracks():
    apart = [rows_of(0, 0.6, (10, y), (100, 0)) for y in (10, 60, 110)]
    again = rows_of(0.9, 1.4, (100, 60), (100, 0))
    assert group(*apart, again) == [0, 1, 2, 1]
    assert group(again, *apart) == [0, 1, 0, 2]


def test_a_piece_belongs_to_its_whole_through_others():
    rows = [rows_of(0, 0.6, (10, y), (100, 0)) for y in (10, 60, 110, 160)]
    tracks = [
        track_of(1, rows[0]),
        track_of(2, rows[1], part_of=4),
        track_of(3, rows[2], part_of=2),
        track_of(4, rows[3], part_of=1),
    ]
    assert groups(tracks).tolist() == [0, 0, 0, 0]
    tracks = [track_of(1, rows[0]), track_of(2, rows[1], part_of=3), track_of(3, rows[2])]
    assert groups(tracks).tolist() == [0, 1, 1]


def test_short_pieces_belong_to_nothing():
    assert group(FIRST, rows_of(0.9, 0.95, (100, 50), (100, 0))) == [0, 1]
    assert group(rows_of(0, 0.05, (0, 0), (0, 0))) == [0] and groups([]).tolist() == []


# -- pieces that share a component --------------------------------------------------------------------

AWAY = rows_of(0, 0.6, (10, 80), (-100, 0))


def sharing(moments, one, other, met=0):
    """The objects of two tracks that share a component at so many moments; met: rows of the second at which it is with others."""
    other = [(*row[:5], Seen.MET if k < met else Seen.ALONE) for k, row in enumerate(other)]
    tracks = [track_of(1, one), track_of(2, other)]
    tracks[0].shared[2] = tracks[1].shared[1] = moments
    numbers = groups(tracks).tolist()
    assert groups(tracks[::-1]).tolist() == numbers
    return numbers


@pytest.mark.parametrize(
    ("moments", "met", "does"),
    [
        (23, 0, True),  # of 30
        (22, 0, False),
        (18, 21, True),  # 9 of its 30 are its own
        (17, 21, False),
        (18, 20, False),
        (0, 30, False),
    ],
)
def test_pieces_that_share_a_component_for_most_of_the_time_are_one(moments, met, does):
    assert (SHARED, SHARED_LONE, LONE) == (0.75, 0.6, 0.3) and len(FIRST) == len(AWAY) == 30
    assert sharing(moments, FIRST, AWAY, met) == ([0, 0] if does else [0, 1])


@pytest.mark.parametrize(("moments", "does"), [(12, True), (11, False)])
def test_of_the_time_for_which_both_are_there(moments, does):
    """From 0.29 s to 0.58 s: at 15 moments, or 8 where one of them is seen less often."""
    later = rows_of(0.29, 1.2, (10, 80), (-100, 0))
    assert sharing(moments, FIRST, later) == ([0, 0] if does else [0, 1])
    seldom = rows_of(0.29, 1.2, (10, 80), (-100, 0), step_s=0.04)
    assert sharing(6, FIRST, seldom) == [0, 0] and sharing(5, FIRST, seldom) == [0, 1]


def test_for_a_moment_is_not_enough():
    for begin_s, numbers in ((0.5, [0, 1]), (0.47, [0, 0])):
        assert sharing(30, FIRST, rows_of(begin_s, 1.0, (10, 80), (-100, 0))) == numbers


def test_three_that_share_components_are_one_through_the_second():
    rows = [FIRST, AWAY, rows_of(0, 0.6, (10, 150), (0, 100))]
    tracks = [track_of(k, own) for k, own in enumerate(rows, 1)]
    for one, other in ((0, 1), (1, 2)):
        tracks[one].shared[other + 1] = tracks[other].shared[one + 1] = 25
    assert groups(tracks).tolist() == [0, 0, 0]
    assert groups([tracks[2], tracks[0], tracks[1]]).tolist() == [0, 0, 0]


def test_what_is_short_or_a_piece_of_another_joins_nothing():
    tracks = [track_of(1, FIRST), track_of(2, AWAY, part_of=3), track_of(3, rows_of(0, 0.6, (10, 200), (0, 100)))]
    tracks[0].shared[2] = tracks[1].shared[1] = 30
    assert groups(tracks).tolist() == [0, 1, 1]
    assert sharing(3, FIRST, AWAY[:3]) == [0, 1]
