"""Which events stars explain, and what they hide."""

from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.motion.events import events_of, index_of
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.frame import Frame
from spikeseg.motion.line_kernels import LINE, reach_of
from spikeseg.motion.star_motion import Told
from spikeseg.motion.stars import _moving_alike, find_stars
from spikeseg.tracking.star_field import StarField

SIZE, SECONDS = (120, 90), 8.0
OBJECTS = [(20.0, 20.0, 12.0, 5.0, 12.0), (90.0, 60.0, -6.0, -8.0, 30.0)]


@pytest.mark.parametrize(
    ("velocity", "stars", "least"),
    [((0, 0), 15, 0.9), ((0, 0), 3, 0.95), ((16, 0), 15, 0.9), ((-11, 11), 6, 0.85), ((60, 0), 15, 0.88), ((-42, 42), 15, 0.75)],
)
@pytest.mark.parametrize("error", [0.0, 0.3])
def test_stars_are_explained_and_objects_are_not(skies, velocity, stars, least, error):
    """Also where the velocity of the field is not quite known."""
    rows = skies.star_rows(1, stars, velocity)
    sky = skies.sky(1, rows + OBJECTS)
    found, events = skies.stars(sky, skies.frame((velocity[0] + error, velocity[1])))
    of_star, of_object = (sky.source >= 0) & (sky.source < len(rows)), sky.source >= len(rows)
    assert found.explained[of_star].mean() > least and found.explained[of_object].mean() < 0.15
    assert found.explained[sky.source < 0].mean() < 1.3 * found.share + 0.005
    assert np.array_equal(events.owner != 0, found.explained)
    (span,) = found.spans
    assert span.known and np.abs(span.velocity - (-error, 0)).max() < 0.3
    assert np.abs(span.at(np.array([[60.0, 45.0]]))[0] - (-error, 0)).max() < 0.3


def test_how_well_the_stars_motion_is_known_follows_from_their_lines(skies):
    """Stars that stray by a seventh of a pixel a second tell their motion less well than those that do not; what moves among them
    does not count."""
    middle, rows = np.array([[60.0, 45.0]]), skies.star_rows(6, 16, rates=(60.0, 100.0))
    astray = [(x, y, vx + 0.15 * np.cos(k), vy + 0.15 * np.sin(k), rate) for k, (x, y, vx, vy, rate) in enumerate(rows)]
    firm, loose = (skies.stars(skies.sky(6, own + OBJECTS))[0].spans[0] for own in (rows, astray))
    assert firm.known and loose.known
    assert np.hypot(*firm.at(middle)[0]) < firm.error(middle) < 0.06 and np.hypot(*loose.at(middle)[0]) < loose.error(middle)
    assert 0.2 < loose.error(middle) < 0.6


def test_noise_does_not_tell_how_stars_move(skies):
    """Where noise is five times as dense as elsewhere, many places seem to be stars: two stars and an object that creeps are all
    there is to go by."""
    rows = [(30.0, 30.0, 0.0, 0.0, 40.0), (80.0, 60.0, 0.0, 0.0, 40.0), (60.0, 20.0, 0.9, 0.4, 60.0)]
    rng, sky = np.random.default_rng(11), skies.sky(11, rows)
    n = rng.poisson(0.4 * 20 * 90 * SECONDS)
    more = (rng.uniform(0, SECONDS, n), rng.integers(100, 120, n), rng.integers(0, 90, n), rng.random(n) < 0.5, np.full(n, -1))
    joint = [np.concatenate(pair) for pair in zip(sky[:5], more, strict=True)]
    found, _ = skies.stars(type(sky)(*(column[np.argsort(joint[0])] for column in joint), sky.size))
    assert not found.spans[0].known and found.spans[0].stars == 2


@pytest.mark.parametrize(("velocity", "expected"), [((16.0, 0.0), [20, 80]), ((0.0, 0.0), [80])])
def test_what_may_be_noise_is_a_star_only_if_it_moves_as_the_field_does(skies, velocity, expected):
    """How a field that drifts does move is less well known than that one rests."""
    view = SimpleNamespace(frame=skies.frame(velocity), times=np.array([0.0, SECONDS]), sensor_size=SIZE, corner=np.zeros(2))
    lines = np.array([(x, 30.0, vx, 0.0, 5.0, 0.0, SECONDS, 3.0, 40.0) for x, vx in ((20, 0.45), (50, 0.45), (80, 0.1))])
    told = Told.by_lines(lines, view.corner)._replace(nats=np.array([50.0, 5.0, 5.0]))
    span, stars = _moving_alike(view, lines, told, True)
    assert [line[0] for line in stars] == expected and not span.known and span.stars == len(expected) - 1


