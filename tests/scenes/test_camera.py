"""The camera's motion, and what it explains: points of a scene seen from a camera that pans, turns, zooms, shakes or stands."""

import numpy as np
import pytest

from spikeseg.scenes import camera
from spikeseg.scenes.camera import CameraMotion, camera_motion
from spikeseg.scenes.camera_background import background_events
from spikeseg.scenes.camera_tiles import Events, Tiles

SIZE = (160, 120)


def filmed(seed, path, *, size=SIZE, seconds=1.0, points=9000, rate_hz=30.0):
    """t, x, y, on of points that send at a steady rate, each of one polarity.

    path(times (n,), places (n, 2)): where the places of the scene, from the sensor's centre, lie at these times."""
    rng = np.random.default_rng(seed)
    half, n = np.array(size) / 2, rng.poisson(points * rate_hz * seconds)
    which, t = rng.integers(0, points, n), np.sort(rng.random(n) * seconds)
    scene = rng.uniform(-3, 3, (points, 2)) * half
    polarity = rng.random(points) < 0.5
    at = np.floor(path(t, scene[which]) + half).astype(int)
    seen = np.all((at >= 0) & (at < size), axis=1)
    return t[seen], at[seen, 0], at[seen, 1], polarity[which][seen]


def pan(*velocity):
    return lambda t, places: places + t[:, None] * velocity


def noise(seed, *, size=SIZE, seconds=1.0, hz=1.0):
    rng = np.random.default_rng(seed)
    n = rng.poisson(hz * seconds * size[0] * size[1])
    return np.sort(rng.random(n) * seconds), rng.integers(0, size[0], n), rng.integers(0, size[1], n), rng.random(n) < 0.5


