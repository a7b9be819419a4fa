"""Objects of real scenes in detection: whole objects as tables, files and evaluation take them."""

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest

import spikeseg
from spikeseg.config import dump, from_dict, load_config, to_dict
from spikeseg.config.sections import TrackingConfig
from spikeseg.core.sparse import SparseMap
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording
from spikeseg.data.windows import windowed
from spikeseg.detection.event_scores import UNTRACKED
from spikeseg.detection.result import DetectionResult
from spikeseg.detection.schema import (
    EVENT_COLUMNS,
    TRACK_COLUMNS,
    Detection,
    RecordingDetections,
    WindowDetections,
    detections_document,
    detections_text,
)
from spikeseg.detection.tracked import answer
from spikeseg.errors import InputError
from spikeseg.simulation.scenes import SceneConfig, scene_recording

SCENE = SceneConfig(
    objects=(2, 2), size_px=(10.0, 25.0), speed_px_s=(60.0, 200.0), contrast=(0.8, 1.5), motions=("straight",),
    sensor_size=(120, 90), duration_s=0.8, seed=3,
)  # fmt: skip
CHOSEN = (1, 2)
"""Recordings of it whose objects pass each other at a distance."""

FRAMINGS = {
    "as it comes": {},
    "long windows": {"data.timestep_ms": 20.0, "data.n_timesteps": 10},
    "no overlap": {"data.timestep_ms": 33.0, "data.n_timesteps": 4, "data.window_overlap": 0.0},
    "large overlap": {"data.timestep_ms": 10.0, "data.n_timesteps": 8, "data.window_overlap": 0.75},
    "one long window": {"data.timestep_ms": 100.0, "data.n_timesteps": 20},
    "smaller frames": {"data.input_height": 45, "data.input_width": 60},
    "frames of another shape": {"data.input_height": 30, "data.input_width": 100},
}
NONE = {"data.transforms": []}


def network_of(**changes):
    return spikeseg.new("files", {"device": "cpu", "data.data_root": None, "evaluation.bootstrap": 10, **NONE, **changes})


@pytest.fixture(scope="module")
def recordings():
    return [scene_recording(SCENE, index) for index in CHOSEN]


@pytest.fixture(scope="module")
def found(recordings):
    """Of each framing what is detected in both recordings."""
    return {name: list(network_of(**changes).detect(recordings).values()) for name, changes in FRAMINGS.items()}


def of(table, number):
    return table[table["track_id"] == number]


def object_of(detections, recording, own):
    """The object that most events of an object of the truth belong to, and how well their events agree."""
    truth, ids = recording.truth["object_id"] == own, detections.event_columns["object_id"]
    number = int(np.argmax(np.bincount(ids[truth])))
    return number, np.count_nonzero(truth & (ids == number)) / np.count_nonzero(truth | (ids == number))


def test_the_preset_looks_at_scenes():
    assert load_config("files", {"data.data_root": None}).tracking.scenes
    assert not load_config("demo", {"data.data_root": None}).tracking.scenes


@pytest.mark.parametrize("framing", FRAMINGS)
def test_each_object_is_one_track_with_its_events(recordings, found, framing):
    for recording, detections in zip(recordings, found[framing], strict=True):
        assert detections.track_ids == detections.object_ids == [1, 2]
        owners = [object_of(detections, recording, own) for own in (1, 2)]
        assert sorted(number for number, _ in owners) == [1, 2] and min(share for _, share in owners) >= 0.75


