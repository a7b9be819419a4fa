"""The motion layer in detection: faint objects beside the tracks of what lights up."""

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest

from spikeseg.config import dump, from_dict, load_config, to_dict
from spikeseg.core.sparse import SparseMap
from spikeseg.data.recording import EVENT_DTYPE, Recording
from spikeseg.data.windows import windowed
from spikeseg.detection.detect import detect_recording
from spikeseg.detection.following import PathFollower
from spikeseg.detection.moving import Motion, find_paths, merge, motion_of, scored, search_settings
from spikeseg.detection.network import decoded
from spikeseg.detection.path_slices import OWN
from spikeseg.detection.readout import Readout
from spikeseg.detection.schema import (
    EVENT_COLUMNS,
    Detection,
    RecordingDetections,
    WindowDetections,
    detections_document,
    detections_text,
)
from spikeseg.detection.tracked import slices_of, track
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.frame import Frame
from spikeseg.motion.path import SmoothPath
from spikeseg.motion.paths import LEAST_S
from spikeseg.motion.probability import threshold_nats
from spikeseg.simulation.limit import LimitConfig, limit_recording
from spikeseg.tracking.scene import ObjectTrack
from spikeseg.tracking.star_field import StarField

LIMIT = LimitConfig(rate_hz=8.0, sensor_size=(120, 90), duration_s=8.0, stars=5, seed=3, speed_px_s=(4.0, 20.0))
READOUT = Readout(0.5, 1e-4)
POINT = Motion(Footprint.point())


def config_of(**changes):
    return load_config("demo", {"data.data_root": None, "model.motion": True, **changes})


@pytest.fixture(scope="module")
def network():
    """An untrained network: what the layer finds does not depend on it."""
    return SpikeSEG.from_config(config_of().model, seed=0)


KINDS = {
    "stars": (LIMIT, 0),
    "few stars": (replace(LIMIT, stars=1), 3),
    "no stars": (replace(LIMIT, stars=0), 0),
    "drift": (replace(LIMIT, field="drift", stars=8), 1),
    "three": (replace(LIMIT, objects=3, rate_hz=14.0), 2),
}


@pytest.fixture(scope="module")
def found(network):
    """Of each kind the recording, and what is detected in it with the layer and without."""
    with_layer, without = config_of(), config_of(**{"model.motion": False})
    recordings = {kind: limit_recording(*case) for kind, case in KINDS.items()}
    return {
        kind: (r, detect_recording(network, r, with_layer, READOUT), detect_recording(network, r, without, READOUT))
        for kind, r in recordings.items()
    }


def few(n, size=(120, 90)):
    events = np.zeros(n, EVENT_DTYPE)
    x, y = np.random.default_rng(0).integers(0, 90, (2, n))
    events["t"], events["x"], events["y"] = 1000 + np.arange(n) * 40_000, x, y
    return Recording(events, size, np.zeros(0, limit_recording(LIMIT, 0).labels.dtype), "few", "few")


@pytest.mark.parametrize("kind", ["stars", "few stars", "no stars", "drift"])
def test_a_faint_object_is_found_by_the_layer_alone(found, kind):
    recording, detections, without = found[kind]
    assert without.object_ids == []
    (number,) = detections.object_ids
    rows = detections.tracks[detections.tracks["track_id"] == number]
    labels = recording.labels
    x, y = (np.interp(rows["t_us"], labels["t"], labels[axis]) for axis in "xy")
    assert np.median(np.hypot(rows["x"] - x, rows["y"] - y)) <= 2 and len(rows) >= 0.6 * len(labels)
    vx, vy = (np.median(np.diff(labels[axis])) / 0.1 for axis in "xy")
    assert np.hypot(rows["vx"].mean() - vx, rows["vy"].mean() - vy) <= 1
    relative = np.stack([rows["vx"] - rows["vx_rel"], rows["vy"] - rows["vy_rel"]], 1).mean(0)
    assert relative == pytest.approx(detections.star_field, abs=0.5)


