"""The schema of detect's files, by value: whoever changes it changes the version."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection.objects import OBJECT_DTYPE
from spikeseg.detection.schema import (
    DETECTIONS_VERSION,
    EVENT_COLUMNS,
    TRACK_COLUMNS,
    Detection,
    Detections,
    RecordingDetections,
    WindowDetections,
    detection_rows,
    detections_document,
    event_columns,
    recording_detections,
    to_sensor,
    track_rows,
)
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField


def one(x, y, score=5.0):
    """A detection of 4 by 2 pixels."""
    return np.array([(x, y, 4.0, 2.0, score, 1, 6)], OBJECT_DTYPE)


NO_TRACKS = Tracks([], StarField.still())
THRESHOLDS = (0.25, 0.5)


def track(number, score, *, n=3, velocity=(20.0, 10.0), field=(15.0, 4.0)):
    """A track through the first object of n slices, from (10, 20) on."""
    times = 50_000 + 1e5 * np.arange(n)
    states = np.hstack([np.array([10.0, 20.0]) + 0.1 * np.arange(n)[:, None] * velocity, np.tile(velocity, (n, 1))])
    return ObjectTrack(number, times, np.arange(n), np.zeros(n, int), states, states[:, 2:] - field, score)


@pytest.fixture
def tracked():
    """Three slices of 0.1 s, each with an object that moves by (2, 1) px; the last has a stray one besides. The tracks, the
    objects of each slice, the id of each."""
    objects = [one(10.0, 20.0), one(12.0, 21.0), np.concatenate([one(14.0, 22.0), one(99.0, 99.0, 1.0)])]
    field = StarField(np.array([0.0, 2e5, 3e5]), np.array([[15.0, 4.0], [12.0, 1.0]]))
    return Tracks([track(1, 0.75)], field), objects, [[1], [1], [1, 0]]


def test_detections_json_by_value(tracked):
    tracks, objects, owners = tracked
    times = [(100_000 * k, 100_000 * (k + 1)) for k in range(3)]
    windows = [(*times[k], detection_rows(objects[k], owners[k], *times[k], (1.0, 1.0))) for k in range(3)]
    entry = recording_detections("a", (240, 180), THRESHOLDS, windows, tracks)
    content = json.loads(json.dumps(detections_document([entry]), allow_nan=False))
    assert content["version"] == 2 and list(content) == ["version", "units", "recordings"]
    told = content["recordings"][0]
    assert {key: told[key] for key in told if key != "windows"} == {
        "name": "a",
        "sensor_size": [240, 180],
        "threshold": 0.25,
        "object_threshold": 0.5,
        "tracks": 1,
        "objects": [1],
        "star_field": [14.0, 3.0],
    }
    assert [(window["t_start_us"], window["t_end_us"]) for window in told["windows"]] == times
    assert told["windows"][2]["objects"] == [
        {
            "t_start_us": 200_000,
            "t_end_us": 300_000,
            "x": 14.0,
            "y": 22.0,
            "width": 4.0,
            "height": 2.0,
            "class_id": 1,
            "score": 5.0,
            "track_id": 1,
        },
        {
            "t_start_us": 200_000,
            "t_end_us": 300_000,
            "x": 99.0,
            "y": 99.0,
            "width": 4.0,
            "height": 2.0,
            "class_id": 1,
            "score": 1.0,
            "track_id": 0,
        },
    ]


def test_objects_are_the_tracks_that_reach_the_threshold():
    tracks = Tracks([track(1, 0.5), track(2, 0.0), track(3, 0.49), track(7, 0.9)], StarField.still())
    for threshold, ids in ((0.5, [1, 7]), (0.0, [1, 2, 3, 7]), (1.0, [])):
        entry = recording_detections("a", (240, 180), (0.25, threshold), [], tracks)
        assert (entry["objects"], entry["tracks"], entry["object_threshold"]) == (ids, 4, threshold)


def test_every_field_has_a_unit_or_none(tracked):
    tracks, objects, owners = tracked
    rows = detection_rows(objects[0], owners[0], 0, 1, (1.0, 1.0))
    entry = recording_detections("a", (240, 180), THRESHOLDS, [(0, 1, rows)], tracks)
    named = {name for key in detections_document([entry])["units"] for name in key.split(", ")}
    fields = set(entry) | set(entry["windows"][0]["objects"][0])
    assert named - fields == {"object_score"} <= set(TRACK_COLUMNS) & set(EVENT_COLUMNS)
    assert fields - named == {"name", "tracks", "windows", "class_id", "track_id", "objects"}


def test_a_window_without_objects_and_a_recording_without_windows():
    rows = detection_rows(np.zeros(0, OBJECT_DTYPE), [], 0, 100, (1.0, 1.0))
    entry = recording_detections("a", (240, 180), THRESHOLDS, [(0, 100, rows)], NO_TRACKS)
    assert entry["windows"] == [{"t_start_us": 0, "t_end_us": 100, "objects": []}]
    assert (entry["tracks"], entry["objects"], entry["star_field"]) == (0, [], [0.0, 0.0])
    assert recording_detections("a", (240, 180), THRESHOLDS, [], NO_TRACKS)["windows"] == []
    assert track_rows("a", [], [], (1.0, 1.0)) == []


def test_sensor_pixels_from_frame_pixels(tracked):
    _, objects, owners = tracked
    (row,) = detection_rows(objects[0], owners[0], 0, 1, (2.0, 0.5))
    assert (row["x"], row["y"], row["width"], row["height"]) == (20.5, 9.75, 8.0, 1.0)
    assert row["score"] == 5.0


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.75])
def test_the_frame_covers_the_sensor(scale):
    """The outer edges of the first and the last of 8 frame pixels are those of the sensor."""
    assert to_sensor(-0.5, scale) == -0.5
    assert to_sensor(7.5, scale) == 8 * scale - 0.5


def test_every_object_needs_its_track(tracked):
    _, objects, owners = tracked
    with pytest.raises(ValueError, match="zip"):
        detection_rows(objects[2], owners[1], 0, 1, (1.0, 1.0))


def test_tracks_csv_by_value(tracked):
    tracks, objects, _ = tracked
    assert TRACK_COLUMNS == (
        "recording", "track_id", "t_us", "x", "y", "vx", "vy", "vx_rel", "vy_rel", "width", "height", "score", "object_score",
    )  # fmt: skip
    rows = track_rows("a", tracks.tracks, objects, (1.0, 1.0))
    assert [row[:3] for row in rows] == [("a", 1, 50_000 + 100_000 * k) for k in range(3)]
    assert [row[3:] for row in rows] == [(10 + 2 * k, 20 + k, 20, 10, 5, 6, 4, 2, 5, 0.75) for k in range(3)]


def test_a_tracks_positions_are_the_sensors_and_its_sizes_those_of_the_frame(tracked):
    tracks, objects, _ = tracked
    plain, scaled = (track_rows("a", tracks.tracks, objects, scale)[1] for scale in ((1.0, 1.0), (2.0, 0.5)))
    assert scaled[:9] == plain[:9] and scaled[9:] == (8.0, 1.0, 5.0, 0.75)


def test_a_row_takes_the_detection_of_its_slice(tracked):
    tracks, objects, _ = tracked
    objects[2] = objects[2][::-1]
    objects[1]["score"] = 7.0
    tracks.tracks[0].detections[2] = 1
    assert [row[11] for row in track_rows("a", tracks.tracks, objects, (1.0, 1.0))] == [5.0, 7.0, 5.0]


def test_rows_are_by_track_then_time(tracked):
    _, objects, _ = tracked
    rows = track_rows("a", [track(1, 0.1), track(2, 0.2, n=1)], objects, (1.0, 1.0))
    expected = [(1, 50_000, 0.1), (1, 150_000, 0.1), (1, 250_000, 0.1), (2, 50_000, 0.2)]
    assert [(row[1], row[2], row[12]) for row in rows] == expected


def test_tracks_hold_plain_numbers(tracked):
    tracks, objects, _ = tracked
    (row, *_) = track_rows("a", tracks.tracks, objects, (1.0, 1.0))
    assert [type(value) for value in row] == [str, int, int] + [float] * 10


@pytest.mark.parametrize("n", [0, 3])
def test_event_columns(n):
    events = np.zeros(n, EVENT_DTYPE)
    events["t"], events["x"], events["p"] = np.arange(n), 7, True
    columns = event_columns(events, np.arange(n) / 4, np.arange(n, dtype=np.int64), np.arange(n) / 8)
    assert {name: column.dtype for name, column in columns.items()} == {k: np.dtype(v) for k, v in EVENT_COLUMNS.items()}
    assert list(columns) == ["t", "x", "y", "p", "score", "object_id", "object_score"]
    assert columns["score"].tolist() == [k / 4 for k in range(n)] and columns["object_id"].tolist() == list(range(n))
    assert columns["object_score"].tolist() == [k / 8 for k in range(n)]
    assert all(np.array_equal(columns[name], events[name]) for name in "txyp")
    assert all(column.flags.c_contiguous and not np.shares_memory(column, events) for column in columns.values())


@pytest.mark.parametrize("lengths", [(2, 3, 3), (3, 2, 3), (3, 3, 2)])
def test_event_columns_of_different_lengths_are_refused(lengths):
    told = "3 events, {} scores, {} object ids, {} object scores".format(*lengths)
    with pytest.raises(ValueError, match=told):
        event_columns(np.zeros(3, EVENT_DTYPE), *(np.zeros(n) for n in lengths))


def test_the_page_on_output_files_describes_every_field_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "output-files.md").read_text(encoding="utf-8")
    described = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:4]:
        cells = re.findall(r"^\| (`[^|]*`) \|", section, flags=re.MULTILINE)
        described.append({name for cell in cells for name in re.findall(r"`(\w+)`", cell)})
    fields = set().union(*(kind.__annotations__ for kind in (Detections, RecordingDetections, WindowDetections, Detection)))
    assert described == [fields, set(TRACK_COLUMNS), set(EVENT_COLUMNS)]
    assert f'assert found["version"] == {DETECTIONS_VERSION}' in page
