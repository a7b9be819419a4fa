"""The physics: one source whose path and brightness are known, over pixels whose thresholds are known."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.data.recording import SOURCE_OBJECT, SOURCE_STAR
from spikeseg.simulation import pixels as simulate_pixels
from spikeseg.simulation.field_motion import Clouds, FieldMotion
from spikeseg.simulation.pixels import Pixels, Sensor, source_events
from spikeseg.simulation.scene import Scene, brightness, positions, time_step

EVEN = Sensor(threshold_std=0.0, photoreceptor_s=1e-6, refractory_us=0)


STILL = FieldMotion(
    velocities=np.zeros((1, 2)),
    turns_s=np.zeros(0),
    turn_takes_s=1.0,
    rotation=0.0,
    pivot=np.zeros(2),
    shake_px=np.zeros(1),
    shake_hz=np.ones(1),
    shake_phase=np.zeros((1, 2)),
)


def swaying(px):
    return replace(STILL, shake_px=np.array([px]))


def scene_of(paths, contrast, duration_s=1.0, size=(40, 20), **changes):
    """Steady sources (x, y, vx, vy) over an even sky, positions at t = 0."""
    paths, n = np.array(paths, float).reshape(-1, 4), len(paths)
    zeros = np.zeros(n)
    fields = {
        "mode": "stare",
        "sensor_size": size,
        "duration_s": duration_s,
        "noise_hz": 1.0,
        "sky": np.ones(size[::-1]),
        "sigma_px": 1.0,
        "field": STILL,
        "clouds": None,
        "start": paths[:, :2],
        "velocity": paths[:, 2:],
        "bend": np.zeros((n, 2)),
        "at_s": zeros,
        "contrast": np.array(contrast, float).reshape(-1),
        "twinkle_std": 0.0,
        "twinkle_s": 0.05,
        "tumble_hz": zeros,
        "tumble_depth": zeros,
        "tumble_phase": zeros,
        "source": np.full(n, SOURCE_OBJECT, np.int8),
        "object_id": np.arange(1, n + 1, dtype=np.int32),
    }
    return Scene(**{**fields, **changes})


def events_of(scene, sensor=EVEN, seed=0):
    return np.sort(source_events(scene, sensor, np.random.default_rng(seed)), order=["t", "y", "x"])


@pytest.mark.parametrize("contrast", [0.5, 3.0, 30.0])
def test_a_passing_source_makes_as_many_events_as_thresholds_fit_into_its_rise_and_fall(contrast, monkeypatch):
    monkeypatch.setattr(simulate_pixels, "START_SPREAD", 0.0)
    scene = scene_of([(-8, 10, 60, 0)], [contrast])
    found, path = events_of(scene), -8 + 60 * np.arange(0, 1, time_step(scene))
    seen = 0
    for y in range(20):
        for x in range(5, 35):  # the source comes from afar and goes afar
            far = np.abs(path - x).min() ** 2 + (y - 10) ** 2
            fits = int(np.log1p(contrast * np.exp(-far / 2)) / EVEN.threshold)
            here = found[(found["x"] == x) & (found["y"] == y)]["p"]
            assert here.sum() == fits and fits - 1 <= (~here).sum() <= fits  # the last one only as the light vanishes
            assert (np.diff(here.astype(int)) <= 0).all()  # first all ON, then all OFF
            seen += fits
    assert seen > 50


def test_pixels_start_anywhere_between_two_thresholds():
    """A rise that is too small for an event in a fresh pixel makes one in a share of the pixels."""
    found = events_of(scene_of([(-8, 10, 60, 0)], [np.expm1(0.1)]))
    fired = len(set(found[found["p"] & (found["y"] == 10)]["x"])) / 40
    assert 0.1 < fired < 0.6


def test_event_times_are_those_at_which_the_light_passes_the_thresholds():
    speed, contrast, x = 25.0, 4.0, 20
    found = events_of(scene_of([(-8, 10, speed, 0)], [contrast], duration_s=2.0))
    rise = found[(found["x"] == x) & (found["y"] == 10) & found["p"]]["t"] / 1e6
    level = np.log1p(contrast * np.exp(-((rise * speed - 8 - x) ** 2) / 2))
    assert len(rise) >= 7
    np.testing.assert_allclose(np.diff(level), EVEN.threshold, atol=0.01)
    assert len(np.unique(rise % time_step(scene_of([(0, 0, speed, 0)], [1])))) == len(rise)  # not on the steps


def test_on_events_lead_and_off_events_trail():
    for vx, vy in [(30, 0), (0, -15), (-80, 60)]:
        path = (20 - vx / 2, 10 - vy / 2, vx, vy)
        found = events_of(scene_of([path], [5.0]), Sensor(refractory_us=0))
        t = found["t"] / 1e6
        ahead = ((found["x"] - path[0] - vx * t) * vx + (found["y"] - path[1] - vy * t) * vy) / np.hypot(vx, vy)
        on, off = ahead[found["p"]], ahead[~found["p"]]
        assert len(on) > 50 and len(off) > 50
        assert np.median(on) > 0.5 and np.median(off) < -0.5
        assert (on > -0.6).mean() > 0.95 and (off < 0.3).mean() > 0.95


def test_slow_pixels_trail_behind_by_speed_times_their_time_constant():
    scene = scene_of([(-8, 10, 50, 0)], [5.0])
    gap = [
        (found["x"] - (50 * found["t"] / 1e6 - 8))[np.abs(found["x"] - 20) < 12].mean()
        for found in (events_of(scene), events_of(scene, replace(EVEN, photoreceptor_s=0.01)))
    ]
    assert gap[1] - gap[0] == pytest.approx(-50 * 0.01, abs=0.15)


def test_a_steady_still_source_is_silent_and_a_swaying_or_flickering_one_is_not():
    still = scene_of([(20.3, 10.1, 0, 0)], [8.0])
    assert len(events_of(still)) == 0
    assert len(events_of(replace(still, field=swaying(0.5)))) > 20
    assert len(events_of(replace(still, twinkle_std=0.2))) > 20
    tumbling = events_of(replace(still, tumble_hz=np.array([2.0]), tumble_depth=np.array([0.8])))
    assert len(tumbling) > 20 and 0.4 < tumbling["p"].mean() < 0.6


def test_a_scene_without_sources_is_silent():
    assert len(events_of(scene_of([], []))) == 0


def test_sub_pixel_steps_leave_no_gap_at_any_speed():
    for speed in (3.0, 120.0):
        found = events_of(scene_of([(-4, 10, speed, 0)], [2.0], duration_s=48 / speed))
        assert set(found[found["p"] & (found["y"] == 10)]["x"]) == set(range(40))


def test_faint_sources_and_high_thresholds_make_fewer_events():
    path = [(-8, 10, 60, 0)]
    counts = [len(events_of(scene_of(path, [c]))) for c in (0.3, 1.0, 3.0, 10.0)]
    assert counts == sorted(counts) and counts[0] < counts[-1] / 10
    assert len(events_of(scene_of(path, [3.0]), replace(EVEN, threshold=0.4))) < 0.6 * counts[2]


def test_light_over_a_bright_sky_counts_less():
    dark = scene_of([(-8, 10, 60, 0)], [3.0])
    assert len(events_of(replace(dark, sky=np.full((20, 40), 4.0)))) < 0.6 * len(events_of(dark))


def test_thresholds_differ_from_pixel_to_pixel():
    scene, sensor = scene_of([(0, 0, 1, 0)], [1.0]), Sensor()
    pixels = Pixels(scene, sensor, 0.004, 3, np.random.default_rng(0))
    for drawn in (pixels.on, pixels.off):
        assert drawn.mean() == pytest.approx(sensor.threshold, rel=0.02)
        assert drawn.std() == pytest.approx(sensor.threshold_std, rel=0.1)
    assert np.corrcoef(pixels.on, pixels.off)[0, 1] == pytest.approx(0, abs=0.1)
    wild = Pixels(scene, replace(sensor, threshold_std=1.0), 0.004, 3, np.random.default_rng(0))
    assert wild.on.min() == pytest.approx(0.25 * sensor.threshold)


def test_events_are_put_down_to_the_source_that_lights_them():
    kinds = np.array([SOURCE_STAR, SOURCE_OBJECT], np.int8)
    scene = scene_of([(-8, 5, 50, 0), (-8, 15, 50, 0)], [3.0, 3.0], source=kinds, object_id=np.array([0, 1], np.int32))
    found = events_of(scene)
    assert np.array_equal(found["source"] == SOURCE_OBJECT, found["y"] > 10)
    assert np.array_equal(found["object_id"] == 1, found["y"] > 10)
    bright = events_of(replace(scene, contrast=np.array([20.0, 0.5])))
    assert (bright[bright["y"] == 10]["object_id"] == 0).all()  # midway, the brighter one's light


def test_lights_of_overlapping_sources_add(monkeypatch):
    monkeypatch.setattr(simulate_pixels, "START_SPREAD", 0.0)
    path = (-8, 10, 60, 0)
    one, two = events_of(scene_of([path], [3.0])), events_of(scene_of([path, path], [1.5, 1.5]))
    assert len(one) > 100 and np.array_equal(one[["t", "x", "y", "p"]], two[["t", "x", "y", "p"]])


def test_sources_out_of_view_light_the_border_only():
    inside = scene_of([(-8, -1.5, 60, 0)], [10.0])
    found = events_of(inside)
    assert len(found) and found["y"].max() < 5 and found["x"].min() >= 0 and found["y"].min() >= 0
    assert len(events_of(scene_of([(-8, -30, 60, 0)], [10.0]))) == 0
    assert found["t"].min() >= 0 and found["t"].max() < 1e6


def test_the_size_of_a_block_changes_no_event(monkeypatch):
    scene = scene_of([(-8, 10, 60, 0), (5, 5, 0, 0)], [3.0, 5.0], twinkle_std=0.2)
    before = events_of(scene)
    monkeypatch.setattr(simulate_pixels, "STEPS_PER_BLOCK", 7)
    assert np.array_equal(events_of(scene), before) and len(before)


def test_twinkling_has_the_given_spread_and_correlation_time():
    scene = scene_of([(0, 0, 0, 0)] * 40, [2.0] * 40, twinkle_std=0.15, twinkle_s=0.05)
    dt = 0.004
    light = np.log(next(brightness(scene, [np.arange(5000)], dt, np.random.default_rng(0))) / 2.0)
    assert light.mean() == pytest.approx(0, abs=0.01) and light.std() == pytest.approx(0.15, rel=0.03)
    lag = round(scene.twinkle_s / dt)
    assert np.corrcoef(light[:-lag].ravel(), light[lag:].ravel())[0, 1] == pytest.approx(np.exp(-lag * dt / 0.05), abs=0.05)


def test_tumbling_repeats_with_its_period_and_leaves_steady_sources_alone():
    depth = np.array([0.5, 0.0])
    scene = scene_of([(0, 0, 0, 0)] * 2, [2.0, 2.0], tumble_hz=np.array([2.5, 2.5]), tumble_depth=depth)
    light = next(brightness(scene, [np.arange(1000)], 0.004, np.random.default_rng(0)))
    np.testing.assert_allclose(light[100:, 0], light[:-100, 0])  # 0.4 s
    assert light[:, 0].max() > 1.3 * 2 and light[:, 0].min() < 2 / 1.3 and np.all(light[:, 1] == 2.0)


# --- the field's motion and clouds, as the pixels see them ---


def test_events_of_stars_lie_where_the_field_has_turned_and_rotated_them():
    """Two stars at rest in the sky, seen by a telescope that drifts, turns at 1 s and rotates all the while."""
    field = replace(
        STILL,
        velocities=np.array([[12.0, 0.0], [0.0, -9.0]]),
        turns_s=np.array([1.0]),
        rotation=np.radians(4.0),
        pivot=np.array([20.0, 60.0]),
    )
    stars = np.array([SOURCE_STAR, SOURCE_STAR], np.int8)
    scene = scene_of([(10, 50, 0, 0), (60, 20, 0, 0)], [4.0, 4.0], 4.0, (100, 80), field=field, source=stars)
    found = events_of(scene)
    for number in (1, 2):
        mine = found[found["object_id"] == number]
        place = positions(scene, mine["t"] / 1e6)[:, number - 1]
        far = np.hypot(mine["x"] - place[:, 0], mine["y"] - place[:, 1])
        assert len(mine) > 200 and np.median(far) < 2 and np.mean(far < 4) > 0.97
        assert np.hypot(*np.ptp(place, axis=0)) > 15
    ends = positions(scene, np.array([0.0, 4.0]))
    drift = np.array([12.0 * 1.5, -9.0 * 2.5])  # of a turn that takes a second, half of it is spent at either velocity
    angle = np.radians(16.0)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(ends[1], (ends[0] + drift - field.pivot) @ turned.T + field.pivot)


def test_clouds_take_the_light_of_what_is_behind_them_and_of_nothing_else():
    """One wave along x, 80 px long, crests at 0 and 80: thick at the left of the sensor, clear in the middle."""
    clouds = Clouds(3.0, np.array([[2 * np.pi / 80, 0.0]]), np.zeros(1), np.zeros(2))
    paths = [(0, 25, 0, -30), (40, 25, 0, -30)]
    clear, clouded = (events_of(scene_of(paths, [3.0, 3.0], size=(60, 20), clouds=one)) for one in (None, clouds))
    for number, share in ((1, 0.1), (2, 1.0)):
        seen = [np.count_nonzero(found["object_id"] == number) for found in (clear, clouded)]
        assert seen[0] > 50 and share * 0.7 - 0.1 <= seen[1] / seen[0] <= share


def test_a_cloud_that_drifts_over_a_steady_star_makes_it_fade():
    clouds = Clouds(2.0, np.array([[2 * np.pi / 80, 0.0]]), np.zeros(1), np.array([20.0, 0.0]))
    found = events_of(scene_of([(40, 10, 0, 0)], [8.0], size=(80, 20), duration_s=2.0, clouds=clouds))
    assert len(found) > 20 and not found["p"].all() and np.mean(found["p"]) < 0.1
