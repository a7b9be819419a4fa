"""The set of recordings: what differs between them, what labels and truth say, what the seed fixes."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.data.recording import (
    EVENT_DTYPE,
    LABEL_DTYPE,
    SOURCE_HOT,
    SOURCE_NOISE,
    SOURCE_OBJECT,
    SOURCE_STAR,
    TRUTH_DTYPE,
    checked,
)
from spikeseg.data.sensors import EBSSA_SIZES
from spikeseg.errors import InputError
from spikeseg.simulation.pixels import Sensor
from spikeseg.simulation.recordings import (
    SimulationConfig,
    label_points,
    recording_name,
    simulate,
    simulate_recording,
    simulate_scene,
)
from spikeseg.simulation.scene import DIFFICULTIES, TWINKLE_STD, positions

CONFIG = SimulationConfig(recordings=24, duration_s=8.0, difficulty="medium", sensor="DAVIS", seed=11)
SCENES = [simulate_scene(CONFIG, index) for index in range(CONFIG.recordings)]


@pytest.fixture(scope="module")
def recordings():
    """Eight of the set, whole."""
    return [simulate_recording(CONFIG, index) for index in range(8)]


def satellites(scene):
    return np.flatnonzero(scene.source == SOURCE_OBJECT)


def of_object(recording, number):
    """Events of an object while it is labelled, and where its labels say it is then: t, x, y, p; x, y."""
    labels = recording.labels[recording.labels["id"] == number]
    mine = (recording.truth["object_id"] == number) & (recording.events["t"] >= labels["t"][0])
    events = recording.events[mine & (recording.events["t"] <= labels["t"][-1])]
    return events, *(np.interp(events["t"], labels["t"], labels[axis]) for axis in "xy")


# --- what a set holds ---


def test_one_in_six_recordings_holds_no_satellite_and_one_holds_two():
    for k in range(0, 24, 6):
        assert sorted(len(satellites(s)) for s in SCENES[k : k + 6]) == [0, 1, 1, 1, 1, 2]
        assert sorted(s.mode for s in SCENES[k : k + 6]) == sorted(["sidereal", "stare", "tracking"] * 2)


def test_noise_rates_differ_tenfold_between_recordings(recordings):
    rates = np.array([s.noise_hz for s in SCENES])
    low, high = DIFFICULTIES["medium"].noise_hz
    assert rates.min() >= low and rates.max() <= high and rates.max() / rates.min() > 7
    measured = [np.count_nonzero(r.truth["source"] == SOURCE_NOISE) / 8 / (240 * 180) for r in recordings]
    np.testing.assert_allclose(measured, rates[: len(recordings)], rtol=0.02)


def test_rates_are_those_of_ebssa(recordings):
    """Thousands to tens of thousands of events/s, mostly noise; objects a small share of them."""
    for recording in recordings:
        assert 2_000 < len(recording.events) / 8 < 50_000
        share = np.mean(recording.truth["source"] == SOURCE_OBJECT)
        assert 0.0005 < share < 0.25 if len(recording.labels) else share == 0


def test_stars_twinkle_in_every_mode():
    for mode in ("sidereal", "stare", "tracking"):
        scene = next(s for s in SCENES if s.mode == mode)
        assert TWINKLE_STD[0] <= scene.twinkle_std <= TWINKLE_STD[1]
    whole = [simulate_recording(CONFIG, index) for index, s in enumerate(SCENES) if s.mode == "sidereal"][:3]
    assert sum(np.count_nonzero(r.truth["source"] == SOURCE_STAR) for r in whole) > 100  # still, and yet seen


def test_every_cause_occurs(recordings):
    causes = np.unique(np.concatenate([r.truth["source"] for r in recordings]))
    assert set(causes) == {SOURCE_NOISE, SOURCE_HOT, SOURCE_STAR, SOURCE_OBJECT}


def test_paths_are_slightly_bent():
    bent = np.concatenate([np.hypot(*s.bend[satellites(s)].T) / np.hypot(*s.velocity[satellites(s)].T) for s in SCENES])
    assert (bent > 0).all() and (bent < 0.05).all()  # per second


def test_no_pixel_fires_twice_within_its_refractory_period(recordings):
    for recording in recordings:
        events = recording.events[np.lexsort((recording.events["t"], recording.events["x"], recording.events["y"]))]
        same = (np.diff(events["x"]) == 0) & (np.diff(events["y"]) == 0)
        assert np.diff(events["t"])[same].min() >= Sensor().refractory_us > 0


def test_other_pixels_make_other_events():
    config = replace(CONFIG, duration_s=0.5)
    usual, numb = (simulate_recording(config, 1, sensor) for sensor in (None, Sensor(threshold=0.6)))
    seen = [np.count_nonzero(r.truth["source"] >= SOURCE_STAR) for r in (usual, numb)]
    assert seen[1] < 0.5 * seen[0] and np.array_equal(usual.labels, numb.labels)


def test_difficulty_sets_brightness_and_noise():
    share, noise = {}, {}
    for name in DIFFICULTIES:
        found = [simulate_recording(replace(CONFIG, difficulty=name, duration_s=2.0), k) for k in range(6)]
        cause = np.concatenate([r.truth["source"] for r in found])
        share[name], noise[name] = np.sum(cause == SOURCE_OBJECT), np.sum(cause == SOURCE_NOISE)
    assert share["easy"] > 1.5 * share["medium"] and share["medium"] > 1.5 * share["hard"] and share["extreme"] > 0
    assert noise["easy"] < noise["medium"] < noise["hard"]
    assert noise["extreme"] == pytest.approx(noise["hard"], rel=0.1)


# --- labels and truth ---


def test_recordings_pass_the_checks(recordings):
    for r in recordings:
        e = r.events
        again = checked(r.name, r.source, e, r.sensor_size, r.labels, truth=r.truth)
        assert np.array_equal(again.events, e) and again.dropped == {} and len(r.truth) == len(e)
        assert (e.dtype, r.labels.dtype, r.truth.dtype) == (EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE)


def test_object_events_lie_within_a_few_pixels_of_the_labels(recordings):
    seen = 0
    for recording in recordings:
        for number in np.unique(recording.labels["id"]):
            events, x, y = of_object(recording, number)
            far = np.hypot(events["x"] - x, events["y"] - y)
            assert np.median(far) < 2.5 and np.mean(far < 5) > 0.97
            seen += len(events)
    assert seen > 5000


def test_object_events_lie_near_the_labels_while_the_telescope_turns_and_shakes():
    config, seen = replace(CONFIG, difficulty="extreme", duration_s=4.0, seed=3), 0
    for index in range(12):
        recording = simulate_recording(config, index)
        for number in np.unique(recording.labels["id"]):
            events, x, y = of_object(recording, number)
            far = np.hypot(events["x"] - x, events["y"] - y)
            if len(far) > 20:
                assert np.median(far) < 3 and np.mean(far < 6) > 0.95
                seen += len(events)
    assert seen > 1000


def test_on_events_lead_and_off_events_trail_moving_satellites(recordings):
    tested = 0
    for recording, scene in zip(recordings, SCENES, strict=False):
        for k in satellites(scene):
            events, x, y = of_object(recording, scene.object_id[k])
            middle = np.median(events["t"]) / 1e6
            motion = np.diff(positions(scene, middle + np.array([-0.05, 0.05]))[:, k], axis=0)[0] / 0.1
            speed = np.hypot(*motion)
            if speed < 5:
                continue
            ahead = np.stack([events["x"] - x, events["y"] - y], 1) @ motion / speed
            assert ahead[events["p"]].mean() > 0.4 and ahead[~events["p"]].mean() < -0.4
            tested += 1
    assert tested >= 3


def in_picture(scene, place):
    return ((place >= -0.5) & (place < np.array(scene.sensor_size) - 0.5)).all(-1)


def test_labels_are_the_centres_while_in_view_and_only_then(recordings):
    for recording, scene in zip(recordings, SCENES, strict=False):
        labels, corner = recording.labels, np.array(scene.sensor_size) - 0.5
        assert set(labels["id"]) == set(scene.object_id[satellites(scene)])
        for k in satellites(scene):
            mine = labels[labels["id"] == scene.object_id[k]]
            where = positions(scene, mine["t"] / 1e6)[:, k]
            np.testing.assert_allclose(np.stack([mine["x"], mine["y"]], 1), where.clip(-0.5, corner))
            assert np.diff(mine["t"]).max() <= 100_000 and (np.diff(mine["t"]) > 0).all()
            fine = np.arange(0, 8_000_000, 1000)
            at = positions(scene, fine / 1e6)[:, k]
            away = np.linalg.norm(at - at.clip(0, corner - 0.5), axis=1)
            lit = scene.contrast[k] * np.exp(-0.5 * (away / scene.sigma_px) ** 2) >= 1.0
            seen = fine[lit | in_picture(scene, at)]
            assert abs(seen[0] - mine["t"][0]) <= 5000 and abs(seen[-1] - mine["t"][-1]) <= 5000


@pytest.mark.parametrize(
    ("contrast", "beyond_px", "labelled"), [(5.0, 1.2, True), (5.0, 1.4, False), (1.5, 0.3, True), (1.5, 0.5, False)]
)
def test_what_passes_just_outside_of_the_picture_is_labelled_at_its_edge_while_it_lights_it(contrast, beyond_px, labelled):
    scene = next(s for s in SCENES if len(satellites(s)) == 1 and s.mode == "sidereal")
    k, shape = satellites(scene), scene.start.shape
    start, velocity = np.full(shape, -500.0), np.zeros(shape)
    start[k], velocity[k] = [scene.sensor_size[0] - 0.5 + beyond_px, 40.0], [0.0, 3.0]
    field = replace(scene.field, shake_px=np.zeros_like(scene.field.shake_px))
    beside = replace(
        scene, field=field, start=start, velocity=velocity, bend=np.zeros(shape), at_s=np.zeros(len(start)), sigma_px=1.0,
        contrast=np.full(len(start), contrast),
    )  # fmt: skip
    labels = label_points(beside)
    assert len(labels) == labelled * (80 + 1) and (labels["x"] == scene.sensor_size[0] - 0.5).all()
    assert labels["y"] == pytest.approx(40 + 3e-6 * labels["t"])


def test_stars_and_noise_carry_no_label(recordings):
    for recording in recordings:
        is_object = recording.truth["source"] == SOURCE_OBJECT
        assert (recording.truth["object_id"][~is_object] == 0).all()
        assert set(np.unique(recording.truth["object_id"][is_object])) <= set(recording.labels["id"])
    empty = [r for r, s in zip(recordings, SCENES, strict=False) if not len(satellites(s))]
    assert empty and all(r.labels is not None and len(r.labels) == 0 for r in empty)


def test_a_satellite_that_never_comes_into_view_has_no_label():
    scene = next(s for s in SCENES if len(satellites(s)) == 1)
    assert len(label_points(replace(scene, start=scene.start + 1e5))) == 0


# --- what the seed fixes ---


@pytest.mark.parametrize("difficulty", ["medium", "extreme"])
def test_a_recording_depends_on_seed_and_index_alone(difficulty):
    config = SimulationConfig(recordings=3, duration_s=0.3, difficulty=difficulty, seed=5)
    inside = list(simulate(config))
    alone = simulate_recording(replace(config, recordings=99), 2)
    for field in ("events", "labels", "truth"):
        assert getattr(inside[2], field).tobytes() == getattr(alone, field).tobytes()
    assert len({r.events.tobytes() for r in inside}) == 3
    assert simulate_recording(replace(config, seed=6), 2).events.tobytes() != alone.events.tobytes()


def test_names_and_sensors():
    both = SimulationConfig(recordings=4, duration_s=0.2, sensor="both", seed=0)
    found = list(simulate(both))
    assert [r.name for r in found] == ["DAVIS_0000", "ATIS_0001", "DAVIS_0002", "ATIS_0003"]
    for index, r in enumerate(found):
        assert r.name == recording_name(both, index) and r.sensor_size == EBSSA_SIZES[r.sensor]
        for axis, size in zip("xy", r.sensor_size, strict=True):
            assert 0 <= r.events[axis].min() < 5 and size - 5 < r.events[axis].max() < size  # noise is everywhere
    assert simulate_recording(replace(both, sensor="ATIS"), 0).sensor == "ATIS"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("difficulty", "cruel", "easy, medium, hard, extreme"),
        ("sensor", "EVK4", "DAVIS, ATIS, both"),
        ("recordings", 0, "1 to 100000"),
        ("duration_s", 0.0, "0.1 to 600 s"),
        ("duration_s", float("nan"), "0.1 to 600 s"),
        ("seed", -1, "0 to 4294967295"),
    ],
)
def test_impossible_requests_are_refused(field, value, told):
    with pytest.raises(InputError, match=f"simulate.{field}: .*{told}"):
        replace(CONFIG, **{field: value})
