"""Where a track was."""

import numpy as np
import pytest

from spikeseg.scenes.course import LEAST_ROWS, Course
from spikeseg.scenes.track import SceneTrack, Seen

ROWS = [(20_000 * k, 10.0 + 2 * k, 50.0 - k, 12.0 + k % 3, 8.0, Seen.MET if k == 2 else Seen.ALONE) for k in range(30)]


def of_rows(rows):
    none = np.zeros(0, np.int64)
    return Course.of(SceneTrack(1, int(rows[-1][0]), np.zeros(2), np.zeros(2), np.ones(2), none, none, rows))


def test_a_course_holds_the_rows():
    course = of_rows(ROWS)
    assert course.t.tolist() == [row[0] for row in ROWS] and course.how.tolist() == [row[5] for row in ROWS]
    assert course.place.tolist() == [list(row[1:3]) for row in ROWS] and course.size.tolist() == [list(row[3:5]) for row in ROWS]
    assert course.how.dtype == np.int64


def test_between_rows_it_goes_straight():
    place, size = of_rows(ROWS).at(np.array([-5_000.0, 5_000.0, 20_000.0, 10**9]))
    assert place == pytest.approx(np.array([[10, 50], [10.5, 49.75], [12, 49], [68, 21]]))  # and stays where it was last
    assert size == pytest.approx(np.array([[12, 8], [12.25, 8], [13, 8], [14, 8]]))


@pytest.mark.parametrize("by", [1, 2, 3])
def test_scaled_it_covers_the_same_pixels(by):
    """Neuron k of a coarse grid covers the pixels from k * by on: an outline of whole neurons begins and ends at theirs."""
    rows = [(20_000 * k, 3.5 + k, 7.0, 4.0, 3.0, Seen.ALONE if k else Seen.HIDDEN) for k in range(5)]  # neurons 2 + k ... 5 + k
    coarse = of_rows(rows)
    fine = coarse.scaled(by)
    for axis in (0, 1):
        first, last = (np.rint(coarse.place[:, axis] + side * (coarse.size[:, axis] - 1) / 2) for side in (-1, 1))
        assert fine.place[:, axis] - (fine.size[:, axis] - 1) / 2 == pytest.approx(first * by)
        assert fine.place[:, axis] + (fine.size[:, axis] - 1) / 2 == pytest.approx(last * by + by - 1)
    assert np.array_equal(fine.t, coarse.t) and np.array_equal(fine.how, coarse.how)
    assert coarse.place.tolist() == [list(row[1:3]) for row in rows]  # as it was


def test_scaled_down_it_is_in_pixels_of_which_each_has_a_neuron():
    """Of two neurons a pixel and axis, every second one lies on a pixel."""
    fine = of_rows([(20_000 * k, 20.0 + 2 * k, 7.0, 4.0, 3.0, Seen.ALONE) for k in range(5)])
    own = fine.scaled(0.5)
    assert own.place.tolist() == [[10.0 + k, 3.5] for k in range(5)] and own.size.tolist() == [[2.0, 1.5]] * 5


def test_a_few_rows_say_nothing():
    assert LEAST_ROWS == 4
    assert [of_rows(ROWS[:n]).lasts for n in (1, 3, 4, 30)] == [False, False, True, True]


def test_its_extent_is_all_that_it_ever_reached():
    low, high, most = of_rows([*ROWS[:4], (80_000, 0.0, 60.0, 5.0, 20.0, Seen.ALONE), *ROWS[5:]]).extent
    assert (low.tolist(), high.tolist(), most.tolist()) == ([0, 21], [68, 60], [14, 20])


def test_its_ends_are_where_it_was_whole():
    """It is cut off at both ends: its centre goes half as fast there."""
    whole = [(20_000 * k, 10.0 + 2 * k, 50.0, 12.0, 12.0, Seen.ALONE) for k in range(10, 30)]
    before = [(20_000 * k, 30.0 + (k - 10), 50.0, 12.0 - (10 - k), 12.0, Seen.ALONE) for k in range(4, 10)]
    after = [(20_000 * k, 68.0 + (k - 29), 50.0, 12.0 - (k - 29), 12.0, Seen.ALONE) for k in range(30, 36)]
    course = of_rows([row for row in before + whole + after if row[3] < 8 or row[3] == 12])
    for (t, place, velocity, size, circle), k in ((course.first_whole, 10), (course.last_whole, 29)):
        assert t == 20_000 * k and place == pytest.approx([10 + 2 * k, 50]) and velocity == pytest.approx([100, 0], abs=1e-6)
        assert size == pytest.approx(12) and circle is None


@pytest.mark.parametrize("turn", [8.0, -3.0])
def test_what_turns_leads_around_its_circle(turn):
    """Radius 40 px: straight on it would be far from there."""
    t_s = 0.01 * np.arange(40)
    x, y = 100 + 40 * np.cos(turn * t_s), 80 + 40 * np.sin(turn * t_s)
    course = of_rows([(s * 1e6, *p, 12.0, 12.0, Seen.ALONE) for s, p in zip(t_s.tolist(), zip(x, y, strict=True), strict=True)])
    for end, last, by in ((course.last_whole, t_s[-1], 0.3), (course.first_whole, 0.0, -0.3)):
        place = np.array([100 + 40 * np.cos(turn * (last + by)), 80 + 40 * np.sin(turn * (last + by))])
        assert end.astray(by, place) < 0.01 and end._replace(circle=None).astray(by, place) > 10
        assert end.astray(by, end.place + end.velocity * by) == 0  # or straight on


def test_what_turns_too_little_goes_straight():
    rows = [(10_000 * k, 10.0 + 2 * k, 50.0 + 0.002 * k**2, 12.0, 12.0, Seen.ALONE) for k in range(40)]
    assert of_rows(rows).last_whole.circle is None and of_rows(rows[:7]).last_whole.circle is None