def disc(seed, start, velocity, *, radius=12.0, size=SIZE, seconds=1.0, rate_hz=60.0):
    """A textured disc: events a pixel and second."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(np.pi * radius**2 * rate_hz * seconds)
    spots = rng.uniform(-radius, radius, (400, 2))
    spots = spots[np.hypot(*spots.T) < radius]
    t, which = np.sort(rng.random(n) * seconds), rng.integers(0, len(spots), n)
    at = np.floor(np.array(start) + t[:, None] * velocity + spots[which]).astype(int)
    seen = np.all((at >= 0) & (at < size), axis=1)
    return t[seen], at[seen, 0], at[seen, 1], (which % 2 == 0)[seen]


def joined(*parts):
    """All events in order, and the part of each."""
    source = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    t, x, y, on = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(t, kind="stable")
    return (t[order], x[order], y[order], on[order]), source[order]


def motion_of(events, size=SIZE):
    t, x, y, on = events
    return camera_motion(t, x, y, size, on)


# -- the motion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("velocity", [(8.0, 0.0), (-30.0, 20.0), (0.0, 60.0), (250.0, -120.0)])
def test_a_pan_is_measured(velocity):
    rate_hz = max(30.0, np.hypot(*velocity) / 2)
    motion = motion_of(joined(filmed(1, pan(*velocity), rate_hz=rate_hz, seconds=0.5), noise(2, seconds=0.5))[0])
    assert not motion.still and motion.moving.all()
    np.testing.assert_allclose(np.median(motion.velocity, axis=0), velocity, rtol=0.06, atol=1.0)


def test_binned_sensors_measure_the_same():
    size = (640, 480)
    motion = motion_of(filmed(1, pan(-60.0, 25.0), size=size, points=60_000), size)
    np.testing.assert_allclose(np.median(motion.velocity, axis=0), (-60, 25), rtol=0.05, atol=1.0)


@pytest.mark.parametrize("rates", [[[0.0, -0.5], [0.5, 0.0]], [[0.4, 0.0], [0.0, 0.4]]])
def test_turning_and_approaching_cameras(rates):
    matrix = np.array(rates)

    def path(t, places):
        steps = np.linspace(0, 1, 101)
        grown = [np.eye(2)]
        for _ in steps[1:]:
            grown.append(grown[-1] + 0.01 * matrix @ grown[-1])
        return np.einsum("nij,nj->ni", np.array(grown)[np.clip((t * 100).astype(int), 0, 100)], places)

    motion = motion_of(filmed(3, path))
    assert not motion.still
    measured = np.median(motion.rates[motion.moving], axis=0)
    np.testing.assert_allclose(measured[:, :2], matrix, atol=0.08)
    np.testing.assert_allclose(measured[:, 2], 0, atol=2.0)


@pytest.mark.parametrize(
    "parts",
    [
        [noise(1, hz=3.0)],
        [disc(2, (40, 60), (60, 0), radius=30), disc(3, (120, 60), (-40, 10), radius=30), noise(1, hz=0.3)],
        [disc(2, (10, 60), (100, 0), radius=36, rate_hz=200)],
        [filmed(4, pan(0.0, 0.0)), disc(5, (20, 60), (150, 0), radius=25)],
        [filmed(4, pan(0.0, 0.0), points=40), disc(5, (50, 60), (60, 0), radius=48)],
    ],
    ids=["noise", "two large objects", "one alone", "before a scene of hot pixels", "before a few"],
)
def test_a_still_camera_is_still(parts):
    events, _ = joined(*parts)
    motion = motion_of(events)
    assert motion.still and motion.spans() == []
    assert not background_events(*events, motion).any()


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_where_too_few_tiles_have_events_no_motion_is_looked_for(radius, monkeypatch):
    t, x, y, on = disc(2, (70, 60), (40, 0), radius=radius, rate_hz=300)
    events, tiles = Events(t, x, y, on), Tiles.of(SIZE)
    looks = list(camera._looks(events, tiles))
    supports = [step.support for _, _, step in looks]
    assert 0 < max(supports) <= tiles.heard(events) < camera.MOVES and len(looks) > 3
    motion = motion_of((t, x, y, on))
    monkeypatch.setattr(Tiles, "heard", lambda *_: 1.0)
    assert motion.still and motion_of((t, x, y, on)).still and len(motion.times_s) == 1 < len(motion_of((t, x, y, on)).times_s)


def test_all_tiles_of_a_scene_have_events():
    assert Tiles.of(SIZE).heard(Events(*filmed(4, pan(8.0, 0.0)))) == 1


def test_a_camera_that_stops():
    def path(t, places):
        return places + np.minimum(t, 1.0)[:, None] * (40.0, 0.0)

    motion = motion_of(joined(filmed(1, path, seconds=2.0), noise(2, seconds=2.0))[0])
    assert motion.moving[motion.times_s < 0.8].all() and not motion.moving[motion.times_s > 1.3].any()
    (begin, end), *others = motion.spans()
    assert begin == -np.inf and 0.8 < end < 1.3 and not others


def test_polarity_is_not_needed_where_the_scene_is_sharp():
    t, x, y, _ = filmed(1, pan(-30.0, 20.0))
    motion = camera_motion(t, x, y, SIZE)
    np.testing.assert_allclose(np.median(motion.velocity, axis=0), (-30, 20), atol=2.0)


def test_the_frame_follows_a_point():
    motion = motion_of(filmed(1, pan(-30.0, 20.0)))
    frame = motion.frame(np.linspace(0.2, 0.7, 51), 10)
    np.testing.assert_allclose(frame[10], [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(frame[50] @ [5, 5, 1], (5 - 30 * 0.4, 5 + 20 * 0.4), atol=1.0)


@pytest.mark.parametrize("number", [0, 1, 2, 50])
def test_hardly_any_events(number):
    events = tuple(column[:number] for column in noise(1))
    motion = motion_of(events)
    assert motion.still and not background_events(*events, motion).any()
    assert background_events(*events, motion).shape == (number,)


# -- what it explains ---------------------------------------------------------------------------------


@pytest.mark.parametrize("velocity", [(-30.0, 20.0), (80.0, 0.0)])
def test_a_scene_is_explained_and_an_object_is_not(velocity):
    seconds = 2.0
    thing = disc(2, (60, 20), (20, 40), seconds=seconds, rate_hz=150)
    events, source = joined(filmed(1, pan(*velocity), seconds=seconds), thing, noise(3, seconds=seconds))
    explained = background_events(*events, motion_of(events))
    assert explained[source == 0].mean() > 0.93 and explained[source == 1].mean() < 0.03
    again = background_events(*events, motion_of(events))
    np.testing.assert_array_equal(explained, again)


def test_a_shaken_camera():
    """Its motion turns back; over a second its errors would add up to more than a place."""

    def path(t, places):
        angle = 0.15 * np.sin(2 * np.pi * t)
        cos, sin = np.cos(angle), np.sin(angle)
        turned = np.stack([cos * places[:, 0] - sin * places[:, 1], sin * places[:, 0] + cos * places[:, 1]], 1)
        return turned + 15 * np.stack([np.sin(2 * np.pi * 1.3 * t), np.cos(2 * np.pi * 0.9 * t)], 1)

    events = filmed(5, path, seconds=2.0)
    motion = motion_of(events)
    assert background_events(*events, motion).mean() > 0.9


def test_a_place_that_shows_up_late_is_explained_to_the_end():
    """Events at the edges of the sensor as the recording begins and ends, too."""
    events, _ = joined(filmed(1, pan(60.0, 0.0)))
    t, x = events[:2]
    explained = background_events(*events, motion_of(events))
    edge = (x > SIZE[0] - 8) & (t < 0.15) | (x < 8) & (t > 0.85)
    assert edge.sum() > 100 and explained[edge].mean() > 0.8


def lamp(rate_hz, corner=(100, 80), side=8, *, seconds=1.0, seed=6, spread=1 / 20, steps=(0.0,)):
    """Every pixel turns ON and OFF once a period, at a phase of its own within a spread of the period, by events so many periods
    later."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, spread, side * side)
    period = np.arange(int(seconds * rate_hz))
    turns = np.add.outer(np.array([0.1, 0.6]), steps)
    when = (period[:, None, None, None] + phase[:, None, None] + turns) / rate_hz
    when = when + rng.normal(0, 2e-4, when.shape)
    pixel = np.broadcast_to(np.arange(side * side)[:, None, None], when.shape)
    on = np.broadcast_to(np.array([True, False])[:, None], when.shape)
    t, pixel, on = when.ravel(), pixel.ravel(), on.ravel()
    order = np.argsort(t, kind="stable")
    return t[order], pixel[order] % side + corner[0], pixel[order] // side + corner[1], on[order]


