"""Detections as a user holds them: tables, units, files."""

import dataclasses
import io
import json
import sys
import types

import numpy as np
import pytest
from astropy import units

from spikeseg.detection.readout import Readout
from spikeseg.detection.result import DetectionResult, Detections
from spikeseg.detection.schema import (
    DETECTION_COLUMNS,
    EVENT_COLUMNS,
    TABLES,
    TRACK_COLUMNS,
    WINDOW_DTYPE,
    columns_of,
    table_dtype,
    units_of,
)
from spikeseg.detection.table_text import astropy_table, csv_text, ecsv_text
from spikeseg.detection.tables import object_table
from spikeseg.errors import InputError


def detections(name="night", n=2):
    """A track of n detections that is an object, a star, an object of no track; and five events."""
    windows = np.array([(100_000 * k, 100_000 * (k + 1)) for k in range(n)], WINDOW_DTYPE)
    seen = np.zeros(2 * n + 1, table_dtype(DETECTION_COLUMNS, name))
    seen["recording"], seen["score"], seen["width"], seen["height"] = name, 2.5, 3.0, 2.0
    seen["track_id"] = [*[1, 2] * n, 0]
    seen["window_start_us"] = seen["t_start_us"] = [*np.repeat(windows["t_start_us"], 2), windows["t_start_us"][-1]]
    seen["window_end_us"] = seen["t_end_us"] = seen["t_start_us"] + 100_000
    seen["x"] = np.arange(2 * n + 1) + 0.25
    tracks = np.zeros(2 * n, table_dtype(TRACK_COLUMNS, name))
    tracks["recording"], tracks["track_id"] = name, np.repeat([1, 2], n)
    tracks["t_us"] = np.tile(windows["t_start_us"] + 50_000, 2)
    tracks["x"], tracks["vx"], tracks["object_score"] = np.arange(2 * n) / 3, 30.0, np.repeat([0.9, 0.1], n)
    tracks["is_object"] = np.repeat([True, False], n)
    events = {n: np.zeros(5, column.dtype) for n, column in EVENT_COLUMNS.items()}
    for column, values in (("t", np.arange(5) * 40_000), ("x", np.arange(5)), ("p", True), ("score", np.arange(5) / 4)):
        events[column][:] = values
    objects = object_table(tracks, np.array([0, 1, 1, 2, 1]))
    return Detections(name, (240, 180), Readout(0.5, 0.25), (1.5, -2.0), windows, seen, tracks, objects, events)


def test_objects_are_the_tracks_whose_score_reaches_the_threshold():
    assert detections().track_ids == [1, 2] and detections().object_ids == [1]
    assert repr(detections()) == "Detections('night': 1 objects among 2 tracks, 2 windows, 5 events)"


def test_saved_files_hold_the_tables(tmp_path):
    mine = detections()
    assert mine.save(tmp_path / "out") == tmp_path / "out"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "detections.json", "night.events.npz", "objects.csv", "objects.ecsv", "tracks.csv",
    ]  # fmt: skip
    with np.load(tmp_path / "out" / "night.events.npz") as file:
        assert list(file) == list(EVENT_COLUMNS)
        assert all(np.array_equal(file[name], mine.events[name]) for name in file)
    (entry,) = json.loads((tmp_path / "out" / "detections.json").read_text())["recordings"]
    assert entry == mine.entry() and [len(window["objects"]) for window in entry["windows"]] == [2, 3]
    assert (entry["threshold"], entry["object_threshold"], entry["star_field"]) == (0.25, 0.5, [1.5, -2.0])
    lines = (tmp_path / "out" / "tracks.csv").read_text().splitlines()
    assert lines[0] == ",".join(TRACK_COLUMNS) and len(lines) == 5
    assert lines[2] == "night,1,150000,0.3333,0.0000,30.0000" + 6 * ",0.0000" + ",0.9000" + ",0.0000,0,,1"


def test_a_name_with_a_comma_is_quoted_in_tracks_csv():
    assert csv_text(TRACK_COLUMNS, [detections("a,b").tracks]).splitlines()[1].startswith('"a,b",1,50000,')


def test_names_of_classes_are_quoted_in_tracks_csv_where_they_must_be():
    table = detections().tracks.astype(table_dtype(TRACK_COLUMNS, "night", 9 * "x"))
    table["class_id"][:3], table["class_name"][:3] = [2, -1, 3], ["a, or b", "", 'a "b"']
    ends = [line.rsplit(",0.0000,", 1)[1] for line in csv_text(TRACK_COLUMNS, [table]).splitlines()[1:]]
    assert ends == ['2,"a, or b",1', "-1,,1", '3,"a ""b""",0', "0,,0"]