def test_three_objects_are_three_tracks(found):
    recording, detections, _ = found["three"]
    nearest = []
    for number in detections.object_ids:
        rows = detections.tracks[detections.tracks["track_id"] == number]
        away = []
        for own in (1, 2, 3):
            labels = recording.labels[recording.labels["id"] == own]
            x, y = (np.interp(rows["t_us"], labels["t"], labels[axis]) for axis in "xy")
            away.append(np.median(np.hypot(rows["x"] - x, rows["y"] - y)))
        assert min(away) < 2
        nearest.append(int(np.argmin(away)))
    assert sorted(nearest) == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_objects_tracks_and_events_agree(found, kind):
    recording, detections, _ = found[kind]
    objects, tracks, events = detections.detections, detections.tracks, detections.events
    assert detections.track_ids == list(range(1, len(detections.track_ids) + 1)) and len(detections.object_ids)
    begins = [tracks["t_us"][tracks["track_id"] == number][0] for number in detections.track_ids]
    assert begins == sorted(begins)
    for table in (objects, tracks):
        assert all(np.isfinite(table[name]).all() for name in ("x", "y", "width", "height", "score"))
        assert (table["width"] > 0).all() and (table["height"] > 0).all() and (table["score"] > 0).all()
    assert set(objects["track_id"]) <= {0, *detections.track_ids}
    assert ((tracks["object_score"] >= 0) & (tracks["object_score"] <= 1)).all()
    for number in detections.track_ids:
        own, rows = objects[objects["track_id"] == number], tracks[tracks["track_id"] == number]
        assert len(np.unique(rows["object_score"])) == 1 and (np.diff(rows["t_us"]) > 0).all()
        assert np.abs((own["t_start_us"] + own["t_end_us"]) / 2 - rows["t_us"]).max() <= 1  # one object per row, slice by slice
        assert np.array_equal(own["score"], rows["score"]) and np.array_equal(own["width"], rows["width"])
    same = objects["t_start_us"][1:] == objects["t_start_us"][:-1]
    assert (np.diff(objects["t_start_us"]) >= 0).all() and (np.diff(objects["score"])[same] <= 0).all()
    assert len(events) == len(recording.events) and all(len(detections.event_columns[c]) == len(events) for c in EVENT_COLUMNS)
    assert set(events["object_id"]) <= {0, *detections.track_ids}
    for name in ("object_score", "score"):
        assert np.isfinite(events[name]).all() and (events[name] >= 0).all()
    assert (events["object_score"] <= 1).all()
    for number in detections.object_ids:
        own, rows = events[events["object_id"] == number], tracks[tracks["track_id"] == number]
        assert len(own) and own["t"].min() >= rows["t_us"][0] - 100_000 and own["t"].max() <= rows["t_us"][-1] + 100_000


def test_events_of_an_object_are_those_of_its_source(found):
    chosen, own = [], []
    for kind in KINDS:
        recording, detections, _ = found[kind]
        chosen.append(np.isin(detections.events["object_id"], detections.object_ids))
        own.append(recording.truth["object_id"] > 0)
    chosen, own = np.concatenate(chosen), np.concatenate(own)
    assert own[chosen].mean() >= 0.6 and chosen[own].mean() >= 0.6


def test_scored_events_are_the_objects(found):
    for kind in KINDS:
        recording, detections, without = found[kind]
        own = recording.truth["object_id"] > 0
        surely = detections.events["object_score"] >= 0.5
        assert own[surely].mean() >= 0.5 and surely[own].mean() >= 0.4
        assert detections.events["object_score"][own].mean() > 5 * without.events["object_score"][own].mean()
    assert not (found["stars"][2].events["object_score"] >= 0.5).any()