@pytest.mark.parametrize("framing", FRAMINGS)
def test_boxes_hold_the_objects(recordings, found, framing):
    for recording, detections in zip(recordings, found[framing], strict=True):
        if "another" in framing:
            continue
        good, total = 0, 0
        for own in (1, 2):
            rows = of(detections.tracks, object_of(detections, recording, own)[0])
            boxes = recording.boxes[recording.boxes["id"] == own]
            inside = (rows["t_us"] >= boxes["t"][0]) & (rows["t_us"] <= boxes["t"][-1])
            assert inside.mean() >= 0.8
            rows = rows[inside]
            x, y, w, h = (np.interp(rows["t_us"], boxes["t"], boxes[name]) for name in "xywh")
            across = np.minimum(rows["x"] + rows["width"] / 2, x + w / 2) - np.maximum(rows["x"] - rows["width"] / 2, x - w / 2)
            down = np.minimum(rows["y"] + rows["height"] / 2, y + h / 2) - np.maximum(rows["y"] - rows["height"] / 2, y - h / 2)
            both = np.maximum(across, 0) * np.maximum(down, 0)
            iou = both / (w * h + rows["width"] * rows["height"] - both)
            good, total = good + np.count_nonzero(iou >= 0.5), total + len(iou)
        assert good >= 0.8 * total


