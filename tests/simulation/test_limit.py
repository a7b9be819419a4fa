"""Recordings of known rates: what the configuration asks for is what is in them."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.data.recording import SOURCE_NOISE, SOURCE_OBJECT, SOURCE_STAR, checked
from spikeseg.errors import InputError
from spikeseg.simulation.camera_noise import VARIANTS
from spikeseg.simulation.limit import (
    FIELDS,
    IN_VIEW_S,
    LimitConfig,
    _field_motion,
    _random,
    _scene,
    limit_recording,
    seconds_in_view,
)

CONFIG = LimitConfig(seed=5)
BRIGHT = replace(CONFIG, rate_hz=400.0, noise_hz=0.0, stars=0)


def object_events(recording, number=1):
    """Events of an object between its first and last label, and its labelled place at their times (n, 2)."""
    labels = recording.labels[recording.labels["id"] == number]
    events = recording.events[recording.truth["object_id"] == number]
    events = events[(events["t"] >= labels["t"][0]) & (events["t"] <= labels["t"][-1])]
    return events, np.stack([np.interp(events["t"], labels["t"], labels[axis]) for axis in "xy"], 1)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("noise", ["poisson", *VARIANTS])
def test_recordings_pass_the_checks(field, noise):
    config = replace(CONFIG, duration_s=3.0, field=field, noise=noise, objects=2)
    for index in range(3):
        r = limit_recording(config, index)
        again = checked(r.name, r.source, r.events, r.sensor_size, r.labels, truth=r.truth)
        assert np.array_equal(again.events, r.events) and again.dropped == {} and np.array_equal(again.labels, r.labels)
        assert r.name == f"limit_{index:04d}" and r.sensor == "DAVIS" and len(r.truth) == len(r.events)


def test_same_values_same_bytes_and_no_recording_depends_on_another():
    config = replace(CONFIG, duration_s=3.0)
    first, again, other = (limit_recording(config, k) for k in (2, 2, 3))
    assert np.array_equal(first.events, again.events) and np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.events[:100], other.events[:100])


def test_without_objects_stars_and_noise_stay_as_they_were():
    config = replace(CONFIG, duration_s=3.0)
    with_one, without = limit_recording(config, 0), limit_recording(replace(config, objects=0), 0)
    assert np.array_equal(with_one.events[with_one.truth["source"] != SOURCE_OBJECT], without.events)
    assert len(without.labels) == 0 and not without.truth["object_id"].any()


@pytest.mark.parametrize("field", FIELDS)
def test_an_object_sends_its_rate_while_it_is_in_view(field):
    seen = seconds = 0.0
    for index in range(12):
        config = replace(BRIGHT, field=field)
        labels = limit_recording(config, index).labels
        seen += np.count_nonzero(limit_recording(config, index).truth["source"] == SOURCE_OBJECT)
        seconds += len(labels) * 0.1
        assert seconds_in_view(config, index)[0] == pytest.approx(len(labels) * 0.1, abs=0.35)
    assert seen / seconds == pytest.approx(400.0, rel=0.02)


@pytest.mark.parametrize("field", FIELDS)
def test_on_lies_ahead_off_behind_and_both_as_wide_as_the_psf(field):
    ahead, across, on = [], [], []
    for index in range(8):
        events, place = object_events(limit_recording(replace(BRIGHT, field=field, displacement_px=1.5, sigma_px=0.8), index))
        later = np.stack([np.interp(events["t"] + 1e5, events["t"], place[:, k]) for k in (0, 1)], 1)
        inner = events["t"] < events["t"].max() - 2e5
        motion = (later - place)[inner] / np.maximum(np.hypot(*(later - place)[inner].T), 1e-9)[:, None]
        gap = np.stack([events["x"], events["y"]], 1)[inner] - place[inner]
        ahead.append((gap * motion).sum(1))
        across.append(gap[:, 0] * motion[:, 1] - gap[:, 1] * motion[:, 0])
        on.append(events["p"][inner])
    ahead, across, on = map(np.concatenate, (ahead, across, on))
    assert ahead[on].mean() == pytest.approx(1.5, abs=0.1) and ahead[~on].mean() == pytest.approx(-1.5, abs=0.1)
    assert across.std() == pytest.approx(np.hypot(0.8, 12**-0.5), rel=0.05) and on.mean() == pytest.approx(0.5, abs=0.02)


def test_objects_move_at_a_speed_of_the_range_on_a_still_sensor():
    speeds = []
    for index in range(60):
        objects, _ = _scene(replace(CONFIG, speed_px_s=(4.0, 40.0)), index)
        assert np.allclose(objects.at(np.array([3.0])) - objects.at(np.array([2.0])), objects.velocity)
        speeds.append(np.hypot(*objects.velocity[0]))
    assert 4 <= min(speeds) < 7 and 25 < max(speeds) <= 40 and np.median(speeds) == pytest.approx(np.sqrt(160), rel=0.3)


@pytest.mark.parametrize("field", ["drift", "turn"])
def test_speeds_are_relative_to_stars_that_move(field):
    for index in range(10):
        objects, stars = _scene(replace(CONFIG, field=field, field_speed_px_s=30.0), index)
        t = np.linspace(0, 20, 50)
        in_field = objects.motion.sky(objects.at(t[:, None])[:, 0], t)
        steps = np.diff(in_field, axis=0) / np.diff(t)[:, None]
        assert np.allclose(steps, steps[0], atol=1e-6) and 4 <= np.hypot(*steps[0]) <= 40
        assert objects.motion is stars.motion and not stars.velocity.any()


def test_a_drifting_field_has_its_speed_and_a_turning_one_rotates_or_changes_its_direction():
    drift = _field_motion(replace(CONFIG, field="drift"), _random(CONFIG, "field", 0))
    assert np.hypot(*drift.velocities[0]) == pytest.approx(16.0) and len(drift.velocities) == 1 and drift.rotation == 0
    rotating = 0
    for index in range(40):
        motion = _field_motion(replace(CONFIG, field="turn"), _random(CONFIG, "field", index))
        if motion.rotation:
            rotating += 1
            x, y = np.meshgrid(np.arange(240.0), np.arange(180.0))
            far = np.hypot(x - motion.pivot[0], y - motion.pivot[1])
            assert np.sqrt((far**2).mean()) * abs(motion.rotation) == pytest.approx(16.0, rel=0.02)
        else:
            before, after = motion.velocities
            angle = np.degrees(np.arccos(np.clip(before @ after / 16.0**2, -1, 1)))
            assert np.hypot(*after) == pytest.approx(16.0) and 59 <= angle <= 180 and 6 <= motion.turns_s[0] <= 14
    assert 8 < rotating < 32


@pytest.mark.parametrize("field", FIELDS)
def test_about_as_many_stars_as_asked_for_are_in_view(field):
    seen = []
    for index in range(20):
        _, stars = _scene(replace(CONFIG, field=field), index)
        position = stars.at(np.linspace(0, 20, 40)[:, None])
        inside = ((position >= -0.5) & (position < np.array([239.5, 179.5]))).all(-1)
        seen.append(inside.sum(1).mean())
    assert np.mean(seen) == pytest.approx(15, abs=0 if field == "still" else 1.5)


def test_stars_twinkle_where_they_stand():
    recording = limit_recording(replace(CONFIG, objects=0, noise_hz=0.0), 0)
    _, stars = _scene(CONFIG, 0)
    events = recording.events[recording.truth["source"] == SOURCE_STAR]
    far = np.hypot(events["x"] - stars.start[:, None, 0], events["y"] - stars.start[:, None, 1]).min(0)
    assert len(events) > 2000 and np.median(far) < 1.6 and far.max() < 6 and events["p"].mean() == pytest.approx(0.5, abs=0.05)
    assert stars.rate_hz.min() >= 5 and stars.rate_hz.max() <= 200 and stars.rate_hz.max() > 3 * stars.rate_hz.min()


def test_an_object_at_rest_stays_while_the_stars_move():
    recording = limit_recording(replace(BRIGHT, field="drift", at_rest=True, stars=15), 0)
    assert np.ptp(recording.labels["x"]) == np.ptp(recording.labels["y"]) == 0 and len(recording.labels) == 200
    events, place = object_events(recording)
    gap = np.stack([events["x"], events["y"]], 1) - place
    assert gap.std(0) == pytest.approx(np.hypot(1.0, 12**-0.5), rel=0.1) and np.abs(gap[events["p"]].mean(0)).max() < 0.6


def test_objects_are_in_view_for_long_enough_where_their_speed_allows_it():
    slow = [seconds_in_view(CONFIG, k)[0] for k in range(60)]
    assert min(slow) > 0.95 * min(IN_VIEW_S, 0.8 * 240 / 40) and min(slow) < 8 and max(slow) == pytest.approx(20, abs=0.05)
    fast = [seconds_in_view(replace(CONFIG, speed_px_s=(120.0, 120.0)), k)[0] for k in range(30)]
    assert min(fast) > 0.95 * 0.8 * 240 / 120
    short = [seconds_in_view(replace(CONFIG, duration_s=4.0), k)[0] for k in range(30)]
    assert min(short) > 1.95


def test_objects_enter_and_leave():
    ends = [np.r_[limit_recording(replace(CONFIG, noise_hz=0.0, stars=0), k).labels["t"][[0, -1]]] for k in range(40)]
    first, last = np.array(ends).T
    assert 8 < (first > 0).sum() and 8 < (last < 19_800_000).sum()


def test_several_objects_are_labelled_apart():
    recording = limit_recording(replace(BRIGHT, objects=3), 0)
    assert set(recording.labels["id"]) == {1, 2, 3} == set(recording.truth["object_id"]) - {0}
    times = recording.labels["t"]
    assert (times % 100_000 == 0).all() and (np.diff(times) >= 0).all()
    for number in (1, 2, 3):
        events, place = object_events(recording, number)
        assert np.median(np.hypot(events["x"] - place[:, 0], events["y"] - place[:, 1])) < 2


def test_noise_is_the_one_asked_for():
    config = replace(CONFIG, duration_s=5.0, noise_hz=0.5)
    rates = {}
    for noise in ("poisson", "rows"):
        recording = limit_recording(replace(config, noise=noise), 0)
        events = recording.events[recording.truth["source"] == SOURCE_NOISE]
        rates[noise] = np.bincount(events["t"] // 2000)
        assert len(events) / 5 / (240 * 180) == pytest.approx(0.5, rel=0.1)
    assert rates["rows"].var() > 1.5 * rates["poisson"].var()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_hz": -1.0}, "limit.rate_hz: -1.0; allowed: a number from 0 to 100000"),
        ({"rate_hz": float("nan")}, "limit.rate_hz: nan"),
        ({"noise_hz": "0.1"}, "limit.noise_hz: '0.1'"),
        ({"duration_s": 0.0}, "limit.duration_s: 0.0; allowed: a number from 0.5 to 3600"),
        ({"speed_px_s": (40.0, 4.0)}, "limit.speed_px_s: (40.0, 4.0); allowed: the lower first"),
        ({"speed_px_s": 4.0}, "limit.speed_px_s: 4.0; allowed: two numbers"),
        ({"objects": -1}, "limit.objects: -1; allowed: a whole number from 0"),
        ({"objects": 10**9}, "limit.objects: 1000000000; allowed: a whole number from 0 to 1000"),
        ({"stars": 10**9}, "limit.stars: 1000000000; allowed: a whole number from 0 to 100000"),
        ({"noise_hz": 1e3, "sensor_size": (8192, 8192)}, "limit.duration_s: 20.0; allowed: less for noise_hz"),
        ({"rate_hz": 1e5, "objects": 1000}, "limit.duration_s: 20.0; allowed: less for noise_hz"),
        ({"stars": 1.5}, "limit.stars: 1.5"),
        ({"field": "spin"}, "limit.field: 'spin'; allowed: still, drift, turn"),
        ({"noise": "pink"}, "limit.noise: 'pink'; allowed: poisson, hot, bursts"),
        ({"sensor_size": (4, 180)}, "limit.sensor_size: (4, 180)"),
        ({"seed": -2}, "limit.seed: -2"),
        ({"at_rest": True}, "limit.at_rest: True; allowed: only with a field that moves: drift, turn"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(InputError) as error:
        LimitConfig(**changes)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