@pytest.mark.parametrize("kind", KINDS)
def test_detections_are_valid_json_of_the_schema(found, kind, tmp_path):
    _, detections, _ = found[kind]
    document = json.loads(detections_text(detections_document([detections.entry()])))
    (entry,) = document["recordings"]
    assert list(entry) == list(RecordingDetections.__annotations__)
    assert all(list(window) == list(WindowDetections.__annotations__) for window in entry["windows"])
    rows = [row for window in entry["windows"] for row in window["objects"]]
    assert len(rows) == len(detections.detections) and all(list(row) == list(Detection.__annotations__) for row in rows)
    assert entry["objects"] == detections.object_ids and entry["tracks"] == len(detections.track_ids)
    for window in entry["windows"]:
        assert all(window["t_start_us"] <= row["t_start_us"] < row["t_end_us"] <= window["t_end_us"] for row in window["objects"])
    folder = detections.save(tmp_path / "out")
    assert json.loads((folder / "detections.json").read_text())["recordings"] == [entry]
    assert len((folder / "tracks.csv").read_text().splitlines()) == 1 + len(detections.tracks)


def test_what_the_network_sees_stays(found):
    """Objects of the network are the same with the layer; only their tracks may be others."""
    _, detections, without = found["stars"]
    names = ["t_start_us", "x", "y", "width", "height", "score"]
    assert set(without.detections[names].tolist()) <= set(detections.detections[names].tolist())
    assert np.array_equal(without.windows, detections.windows)


def test_equal_input_gives_equal_output(network, found):
    recording, first, _ = found["stars"]
    second = detect_recording(network, recording, config_of(), READOUT)
    assert first.detections.tobytes() == second.detections.tobytes() and first.tracks.tobytes() == second.tracks.tobytes()
    assert first.events.tobytes() == second.events.tobytes()


def test_without_an_object_there_is_none(network):
    for index in range(3):
        detections = detect_recording(network, limit_recording(replace(LIMIT, objects=0), index), config_of(), READOUT)
        assert detections.object_ids == []


def test_a_bright_object_is_one(network):
    for index in range(2):
        recording = limit_recording(replace(LIMIT, rate_hz=150.0, duration_s=5.0), index)
        detections = detect_recording(network, recording, config_of(), READOUT)
        (number,) = detections.object_ids
        rows, labels = detections.tracks[detections.tracks["track_id"] == number], recording.labels
        x, y = (np.interp(rows["t_us"], labels["t"], labels[axis]) for axis in "xy")
        assert np.median(np.hypot(rows["x"] - x, rows["y"] - y)) < 1.5
        own, truth = detections.events["object_id"] == number, recording.truth["object_id"] > 0
        assert truth[own].mean() > 0.85 and own[truth].mean() > 0.7


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_hardly_any_events(network, n):
    detections = detect_recording(network, few(n), config_of(), READOUT)
    assert detections.object_ids == [] and len(detections.event_columns["object_id"]) == n
    assert not detections.event_columns["object_id"].any()
    json.loads(detections_text(detections_document([detections.entry()])))


def test_fewer_false_alarms_take_more_evidence(network, found):
    recording = found["stars"][0]
    view = windowed(recording, config_of().data)
    thresholds = []
    for rate in (0.001, 0.1, 10.0):
        paths = find_paths(view, StarField.still(), Motion(Footprint.point(), rate))
        assert paths.threshold == threshold_nats(rate, recording.sensor_size)
        thresholds.append(paths.threshold)
        assert len(paths.paths) == len(paths.nats) == len(paths.star)
    assert thresholds == sorted(thresholds, reverse=True) and len(set(thresholds)) == 3
    configs = [config_of(**{"tracking.false_alarms_per_minute": rate}) for rate in (1e-6, 10.0)]
    scores = [detect_recording(network, recording, config, READOUT).tracks["object_score"] for config in configs]
    assert scores[0].max() < scores[1].max()


def test_deeper_is_at_least_as_good(network, found):
    detections = detect_recording(network, found["stars"][0], config_of(**{"tracking.deep": True}), READOUT)
    assert len(detections.object_ids) == 1


