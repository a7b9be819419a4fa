"""The schema of detect's files, by value: whoever changes it changes the version."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spikeseg.algorithms.detections import (
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
from spikeseg.algorithms.objects import OBJECT_DTYPE
from spikeseg.algorithms.tracking import Tracker
from spikeseg.data.recording import EVENT_DTYPE


def one(x, y, score=5.0):
    """A detection of 4 by 2 pixels."""
    return np.array([(x, y, 4.0, 2.0, score, 1, 6)], OBJECT_DTYPE)


@pytest.fixture
def tracked():
    """Three windows of 0.1 s, each with an object that moves by (2, 1) px; the last has a stray one besides."""
    objects = [one(10.0, 20.0), one(12.0, 21.0), np.concatenate([one(14.0, 22.0), one(99.0, 99.0, 1.0)])]
    tracker = Tracker()
    owners = [tracker.update(50_000 + 100_000 * k, np.stack([found["x"], found["y"]], 1)) for k, found in enumerate(objects)]
    return tracker, objects, owners


def test_detections_json_by_value(tracked):
    tracker, objects, owners = tracked
    times = [(100_000 * k, 100_000 * (k + 1)) for k in range(3)]
    windows = [(*times[k], detection_rows(objects[k], owners[k], *times[k], (1.0, 1.0))) for k in range(3)]
    entry = recording_detections("a", (240, 180), 0.25, windows, tracker.tracks, np.array([3.0, -1.0]), (1.0, 1.0))
    content = json.loads(json.dumps(detections_document([entry]), allow_nan=False))
    assert content["version"] == 1 and list(content) == ["version", "units", "recordings"]
    told = content["recordings"][0]
    assert {key: told[key] for key in told if key != "windows"} == {
        "name": "a",
        "sensor_size": [240, 180],
        "threshold": 0.25,
        "tracks": 1,
        "star_field": [3.0, -1.0],
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


def test_every_field_has_a_unit_or_none(tracked):
    _, objects, owners = tracked
    rows = detection_rows(objects[0], owners[0], 0, 1, (1.0, 1.0))
    entry = recording_detections("a", (240, 180), 0.25, [(0, 1, rows)], [], np.zeros(2), (1.0, 1.0))
    named = {name for key in detections_document([entry])["units"] for name in key.split(", ")}
    fields = set(entry) | set(entry["windows"][0]["objects"][0])
    assert named <= fields and fields - named == {"name", "tracks", "windows", "class_id", "track_id"}


def test_a_window_without_objects_and_a_recording_without_windows():
    rows = detection_rows(np.zeros(0, OBJECT_DTYPE), [], 0, 100, (1.0, 1.0))
    entry = recording_detections("a", (240, 180), 0.25, [(0, 100, rows)], [], np.zeros(2), (1.0, 1.0))
    assert entry["windows"] == [{"t_start_us": 0, "t_end_us": 100, "objects": []}] and entry["tracks"] == 0
    assert recording_detections("a", (240, 180), 0.25, [], [], np.zeros(2), (1.0, 1.0))["windows"] == []
    assert track_rows("a", [], [], np.zeros(2), (1.0, 1.0)) == []


def test_the_star_field_in_sensor_pixels():
    entry = recording_detections("a", (240, 180), 0.25, [], [], np.array([3.0, -1.0]), (2.0, 0.5))
    assert entry["star_field"] == [6.0, -0.5]


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
    tracker, objects, _ = tracked
    assert TRACK_COLUMNS == (
        "recording", "track_id", "t_us", "x", "y", "vx", "vy", "vx_rel", "vy_rel", "width", "height", "score",
    )  # fmt: skip
    rows = track_rows("a", tracker.tracks, objects, np.array([15.0, 4.0]), (1.0, 1.0))
    assert [(row.recording, row.track_id, row.t_us) for row in rows] == [("a", 1, 50_000 + 100_000 * k) for k in range(3)]
    expected = [[10 + 2 * k, 20 + k, 20, 10, 5, 6, 4, 2, 5] for k in range(3)]
    np.testing.assert_allclose([row[3:] for row in rows], expected, rtol=0.01)


def test_tracks_scale_each_axis_by_its_own(tracked):
    tracker, objects, _ = tracked
    field = np.array([15.0, 4.0])
    plain, scaled = (track_rows("a", tracker.tracks, objects, field, scale)[1] for scale in ((1.0, 1.0), (2.0, 0.5)))
    for name, factor in (("vx", 2), ("vy", 0.5), ("vx_rel", 2), ("vy_rel", 0.5), ("width", 2), ("height", 0.5), ("score", 1)):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(plain, name))
    assert (scaled.x, scaled.y) == (to_sensor(plain.x, 2.0), to_sensor(plain.y, 0.5))


def test_rows_are_by_track_then_time(tracked):
    tracker, objects, _ = tracked
    late = Tracker(min_hits=1)
    late.update(0.0, np.array([[50.0, 50.0]]))
    late.tracks[0].id = 2
    rows = track_rows("a", [*late.tracks, *tracker.tracks], objects, np.zeros(2), (1.0, 1.0))
    assert [row.track_id for row in rows] == [1, 1, 1, 2]


def test_tracks_hold_plain_numbers(tracked):
    tracker, objects, _ = tracked
    (row, *_) = track_rows("a", tracker.tracks, objects, np.zeros(2), (1.0, 1.0))
    assert [type(value) for value in row] == [str, int, int] + [float] * 9


@pytest.mark.parametrize("n", [0, 3])
def test_event_columns(n):
    events = np.zeros(n, EVENT_DTYPE)
    events["t"], events["x"], events["p"] = np.arange(n), 7, True
    columns = event_columns(events, np.arange(n) / 4, np.arange(n, dtype=np.int64))
    assert {name: column.dtype for name, column in columns.items()} == {k: np.dtype(v) for k, v in EVENT_COLUMNS.items()}
    assert list(columns) == ["t", "x", "y", "p", "score", "object_id"]
    assert columns["score"].tolist() == [k / 4 for k in range(n)] and columns["object_id"].tolist() == list(range(n))
    assert all(np.array_equal(columns[name], events[name]) for name in "txyp")
    assert all(column.flags.c_contiguous and not np.shares_memory(column, events) for column in columns.values())


def test_event_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="3 events, 2 scores, 3 object ids"):
        event_columns(np.zeros(3, EVENT_DTYPE), np.zeros(2), np.zeros(3, int))


def test_the_page_on_output_files_describes_every_field_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "output-files.md").read_text(encoding="utf-8")
    described = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:4]:
        cells = re.findall(r"^\| (`[^|]*`) \|", section, flags=re.MULTILINE)
        described.append({name for cell in cells for name in re.findall(r"`(\w+)`", cell)})
    fields = set().union(*(kind.__annotations__ for kind in (Detections, RecordingDetections, WindowDetections, Detection)))
    assert described == [fields, set(TRACK_COLUMNS), set(EVENT_COLUMNS)]
    assert f'assert found["version"] == {DETECTIONS_VERSION}' in page