def test_ecsv_is_what_astropy_writes():
    columns = columns_of("objects", ["ra_start", "utc_start"])
    table = np.zeros(4, table_dtype(columns, 9 * "x", 9 * "x"))
    table["recording"], table["class_name"] = ["a b", 'a"b', "a,b\n", ""], ["plain", "", " x", "#"]
    table["x_start"], table["ra_start"] = [0.1, -1e-5, 1e16, 3], [np.nan, 1.5, 1 / 3, 0]
    table["t_start_us"], table["object_id"], table["utc_start"] = 2**40, [1, 2, -3, 4], ["2026-01-01T00:00:00", "", "", "a b"]
    want = io.StringIO()
    astropy_table(columns, table).write(want, format="ascii.ecsv")
    assert ecsv_text(columns, [table]) == want.getvalue() == ecsv_text(columns, [table[:1], table[1:1], table[1:]])
    assert ecsv_text(columns, []) == "".join(want.getvalue().partition("utc_start\n")[:2])


def test_tables_of_several_recordings_hold_the_longest_class_name():
    named = detections("other")
    named = dataclasses.replace(named, tracks=named.tracks.astype(table_dtype(TRACK_COLUMNS, "other", "satellite")))
    named.tracks["class_name"] = "satellite"
    assert set(DetectionResult([detections(), named, detections("third")]).tracks["class_name"]) == {"", "satellite"}


def test_several_recordings_in_the_order_given(tmp_path):
    result = DetectionResult([detections("night"), detections("a longer name", n=3)])
    assert list(result) == ["night", "a longer name"] and result["night"].recording == "night"
    assert len(result.detections) == 12 and len(result.tracks) == 10 and len(result.objects) == 2 and len(result.events) == 10
    assert result.tracks["recording"].tolist() == ["night"] * 4 + ["a longer name"] * 6
    assert result.tracks[:4].tolist() == result["night"].tracks.tolist()
    assert result.events.dtype == table_dtype(EVENT_COLUMNS)
    result.save(tmp_path / "all")
    entries = json.loads((tmp_path / "all" / "detections.json").read_text())["recordings"]
    assert [entry["name"] for entry in entries] == list(result)
    assert len(DetectionResult([]).tracks) == 0
    with pytest.raises(InputError, match="two recordings of this name"):
        DetectionResult([detections(), detections()])


def test_a_folder_in_the_way_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot write"):
        detections().save(tmp_path / "file")


@pytest.mark.parametrize("table", TABLES)
def test_a_data_frame_has_the_columns_and_their_units(table):
    pytest.importorskip("pandas")
    for mine in (detections(), DetectionResult([detections(), detections("b")])):
        frame = mine.to_pandas(table)
        assert list(frame.columns) == list(TABLES[table]) and frame.attrs["units"] == units_of(table)
        assert all(np.array_equal(frame[name].to_numpy(), getattr(mine, table)[name]) for name in frame.columns)


@pytest.mark.parametrize("table", TABLES)
def test_an_astropy_table_has_units(table):
    mine = detections()
    found = mine.to_table(table)
    assert found.colnames == list(TABLES[table])
    for name, unit in units_of(table).items():
        assert (found[name].unit == units.Unit(unit)) if unit else (found[name].unit is None)
        assert np.array_equal(found[name], getattr(mine, table)[name])


def test_what_is_handed_to_pandas_and_to_astropy(monkeypatch):
    """With a stand-in for pandas, which is there where the package is not."""

    class Frame(dict):
        def __init__(self, columns):
            super().__init__(columns)
            self.attrs = {}

    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=Frame))
    frame = detections().to_pandas()
    assert list(frame) == list(TRACK_COLUMNS) and frame.attrs["units"]["vx_rel"] == "pix / s"
    assert frame["t_us"].tolist() == [50_000, 150_000] * 2
    table = detections().to_table("events")
    assert {name: table[name].unit for name in ("t", "x", "score")} == {"t": units.us, "x": units.pix, "score": None}
    assert table["p"].description == "True for ON"


def test_a_missing_package_is_named_and_so_is_a_table_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"needs pandas; .*spikeseg\[tables\]"):
        detections().to_pandas()
    with pytest.raises(InputError, match="'stars': unknown, must be one of objects, tracks, detections, events"):
        detections().to_pandas("stars")


def test_the_plot_shows_objects_and_stars():
    pytest.importorskip("matplotlib")
    assert "1 object, 1 other track" in [axes.get_title() for axes in detections().plot().axes]
