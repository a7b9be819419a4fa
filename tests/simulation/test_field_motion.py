"""The star field's motion against its formula, against numerical derivatives and against its inverse; clouds."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.simulation.field_motion import CLOUD_SIZE, FieldMotion, draw_clouds

SIZE = (240, 180)
STILL = FieldMotion(
    velocities=np.zeros((1, 2)),
    turns_s=np.zeros(0),
    turn_takes_s=1.5,
    rotation=0.0,
    pivot=np.array([100.0, 80.0]),
    shake_px=np.zeros(1),
    shake_hz=np.ones(1),
    shake_phase=np.zeros((1, 2)),
)
WILD = FieldMotion(
    velocities=np.array([[10.0, -4.0], [-30.0, 50.0], [0.0, 0.0]]),
    turns_s=np.array([2.0, 3.0]),  # the second begins before the first is over
    turn_takes_s=1.5,
    rotation=-0.02,
    pivot=np.array([100.0, 80.0]),
    shake_px=np.array([0.5, 0.2]),
    shake_hz=np.array([0.7, 3.0]),
    shake_phase=np.array([[0.3, 1.0], [2.0, 4.0]]),
)
T = np.linspace(0, 8, 4001)


def test_a_still_field_leaves_places_where_they_are():
    places = np.random.default_rng(0).uniform(0, 200, (T.size, 2))
    np.testing.assert_allclose(STILL.place(places, T), places)


def test_drift_rotation_and_shake_by_the_formula():
    sky, t = np.array([103.0, 84.0]), np.array([2.0])
    assert replace(STILL, velocities=np.array([[5.0, -2.0]])).place(sky, t)[0] == pytest.approx((113, 80))
    assert replace(STILL, rotation=np.pi / 4).place(sky, t)[0] == pytest.approx((96, 83))  # a quarter turn, from x to y
    shaken = replace(STILL, shake_px=np.array([0.5]), shake_hz=np.array([0.125]), shake_phase=np.array([[0.0, np.pi / 2]]))
    assert shaken.place(sky, t)[0] == pytest.approx((103.5, 84.0))
    both = replace(STILL, velocities=np.array([[5.0, -2.0]]), rotation=np.pi / 4)
    assert both.place(sky, t)[0] == pytest.approx((100, 93))  # drift first, then rotation about a point of the sensor


def test_sky_is_the_inverse_of_place_at_any_shape():
    rng = np.random.default_rng(0)
    for sky, t in [
        (rng.uniform(-500, 500, (7, 2)), rng.uniform(0, 8, 7)),
        (rng.uniform(-500, 500, (7, 2)), T[:5, None]),
        (rng.uniform(-500, 500, (5, 7, 2)), T[:5, None]),
    ]:
        np.testing.assert_allclose(WILD.sky(WILD.place(sky, t), t), np.broadcast_to(sky, np.shape(WILD.place(sky, t))), atol=1e-9)


def test_the_drift_goes_from_one_velocity_to_the_next_within_a_turn_and_is_its_integral():
    field = replace(WILD, rotation=0.0, shake_px=np.zeros(2))
    velocity = field.velocity(T)
    np.testing.assert_allclose(velocity[T <= 2.0], np.broadcast_to([10.0, -4.0], (np.sum(T <= 2.0), 2)))
    np.testing.assert_allclose(velocity[T >= 4.5], 0, atol=1e-12)
    assert np.abs(np.diff(velocity, axis=0)).max() < 0.5  # no jump
    place = field.place(np.zeros(2), T)
    middle = (velocity[1:] + velocity[:-1]) / 2
    np.testing.assert_allclose(np.diff(place, axis=0) / np.diff(T)[:, None], middle, atol=1e-3)


def test_nothing_in_view_outruns_the_bound_on_speed():
    rng = np.random.default_rng(1)
    fastest = np.hypot(*WILD.velocities.T).max() + WILD.speed_beside_drift(SIZE, 10.0)
    seen = rng.uniform(-10, np.array(SIZE) + 9, (40, 2))
    for at in rng.uniform(0, 8, 10):
        sky = WILD.sky(seen, np.array(at))
        step = WILD.place(sky, np.array(at + 1e-5)) - WILD.place(sky, np.array(at - 1e-5))
        assert np.hypot(*step.T).max() / 2e-5 <= fastest


def test_clouds_dim_a_part_of_the_field_by_their_depth_at_most_and_drift_with_the_wind():
    clouds = draw_clouds(np.random.default_rng(3), 1.5)
    rng = np.random.default_rng(0)
    places, t = rng.uniform(0, 20 * CLOUD_SIZE[1], (20_000, 2)), np.zeros(20_000)
    light = clouds.transmission(places, t)
    assert np.exp(-1.5) <= light.min() < 0.3 and 0.9 < light.max() <= 1
    assert 0.35 < np.mean(light < np.exp(-0.75)) < 0.65
    np.testing.assert_allclose(clouds.transmission(places + 3 * clouds.wind, t + 3), light)
    assert clouds.transmission(places[:6].reshape(2, 3, 2), np.zeros((2, 1))).shape == (2, 3)