def test_velocities_are_those_of_the_objects(recordings, found):
    for recording, detections in zip(recordings, found["as it comes"], strict=True):
        for own in (1, 2):
            rows = of(detections.tracks, object_of(detections, recording, own)[0])
            boxes = recording.boxes[recording.boxes["id"] == own]
            whole = boxes[(boxes["w"] >= 0.9 * boxes["w"].max()) & (boxes["h"] >= 0.9 * boxes["h"].max())]
            seconds = (whole["t"][-1] - whole["t"][0]) * 1e-6
            for name, axis in (("vx", "x"), ("vy", "y")):
                assert np.median(rows[name]) == pytest.approx((whole[axis][-1] - whole[axis][0]) / seconds, abs=20, rel=0.15)
            assert np.array_equal(rows["vx"], rows["vx_rel"]) and np.array_equal(rows["vy"], rows["vy_rel"])
        assert detections.star_field == (0.0, 0.0)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_tables_agree(recordings, found, framing):
    for recording, detections in zip(recordings, found[framing], strict=True):
        objects, tracks, events = detections.detections, detections.tracks, detections.events
        numbers = detections.track_ids
        assert numbers == list(range(1, len(numbers) + 1)) == sorted(set(objects["track_id"].tolist()))
        begins = [events["t"][events["object_id"] == number][0] for number in numbers]
        assert begins == sorted(begins)
        assert [len(of(objects, number)) for number in numbers] == [len(of(tracks, number)) for number in numbers]
        for table in (objects, tracks):
            assert all(np.isfinite(table[name]).all() for name in ("x", "y", "width", "height", "score"))
            assert (table["width"] > 0).all() and (table["height"] > 0).all() and (table["score"] > 0).all()
        for number in numbers:
            own, rows = of(objects, number), of(tracks, number)
            assert np.abs((own["t_start_us"] + own["t_end_us"]) // 2 - rows["t_us"]).max() == 0
            assert (np.diff(rows["t_us"]) > 0).all() and len(np.unique(rows["object_score"])) == 1
            for name in ("x", "y", "width", "height"):
                assert own[name] == pytest.approx(rows[name], abs=1e-9)
            assert np.array_equal(own["score"], rows["score"])
            mine = events[events["object_id"] == number]
            assert np.all(mine["object_score"] == np.float32(rows["object_score"][0])) and 0.5 <= rows["object_score"][0] <= 1
            for row in own:  # the score is the number of its events in the slice
                during = (mine["t"] >= row["t_start_us"]) & (mine["t"] < row["t_end_us"])
                assert row["score"] == max(np.count_nonzero(during), 1)
            step = int((objects["t_end_us"] - objects["t_start_us"]).max())
            assert mine["t"][0] >= rows["t_us"][0] - step - 60_000 and mine["t"][-1] <= rows["t_us"][-1] + step + 60_000
        same = objects["t_start_us"][1:] == objects["t_start_us"][:-1]
        assert (np.diff(objects["t_start_us"]) >= 0).all() and (np.diff(objects["score"])[same] <= 0).all()
        assert np.all((objects["t_start_us"] >= objects["window_start_us"]) & (objects["t_end_us"] <= objects["window_end_us"]))
        assert set(events["object_id"].tolist()) == {0, *numbers} and len(events) == len(recording.events)
        others = events["object_score"][events["object_id"] == 0]
        assert (others >= 0).all() and (others < UNTRACKED).all()
        assert all(len(detections.event_columns[c]) == len(events) for c in EVENT_COLUMNS)


def test_how_it_is_framed_changes_neither_events_nor_tracks(recordings, found):
    for k in range(len(recordings)):
        first = found["as it comes"][k]
        for name in FRAMINGS:
            other = found[name][k]
            assert np.array_equal(first.event_columns["object_id"], other.event_columns["object_id"]), name
            if "frames" in name:  # the same windows: the same boxes, on the sensor
                for column in ("x", "y", "vx", "vy", "width", "height", "t_us", "object_score"):
                    assert first.tracks[column] == pytest.approx(other.tracks[column], abs=1e-6), (name, column)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_detections_are_valid_json_of_the_schema_and_are_read_back(found, framing, tmp_path):
    result = DetectionResult(found[framing])
    document = json.loads(detections_text(detections_document([detections.entry() for detections in found[framing]])))
    for entry, detections in zip(document["recordings"], found[framing], strict=True):
        assert list(entry) == list(RecordingDetections.__annotations__)
        assert all(list(window) == list(WindowDetections.__annotations__) for window in entry["windows"])
        rows = [row for window in entry["windows"] for row in window["objects"]]
        assert len(rows) == len(detections.detections) and all(list(row) == list(Detection.__annotations__) for row in rows)
        assert entry["objects"] == detections.object_ids and entry["tracks"] == len(detections.track_ids)
    folder = result.save(tmp_path / "out")
    assert json.loads((folder / "detections.json").read_text())["recordings"] == document["recordings"]
    assert len((folder / "tracks.csv").read_text().splitlines()) == 1 + sum(len(d.tracks) for d in found[framing])
    for detections in found[framing]:
        with np.load(folder / f"{detections.recording}.events.npz") as stored:
            assert all(np.array_equal(stored[name], detections.event_columns[name]) for name in EVENT_COLUMNS)


def test_equal_input_gives_equal_output(recordings, found):
    first, second = found["as it comes"][0], network_of().detect(recordings[0])
    for name in ("objects", "tracks", "events"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_labels_and_truth_are_never_read(recordings, found):
    bare = replace(recordings[0], labels=None, truth=None)
    assert network_of().detect(bare).events.tobytes() == found["as it comes"][0].events.tobytes()


def test_what_the_network_learned_changes_no_object(recordings, found):
    """Objects are those of the events; the network gives their classes and the saliency."""
    other = network_of(seed=9).detect(recordings[0])
    assert np.array_equal(other.event_columns["object_id"], found["as it comes"][0].event_columns["object_id"])
    assert set(other.detections["class_id"].tolist()) <= {-1, 0, 1, 2, 3}
    mine, its = found["as it comes"][0].tracks, other.tracks
    assert all(np.array_equal(mine[name], its[name]) for name in TRACK_COLUMNS if not name.startswith("class_"))


def test_objects_of_single_spikes_change_nothing_in_scenes(recordings, found):
    """Not even classes, which HULK would know by its spikes."""
    other, mine = network_of(**{"tracking.hulk": True}).detect(recordings[0]), found["as it comes"][0]
    assert other.detections.tobytes() == mine.detections.tobytes() and other.tracks.tobytes() == mine.tracks.tobytes()


# -- what the response holds --------------------------------------------------------------------------


def response_of(recording, network=None, kept=None, maps=None):
    cfg = (network or network_of()).config
    view = windowed(recording, cfg.data)
    if kept is not None:
        view = dataclasses.replace(view, kept=kept)
    if maps is None:
        maps = [SparseMap.of(np.zeros(view.shape, np.float32)) for _ in view.start_us]
    return view, answer(view, maps, 0.0, TrackingConfig(scenes=True))


@pytest.mark.parametrize("framing", FRAMINGS)
def test_labels_of_a_slice_are_the_pixels_of_its_events(recordings, framing):
    view, response = response_of(recordings[0], network_of(**FRAMINGS[framing]))
    tracked = response.tracked
    flat = [part for window in tracked.slices for part in window]
    assert len(tracked.slices) == len(view.start_us) and len(flat) == len(tracked.owners)
    _, height, width = view.shape
    events, seen = view.events, 0
    for part, owners in zip(flat, tracked.owners, strict=True):
        blobs = part.blobs
        assert len(owners) == len(blobs.objects) == len(set(owners.tolist()))
        assert blobs.labels.size == (height, width) and (np.diff(blobs.labels.pixel) > 0).all()
        during = (events["t"] >= part.start_us) & (events["t"] < part.end_us)
        for number, owner in enumerate(owners, 1):
            own = events[during & (tracked.ids == owner)]
            flat_pixels = (own["y"].astype(int) * height // view.sensor_size[1]) * width + own["x"].astype(
                int
            ) * width // view.sensor_size[0]
            pixels = blobs.labels.pixel[blobs.labels.number == number]
            assert set(pixels.tolist()) <= set(flat_pixels.tolist())
            assert blobs.objects["pixels"][number - 1] == len(set(flat_pixels.tolist())) >= len(pixels)
            seen += len(pixels)
    assert seen > 100
    for track in tracked.tracks.tracks:
        assert [int(tracked.owners[k][j]) for k, j in zip(track.slices, track.detections, strict=True)] == [track.id] * len(
            track.slices
        )


def test_an_event_scores_as_its_object_does_and_else_by_its_saliency(recordings):
    view, response = response_of(recordings[0])
    likely = {track.id: track.score for track in response.tracked.tracks.tracks}
    ids = response.tracked.ids
    assert not response.scores[ids == 0].any()
    for number, score in likely.items():
        assert np.all(response.scores[ids == number] == score)
    full = [SparseMap.of(np.ones(view.shape, np.float32)) for _ in view.start_us]
    _, other = response_of(recordings[0], maps=full)
    assert np.array_equal(other.scores[ids > 0], response.scores[ids > 0])
    assert other.scores[ids == 0] == pytest.approx(UNTRACKED / 2) and min(likely.values()) >= 0.5 > UNTRACKED


def test_events_that_the_transforms_drop_belong_to_no_object(recordings):
    recording = recordings[0]
    kept = np.random.default_rng(0).random(len(recording.events)) < 0.9
    _, response = response_of(recording, kept=kept)
    ids = response.tracked.ids
    assert len(ids) == len(recording.events) and not ids[~kept].any() and len(response.tracked.tracks.tracks) == 2
    _, whole = response_of(replace(recording, events=recording.events[kept], truth=recording.truth[kept]))
    assert np.array_equal(ids[kept], whole.tracked.ids)
    _, none = response_of(recording, kept=np.zeros(len(kept), bool))
    assert not none.tracked.ids.any() and none.tracked.tracks.tracks == []


def test_a_transform_that_drops_events(recordings):
    changes = {"data.transforms": [{"name": "DropPixel", "coordinates": [[k, 40] for k in range(120)]}]}
    detections = network_of(**changes).detect(recordings[0])
    events = detections.events
    assert len(events) == len(recordings[0].events) and len(detections.track_ids) >= 2
    assert not events["object_id"][events["y"] == 40].any() and events["object_id"][events["y"] == 50].any()


def test_the_window_is_told_and_may_be_set(recordings, found, caplog):
    usual = found["as it comes"][0].event_columns["object_id"]
    with caplog.at_level("INFO", "spikeseg.detection.scene_objects"):
        network_of().detect(recordings[0])
        own = float(caplog.messages[-1].split()[-2])
        same = network_of(**{"tracking.scene_window_ms": own}).detect(recordings[0])
        other = network_of(**{"tracking.scene_window_ms": 2 * own}).detect(recordings[0])
    assert [message.split()[-2:] for message in caplog.messages] == [[f"{ms:g}", "ms"] for ms in (own, own, 2 * own)]
    assert np.array_equal(same.event_columns["object_id"], usual)
    assert not np.array_equal(other.event_columns["object_id"], usual) and len(other.track_ids) == 2


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), 1e300, "long"])
def test_windows_that_are_none_are_refused(value):
    with pytest.raises(InputError, match="scene_window_ms"):
        network_of(**{"tracking.scene_window_ms": value})


