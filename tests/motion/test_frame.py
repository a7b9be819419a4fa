"""The frame of the star field, and what moves like one."""

import numpy as np
import pytest

from spikeseg.motion.frame import STEP_S, Frame, Moving, astray, pair, rigid
from spikeseg.tracking.star_field import StarField

SIZE = (120, 90)
CENTRE = np.array([59.5, 44.5])
TIMES = np.arange(0, 8 + STEP_S, STEP_S)


def turning(vx=0.0, vy=0.0, turn=0.0):
    return Frame.moving(TIMES, np.tile([vx, vy, turn], (len(TIMES), 1)), SIZE)


def star(place, frame, first=0.0, last=8.0):
    """A star of a frame: where it is at time 0, and how it moves."""
    t = np.arange(first, last, 0.05)
    where = frame.to_sensor(t, np.tile(place, (len(t), 1)))
    return Moving(t, np.concatenate([where, frame.velocity(t, where)], 1))


def straight(place, velocity, first=0.0, last=8.0):
    t = np.arange(first, last, 0.05)
    return Moving(t, np.concatenate([np.array(place) + np.outer(t, velocity), np.tile(velocity, (len(t), 1))], 1))


def test_a_field_that_drifts():
    field = StarField(np.array([0.0, 3e6, 8e6]), np.array([[16.0, -4.0], [-2.0, 1.0]]))
    frame = Frame.of(field, (0.0, 8.0), SIZE)
    t = np.array([0.0, 1.0, 3.0, 5.0, 8.0])
    assert frame.drifts and np.allclose(frame.at(t)[1], field.shift(t * 1e6), atol=0.6) and not frame.at(t)[0].any()
    places = np.random.default_rng(0).uniform(0, 90, (5, 2))
    assert np.allclose(frame.to_sensor(t, places), places + frame.at(t)[1])
    assert np.allclose(frame.velocity(np.array([1.0, 6.0]), places[:2]), [[16, -4], [-2, 1]])


def test_a_field_that_turns_goes_round_the_centre():
    frame = turning(turn=0.1)
    t = np.array([0.0, 2.5, 7.7])
    place = np.array([[89.5, 44.5]] * 3)
    expected = CENTRE + 30 * np.stack([np.cos(0.1 * t), np.sin(0.1 * t)], 1)
    assert np.allclose(frame.to_sensor(t, place), expected, atol=0.01) and not frame.drifts
    assert np.allclose(frame.velocity(t, expected), 3 * np.stack([-np.sin(0.1 * t), np.cos(0.1 * t)], 1), atol=0.01)


@pytest.mark.parametrize("motion", [(0, 0, 0), (16, -5, 0), (4, 2, 0.05), (-20, 3, -0.2)])
def test_there_and_back(motion):
    frame, rng = turning(*motion), np.random.default_rng(1)
    t, places = rng.uniform(0, 8, 50), rng.uniform(0, 100, (50, 2))
    assert np.allclose(frame.to_sky(t, frame.to_sensor(t, places)), places)
    assert np.allclose(frame.to_sky(np.zeros(50), places), places)


@pytest.mark.parametrize("motion", [(16, -5, 0), (4, 2, 0.05), (-20, 3, -0.2)])
def test_the_velocity_is_that_of_a_place_of_the_frame(motion):
    frame, rng = turning(*motion), np.random.default_rng(2)
    t, places = rng.uniform(0.1, 7.9, 40), rng.uniform(0, 100, (40, 2))
    moved = (frame.to_sensor(t + 1e-3, places) - frame.to_sensor(t - 1e-3, places)) / 2e-3
    assert frame.velocity(t, frame.to_sensor(t, places)) == pytest.approx(moved, abs=0.3)


def test_as_a_star_field():
    rates = np.tile([5.0, -2.0, 0.0], (len(TIMES), 1))
    rates[64:, 0] = 9.0
    field = Frame.moving(TIMES, rates, SIZE).as_field()
    assert len(field.velocities) == 2
    assert field.velocity(np.array([1e6, 5e6])).tolist() == [[5, -2], [9, -2]] and field.edges_us[1] == TIMES[64] * 1e6


@pytest.mark.parametrize(
    ("early", "late", "share", "streams"),
    [
        ((40.0, 0.0), (40.0, 0.0), 0.5, True),
        ((5.0, 2.0), (5.0, 2.0), 0.5, False),  # a star is near its pixels for long
        ((40.0, 0.0), (36.0, 0.0), 0.5, True),
        ((40.0, 0.0), (30.0, 0.0), 0.5, False),  # the telescope turns: a star may come to rest
        ((120.0, 0.0), (110.0, 0.0), 0.5, True),  # such a difference is the tracker's error
        ((40.0, 0.0), (0.0, 0.0), 0.98, True),  # for a moment
        ((40.0, 0.0), (0.0, 0.0), 0.9, False),
        ((40.0, 0.0), (-40.0, 0.0), 0.5, False),
    ],
)
def test_stars_stream_if_they_keep_to_a_velocity_that_is_not_small(early, late, share, streams):
    rates = np.zeros((len(TIMES), 3))
    rates[:, :2] = np.where(np.arange(len(TIMES))[:, None] < share * len(TIMES), early, late)
    assert Frame.moving(TIMES, rates, SIZE).streams is streams


