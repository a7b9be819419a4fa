"""A network on any recording."""

import csv
import json
import re

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

from spikeseg.config.load import load_config
from spikeseg.data.readers import read
from spikeseg.detection.detect import detect_recording
from spikeseg.detection.network import load_network
from spikeseg.detection.readout import readout_of
from spikeseg.detection.schema import OBJECT_COLUMNS, TRACK_COLUMNS
from spikeseg.errors import InputError
from spikeseg.pipelines.stages import detect as stage
from spikeseg.pipelines.stages.runs import network_of


@pytest.fixture(scope="module")
def recording(chain) -> str:
    """One of the simulated recordings, as `detect` takes it."""
    (path,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    return f"{path}::DAVIS_0001"


@pytest.fixture(scope="module")
def found(chain, recording, tmp_path_factory):
    """The folder that a detection wrote."""
    out = tmp_path_factory.mktemp("detect") / "found"
    said = chain.ok("detect", recording, "-o", out)
    assert said.splitlines()[-1].startswith("wrote objects.csv, tracks.csv")
    return out


def test_files_have_their_schema(found):
    tables = {"detections.json", "objects.csv", "objects.ecsv", "tracks.csv"}
    own = {f"DAVIS_0001.{end}" for end in ("detect.manifest.json", "events.npz", *tables)}
    assert {p.name for p in found.iterdir()} == own | tables | {"detect.manifest.json"}
    for name in tables:  # of the one recording that there is
        assert (found / name).read_bytes() == (found / f"DAVIS_0001.{name}").read_bytes()
    content = json.loads((found / "detections.json").read_text())
    (told,) = content["recordings"]
    assert content["version"] == 3 and told["name"] == "DAVIS_0001" and told["sensor_size"] == [240, 180]
    assert told["object_threshold"] == 0.5 and 0 < told["threshold"] < 1e-37 and len(told["star_field"]) == 2
    starts = [window["t_start_us"] for window in told["windows"]]
    assert np.diff(starts).tolist() == [100_000] * (len(starts) - 1)
    objects = [o for window in told["windows"] for o in window["objects"]]
    assert objects
    for o in objects:
        assert list(o) == ["t_start_us", "t_end_us", "x", "y", "width", "height", "class_id", "class_name", "score", "track_id"]
        assert (
            -0.5 <= o["x"] <= 239.5 and -0.5 <= o["y"] <= 179.5 and o["score"] > 0 and (o["class_id"], o["class_name"]) == (0, "")
        )


def test_tracks_are_those_of_the_objects(found):
    with open(found / "tracks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == tuple(TRACK_COLUMNS)
    told = json.loads((found / "detections.json").read_text())["recordings"][0]
    ids = [o["track_id"] for window in told["windows"] for o in window["objects"] if o["track_id"]]
    assert sorted(int(row["track_id"]) for row in rows) == sorted(ids)
    assert min(ids.count(i) for i in set(ids)) >= 2  # tracking.min_hits
    scores = {int(row["track_id"]): float(row["object_score"]) for row in rows}
    assert len(scores) == told["tracks"] and all(0 <= score <= 1 for score in scores.values())
    assert told["objects"] == [i for i, score in scores.items() if score >= told["object_threshold"]]


def test_every_event_has_its_score_and_its_track(found):
    with np.load(found / "DAVIS_0001.events.npz") as events:
        columns = dict(events)
    assert [(k, v.dtype.str) for k, v in columns.items()] == [
        ("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "|b1"), ("score", "<f4"), ("object_id", "<i4"),
        ("object_score", "<f4"),
    ]  # fmt: skip
    assert len({len(v) for v in columns.values()}) == 1 and (np.diff(columns["t"]) >= 0).all()
    owned = columns["object_id"] > 0
    windows = json.loads((found / "detections.json").read_text())["recordings"][0]["windows"]
    assert set(columns["object_id"][owned]) <= {o["track_id"] for w in windows for o in w["objects"]} and owned.any()
    assert (columns["score"][owned] > 0).all()
    for window in windows:
        for o in window["objects"]:
            if not o["track_id"]:
                continue
            during = (columns["t"] >= o["t_start_us"]) & (columns["t"] < o["t_end_us"])
            inside = during & (columns["object_id"] == o["track_id"])
            assert inside.any()
            assert (np.abs(columns["x"][inside] - o["x"]) <= o["width"]).all()


def test_the_library_writes_the_same_bytes(chain, recording, found, tmp_path, monkeypatch):
    monkeypatch.chdir(chain.folder)
    cfg = load_config("tiny.yaml")
    checkpoint = network_of(cfg).checkpoint
    model = load_network(cfg, str(checkpoint), "cpu")
    detections = detect_recording(model, read(recording), cfg, readout_of(cfg, checkpoint))
    detections.save(tmp_path / "saved")
    saved = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    assert saved == {name: (found / name).read_bytes() for name in saved}
    assert len(saved) == 5 and len(detections.tracks) and len(detections.detections) >= len(detections.tracks)


def test_the_same_again_is_up_to_date_and_forced_gives_the_same_bytes(chain, recording, found):
    before = {p.name: p.read_bytes() for p in found.iterdir() if "manifest" not in p.name}
    assert chain.ok("detect", recording, "-o", found).splitlines()[-1].startswith("up to date")
    assert chain.ok("detect", recording, "-o", found, "--force").splitlines()[-1].startswith("wrote")
    assert {p.name: p.read_bytes() for p in found.iterdir() if "manifest" not in p.name} == before


def test_a_lower_object_threshold_makes_more_tracks_objects_and_changes_nothing_else(chain, recording, found, tmp_path):
    chain.ok("detect", recording, "-o", tmp_path / "out", "--set", "tracking.object_threshold=0.0")
    one, other = (json.loads((folder / "detections.json").read_text())["recordings"][0] for folder in (found, tmp_path / "out"))
    assert set(other.pop("objects")) > set(one.pop("objects"))
    assert (one.pop("object_threshold"), other.pop("object_threshold")) == (0.5, 0.0) and one == other
    assert (found / "DAVIS_0001.events.npz").read_bytes() == (tmp_path / "out" / "DAVIS_0001.events.npz").read_bytes()
    few, many = (list(csv.DictReader(open(folder / "tracks.csv", newline=""))) for folder in (found, tmp_path / "out"))
    assert {row.pop("is_object") for row in many} == {"1"} and {row.pop("is_object") for row in few} >= {"0"} and few == many


def test_a_row_for_each_object_made_from_its_track(found):
    with open(found / "tracks.csv", newline="") as tracks, open(found / "objects.csv", newline="") as objects:
        rows, own = list(csv.DictReader(tracks)), list(csv.DictReader(objects))
    told = json.loads((found / "detections.json").read_text())["recordings"][0]
    assert [int(row["object_id"]) for row in own] == told["objects"]
    assert {row["track_id"] for row in rows if row["is_object"] == "1"} == {row["object_id"] for row in own}
    table = Table.read(found / "objects.ecsv")
    assert table.colnames == list(OBJECT_COLUMNS) and len(table) == len(own) and table["speed_rel"].unit == units.Unit("pix / s")
    with np.load(found / "DAVIS_0001.events.npz") as events:
        counts = [int(np.count_nonzero(events["object_id"] == int(row["object_id"]))) for row in own]
    assert [int(row["events"]) for row in own] == counts == list(table["events"])


def test_bare_detect_writes_into_the_newest_run(copied, recording):
    said = copied.ok("detect", recording, config=False)
    assert "/detect/" in said.splitlines()[-1] and re.search(r"^\d+ objects?, \d+ stars?, \d+\.\d s of work$", said, re.MULTILINE)


def test_labels_are_not_read(chain, recording, found, tmp_path):
    """The same recording without labels gives the same objects."""
    with np.load(found / "DAVIS_0001.events.npz") as events:
        np.savez(tmp_path / "DAVIS_0001.npz", **{name: events[name] for name in ("t", "x", "y", "p")})
    chain.ok("detect", tmp_path / "DAVIS_0001.npz", "-o", tmp_path / "out")
    one, other = (json.loads((folder / "detections.json").read_text()) for folder in (found, tmp_path / "out"))
    assert one["recordings"][0]["windows"] == other["recordings"][0]["windows"]


def test_classes_are_told_apart(place):
    place.ok("train", "--n-classes", "2")
    (path,) = (place.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    place.ok("detect", f"{path}::DAVIS_0000", "-o", "found", config=False)
    windows = json.loads((place.folder / "found" / "detections.json").read_text())["recordings"][0]["windows"]
    assert {o["class_id"] for window in windows for o in window["objects"]} <= {-1, 0, 1}


def npz(path, **changes) -> None:
    columns = {"t": [0, 10, 20], "x": [1, 2, 3], "y": [1, 2, 3], "p": [0, 1, 0], **changes}
    np.savez(path, **{name: np.array(values) for name, values in columns.items()})


def test_two_recordings_share_the_files_but_no_name(chain, tmp_path):
    npz(tmp_path / "a.npz")
    npz(tmp_path / "b.npz", t=[5, 6, 90_000])
    chain.ok("detect", tmp_path / "a.npz", tmp_path / "b.npz", "-o", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "detections.json").read_text())["recordings"]
    assert [r["name"] for r in told] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("cut.npz", "cut", "cut.npz"),
        ("other.db3", b"SQLite format 3\x00" + bytes(64), "truncated"),
        ("empty.npz", b"", "empty.npz"),
        ("gone.npz", None, "gone.npz"),
        ("folder", "folder", "holds no files"),
    ],
)
def test_what_is_no_recording_is_one_line_and_leaves_nothing(chain, tmp_path, name, content, told):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content == "cut":
        npz(path)
        path.write_bytes(path.read_bytes()[:90])
    elif content is not None:
        path.write_bytes(content)
    assert told in chain.refused("detect", path, "-o", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_picture_is_a_png_where_no_format_is_named(chain, recording, monkeypatch):
    asked = []

    def stop(*_, plot, **__):
        asked.append(plot)
        raise InputError("far enough")

    monkeypatch.setattr(stage, "detect", stop)
    for words in ([], ["--plot"], ["--plot-format", "svg"], ["--plot", "--plot-format", "pdf"]):
        assert "far enough" in chain.refused("detect", recording, *words)
    assert asked == [None, "png", "svg", "pdf"]
    assert chain("detect", recording, "--plot-format", "gif").exit_code == 2


def test_a_picture_without_matplotlib_is_refused_before_anything_is_done(chain, recording, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert "spikeseg[plots]" in chain.refused("detect", recording, "--plot", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_one_line(chain, tmp_path):
    npz(tmp_path / "a.npz")
    (tmp_path / "in_the_way").write_text("mine")
    assert "in_the_way: is a file; name a folder" in chain.refused("detect", tmp_path / "a.npz", "-o", tmp_path / "in_the_way")
    assert (tmp_path / "in_the_way").read_text() == "mine"


def test_lenient_takes_what_is_refused_otherwise(chain, tmp_path):
    npz(tmp_path / "late.npz", t=[0, 20, 10])
    assert "--lenient" in chain.refused("detect", tmp_path / "late.npz", "-o", tmp_path / "out", config=False)
    chain.ok("detect", tmp_path / "late.npz", "--lenient", "-o", tmp_path / "out", config=False)


def test_columns_and_unit_of_the_user_change_the_result_and_not_the_network(chain, tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "out"
    path.write_text("".join(f"{n % 30},{n % 20},{n * 0.01:.2f},1\n" for n in range(50)))
    assert "out of order" in chain.refused("detect", path, "-o", out, config=False)
    for columns, most in (("x,y,t,p", 29), ("y,x,t,p", 19)):
        chain.ok("detect", path, "-o", out, "--columns", columns, "--time-unit", "s", config=False)
        events = np.load(out / "a.events.npz")
        assert events["t"].tolist() == [10_000 * n for n in range(50)] and events["x"].max() == most