def test_deeper_the_maps_see_by_the_footprint_and_more_is_asked_for():
    usual, deep, boxes = (Motion(Footprint.point(), deep=deep, boxes=boxes) for deep, boxes in ((0, 0), (1, 0), (1, 1)))
    of_each = [search_settings(motion, (240, 180)) for motion in (usual, deep, boxes)]
    assert [settings.matched for settings in of_each] == [False, True, False]
    assert [motion.threshold((240, 180)) for motion in (usual, deep)] == pytest.approx([20.0, 21.0])
    assert [settings.path_nats for settings in of_each] == pytest.approx([17.5, 18.5, 17.5])
    follower = PathFollower(deep, (240, 180), 0.5)
    assert follower.threshold - PathFollower(usual, (240, 180), 0.5).threshold == pytest.approx(1)


def test_hulk_and_the_layer_go_together(network, found):
    recording, plain, _ = found["stars"]
    detections = detect_recording(network, recording, config_of(**{"tracking.hulk": True}), READOUT)
    assert len(detections.object_ids) == len(plain.object_ids) == 1


def test_events_that_the_transforms_drop_belong_to_no_path(found):
    recording = found["stars"][0]
    view = windowed(recording, config_of().data)
    kept = np.random.default_rng(0).random(len(view.events)) < 0.9
    paths = find_paths(dataclasses.replace(view, kept=kept), StarField.still(), POINT)
    assert paths.responsibility.shape == (len(view.events),) and paths.responsibility.dtype == np.float32
    assert not paths.responsibility[~kept].any() and (paths.responsibility[kept] >= OWN).any()


def test_paths_get_objects_in_the_slices_in_which_they_are(found):
    recording = found["no stars"][0]
    view = windowed(recording, config_of().data)
    slices = slices_of(view, empty_maps(view), 0.5)
    tracks, owners = track(view, slices, config_of().tracking)
    assert not tracks.tracks and not any(map(len, owners))
    paths = find_paths(view, tracks.field, POINT)
    (number,) = (k for k, nats in enumerate(paths.nats) if nats >= paths.threshold)
    merged = merge(view, slices, tracks, paths)
    best = max(merged.tracks.tracks, key=lambda known: known.score)
    assert best.score > 0.5 and best.nats == paths.nats[number] and best.t_us[-1] - best.t_us[0] >= (LEAST_S - 0.1) * 1e6
    flat = [part for window in merged.slices for part in window]
    assert [len(part.blobs.objects) for part in flat] == [len(own) for own in merged.owners]
    for k, j, t_us, state in zip(best.slices, best.detections, best.t_us, best.states, strict=True):
        part = flat[k]
        assert merged.owners[k][j] == best.id and part.start_us <= t_us <= part.end_us
        assert part.blobs.objects[["x", "y"]][j].tolist() == pytest.approx(tuple(state[:2]))
        assert np.count_nonzero(part.blobs.labels.number == j + 1) <= part.blobs.objects["pixels"][j]
        assert (np.diff(part.blobs.labels.pixel) > 0).all()
    assert np.allclose(best.states, paths.paths[number].at(best.t_us * 1e-6))


def empty_maps(view):
    return [SparseMap.of(np.zeros(view.shape, np.float32)) for _ in view.start_us]


def test_a_track_is_kept_where_the_path_that_covers_it_is_too_weak(network):
    """Of a star, whose path counts for nothing; the tracks of stars are part of the answer."""
    recording, cfg = limit_recording(replace(LIMIT, objects=0), 2), config_of()
    view = windowed(recording, cfg.data)
    plain = detect_recording(network, recording, config_of(**{"model.motion": False}), READOUT)
    assert len(plain.track_ids) > 1
    rows = plain.tracks[plain.tracks["track_id"] == 1]
    t_s, states = rows["t_us"] * 1e-6, np.stack([rows[name] for name in ("x", "y", "vx", "vy")], 1)
    path = SmoothPath(t_s[-1], t_s, states, np.ones(len(rows)), float(len(rows)), np.ones(len(rows)), 3.0)
    slices = slices_of(view, maps_of(network, view), READOUT.threshold)
    tracks, _ = track(view, slices, cfg.tracking)
    assert len(tracks.tracks) == len(plain.track_ids)
    found = find_paths(view, tracks.field, POINT)
    merged = merge(view, slices, tracks, found._replace(paths=[path], nats=[0.0], star=np.array([True]), tells=np.array([False])))
    assert len(merged.tracks.tracks) == len(tracks.tracks)


