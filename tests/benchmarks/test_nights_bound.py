"""Which satellites of simulated nights can be found: the matched filter, what a star explains, what counts as within reach."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, SOURCE_NOISE, SOURCE_OBJECT, TRUTH_DTYPE, Recording
from spikeseg.simulation.field_motion import FieldMotion
from spikeseg.simulation.pixels import Sensor, source_events
from spikeseg.simulation.recordings import SimulationConfig, label_points, simulate_scene

SIZE, SECONDS, NOISE_HZ = (240, 180), 2.0, 0.1
STILL = FieldMotion(np.zeros((1, 2)), np.zeros(0), 1.0, 0.0, np.zeros(2), np.zeros(0), np.zeros(0), np.zeros((0, 2)))


@pytest.fixture(scope="module")
def bench(script):
    return script("nights_bound")


@pytest.fixture
def filters(script, monkeypatch):
    """The filter, with fewer simulations and fewer stars to try."""
    module = script("nights_evidence")
    for name, value in (("MOST", 4), ("PLACES", 12), ("STEP_S", 0.02)):
        monkeypatch.setattr(module, name, value)
    return module


def scene_of(velocity, contrast=1.5, drift=(0.0, 0.0), star=None):
    """A satellite through the middle of the sensor, in front of a field that drifts, perhaps with one star (x, y, contrast)."""
    count = 1 + (star is not None)
    first, zero = np.array([[120.0, 90.0], *([star[:2]] if star else [])]), np.zeros(count)
    moving = np.zeros((count, 2))
    moving[0] = velocity
    return replace(
        simulate_scene(SimulationConfig(duration_s=SECONDS), 0), sensor_size=SIZE, noise_hz=NOISE_HZ, sky=np.ones(SIZE[::-1]),
        sigma_px=1.0, field=replace(STILL, velocities=np.array([drift])), clouds=None, start=first, velocity=moving,
        bend=np.zeros((count, 2)), at_s=zero + SECONDS / 2, contrast=np.array([contrast, *([star[2]] if star else [])]),
        twinkle_std=0.1, twinkle_s=0.05, tumble_hz=zero, tumble_depth=zero, tumble_phase=zero,
        source=np.array([SOURCE_OBJECT, *([2] if star else [])], np.int8), object_id=np.arange(1, 1 + count, dtype=np.int32) % 2,
    )  # fmt: skip


def recording_of(scene, seed=0, objects=True):
    """Its events and even Poisson noise."""
    rng = np.random.default_rng(seed)
    lit = source_events(scene, Sensor(), rng)
    lit = lit if objects else lit[:0]
    n = rng.poisson(NOISE_HZ * SIZE[0] * SIZE[1] * SECONDS)
    events, truth = np.zeros(n + len(lit), EVENT_DTYPE), np.zeros(n + len(lit), TRUTH_DTYPE)
    truth["source"][:n] = SOURCE_NOISE
    events["t"][:n], events["p"][:n] = rng.integers(0, int(SECONDS * 1e6), n), rng.random(n) < 0.5
    events["x"][:n], events["y"][:n] = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    for name in ("t", "x", "y", "p"):
        events[name][n:] = lit[name]
    for name in ("source", "object_id"):
        truth[name][n:] = lit[name]
    order = np.argsort(events["t"], kind="stable")
    return Recording(
        events=events[order], sensor_size=SIZE, labels=label_points(scene), name="one", source="a test", truth=truth[order]
    )


NOISE = np.full((2, SIZE[1], SIZE[0]), NOISE_HZ / 2)


def test_a_moving_object_has_evidence_that_noise_has_not_and_no_star_explains(filters):
    scene = scene_of((12.0, 5.0))
    recording = recording_of(scene)
    (own,) = filters.evidence_of(scene, NOISE, recording, 1)
    sent = int((recording.truth["source"] == SOURCE_OBJECT).sum())
    assert own.events == sent > 30 and own.seconds == pytest.approx(SECONDS) and own.object_id == 1
    assert own.moved_px == pytest.approx(13 * SECONDS, abs=0.3) and 1.4 < own.width_px < 3 and own.stars == 0
    peak = sent / SECONDS / 2 / (2 * np.pi)  # of a pixel and polarity, events/s
    assert 1.0 < own.nats / sent < np.log1p(3 * peak / (NOISE_HZ / 2))
    assert own.star_nats < 0.2 * own.nats and own.aside_nats < -0.5 * sent
    (empty,) = filters.evidence_of(scene, NOISE, recording_of(scene, objects=False), 1)
    assert empty.events == 0 and empty.own_nats <= empty.nats < -0.5 * sent


def test_an_object_that_keeps_its_place_among_the_stars_is_explained_by_one(filters):
    """What drifts with the field is a star's twin; what rests on the sensor meanwhile, or moves while the field rests, is not."""
    shares = []
    for velocity, drift in (((0.05, 0.0), (20.0, 0.0)), ((-20.0, 0.0), (20.0, 0.0)), ((20.0, 0.0), (0.0, 0.0))):
        scene = scene_of(velocity, contrast=6.0, drift=drift)
        (own,) = filters.evidence_of(scene, NOISE, recording_of(scene), 1)
        assert own.nats > 50
        shares.append(own.star_nats / own.nats)
    assert shares[0] > 0.95 and max(shares[1:]) < 0.3


