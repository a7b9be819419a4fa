"""Tracks of one object made one."""

import numpy as np
import pytest

from spikeseg.scenes import grouping
from spikeseg.scenes.course import Course
from spikeseg.scenes.grouping import AGAIN_S, ALIKE, COARSE_PRIOR, follows, groups
from spikeseg.scenes.kinship import log_odds, parted
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
    assert (follows(course_of(FIRST), course_of(second))[0] < 1) == does
    assert not follows(course_of(second), course_of(FIRST))[0] < 1
    assert group(FIRST, second) == ([0, 0] if does else [0, 1])


@pytest.mark.parametrize(("start_s", "does"), [(0.5, True), (0.4, False)])
def test_a_piece_may_follow_what_shares_a_component_until_it_ends(start_s, does):
    """As long as they are not together for so long that they are side by side."""
    shares = [(*row[:5], Seen.MET if row[0] > 0.35e6 else Seen.ALONE) for row in FIRST]
    second = rows_of(start_s, 1.2, (10 + 100 * start_s, 50), (100, 0))
    assert (follows(course_of(shares), course_of(second))[0] < 1) == does
    assert follows(course_of(FIRST), course_of(second)) == grouping.NEVER


@pytest.mark.parametrize(("speed", "size", "does"), [(20, 12, True), (20, 28, True), (1000, 12, True), (1000, 28, False)])
def test_size_tells_what_follows_where_place_does_not(speed, size, does):
    """Far from where a slow thing was lost, nothing follows it; a fast one may have gone nearly anywhere."""
    first, way = rows_of(0, 0.3, (10, 50), (speed, 0)), speed * 0.32
    place = first[-1][1] + way, 50 + 0.4 * (0.6 * size + 5 + 0.15 * way)
    second = rows_of(0.6, 1.2, place, (speed, 0), (size, size))
    assert (follows(course_of(first), course_of(second))[0] < 1) == does


def test_the_better_of_two_follows():
    good, worse = rows_of(0.9, 1.4, (100, 51), (100, 0)), rows_of(0.9, 1.4, (100, 60), (100, 200))
    (fit, nats), (other_fit, other_nats) = (follows(course_of(FIRST), course_of(own)) for own in (good, worse))
    assert fit < other_fit < 1 and nats < other_nats
    assert group(FIRST, worse, good) == [0, 1, 0] and group(FIRST, good, worse) == [0, 0, 1]


def test_the_one_of_its_size_follows():
    """Though the other is nearer to where the first leads."""
    alike = rows_of(0.9, 1.4, (100, 54), (100, 100))
    other = rows_of(0.9, 1.4, (100, 50), (100, -100), (24, 24))
    fits = [follows(course_of(FIRST), course_of(own))[0] for own in (alike, other)]
    assert fits[1] < fits[0] < 1
    assert group(FIRST, other, alike) == [0, 1, 0]


def test_what_comes_again_and_again_is_one():
    """It leaves, and comes where it came before. A later piece fits the better, as the way counts, and passes over none."""
    passes = [rows_of(s, s + 0.03, (50, 50), (500, 0), step_s=0.005) for s in (0.0, 0.09, 0.18, 0.27)]
    fits = [follows(course_of(passes[0]), course_of(own))[0] for own in passes[1:]]
    assert 1 > fits[0] > fits[1] > fits[2]
    assert group(*passes) == [0, 0, 0, 0]


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
    assert log_odds(one, other) == pytest.approx(log_odds(other, one)) and (log_odds(one, other) > 0) == does
    assert group(FIRST, rows) == ([0, 0] if does else [0, 1])


def test_of_pieces_none_moves_differently():
    """The third keeps to the second, but not to the first."""
    second = rows_of(0, 0.6, (10, 64), (100, 0))
    assert group(FIRST, second, rows_of(0, 0.6, (10, 78), (100, 100))) == [0, 0, 1]


def test_what_lies_over_another_is_one_with_it():
    large = rows_of(0, 1, (50, 50), (50, 0), (60, 60))
    inside = rows_of(0.2, 0.9, (34, 40), (98, 0), (8, 8))
    assert group(large, inside) == [0, 0] and group(inside, large) == [0, 0]
    passing = rows_of(0.2, 0.9, (-60, 40), (330, 0), (8, 8))  # over it for a short time
    assert group(large, passing) == [0, 1]