def test_a_star_that_the_edge_cuts_off_does_not_tell_how_stars_move(skies):
    rows = [(x, 88.0, 0.0, 0.5, 60.0) for x in (10.0, 30.0, 50.0, 70.0, 100.0)]
    inside = [(20.0, 20.0, 0.0, 0.5, 30.0), (60.0, 40.0, 0.0, 0.5, 30.0), (90.0, 30.0, 0.0, 0.5, 30.0)]
    (span,) = skies.stars(skies.sky(12, rows + inside))[0].spans
    assert span.known and np.abs(span.velocity - (0.0, 0.5)).max() < 0.08 and span.stars == 3


@pytest.mark.parametrize("stars", [0, 1, 2])
def test_few_stars_are_explained_too(skies, stars):
    sky = skies.sky(2, [*skies.star_rows(3, stars), *OBJECTS])
    found, _ = skies.stars(sky)
    of_star, of_object = (sky.source >= 0) & (sky.source < stars), sky.source >= stars
    assert found.explained[of_object].mean() < 0.1 and not found.spans[0].known
    if stars:
        assert found.explained[of_star].mean() > 0.9
    else:
        assert found.share < 0.01 and found.explained.mean() < 0.01


def test_a_slow_object_among_stars_is_left(skies):
    rows = skies.star_rows(4, 8)
    sky = skies.sky(4, [*rows, (60.0, 45.0, 1.2, 0.9, 30.0)])
    found, _ = skies.stars(sky)
    assert found.explained[sky.source == len(rows)].mean() < 0.2
    assert found.explained[(sky.source >= 0) & (sky.source < len(rows))].mean() > 0.9


def test_what_rests_on_the_sensor_is_left_where_the_stars_drift(skies):
    rows = skies.star_rows(5, 8, (16.0, 0.0))
    sky = skies.sky(5, [*rows, (60.0, 45.0, 0.0, 0.0, 30.0)])
    found, _ = skies.stars(sky, skies.frame((16.0, 0.0)))
    assert found.explained[sky.source == len(rows)].mean() < 0.2


@pytest.mark.parametrize(("spread", "is_star"), [(0.0, False), (1.0, True)])
def test_a_warm_pixel_is_no_star(skies, spread, is_star):
    """As many events at each of nine pixels, or spread as those of points."""
    rng, sky, n = np.random.default_rng(6), skies.sky(6, []), 9 * 80
    pixels = [(x, y) for x in (20, 50, 90) for y in (15, 40, 70)]
    place = np.rint(rng.standard_normal((n, 2)) * spread + np.tile(pixels, (80, 1))).astype(np.int64)
    more = (rng.random(n) * SECONDS, *place.T, np.ones(n, bool), np.zeros(n, np.int64))
    joint = [np.concatenate(pair) for pair in zip(sky[:5], more, strict=True)]
    order = np.argsort(joint[0], kind="stable")
    t, x, y, on, source = (column[order] for column in joint)
    events = events_of(t, x, y, on, np.full(len(t), 0.1))
    found = find_stars(events, SIZE, skies.frame(), Footprint.point().table(SIZE))
    assert found.explained[source == 0].mean() > 0.9 if is_star else not found.explained.any()


@pytest.mark.parametrize(
    ("beside", "alone", "low", "high"), [(0, False, 3, 6), (0, True, 3, 6), (1, False, 8, 12), (1, True, 3, 6)]
)
def test_a_star_reaches_no_further_than_to_what_is_brighter_beside_it(skies, beside, alone, low, high):
    sky = skies.sky(9, [(60.0, 45.0, 0.0, 0.0, 100.0), (60.0, 52.0, 0.0, 0.0, 900.0 * beside)])
    events = events_of(*sky[:4], np.full(len(sky.t), 0.1))
    line, scratch = np.zeros(LINE), np.empty(40000, np.int64)
    line[:2], line[4], line[6] = (60.0, 45.0), 100.0, SECONDS
    reach = reach_of(events, index_of(events, SIZE), 0, 0.0, Footprint.point().table(SIZE), line, alone, scratch)
    assert low <= reach <= high