def test_three_that_move_alike_are_stars():
    movers = [straight((10 * k, 20), (16 + 0.3 * k, -5)) for k in range(3)] + [straight((90, 70), (-10, 2))]
    stars, frame = rigid(movers, turning(), SIZE)
    assert stars.tolist() == [True, True, True, False]
    assert frame.velocity(np.array([4.0]), CENTRE[None])[0] == pytest.approx([16.3, -5], abs=0.05) and frame.drifts


def test_two_that_move_alike_are_none_and_leave_the_frame_as_it_was():
    known = turning(3.0, 1.0)
    others = [straight((90, 70), (-10, 2)), straight((50, 10), (3, 9), 0.0, 5.0)]
    stars, frame = rigid([straight((10 * k, 20), (16, -5)) for k in range(2)] + others, known, SIZE)
    assert not stars.any() and np.array_equal(frame.rates, known.rates)
    assert rigid([], known, SIZE)[0].shape == (0,)


def test_what_moves_alike_at_other_times_does_not_move_together():
    movers = [straight((10, 20), (16, -5), 2.7 * k, 2.7 * k + 2.5) for k in range(3)]
    assert not rigid(movers, turning(), SIZE)[0].any()


@pytest.mark.parametrize("motion", [(0, 0, 0.15), (6, -3, -0.2)])
def test_stars_of_a_turning_field_are_told_from_an_object(motion):
    frame, rng = turning(*motion), np.random.default_rng(3)
    movers = [star(place, frame) for place in rng.uniform((0, 0), SIZE, (9, 2))] + [straight((20, 60), (25.0, -12.0))]
    stars, found = rigid(movers, turning(), SIZE)
    assert stars.tolist() == [True] * 9 + [False]
    t = np.array([1.0, 4.0, 7.0])
    assert np.median(found.rates[:-8], axis=0) == pytest.approx(motion, abs=0.1)
    places = rng.uniform(20, 70, (3, 2))
    assert found.velocity(t, places) == pytest.approx(frame.velocity(t, places), abs=1.0)


def test_a_mover_is_there_between_its_first_and_last_time():
    mover = straight((10, 20), (16, -5), 2.0, 4.0)
    states = mover.at(np.array([1.9, 2.0, 3.0, 3.9, 4.0]))
    assert states[2] == pytest.approx([58, 5, 16, -5])
    assert np.isnan(states).all(1).tolist() == [True, False, False, False, True]


def test_what_moves_alike_but_not_as_the_stars_is_astray():
    frame = turning(16, -5)
    pair = [straight((20, 20), (40, 10)), straight((60, 50), (40, 10), first=2.0, last=5.0)]
    assert astray(pair, frame) == pytest.approx(2 * 3.0, abs=0.3)
    assert astray([pair[0], straight((60, 50), (-20, 10))], frame) == 0  # two objects
    assert astray([pair[0], straight((22, 20), (40, 10))], frame) == 0  # one thing, followed twice
    assert astray([star((30, 30), frame), star((80, 40), frame)], frame) == 0 and astray([], frame) == 0


@pytest.mark.parametrize(
    ("apart", "drifts", "seconds", "is_pair"),
    [(9, 0.5, 4.0, True), (7, 0.5, 4.0, False), (9, 0.7, 4.0, False), (9, 0.7, 3.0, True), (9, 0.5, 1.9, False)],
)
def test_two_that_keep_their_distance_are_a_pair(apart, drifts, seconds, is_pair):
    """Further apart than one thing that is followed twice, for 2 s, and to within 2.5 px."""
    other = straight((40 + apart, 20), (-3 + drifts, 5), 1.0, 1.0 + seconds)
    velocity = pair([straight((40, 20), (-3, 5)), other, straight((90, 70), (-10, 2))])
    assert (velocity is not None) is is_pair
    if is_pair:
        assert velocity == pytest.approx([-3 + drifts / 2, 5])


def test_of_several_pairs_the_one_that_lasts_counts():
    later = [straight((10, 60), (8, 1), 5.0, 8.0), straight((50, 60), (8, 1), 5.0, 8.0)]
    earlier = [straight((40, 20), (-3, 5)), straight((80, 20), (-3, 5), 2.0, 6.0)]
    assert pair(later + earlier) == pytest.approx([-3, 5]) and pair(later) == pytest.approx([8, 1])
    assert pair([]) is None and pair(later[:1]) is None