def test_what_a_star_sends_is_not_taken_for_the_object(filters):
    """An object that cannot be seen passes a bright star: nothing is gained from the star's events, and it is counted."""
    scene = scene_of((5.0, 0.0), contrast=1.5, star=(120.0, 90.5, 12.0))
    recording = recording_of(scene)
    kept = recording.truth["source"] != SOURCE_OBJECT
    dark = replace(recording, events=recording.events[kept], truth=recording.truth[kept])
    assert (dark.truth["source"] == 2).sum() > 50
    (own,) = filters.evidence_of(scene, NOISE, dark, 1)
    assert own.stars == 1 and own.nats < 0 and own.events == 0


def test_a_hot_pixel_on_the_way_is_no_evidence_where_its_rate_is_known(filters):
    scene = scene_of((5.0, 0.0))
    recording = recording_of(scene, objects=False)
    hot = np.zeros(400, EVENT_DTYPE)
    hot["t"], hot["x"], hot["y"] = np.linspace(0, SECONDS * 1e6 - 1, 400), 121, 90
    events = np.concatenate([recording.events, hot])
    order = np.argsort(events["t"], kind="stable")
    truth = np.concatenate([recording.truth, np.zeros(400, TRUTH_DTYPE)])[order]
    known = NOISE.copy()
    known[0, 90, 121] += 100.0
    changed = replace(recording, events=events[order], truth=truth)
    (own,) = filters.evidence_of(scene, known, changed, 1)
    (fooled,) = filters.evidence_of(scene, NOISE, changed, 1)
    assert own.nats < 0 < fooled.nats - own.nats - 30


def satellite(bench, filters, nats, moved=9.0, found=None, star=0.0):
    own = filters.Evidence(1, 30, 2.0, moved, 2.0, 5, nats, star, -9.0)
    return bench.Satellite("night", own, 20.0, found)


def test_within_reach_takes_evidence_and_motion(bench, filters):
    assert satellite(bench, filters, 20.0).within_reach
    assert not satellite(bench, filters, 19.9).within_reach
    assert not satellite(bench, filters, 50.0, star=31.0).within_reach
    assert not satellite(bench, filters, 50.0, moved=1.9).within_reach


def test_shares_are_of_all_or_of_those_within_reach(bench, filters):
    nights = [
        [satellite(bench, filters, 50.0, found=True), satellite(bench, filters, 10.0, found=False)],
        [satellite(bench, filters, 50.0, found=False)],
        [],
        [satellite(bench, filters, 50.0, found=True)],
    ]
    every, near = bench.counted(nights, False), bench.counted(nights, True)
    assert (every.part, every.whole, near.part, near.whole) == (2, 4, 2, 3)
    assert 0 <= near.low < 2 / 3 < near.high <= 1
    assert bench.counted([[]], True) == bench.Counted(0, 0, 0.0, 1.0)
    shown = bench.report({"medium": nights}, True, False)
    assert "2 of 3" in shown and "2 of 4" in shown and shown.count("night, 1") == 2


def test_found_is_half_of_the_life_within_5_px(bench, monkeypatch):
    t = np.arange(0, 1_000_001, 100_000)
    labels = np.zeros(2 * len(t), LABEL_DTYPE)
    labels["t"], labels["id"] = np.tile(t, 2), np.repeat([1, 2], len(t))
    labels["x"], labels["y"] = np.tile(t / 1e4, 2), np.repeat([20.0, 80.0], len(t))
    events = np.zeros(2, EVENT_DTYPE)
    events["t"] = 0, 1_000_000
    rows = np.zeros(7, np.dtype([("track_id", "<i4"), ("t_us", "<i8"), ("x", "<f8"), ("y", "<f8")]))
    rows["track_id"], rows["t_us"], rows["x"], rows["y"] = 4, t[:7], t[:7] / 1e4, 23.0
    answer = type("Answer", (), {"object_ids": [4], "tracks": rows})
    network = type("Network", (), {"detect": staticmethod(lambda _: answer)})
    monkeypatch.setattr(bench.spikeseg, "load", lambda *_: network)
    recording = Recording(events=events, sensor_size=SIZE, labels=labels, name="two", source="a test")
    assert bench.found_objects(recording, None) == {1: True, 2: False}
    rows["y"] = 26.0
    assert bench.found_objects(recording, None) == {1: False, 2: False}


def test_it_runs(quick):
    printed, written = quick("nights_bound")
    assert "within reach" in printed and len(written["objects"]["medium"]) == 2
    for own in written["objects"]["medium"]:
        assert own["nats"] > 20 > own["aside_nats"] and own["found"] is None