def test_numbers_are_those_of_the_first_tracks():
    apart = [rows_of(0, 0.6, (10, y), (100, 0)) for y in (10, 60, 110)]
    again = rows_of(0.9, 1.4, (100, 60), (100, 0))
    assert group(*apart, again) == [0, 1, 2, 1]
    assert group(again, *apart) == [0, 1, 0, 2]


def test_a_piece_belongs_to_its_whole_through_others():
    rows = [rows_of(0, 0.6, (10, y), (100, 0)) for y in (10, 34, 46, 22)]
    tracks = [
        track_of(1, rows[0]),
        track_of(2, rows[1], part_of=4),
        track_of(3, rows[2], part_of=2),
        track_of(4, rows[3], part_of=1),
    ]
    assert groups(tracks).tolist() == [0, 0, 0, 0]
    far = rows_of(0, 0.6, (10, 160), (100, 0))
    tracks = [track_of(1, far), track_of(2, rows[1], part_of=3), track_of(3, rows[2])]
    assert groups(tracks).tolist() == [0, 1, 1]


def test_what_a_track_met_is_no_piece_of_it_if_they_were_apart_for_long():
    """Two whole things, 20 px away from each other until they meet in the end."""
    apart, beside = rows_of(0, 0.6, (10, 42), (100, 0)), rows_of(0.55, 0.6, (65, 42), (100, 0))
    assert groups([track_of(1, FIRST), track_of(2, rows_of(0, 0.6, (10, 82), (100, 0)), part_of=1)]).tolist() == [0, 1]
    for other in (apart, beside):
        assert groups([track_of(1, FIRST), track_of(2, other, part_of=1)]).tolist() == [0, 0]


@pytest.mark.parametrize(("part_of", "coarse"), [(1, [0, 0]), (0, [0, 1])])
def test_coarse_neurons_part_what_has_not_met(part_of, coarse):
    """Two 22 px apart: fine neurons see parts of a thing as far apart as that, coarse ones seldom; what met is one."""
    other = track_of(2, rows_of(0, 0.6, (10, 73), (20, 0)), part_of=part_of)
    tracks = [track_of(1, rows_of(0, 0.6, (10, 50), (20, 0))), other]
    assert groups(tracks).tolist() == [0, 0] and groups(tracks, COARSE_PRIOR).tolist() == coarse


@pytest.mark.parametrize(("since_s", "count"), [(0, 2), (1.72, 1)])
def test_a_piece_that_was_there_before_tells_whom_it_passed(since_s, count):
    """It passes another thing, and is taken for a piece of one that begins where they meet; unless it came just then."""
    passes, stands = rows_of(since_s, 1.8, (40, 80 * since_s), (0, 80), (20, 20)), rows_of(0, 2.2, (80, 120), (0, 0), (30, 30))
    began = rows_of(1.7, 2.2, (60, 120), (0, 0), (20, 20))
    assert parted(*map(course_of, (passes, stands))) == (count == 2) and log_odds(*map(course_of, (began, stands))) > 0
    found = groups([track_of(1, passes, part_of=3), track_of(2, stands), track_of(3, began)])
    assert len(set(found.tolist())) == count


@pytest.mark.parametrize(("velocity", "objects"), [(60, [0, 1, 1]), (0, [0, 0, 0])])
def test_what_passed_an_object_is_not_followed_by_it(velocity, objects):
    """It is lost where a piece of the other goes on, one of which was there before; unless they were side by side until then."""
    lost, stood = rows_of(0, 1.0, (60, 50 - velocity), (0, velocity)), rows_of(0, 0.9, (80, 50), (0, 0))
    goes_on = rows_of(1.3, 2.0, (66, 50), (0, 0))
    assert follows(course_of(lost), course_of(goes_on))[0] < 1 and parted(*map(course_of, (lost, stood))) == (velocity > 0)
    assert groups([track_of(1, lost), track_of(2, stood, part_of=3), track_of(3, goes_on)]).tolist() == objects


def test_short_pieces_belong_to_nothing():
    assert group(FIRST, rows_of(0.9, 0.95, (100, 50), (100, 0))) == [0, 1]
    assert group(rows_of(0, 0.05, (0, 0), (0, 0))) == [0] and groups([]).tolist() == []


def test_two_that_pass_close_to_each_other_all_the_time_are_two():
    """Large things that keep within a third of their size of each other, and drift by their size: no parts that swing."""
    one, other = rows_of(0, 2, (100, 60), (25, 0), (60, 60)), rows_of(0, 2, (100, 132), (-25, 8), (60, 60))
    assert group(one, other) == [0, 1]


