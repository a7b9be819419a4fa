"""The schema of detect's files, by value: whoever changes it changes the version."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection.objects import OBJECT_DTYPE, Blobs, Labels, Slice
from spikeseg.detection.readout import Readout
from spikeseg.detection.result import Detections
from spikeseg.detection.schema import (
    DETECTION_COLUMNS,
    DETECTIONS_VERSION,
    EVENT_COLUMNS,
    OBJECT_COLUMNS,
    TABLES,
    TRACK_COLUMNS,
    WINDOW_DTYPE,
    Detection,
    DetectionsDocument,
    RecordingDetections,
    WindowDetections,
    detections_document,
    table_dtype,
    units_of,
)
from spikeseg.detection.tables import Scale, detection_table, event_columns, object_table, track_table
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField


def one(x, y, score=5.0):
    """A detection of 4 by 2 pixels."""
    return np.array([(x, y, 4.0, 2.0, score, 1, 6)], OBJECT_DTYPE)


PLAIN = Scale(1.0, 1.0)
NO_TRACKS = Tracks([], StarField.still())


def slice_of(objects, start_us, end_us):
    """A slice that holds these objects."""
    labels = Labels((180, 240), np.zeros(0, np.int32), np.zeros(0, np.int32))
    return Slice(slice(0, 1), start_us, end_us, Blobs(objects, labels))


def detections_of(tracks, objects, owners, times, scale=PLAIN, threshold=0.5):
    """What is detected in a recording of one slice per window."""
    windows = np.array(times, WINDOW_DTYPE)
    slices = [[slice_of(own, *time)] for own, time in zip(objects, times, strict=True)]
    rows = track_table("a", tracks.tracks, objects, scale, threshold)
    return Detections(
        recording="a",
        sensor_size=(240, 180),
        readout=Readout(threshold, 0.25),
        star_field=tuple(tracks.field.mean.tolist()),
        windows=windows,
        detections=detection_table("a", windows, slices, owners, scale, {1: "cat"}),
        tracks=rows,
        objects=object_table(rows, np.zeros(0, np.int32)),
        event_columns={name: np.empty(0, column.dtype) for name, column in EVENT_COLUMNS.items()},
    )


def entry_of(*of, **options):
    return detections_of(*of, **options).entry()


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
    return Tracks([track(1, 0.75)], field), objects, [np.array(ids, np.int32) for ids in ([1], [1], [1, 0])]


def test_detections_json_by_value(tracked):
    tracks, objects, owners = tracked
    times = [(100_000 * k, 100_000 * (k + 1)) for k in range(3)]
    entry = entry_of(tracks, objects, owners, times)
    content = json.loads(json.dumps(detections_document([entry]), allow_nan=False))
    assert content["version"] == 3 and list(content) == ["version", "units", "recordings"]
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
            "class_name": "cat",
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
            "class_name": "cat",
            "score": 1.0,
            "track_id": 0,
        },
    ]


def test_objects_are_the_tracks_that_reach_the_threshold(tracked):
    _, objects, owners = tracked
    times = [(100_000 * k, 100_000 * (k + 1)) for k in range(3)]
    tracks = Tracks([track(1, 0.5), track(2, 0.0), track(3, 0.49), track(7, 0.9)], StarField.still())
    for threshold, ids in ((0.5, [1, 7]), (0.0, [1, 2, 3, 7]), (1.0, [])):
        entry = entry_of(tracks, objects, owners, times, threshold=threshold)
        assert (entry["objects"], entry["tracks"], entry["object_threshold"]) == (ids, 4, threshold)


def test_every_field_has_a_unit_or_none(tracked):
    _, objects, owners = tracked
    entry = entry_of(NO_TRACKS, objects[:1], owners[:1], [(0, 1)])
    named = {name for key in detections_document([entry])["units"] for name in key.split(", ")}
    fields = set(entry) | set(entry["windows"][0]["objects"][0])
    assert named - fields == {"object_score"} <= set(TRACK_COLUMNS) & set(EVENT_COLUMNS)
    assert fields - named == {"name", "tracks", "windows", "class_id", "class_name", "track_id", "objects"}


def test_units_of_the_tables_are_those_of_the_files():
    assert set(Detection.__annotations__) <= set(DETECTION_COLUMNS)
    units = {name: unit for table in TABLES for name, unit in units_of(table).items()}
    assert {name for name, unit in units.items() if unit == "us"} == {
        name for name in units if name == "t" or name.endswith("_us")
    }
    assert {name for name, unit in units.items() if unit == "pix / s"} == {
        "vx", "vy", "vx_rel", "vy_rel", "speed", "speed_rel",
    }  # fmt: skip
    assert {name for name, unit in units.items() if unit == "pix"} == {
        "x", "y", "width", "height", "x_start", "y_start", "x_end", "y_end",
    }  # fmt: skip
    assert all(column.meaning for table in TABLES.values() for column in table.values())


def test_a_table_holds_the_longest_name():
    assert table_dtype(TRACK_COLUMNS, "night")["recording"] == np.dtype("<U5")
    assert table_dtype(TRACK_COLUMNS)["recording"] == np.dtype("<U1")
    assert table_dtype(DETECTION_COLUMNS, "night", "cat")["class_name"] == np.dtype("<U3")
    assert table_dtype(EVENT_COLUMNS).names == ("t", "x", "y", "p", "score", "object_id", "object_score")


def test_a_window_without_objects_and_a_recording_without_windows():
    entry = entry_of(NO_TRACKS, [np.zeros(0, OBJECT_DTYPE)], [np.zeros(0, np.int32)], [(0, 100)])
    assert entry["windows"] == [{"t_start_us": 0, "t_end_us": 100, "objects": []}]
    assert (entry["tracks"], entry["objects"], entry["star_field"]) == (0, [], [0.0, 0.0])
    assert entry_of(NO_TRACKS, [], [], [])["windows"] == []
    assert len(track_table("a", [], [], PLAIN, 0.5)) == 0


def test_objects_are_listed_in_the_window_that_they_were_detected_in(tracked):
    _, (first, _, last), (owner, _, owners) = tracked
    times = [(0, 100_000), (50_000, 200_000), (100_000, 300_000)]
    windows = entry_of(NO_TRACKS, [first, first[:0], last], [owner, owner[:0], owners], times)["windows"]
    assert [window["t_start_us"] for window in windows] == [0, 50_000, 100_000]
    assert [[o["x"] for o in window["objects"]] for window in windows] == [[10.0], [], [14.0, 99.0]]


def test_sensor_pixels_from_frame_pixels(tracked):
    _, objects, owners = tracked
    (row,) = detections_of(NO_TRACKS, objects[:1], owners[:1], [(0, 1)], Scale(2.0, 0.5)).detections
    assert (row["x"], row["y"], row["width"], row["height"]) == (20.5, 9.75, 8.0, 1.0)
    assert row["score"] == 5.0
    assert Scale.of((240, 180), (45, 60)) == (4.0, 4.0)


def test_every_object_needs_its_track(tracked):
    _, objects, owners = tracked
    with pytest.raises(ValueError, match="equally many"):
        detections_of(NO_TRACKS, objects[2:], owners[1:2], [(0, 1)])


def test_tracks_csv_by_value(tracked):
    tracks, objects, _ = tracked
    assert tuple(TRACK_COLUMNS) == (
        "recording", "track_id", "t_us", "x", "y", "vx", "vy", "vx_rel", "vy_rel", "width", "height", "score", "object_score",
        "log_likelihood_ratio", "class_id", "class_name", "is_object",
    )  # fmt: skip
    rows = track_table("a", tracks.tracks, objects, PLAIN, 0.75).tolist()
    assert [row[:3] for row in rows] == [("a", 1, 50_000 + 100_000 * k) for k in range(3)]
    assert [row[3:] for row in rows] == [(10 + 2 * k, 20 + k, 20, 10, 5, 6, 4, 2, 5, 0.75, 0.0, -1, "", True) for k in range(3)]


def test_objects_csv_by_value(tracked):
    _, objects, _ = tracked
    tracks = [track(2, 0.75, velocity=(3.0, -4.0), field=(0.0, 0.0)), track(3, 0.25), track(7, 0.5, n=1)]
    objects[1]["width"], objects[1]["height"] = 12.0, 1.0
    rows = track_table("a", tracks, objects, PLAIN, 0.5, np.array([1, 0, -1], np.int32), {1: "cat"})
    rows["vx"][2], rows["x"][2] = 1.5, 7 / 3
    found = object_table(rows, np.array([2, 0, 2, 3, 9, 2]))
    assert found.dtype == table_dtype(OBJECT_COLUMNS, "a", "cat") and tuple(OBJECT_COLUMNS) == (
        "recording", "object_id", "t_start_us", "t_end_us", "x_start", "y_start", "x_end", "y_end", "vx", "vy", "speed", "vx_rel",
        "vy_rel", "speed_rel", "width", "height", "events", "confidence", "log_likelihood_ratio", "class_id", "class_name",
    )  # fmt: skip
    first, second = found.tolist()
    assert first[:8] == ("a", 2, 50_000, 250_000, 10.0, 20.0, 2.3333, 19.2)
    assert first[8:14] == (2.5, -4.0, np.round((5 + 5 + np.hypot(1.5, 4)) / 3, 4), 3.0, -4.0, 5.0)
    assert first[14:] == (4.0, 2.0, 3, 0.75, 0.0, 1, "cat")
    assert second[:4] == ("a", 7, 50_000, 50_000) and second[8:14] == (20.0, 10.0, 22.3607, 5.0, 6.0, 7.8102)
    assert second[14:] == (4.0, 2.0, 0, 0.5, 0.0, -1, "")
    assert len(object_table(rows[:0], np.zeros(0, np.int32))) == 0


@pytest.mark.parametrize(("jitter", "low", "high"), [(0.0, 49.9, 50.1), (3.0, 4.5, 5.5)])
def test_the_speed_of_what_jitters_is_that_of_its_smoothed_way(jitter, low, high):
    n = 401
    random = np.random.default_rng(1)
    rows = np.zeros(n, table_dtype(TRACK_COLUMNS, "a"))
    rows["track_id"], rows["is_object"], rows["t_us"] = 1, True, 25_000 * np.arange(n)
    for axis, velocity in (("x", -3.0), ("y", 4.0)):
        rows[axis] = 300 + velocity * 0.025 * np.arange(n) + jitter * random.normal(size=n)
        rows[f"v{axis}"] = np.tile([50.0, 0.0] if axis == "x" else [0.0, 50.0], n)[:n]
        rows[f"v{axis}_rel"] = rows[f"v{axis}"] - 4 * velocity
    found = object_table(rows, np.zeros(0, np.int32))
    assert low < found["speed"][0] < high
    if jitter:
        assert 3 * low < found["speed_rel"][0] < 3 * high


def test_a_tracks_positions_are_the_sensors_and_its_sizes_those_of_the_frame(tracked):
    tracks, objects, _ = tracked
    plain, scaled = (track_table("a", tracks.tracks, objects, scale, 0.76).tolist()[1] for scale in (PLAIN, Scale(2.0, 0.5)))
    assert scaled[:9] == plain[:9] and scaled[9:] == (8.0, 1.0, 5.0, 0.75, 0.0, -1, "", False)


def test_a_row_takes_the_detection_of_its_slice(tracked):
    tracks, objects, _ = tracked
    objects[2] = objects[2][::-1]
    objects[1]["score"] = 7.0
    tracks.tracks[0].detections[2] = 1
    assert track_table("a", tracks.tracks, objects, PLAIN, 0.75)["score"].tolist() == [5.0, 7.0, 5.0]


def test_every_row_of_a_track_has_its_class_and_what_that_is_called(tracked):
    _, objects, _ = tracked
    tracks = [track(1, 0.1, n=2), track(2, 0.2, n=1), track(3, 0.2, n=1)]
    rows = track_table("a", tracks, objects, PLAIN, 0.5, np.array([1, -1, 0], np.int32), {0: "cat", 1: "a dog"})
    assert rows[["class_id", "class_name"]].tolist() == [(1, "a dog"), (1, "a dog"), (-1, ""), (0, "cat")]


def test_rows_are_by_track_then_time(tracked):
    _, objects, _ = tracked
    rows = track_table("a", [track(1, 0.1), track(2, 0.2, n=1)], objects, PLAIN, 0.5)
    expected = [(1, 50_000, 0.1), (1, 150_000, 0.1), (1, 250_000, 0.1), (2, 50_000, 0.2)]
    assert rows[["track_id", "t_us", "object_score"]].tolist() == expected


def test_tracks_hold_plain_numbers(tracked):
    tracks, objects, _ = tracked
    (row, *_) = track_table("a", tracks.tracks, objects, PLAIN, 0.75).tolist()
    assert [type(value) for value in row] == [str, int, int] + [float] * 11 + [int, str, bool]


@pytest.mark.parametrize("n", [0, 3])
def test_event_columns(n):
    events = np.zeros(n, EVENT_DTYPE)
    events["t"], events["x"], events["p"] = np.arange(n), 7, True
    columns = event_columns(events, np.arange(n) / 4, np.arange(n, dtype=np.int64), np.arange(n) / 8)
    assert {name: column.dtype.str for name, column in columns.items()} == {
        "t": "<i8", "x": "<i2", "y": "<i2", "p": "|b1", "score": "<f4", "object_id": "<i4", "object_score": "<f4",
    }  # fmt: skip
    assert list(columns) == ["t", "x", "y", "p", "score", "object_id", "object_score"]
    assert columns["score"].tolist() == [k / 4 for k in range(n)] and columns["object_id"].tolist() == list(range(n))
    assert columns["object_score"].tolist() == [k / 8 for k in range(n)]
    assert all(np.array_equal(columns[name], events[name]) for name in "txyp")
    assert all(column.flags.c_contiguous and not np.shares_memory(column, events) for column in columns.values())


@pytest.mark.parametrize("lengths", [(2, 3, 3), (3, 2, 3), (3, 3, 2)])
def test_event_columns_of_different_lengths_are_refused(lengths):
    message = "3 events, {} scores, {} object ids, {} object scores".format(*lengths)
    with pytest.raises(ValueError, match=message):
        event_columns(np.zeros(3, EVENT_DTYPE), *(np.zeros(n) for n in lengths))


def test_the_page_on_output_files_describes_every_field_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "output-files.md").read_text(encoding="utf-8")
    described = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[2:6]:
        cells = re.findall(r"^\| (`[^|]*`) \|", section, flags=re.MULTILINE)
        described.append({name for cell in cells for name in re.findall(r"`(\w+)`", cell)})
    kinds = (DetectionsDocument, RecordingDetections, WindowDetections, Detection)
    fields = set().union(*(kind.__annotations__ for kind in kinds))
    assert described == [fields, set(TRACK_COLUMNS), set(OBJECT_COLUMNS), set(EVENT_COLUMNS)]
    assert f'assert found["version"] == {DETECTIONS_VERSION}' in page
