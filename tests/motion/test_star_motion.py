"""How stars move together."""

import numpy as np
import pytest

from spikeseg.motion.star_motion import Span, Told, common

UNKNOWN = Span(0.0, 8.0, np.zeros(2), 0.0, np.array([60.0, 45.0]), False)


def told(seed, n, velocity=(0.3, -0.2), turn=0.0, error=0.05):
    """By n stars of one motion, each with an error."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, (120, 90), (n, 2))
    truth = UNKNOWN._replace(velocity=np.array(velocity), turn=turn).at(places)
    velocities = truth + rng.normal(0, error, (n, 2))
    return Told(places, velocities, np.full(n, error), np.full(n, 8.0), np.full(n, 100.0))


def test_a_span_moves_its_places_by_velocity_and_turn():
    span = Span(0.0, 8.0, np.array([1.0, -2.0]), 0.1, np.array([60.0, 45.0]), True)
    assert np.allclose(span.at(np.array([[60.0, 45.0], [70.0, 45.0], [60.0, 25.0]])), [[1, -2], [1, -1], [3, -2]])


def test_the_error_is_that_of_velocity_and_turn_at_a_place():
    span = UNKNOWN._replace(covariance=np.diag([0.01, 0.01, 1e-4]))
    assert np.allclose(span.error(np.array([[60.0, 45.0], [70.0, 45.0]])), [0.2, 2 * np.sqrt(0.01 + 1e-4 * 100 / 2)])
    leans = UNKNOWN._replace(covariance=np.array([[0.01, 0, 1e-3], [0, 0.01, 0], [1e-3, 0, 1e-4]]))
    below, above = leans.error(np.array([[60.0, 55.0], [60.0, 35.0]]))
    assert below < above  # a turn about the centre takes what is below it to the left


@pytest.mark.parametrize(("n", "turn"), [(4, 0.0), (8, 0.002), (30, 0.002)])
def test_the_motion_is_off_by_about_its_error(n, turn):
    """Over many skies: half of the stated error (two standard errors) an axis, at a corner of the sensor."""
    corner, ratios = np.array([[110.0, 10.0]]), []
    for seed in range(60):
        motion = common(UNKNOWN, told(seed, n, turn=turn), True)
        assert motion.known
        off = motion.at(corner) - UNKNOWN._replace(velocity=np.array([0.3, -0.2]), turn=turn).at(corner)
        ratios.append((off[0] ** 2).mean() / (motion.error(corner)[0] / 2) ** 2)
    assert 0.3 < np.mean(ratios) < 1.5


def test_more_stars_tell_it_better():
    errors = [common(UNKNOWN, told(1, n), True).error(UNKNOWN.centre[None])[0] for n in (4, 16, 64)]
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]


def test_how_far_stars_keep_to_it_counts():
    """Many stars that a mount sways tell their mean motion well; any one of them may move otherwise."""
    sways = told(1, 64, error=0.2)._replace(error=np.full(64, 0.05))
    assert 0.25 < common(UNKNOWN, sways, True).error(UNKNOWN.centre[None])[0] < 0.5


def test_what_moves_on_its_own_does_not_count():
    stars = told(2, 6)
    object_ = Told(*(np.concatenate([a, b[:1]]) for a, b in zip(stars, told(3, 1, (1.5, 1.0), error=0.02), strict=True)))
    alone, among = (common(UNKNOWN, one, True) for one in (stars, object_))
    assert np.abs(alone.velocity - among.velocity).max() < 0.05


def rows_of(velocities):
    """Stars that are surely there, in the corners of a sensor and in its middle, by their velocities along x."""
    n = len(velocities)
    places = np.array([[20.0, 20], [90, 30], [30, 70], [100, 80], [60, 45]])[:n]
    return Told(places, np.array([(v, 0.0) for v in velocities]), np.full(n, 0.04), np.full(n, 8.0), np.full(n, 50.0))


@pytest.mark.parametrize(("odd", "turns"), [((1.9, 1.0), False), ((0.8, 0.0), False)])
def test_two_that_move_on_their_own_are_no_turn_of_three(odd, turns):
    """Three stars at rest and one or two that creep: by a turn all could be explained, but no better than without."""
    motion = common(UNKNOWN, rows_of((0.0, 0.05, -0.05, *odd)), True)
    assert motion.known and (motion.turn != 0) is turns
    assert np.abs(motion.velocity).max() < 0.1 and motion.error(UNKNOWN.centre[None])[0] < 0.3


def test_one_bright_object_among_dim_stars_does_not_make_them_stray():
    """What is known best weighs most, but not more than all the others."""
    dim = rows_of((0.0, 0.05, -0.05, 0.7))._replace(error=np.array([0.08, 0.12, 0.12, 0.03]))
    assert common(UNKNOWN, dim, True).error(UNKNOWN.centre[None])[0] < 0.25


def test_where_all_turn_the_motion_does():
    motion = common(UNKNOWN, told(5, 5, turn=0.02), True)
    assert motion.known and motion.turn == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize(("velocities", "known"), [((0.0, 0.05, -0.05), True), ((0.0, 0.05, 1.2), False), ((0.0, 0.05), False)])
def test_three_have_to_agree(velocities, known):
    rows, n = rows_of(velocities), len(velocities)
    assert common(UNKNOWN, rows, True).known is known
    assert not common(UNKNOWN, rows._replace(nats=np.full(n, 5.0)), True).known  # noise


def test_without_care_the_error_is_that_of_a_star():
    motion = common(UNKNOWN, told(4, 40, error=0.15), False)
    assert 0.2 < motion.error(UNKNOWN.centre[None])[0] < 0.5
    assert common(UNKNOWN, told(4, 40, error=0.15), True).error(UNKNOWN.centre[None])[0] < 0.1