def maps_of(network, view):
    return [window.maps[0] for window in decoded(network, view.windows(), [None])]


def test_the_layer_is_that_of_the_configuration_and_the_network(network):
    assert motion_of(config_of(**{"model.motion": False}), network) is None
    motion = motion_of(config_of(), network)
    assert np.array_equal(motion.footprint.share, Footprint.point().share)
    assert (motion.false_alarms_per_minute, motion.deep, motion.backend) == (0.1, False, "auto")
    changed = config_of(**{"tracking.false_alarms_per_minute": 2.0, "tracking.deep": True, "backend": "reference"})
    motion = motion_of(changed, network)
    assert (motion.false_alarms_per_minute, motion.deep, motion.backend) == (2.0, True, "reference")
    learned = SpikeSEG.from_config(config_of().model, seed=0)
    learned.footprint = Footprint.point(1.5).share
    assert np.array_equal(motion_of(config_of(), learned).footprint.share, learned.footprint)


KEYS = {"model.motion": True, "tracking.false_alarms_per_minute": 0.5, "tracking.deep": True}


def test_keys_of_the_layer_are_written_only_where_they_are_set():
    """Configurations from before the layer keep their bytes, and stages their keys."""
    plain = load_config("files", {"data.data_root": None})
    assert not plain.model.motion and plain.tracking.false_alarms_per_minute == 0.1 and not plain.tracking.deep
    for dotted, value in KEYS.items():
        section, name = dotted.split(".")
        assert name not in to_dict(plain)[section] and f"{name}:" not in dump(plain)
        changed = load_config("files", {"data.data_root": None, dotted: value})
        assert to_dict(changed)[section][name] == value and f"{name}: " in dump(changed)
        assert from_dict(to_dict(changed), "here") == changed and from_dict(to_dict(plain), "here") == plain


RATE = "tracking.false_alarms_per_minute"


@pytest.mark.parametrize(
    ("dotted", "value"),
    [
        ("model.motion", "yes"), ("model.motion", 1), ("tracking.deep", 2), ("tracking.deep", None),
        (RATE, 0.0), (RATE, -1), (RATE, "few"), (RATE, float("nan")), (RATE, float("inf")),
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(dotted, value):
    with pytest.raises(InputError, match=dotted.replace(".", r"\.")):
        load_config(None, {dotted: value})


def test_overwhelming_evidence_goes_before_a_tracks_own_score(found):
    """Of a bright point that crosses in a moment the tracker sees too little to be sure; its events do not leave it open."""
    recording = limit_recording(replace(LIMIT, rate_hz=150.0, duration_s=5.0), 0)
    view = windowed(recording, config_of().data)
    paths = find_paths(view, StarField.still(), POINT)
    path = max(paths.paths, key=lambda one: one.evidence)
    t_s = np.linspace(path.t_s[0], path.t_s[-1], 20)
    nothing = np.zeros(20, np.int64)
    doubtful = ObjectTrack(1, t_s * 1e6, nothing, nothing, path.at(t_s), path.at(t_s)[:, 2:], 0.3)
    assert scored(doubtful, paths._replace(threshold=1e4)).score < 0.3
    paths.search.events.owner[paths.search.events.owner == path.id] = 0
    judged = scored(doubtful, paths)
    assert judged.nats > 4 * paths.threshold and judged.score > 0.99
    turned = Frame.of(StarField(np.array([0.0, 2e6, 60e6]), np.array([[0.0, 0.0], [20.0, 0.0]])), (0.0, 5.0), (120, 90))
    assert scored(doubtful, paths._replace(frame=turned)).score <= 0.3