@pytest.mark.parametrize("velocity", [(0.0, 0.0), (12.0, -5.0)])
def test_stars_hide_what_is_behind_them(skies, velocity):
    places = [(30.0, 60.0), (70.0, 50.0), (50.0, 75.0), (15.0, 85.0)]
    sky = skies.sky(7, [(*place, *velocity, 60.0) for place in places])
    found, _ = skies.stars(sky, skies.frame(velocity))
    sight = found.sight
    assert sight.visible.shape[1:] == SIZE[::-1] and set(np.unique(sight.visible)) == {0, 1}
    hidden = sight.visible[sight.frame] == 0
    for tick, frame in enumerate(hidden):
        middle = sight.start_s + (tick + 0.5) * sight.tick_s
        y, x = np.indices(frame.shape)
        away = np.full(frame.shape, np.inf)
        for place in places:
            px, py = np.array(place) + np.array(velocity) * min(middle, SECONDS)
            away = np.minimum(away, np.hypot(x - px, y - py))
        assert frame[away <= 2].all() and not frame[away > 9].any()
    assert hidden.mean() == pytest.approx(found.share)


def test_a_turning_field_is_known_by_its_stars(skies):
    """They stand for a rotation of 0.02 rad/s about the middle, by velocities that hardly change in 8 s."""
    rng = np.random.default_rng(8)
    places = np.stack([rng.uniform(5, 115, 14), rng.uniform(5, 85, 14)], 1)
    away = places - np.array([60, 45])
    rows = [(x, y, -0.02 * dy, 0.02 * dx, 60.0) for (x, y), (dx, dy) in zip(places, away, strict=True)]
    sky = skies.sky(8, rows)
    found, _ = skies.stars(sky)
    assert found.spans[0].turn == pytest.approx(0.02, abs=0.004) and np.abs(found.spans[0].velocity).max() < 0.2
    assert found.explained[sky.source >= 0].mean() > 0.85


def test_long_recordings_are_looked_at_in_spans(skies):
    sky = skies.sky(9, skies.star_rows(9, 4, size=(60, 50), seconds=20.0), size=(60, 50), seconds=20.0)
    found, _ = skies.stars(sky)
    assert len(found.spans) > 1 and found.explained[sky.source >= 0].mean() > 0.85
    edges = [(span.start_s, span.end_s) for span in found.spans]
    assert edges[0][0] == sky.t[0] and edges[-1][1] == sky.t[-1]
    assert all(before[1] == after[0] for before, after in zip(edges[:-1], edges[1:], strict=True))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_hardly_any_events(skies, n):
    sky = skies.sky(10, [])
    few = type(sky)(*(column[:n] for column in sky[:5]), sky.size)
    found, _ = skies.stars(few)
    assert found.explained.shape == (n,) and not found.explained.any() and found.share == 0
    assert found.sight.visible.shape[1:] == SIZE[::-1] and found.sight.visible.all()


def test_a_star_hides_nothing_in_a_span_in_which_it_is_gone():
    rng, size = np.random.default_rng(3), (40, 30)
    noise, star = 4000, 800
    t = np.concatenate([rng.uniform(0, 16, noise), rng.uniform(0, 8, star)])
    x = np.concatenate([rng.integers(0, 40, noise), np.rint(20 + rng.normal(0, 1, star))]).astype(np.int64)
    y = np.concatenate([rng.integers(0, 30, noise), np.rint(15 + rng.normal(0, 1, star))]).astype(np.int64)
    order = np.argsort(t)
    events = events_of(t[order], x[order], y[order], rng.random(len(t)) < 0.5, np.full(len(t), noise / 16 / 1200))
    frame = Frame.of(StarField.still(), (0.0, 16.0), size)
    sight = find_stars(events, size, frame, Footprint.point().table(size)).sight
    visible = sight.visible[sight.frame][:, 15, 20]
    middle = sight.start_s + (np.arange(len(visible)) + 0.5) * sight.tick_s
    assert not visible[middle < 7.5].any() and visible[middle > 8.5].all()
