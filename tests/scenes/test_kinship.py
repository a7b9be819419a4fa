"""Log odds that two pieces are of one thing."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.scenes.kinship import (
    GAP,
    NEAR,
    ROUNDING,
    TOGETHER_US,
    WHOLE,
    log_odds,
    most,
    outlines_terms,
    parted,
    terms,
    whole_odds,
)
from spikeseg.scenes.outlines import extent_of

LIFE = (0.0, 1.0)


def test_less_likely_the_wider_the_gap(course):
    one = course(LIFE, (50, 50), (20, 20))
    odds = [log_odds(one, course(LIFE, (70 + gap, 50), (20, 20))) for gap in (0, 1, 10, 100)]
    assert odds == pytest.approx([NEAR - GAP * np.log1p(gap) - WHOLE for gap in (0, 1, 10, 100)])


def test_more_likely_the_further_both_go(course):
    odds = [log_odds(*(course(LIFE, ((x, 50), (x + way, 50)), (20, 20)) for x in (50, 80))) for way in (0, 5, 50, 500)]
    assert odds == sorted(odds) and odds[0] == pytest.approx(NEAR - GAP * np.log(11) - WHOLE) and odds[-1] > odds[0] + 1


def test_a_trend_tells_and_swinging_does_not(course):
    one = course(LIFE, ((50, 50), (150, 50)), (20, 20))
    t_s = np.linspace(0, 1, 21)
    swing = 12 * np.sin(4 * np.pi * t_s + np.pi / 2)
    swings = course(t_s, [(82 + 100 * t + s, 50) for t, s in zip(t_s, swing, strict=True)], (20, 20))
    leaves = course(LIFE, ((70, 50), (260, 50)), (20, 20))
    assert log_odds(one, swings) > 0 and not parted(one, swings)
    assert log_odds(one, leaves) < 0 and parted(one, leaves)


def test_parts_of_what_grows_come_apart(course):
    small, large = (10, 10), (30, 30)
    keeps, grows = (terms(course(LIFE, (50, 50), own), course(LIFE, (90, 50), own))[1] for own in ((20, 20), (small, large)))
    assert keeps == pytest.approx(0) and grows < -1.5
    alone = terms(course(LIFE, (50, 50), (small, large)), course(LIFE, (90, 50), (20, 20)))[1]  # the other does not
    shrinks = terms(course(LIFE, (50, 50), (small, large)), course(LIFE, (90, 50), (large, small)))[1]
    assert [alone, shrinks] == pytest.approx([0, 0])
    leaves = [course(LIFE, ((70, 50), (130, 50)), own) for own in ((small, large), (20, 20))]
    of_growing, of_steady = (terms(course(LIFE, (50, 50), (small, large)), own)[1] for own in leaves)
    assert of_growing == pytest.approx(of_steady, abs=0.5) and of_growing < -1  # coming apart tells as before


def test_either_first_and_the_prior_is_added(course):
    one, other = course(LIFE, ((50, 50), (90, 60)), (20, 30)), course((0.2, 1.5), ((75, 50), (120, 50)), (10, 10))
    assert log_odds(one, other) == pytest.approx(log_odds(other, one))
    assert log_odds(one, other, -2.0) == pytest.approx(log_odds(one, other) + WHOLE - 2)
    assert log_odds(one, other, -1.0) == log_odds(one, other)  # that they are whole says more


def test_nothing_is_said_of_those_that_are_seldom_seen_together(course):
    one = course(LIFE, (50, 50))
    for begin_s, end_s in ((0.95, 1.2), (0.7, 2.0), (1.5, 2.0)):
        other = course((begin_s, end_s), ((60, 50), (900, 50)))
        assert log_odds(one, other) == -np.inf
    assert not parted(one, course((1 - 0.9e-6 * TOGETHER_US, 3), ((60, 50), (9000, 50))))
    assert parted(one, course((0.5, 3), ((60, 50), (900, 50))))


def test_outlines_give_the_same_as_courses(course):
    one, other = course(LIFE, ((50, 50), (90, 60)), (20, 30)), course(LIFE, ((75, 50), (120, 50)), (10, 10))
    boxes = [np.hstack([own.place - own.size / 2, own.place + own.size / 2]) for own in (one, other)]
    assert sum(outlines_terms(*boxes)) == pytest.approx(log_odds(one, other) + WHOLE, abs=0.05)
    assert np.isfinite(outlines_terms(*(own[:1] for own in boxes))).all()  # seen together once


def test_whole_pieces_are_likelier_two_than_edges(course):
    """What goes by sends ON and OFF alike, its edges send either."""
    sent = (("edge", 0.4), ("other", -0.3), ("whole", 0.02))
    one = {name: replace(course(LIFE, (50, 50), (20, 20)), events=500, surplus=surplus) for name, surplus in sent}
    assert whole_odds([one["edge"]], [one["other"]]) == 0 == whole_odds([one["other"]], [one["other"]])
    assert whole_odds([one["edge"]], [one["whole"]]) == pytest.approx(0.2 - WHOLE)
    more = replace(one["edge"], events=1500)
    assert (
        whole_odds([one["other"], more], [more]) == 0
        and whole_odds([one["edge"], replace(one["edge"], surplus=-0.4)], [more]) == -WHOLE
    )
    beside = course(LIFE, (85, 50), (20, 20))  # 15 px away
    edges = [replace(own, events=500, surplus=surplus) for own, surplus in ((one["edge"], 0.3), (beside, -0.3))]
    assert -np.inf < log_odds(one["whole"], beside) < 0 < log_odds(*edges)


def astray(rng, rows):
    """Places (n, 2) of a walk, of two clusters, or of one place; and sizes."""
    place = rng.uniform(0, 60, 2) + rng.choice([0.0, 1.0, 20.0]) * np.cumsum(rng.normal(0, 1, (rows, 2)), 0)
    place[rng.integers(0, rows) :] += rng.choice([0.0, 30.0, 300.0]) * rng.normal(0, 1, 2)
    return place, rng.uniform(1, 30, (rows if rng.random() < 0.5 else 1, 2)) + np.zeros((rows, 2))


def test_no_more_than_their_extents_allow(course):
    rng = np.random.default_rng(0)
    slack = []
    for _ in range(200):
        t_s = np.linspace(0, rng.choice([0.04, 0.3, 2.0]), rng.integers(2, 12))
        one, other = (course(t_s, *astray(rng, len(t_s))) for _ in range(2))
        outlines = [np.hstack([own.place - own.size / 2, own.place + own.size / 2]) for own in (one, other)]
        bounds = float(most(one.extent, other.extent)), float(most(*map(extent_of, outlines)))
        slack += [bounds[0] - sum(terms(one, other)), bounds[1] - sum(outlines_terms(*outlines))]
    assert 0 < min(slack) < 1.1 * ROUNDING and np.quantile(slack, 0.2) < 4


def test_what_stands_has_just_what_its_extents_allow(course):
    one, *others = (course(LIFE, (x, 50), (20, 20)).extent for x in (50, 60, 80, 170))
    stacked = tuple(map(np.array, zip(*others, strict=True)))
    assert most(one, stacked) - ROUNDING == pytest.approx([NEAR - GAP * np.log1p(gap) for gap in (0, 10, 100)])