def test_keys_of_scenes_are_written_only_where_they_are_set():
    plain = load_config("demo", {"data.data_root": None})
    assert (
        not {"scenes", "scene_window_ms"} & set(to_dict(plain)["tracking"])
        and "scene" not in dump(plain).split("tracking:")[1][:300]
    )
    changed = load_config("demo", {"data.data_root": None, "tracking.scenes": True, "tracking.scene_window_ms": 12.5})
    assert to_dict(changed)["tracking"]["scene_window_ms"] == 12.5 and from_dict(to_dict(changed), "here") == changed


def test_a_longer_window_than_the_recording(recordings):
    detections = network_of(**{"tracking.scene_window_ms": 5000.0}).detect(recordings[0])
    assert len(detections.event_columns["object_id"]) == len(recordings[0].events) and detections.track_ids == []


# -- any input ----------------------------------------------------------------------------------------


def few(n, size=(120, 90), gap_us=40_000):
    events = np.zeros(n, EVENT_DTYPE)
    x, y = np.random.default_rng(0).integers(0, min(size), (2, n))
    events["t"], events["x"], events["y"] = 1000 + np.arange(n) * gap_us, x, y
    return Recording(events, size, np.zeros(0, LABEL_DTYPE), "few", "few")


@pytest.mark.parametrize("n", [0, 1, 2, 40])
@pytest.mark.parametrize("size", [(34, 34), (120, 90)])
def test_hardly_any_events(n, size):
    detections = network_of().detect(few(n, size))
    assert detections.object_ids == [] and len(detections.detections) == len(detections.tracks) == len(detections.objects) == 0
    assert len(detections.event_columns["object_id"]) == n and not detections.event_columns["object_id"].any()
    json.loads(detections_text(detections_document([detections.entry()])))


