"""What scenes hold: where satellites enter and how fast they are, how the telescope moves; paths and the time step."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spikeseg.data.recording import SOURCE_OBJECT, SOURCE_STAR
from spikeseg.simulation import scene as scene_module
from spikeseg.simulation.recordings import SimulationConfig, label_points, simulate_scene
from spikeseg.simulation.scene import (
    DIFFICULTIES,
    MARGIN_PX,
    MAX_STEP_PX,
    MAX_STEP_S,
    MIN_RELATIVE_SPEED,
    MODES,
    SATELLITE_SPEED,
    STARE_DRIFT,
    TRACKING_DRIFT,
    TRACKING_RESIDUAL,
    draw_scene,
    positions,
    time_step,
)

SIZE = (240, 180)
DRIFT = {"sidereal": (0.0, 0.0), "stare": STARE_DRIFT, "tracking": TRACKING_DRIFT}


@cache
def scenes(difficulty="medium", seeds=range(6), duration_s=8.0):
    """24 of each seed."""
    configs = [SimulationConfig(duration_s=duration_s, difficulty=difficulty, seed=seed) for seed in seeds]
    return [simulate_scene(config, index) for config in configs for index in range(24)]


def satellites(scene):
    return np.flatnonzero(scene.source == SOURCE_OBJECT)


def labels_of(many):
    """Label points of all scenes on the grid of 0.1 s alone."""
    points = np.concatenate([label_points(scene) for scene in many])
    return points[points["t"] % 100_000 == 0]


def in_view(scene, place, beyond=0.0):
    return np.all((place >= -0.5 - beyond) & (place < np.array(scene.sensor_size) - 0.5 + beyond), axis=-1)


# --- where satellites are ---


def auc_of_nearness(labels):
    """ROC-AUC of nearness to the centre: labels against places that are uniform over the sensor."""
    places = np.random.default_rng(0).uniform(-0.5, np.array(SIZE) - 0.5, (50_000, 2))
    centre = (np.array(SIZE) - 1) / 2
    near = [-np.hypot(*(points - centre).T) for points in (np.stack([labels["x"], labels["y"]], 1), places)]
    return roc_auc_score(np.repeat([1, 0], [len(one) for one in near]), np.concatenate(near))


@pytest.mark.parametrize("difficulty", ["medium", "extreme"])
def test_nearness_to_the_centre_does_not_tell_a_satellite(difficulty):
    """0.75 where paths pass through the middle of the field at a middle time."""
    assert auc_of_nearness(labels_of(scenes(difficulty, range(20)))) == pytest.approx(0.5, abs=0.035)


@pytest.mark.parametrize("speed", [15.0, 60.0])
def test_the_places_of_crossing_satellites_are_uniform_over_the_sensor(speed, monkeypatch):
    """Paths through uniform places alone would lie nearer to the centre: it is crossed from everywhere."""
    monkeypatch.setattr(scene_module, "SATELLITE_SPEED", (speed, speed))
    rng = np.random.default_rng(1)
    many = [draw_scene(rng, "sidereal", 4, 0.1, DIFFICULTIES["easy"], SIZE, 8.0) for _ in range(150)]
    assert auc_of_nearness(labels_of(many)) == pytest.approx(0.5, abs=0.025)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_satellites_enter_and_leave_anywhere_at_any_time(difficulty):
    found = []
    for scene in scenes(difficulty):
        labels = label_points(scene)
        for number in np.unique(labels["id"]):
            mine = labels[labels["id"] == number]
            found.append((mine["t"][0] / 8e6, mine["t"][-1] / 8e6, mine["x"][0], mine["y"][0]))
    first, last, x, y = np.array(found).T
    late = first > 0
    assert late.mean() > 0.25 and (last < 0.99).mean() > 0.25
    assert (late & (last < 0.99)).mean() > 0.1
    assert 0.2 < np.median(first[late]) < 0.8
    gaps = {"left": x < 3, "right": x > SIZE[0] - 5, "top": y < 3, "bottom": y > SIZE[1] - 5}
    assert min(np.sum(side & late) for side in gaps.values()) > 0.05 * late.sum()
    assert np.mean(np.any(list(gaps.values()), axis=0)[late]) > 0.9  # who comes late comes in over the border


@pytest.mark.parametrize("duration_s", [0.1, 2.0, 60.0])
def test_every_satellite_comes_into_view(duration_s):
    for scene in scenes("extreme", range(1), duration_s):
        at = scene.at_s[satellites(scene)]
        for k, t in zip(satellites(scene), at, strict=True):
            assert in_view(scene, positions(scene, np.array([t]), [k])).all()


# --- how fast they are ---


def test_speeds_relative_to_the_stars_go_from_half_a_pixel_to_a_hundred_and_more():
    free = [np.hypot(*scene.velocity[k]) for scene in scenes("medium") for k in satellites(scene) if scene.mode == "sidereal"]
    assert SATELLITE_SPEED[0] <= min(free) < 0.8 and 50 < max(free) <= SATELLITE_SPEED[1]
    assert np.median(free) == pytest.approx(np.sqrt(SATELLITE_SPEED[0] * SATELLITE_SPEED[1]), rel=0.5)
    for difficulty in DIFFICULTIES:
        speeds = np.concatenate([np.hypot(*scene.velocity[satellites(scene)].T) for scene in scenes(difficulty)])
        assert speeds.min() >= MIN_RELATIVE_SPEED, difficulty


def test_while_the_stars_drift_some_satellites_hardly_move_in_the_frame_and_some_hardly_faster_than_stars():
    own, relative = [], []
    for scene in scenes("medium"):
        free = [k for k in satellites(scene) if scene.mode == "stare"]
        own += [np.hypot(*(scene.velocity[k] + scene.field.velocities[0])) for k in free]
        relative += [np.hypot(*scene.velocity[k]) for k in free]
    assert min(own) < 2 and min(relative) < 2 and len(own) > 30
    assert np.mean(np.array(own) < 4) > 0.1 and np.mean(np.array(relative) < 4) > 0.1


def test_the_telescope_follows_the_first_satellite_of_a_tracking_recording():
    for scene in scenes("easy"):
        for k in satellites(scene)[:1]:
            own = np.hypot(*(scene.velocity[k] + scene.field.velocities[0]))
            assert scene.mode != "tracking" or TRACKING_RESIDUAL[0] * 0.999 <= own <= TRACKING_RESIDUAL[1] * 1.001


def test_satellites_vary_in_brightness_and_tumbling():
    contrast, depth = np.array([(s.contrast[k], s.tumble_depth[k]) for s in scenes("medium") for k in satellites(s)]).T
    assert DIFFICULTIES["medium"].contrast[0] <= contrast.min() and contrast.max() > 4 * contrast.min()
    assert 0.2 < (depth == 0).mean() < 0.5 and depth.max() > 0.5


# --- how the telescope moves ---


def test_modes_move_the_stars_as_they_should_and_turns_go_from_one_mode_to_another():
    for scene in [s for name in DIFFICULTIES for s in scenes(name)]:
        stars = scene.source == SOURCE_STAR
        assert not scene.velocity[stars].any() and not scene.bend[stars].any()  # at rest in the sky
        speeds = np.hypot(*scene.field.velocities.T)
        low, high = DRIFT[scene.mode]
        assert low <= speeds[0] <= high and len(speeds) == 1 + len(scene.field.turns_s)
        assert all(any(low <= speed <= high for low, high in DRIFT.values()) for speed in speeds)
        assert (np.diff(scene.field.turns_s) > 0).all() and 1 <= scene.field.turn_takes_s <= 2
    turned = [s for s in scenes("extreme") if len(s.field.turns_s)]
    assert all((np.abs(np.diff(s.field.velocities, axis=0)) > 0).any() for s in turned)
    assert {s.mode for s in turned} == set(MODES)


def test_what_each_difficulty_holds():
    for name, level in DIFFICULTIES.items():
        many = scenes(name)
        rotation = np.degrees([abs(s.field.rotation) for s in many])
        jitter = np.array([np.sqrt(np.sum(s.field.shake_px[1:] ** 2) / 2) for s in many])
        for drawn, (low, high) in ((rotation, level.rotation_deg_s), (jitter, level.jitter_px)):
            assert low <= drawn.min() + 1e-12 and drawn.max() <= high + 1e-12
            assert np.ptp(drawn) >= 0.8 * (high - low)
        clouds = np.array([s.clouds is not None for s in many])
        assert clouds.mean() == pytest.approx(level.clouds, abs=0.1)
        depths = [s.clouds.depth for s in many if s.clouds is not None]
        assert all(level.cloud_depth[0] <= depth <= level.cloud_depth[1] for depth in depths)
        turns = np.mean([len(s.field.turns_s) for s in many])
        assert turns == pytest.approx(level.turns_a_minute * 8 / 60, rel=0.4)
        kind = (rotation.max() > 0, jitter.max() > 0, turns > 0, clouds.any())
        assert kind == ((name in ("hard", "extreme")),) * 4
    assert len({np.sign(s.field.rotation) for s in scenes("extreme")}) == 2


# --- stars ---


@pytest.mark.parametrize(
    ("mode", "difficulty"), [("sidereal", "easy"), ("tracking", "medium"), ("stare", "extreme"), ("tracking", "extreme")]
)
def test_stars_fill_the_view_evenly_at_all_times(mode, difficulty):
    """Also where the telescope has turned to, and the strip around the view."""
    counts, places = [], []
    for seed in range(60):
        scene = draw_scene(np.random.default_rng(seed), mode, 0, 0.1, DIFFICULTIES[difficulty], SIZE, 20.0)
        place = positions(scene, np.linspace(0, 20, 9))
        seen = in_view(scene, place, MARGIN_PX)
        counts.append(seen.sum(1))
        places.append(place[seen])
    counts, places = np.mean(counts, axis=0), np.concatenate(places)
    whole = (SIZE[0] + 2 * MARGIN_PX) * (SIZE[1] + 2 * MARGIN_PX) / (SIZE[0] * SIZE[1])
    np.testing.assert_allclose(counts, 13 / np.log(18 / 5) * whole, rtol=0.25)
    bins = np.histogram2d(*places.T, bins=4, range=[(-10.5, SIZE[0] + 9.5), (-10.5, SIZE[1] + 9.5)])[0]
    assert bins.min() > 0.65 * bins.mean() and bins.max() < 1.35 * bins.mean()


def test_the_number_of_stars_does_not_grow_with_the_square_of_the_path():
    short, long = (
        np.mean(
            [
                len(draw_scene(np.random.default_rng(s), "tracking", 0, 0.1, DIFFICULTIES["easy"], SIZE, t).start)
                for s in range(20)
            ]
        )
        for t in (20.0, 200.0)
    )
    assert 5 < long / short < 12


# --- paths and the time step ---


def test_paths_bend_by_the_formula():
    scene = simulate_scene(SimulationConfig(seed=1), 0)
    n = len(scene.start)
    still = replace(scene.field, velocities=np.zeros((1, 2)), shake_px=np.zeros_like(scene.field.shake_px))
    scene = replace(
        scene,
        field=still,
        start=np.full((n, 2), (5.0, 6.0)),
        velocity=np.full((n, 2), (7.0, -8.0)),
        bend=np.full((n, 2), (2.0, 4.0)),
        at_s=np.full(n, 1.0),
    )
    np.testing.assert_allclose(positions(scene, np.array([1.0, 3.0]))[:, 0], [[5, 6], [5 + 14 + 4, 6 - 16 + 8]])
    np.testing.assert_array_equal(
        positions(scene, np.array([3.0]), np.array([n - 1, 0]))[0, 0], positions(scene, np.array([3.0]))[0, -1]
    )


def test_paths_are_slightly_bent():
    for scene in scenes("medium"):
        bend = np.hypot(*scene.bend[satellites(scene)].T)
        assert (bend > 0).all() and (bend <= 0.02 * SATELLITE_SPEED[1]).all()


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_nothing_near_the_view_moves_further_than_the_largest_step(difficulty):
    for scene in scenes(difficulty)[:24]:
        dt = time_step(scene)
        assert dt <= MAX_STEP_S
        t = np.arange(0, 8, dt)
        place = positions(scene, t)
        moved = np.hypot(*np.moveaxis(np.diff(place, axis=0), -1, 0))
        assert moved[in_view(scene, place, MARGIN_PX)[1:]].max(initial=0) <= MAX_STEP_PX * (1 + 1e-9)
    none = draw_scene(np.random.default_rng(0), "stare", 0, 0.1, DIFFICULTIES["easy"], SIZE, 1.0)
    assert (
        time_step(replace(none, start=none.start[:0], velocity=none.start[:0], bend=none.start[:0], at_s=np.zeros(0)))
        == MAX_STEP_S
    )