def test_what_coarse_neurons_see_apart_is_less_likely_one():
    one, other = rows_of(0, 0.6, (10, 50), (20, 0)), rows_of(0, 0.6, (10, 73), (20, 0))
    tracks = [track_of(1, one), track_of(2, other)]
    assert 0 < log_odds(course_of(one), course_of(other)) < -COARSE_PRIOR
    assert groups(tracks).tolist() == [0, 0] and groups(tracks, COARSE_PRIOR).tolist() == [0, 1]


def test_what_touches_two_for_a_moment_makes_them_not_one():
    """One comes near the other for 2 s; a piece that is seen beside both for a fifth of a second does not outweigh that."""
    stands, comes = rows_of(0, 2, (162, 90), (0, 0), (40, 45)), rows_of(0, 2, (46, 92), (40, 0), (28, 20))
    both = rows_of(1.6, 1.8, (140, 90), (0, 0), (47, 64))
    assert (
        min(log_odds(course_of(both), course_of(own)) for own in (stands, comes))
        > 4
        > 0
        > log_odds(*map(course_of, (stands, comes)))
    )
    assert not parted(*map(course_of, (stands, comes)))
    assert group(stands, comes, both)[:2] == [0, 1]


@pytest.mark.parametrize(("gap", "objects"), [(60, [0, 1, 1]), (10, [0, 0, 0])])
def test_a_piece_between_two_that_stand_makes_them_not_one(gap, objects):
    """Two stand for 2 s, so that their motion says nothing; what is seen between them for a while is part of the nearer one."""
    one, other = rows_of(0, 2, (100, 50), (0, 0), (60, 80)), rows_of(0, 2, (100, 170 + gap), (0, 0), (60, 160))
    between = rows_of(1, 1.3, (100, 90 + 0.5 * gap + 1), (0, 0), (20, 0.8 * gap))
    assert min(log_odds(course_of(between), course_of(own)) for own in (one, other)) > 0
    assert group(one, other, between) == objects


@pytest.mark.parametrize("prior", [0.0, grouping.COARSE_PRIOR])
def test_pairs_that_lie_far_apart_need_not_be_compared(course, prior, monkeypatch):
    rng = np.random.default_rng(3)
    start, way, begin = rng.uniform(0, 300, (50, 2)), rng.normal(0, 40, (50, 2)), rng.uniform(0, 0.5, 50)
    courses = {2 * k: course((begin[k], begin[k] + 0.4), (start[k], start[k] + way[k]), 15.0) for k in range(50)}
    asked, compared = grouping.log_odds, []
    monkeypatch.setattr(grouping, "log_odds", lambda *pair: compared.append(pair) or asked(*pair))
    found, few = grouping._beside(courses, prior), len(compared)
    monkeypatch.setattr(grouping, "most", lambda _, other: np.full(len(other[0]), np.inf))
    assert grouping._beside(courses, prior) == found and found and few < (len(compared) - few) / 3


def test_what_is_of_another_size_need_not_be_asked_whether_it_follows(course, monkeypatch):
    rng = np.random.default_rng(5)
    start, way, begin, size = (
        rng.uniform(0, 60, (60, 2)),
        rng.normal(0, 20, (60, 2)),
        rng.uniform(0, 2, 60),
        rng.uniform(2, 60, 60),
    )
    courses = {3 * k: course((begin[k], begin[k] + 0.3), (start[k], start[k] + way[k]), size[k]) for k in range(60)}
    plain, asked = grouping.follows, []
    fits = {(a, b): plain(courses[a], courses[b]) for a in courses for b in courses if a != b}
    monkeypatch.setattr(grouping, "follows", lambda *pair: asked.append(pair) or plain(*pair))
    kept = grouping._following(courses)
    expected = []
    for _, a, b in sorted((nats, a, b) for (a, b), (fit, nats) in fits.items() if fit < 1):
        if a not in [one for one, _ in expected] and b not in [other for _, other in expected]:
            expected.append((a, b))
    in_time = sum(
        -grouping.TWICE_S <= (fits_b.t[0] - fits_a.t[-1]) * 1e-6 <= AGAIN_S
        for fits_a in courses.values()
        for fits_b in courses.values()
    )
    assert kept == expected and len(kept) > 5 and len(asked) < 0.8 * in_time