def test_noise_alone_has_no_object():
    recording = scene_recording(replace(SCENE, objects=(0, 0), noise_hz=3.0), 0)
    detections = network_of().detect(recording)
    assert detections.track_ids == [] and not detections.event_columns["object_id"].any() and len(recording.events) > 5000


# -- evaluation ---------------------------------------------------------------------------------------


def test_evaluation_of_a_scene(recordings):
    network = network_of(**{"data.timestep_ms": 20.0, "data.n_timesteps": 5})
    evaluation = spikeseg.evaluate(network, recordings[0], modes=["event", "object", "track"])
    for title in ("trained network", "network, tracked as points", "untrained network", "raw events"):
        assert title in evaluation.table()
    assert evaluation.metrics["detectors"]["points"] == "network, tracked as points"
    exact, objects, tracks = (evaluation[mode] for mode in ("event_exact", "object", "track"))
    assert exact["network"]["roc_auc"] >= 0.95 and exact["network"]["roc_auc"] > exact["points"]["roc_auc"] + 0.05
    assert objects["network"]["f1"] >= 0.9 and objects["network"]["f1"] > objects["points"]["f1"]
    assert tracks["network"]["coverage"] >= 0.9 and tracks["network"]["coverage"] > tracks["points"]["coverage"]
    json.dumps(evaluation.metrics)


def test_points_are_compared_only_where_scenes_are_looked_at(recordings):
    evaluation = spikeseg.evaluate(network_of(**{"tracking.scenes": False}), recordings[0], modes="object")
    assert "points" not in evaluation.metrics["detectors"] and "as points" not in evaluation.table()