@pytest.mark.parametrize("rate_hz", [50.0, 60.0, 100.0, 120.0])
def test_lamps_are_explained(rate_hz):
    events, source = joined(lamp(rate_hz), disc(2, (20, 40), (100, 0)), noise(3))
    motion = motion_of(events)
    explained = background_events(*events, motion)
    assert motion.still
    assert explained[source == 0].mean() > 0.97 and explained[source == 1].mean() < 0.01 and explained[source == 2].mean() < 0.02


def test_pixels_of_a_lamp_that_send_for_a_while():
    """As those do that the lamp takes just across their thresholds, and all as a recording begins. Elsewhere they are no lamp."""
    t, x, y, _ = whole = lamp(100.0, (60, 40), 20)
    inside = (x >= 70) & (x < 78) & (y >= 44) & (y < 52)
    lasting, brief = (tuple(part[which] for part in whole) for which in (~inside, inside & (t < 0.15)))
    events, source = joined(lasting, brief, noise(3))
    assert background_events(*events, motion_of(events))[source == 1].mean() > 0.95
    alone, _ = joined(brief, noise(3))
    assert not background_events(*alone, motion_of(alone)).any()


def test_a_lamp_of_half_the_rate_that_sends_several_events_a_turn():
    """Spread over a quarter of its period they keep its phase, not that of the full rate."""
    events, _ = joined(lamp(50.0, steps=(0.0, 0.065, 0.13, 0.195), spread=0.01), noise(3))
    x, y = events[1:3]
    there = (x >= 100) & (x < 108) & (y >= 80) & (y < 88)
    assert background_events(*events, motion_of(events))[there].mean() > 0.97


def test_what_passes_before_a_lamp_stays():
    """It hides the lamp where it is."""
    t, x, y, on = lamp(100.0, (60, 40), 20)
    seen = np.hypot(x - 20 - 100 * t, y - 50) > 12
    events, source = joined((t[seen], x[seen], y[seen], on[seen]), disc(2, (20, 50), (100, 0), rate_hz=150), noise(3))
    explained, (x, y) = background_events(*events, motion_of(events)), events[1:3]
    before = (source == 1) & (x >= 60) & (x < 80) & (y >= 40) & (y < 60)
    assert before.sum() > 1000 and explained[before].mean() < 0.3
    assert explained[(source == 0) & (events[0] < 0.1)].mean() > 0.95  # before it comes


def test_a_lamp_on_mains_that_drift():
    events, source = joined(lamp(100.1), noise(3))
    assert background_events(*events, motion_of(events))[source == 0].mean() > 0.95


@pytest.mark.parametrize("rate_hz", [30.0, 43.0, 87.0])
def test_other_rates_are_no_lamps(rate_hz):
    """As of a propeller that hovers."""
    events, source = joined(lamp(rate_hz), noise(3))
    assert background_events(*events, motion_of(events))[source == 0].mean() < 0.02


def test_a_large_slow_object_before_a_still_camera_is_left_alone():
    """It stays at its places for longer than the recording lasts."""
    events, _ = joined(disc(2, (80, 60), (10, 0), radius=30), noise(3))
    motion = motion_of(events)
    assert motion.still and not background_events(*events, motion).any()


@pytest.mark.parametrize("moving", [(True, True), (False, True), (False, False)])
def test_a_place_of_the_scene_settles_where_it_was(moving):
    """The scene turns, grows and goes to the right, from the start or in the second half."""
    size, t_s = (101, 81), np.linspace(0, 1, 2001)
    rates = np.tile(np.array([[0.2, -1.0, 30.0], [1.0, 0.2, 0.0]]), (4, 1, 1))
    motion = CameraMotion(size, np.array([0.2, 0.4, 0.6, 0.8]), rates, np.repeat(moving, 2), np.ones(4))
    begins = 0.0 if moving[0] else 0.5 if moving[1] else 2.0
    since = np.clip(t_s - begins, 0, None)[:, None]
    spin = np.exp((0.2 + 1j) * since[:, 0])  # of dz/dt = (0.2 + 1j) z + 30
    z = spin * (10 + 5j) + 30 * (spin - 1) / (0.2 + 1j)
    places = np.stack([50 + z.real, 40 + z.imag], 1)
    settled = motion.settled(t_s, places)
    assert settled == pytest.approx(np.tile([60.0, 45.0], (len(t_s), 1)), abs=0.05)
    assert motion.settled(t_s, np.add(places, (8, 0)))[0] == pytest.approx([68, 45])
