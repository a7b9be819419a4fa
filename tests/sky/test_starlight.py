"""Stars found in all events of a recording."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spikeseg.detection.schema import EVENT_COLUMNS, OBJECT_COLUMNS, table_dtype
from spikeseg.sky import starlight
from spikeseg.sky.attitude import Followed
from spikeseg.sky.starlight import stars_of_events
from spikeseg.sky.stars import Stars

SIZE, SECONDS = (120, 90), 12.0
PLACES = np.array([[20.0, 20.0], [60.3, 30.6], [95.5, 70.2], [40.7, 66.4], [70.9, 60.1], [100.2, 20.8]])
"""Of stars at half time, px."""
EVENTS = (700, 500, 400, 300, 250, 200)


def recording(nights, velocity, *, seed=3, hot=True):
    """Stars that all move by a velocity, px/s, each with ON events before and OFF events behind it; noise, a hot pixel, and an
    object, number 1, that flies among them."""
    rng = np.random.default_rng(seed)
    t, x, y, object_id = [], [], [], []

    def add(times, places, number=0):
        places = np.rint(places)
        inside = ((places >= 0) & (places < SIZE)).all(1)
        for column, values in zip((t, x, y), (times, *places.T), strict=True):
            column.append(values[inside])
        object_id.append(np.full(inside.sum(), number))

    for place, count in zip(PLACES, EVENTS, strict=True):
        times = rng.uniform(0, SECONDS, count)
        side = 1.5 * rng.choice([-1, 1], count)[:, None] * velocity / max(np.hypot(*velocity), 1e-9)
        add(times, place + (times - SECONDS / 2)[:, None] * velocity + side + rng.normal(0, 0.9, (count, 2)))
    noise = rng.poisson(0.1 * SECONDS * SIZE[0] * SIZE[1])
    add(rng.uniform(0, SECONDS, noise), rng.uniform(0, 1, (noise, 2)) * np.array(SIZE) - 0.5)
    times = rng.uniform(0, SECONDS, 2000)
    add(times, np.array([10.0, 80.0]) + times[:, None] * np.array([8.0, -5.0]) + rng.normal(0, 1.0, (2000, 2)), 1)
    if hot:
        add(rng.uniform(0, SECONDS, 900), np.full((900, 2), [80.0, 15.0]))
    columns = {name: np.zeros(sum(map(len, t)), column.dtype) for name, column in EVENT_COLUMNS.items()}
    order = np.argsort(np.concatenate(t), kind="stable")
    columns["t"][:] = np.concatenate(t)[order] * 1e6
    for name, parts in (("x", x), ("y", y), ("object_id", object_id)):
        columns[name][:] = np.concatenate(parts)[order]
    objects = np.zeros(1, table_dtype(OBJECT_COLUMNS, "night"))
    objects["object_id"] = 1
    return dataclasses.replace(nights["track"].detections, sensor_size=SIZE, event_columns=columns, objects=objects)


def tracked(velocity, chosen=(0, 2)):
    """Of two of the stars, as their tracks tell."""
    times = np.arange(0.0, SECONDS, 0.5)
    star = np.repeat(np.arange(len(chosen)), len(times))
    pixels = np.concatenate([PLACES[k] + (times - SECONDS / 2)[:, None] * velocity for k in chosen])
    pixels += np.random.default_rng(0).normal(0, 0.3, pixels.shape)
    n = len(star)
    return Stars(star, np.tile(times, len(chosen)) * 1e6, pixels, np.tile(velocity, (n, 1)), np.ones(len(chosen)), np.ones(n))


@pytest.mark.parametrize(("velocity", "follows"), [((0.0, 0.0), True), ((0.5, -0.2), False), ((-2.0, 1.0), False)])
def test_stars_are_found_where_they_are(nights, velocity, follows, monkeypatch):
    monkeypatch.setattr(starlight, "AT_ONCE", 5000)
    velocity = np.array(velocity)
    found = stars_of_events(recording(nights, velocity), tracked(velocity), follows)
    then = found.pixels + (SECONDS / 2 - found.t_us * 1e-6)[:, None] * velocity
    nearest = np.hypot(*(then[:, None] - PLACES).T).T.argmin(1)
    assert sorted(set(nearest)) == list(range(len(PLACES))) and len(found) == len(PLACES)  # neither hot pixel nor object
    assert all(len(set(nearest[found.star == k])) == 1 for k in range(len(found)))
    off = then - PLACES[nearest]
    assert np.sqrt(np.mean((off**2).sum(1))) < 0.6 and 0.5 < np.sqrt(np.mean(off**2 * found.weight[:, None])) < 1.5
    assert max(np.hypot(*off[found.star == k].mean(0)) for k in range(len(found))) < 0.3
    assert np.allclose(found.velocities.mean(0), velocity, atol=0.3)
    order = [int(nearest[found.star == k][0]) for k in np.argsort(-found.brightness)]
    assert order[0] == 0 and order[-1] >= 4


def test_where_they_are_few_those_of_tracks_count(nights):
    one = tracked(np.zeros(2))
    assert stars_of_events(nights["track"].detections, one, False) is one
    assert stars_of_events(nights["track"].detections, one.chosen(np.array([True, False])), False) is not None


def test_long_ways_are_divided(nights, monkeypatch):
    parts = []
    monkeypatch.setattr(starlight, "_of_section", lambda section, *_: parts.append(section) or ())
    velocity = np.array([30.0, 0.0])
    stars_of_events(recording(nights, velocity), tracked(velocity, (1, 3)), False)
    moved = [30 * (part.t_us[-1] - part.t_us[0]) * 1e-6 for part in parts]
    assert len(parts) == 3 and max(moved) < 1.05 * max(SIZE) and sum(len(part.t_us) for part in parts) > 10_000


def test_an_hour_of_stars_that_fly_past_is_laid_on_planes_as_large_as_the_sensor():
    seconds, speed = 3600.0, 12.0
    knots = np.arange(0.0, seconds + 1)
    turns = Rotation.from_rotvec(np.stack([0 * knots, 0 * knots, knots * speed * starlight.PIXEL_RAD], -1))
    t_us = np.arange(0, int(seconds * 1e6), 100_000)
    events = starlight._Events(t_us, *np.zeros((2, len(t_us)), np.int64))
    sections = starlight._sections(events, Followed(knots, turns), (0.0, seconds * 1e6), SIZE)
    assert abs(len(sections) - seconds * speed / max(SIZE)) <= 1 and sum(len(own.t_us) for own, _ in sections) == len(t_us)
    for own, span_us in sections:
        assert span_us[0] <= own.t_us[0] and own.t_us[-1] <= span_us[1]
        drift = starlight.Drift.of(Followed(knots, turns), *span_us, SIZE)
        assert np.allclose(np.linalg.det(drift.matrices[:, :, :2]), 1.0, atol=0.01)
        _, (height, width) = starlight._plane(drift, span_us, SIZE)
        assert max(height, width) < 3 * max(SIZE)
