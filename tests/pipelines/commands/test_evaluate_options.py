"""evaluate: one camera, another threshold, another tolerance, rows for programs, recordings one by one."""

import csv
import json
import re

import pytest

from spikeseg.evaluation.tables import BESIDE, metrics_csv, table_by_recording
from spikeseg.metrics.mode import mode_named

OBJECTS = "evaluate", "--mode", "object", "--mode", "track"


@pytest.fixture(scope="module")
def both(chain, tmp_path_factory):
    """Recordings of both cameras in one folder, a network, and its evaluation of all of them."""
    place = type(chain)(tmp_path_factory.mktemp("both"))
    (place.folder / "tiny.yaml").write_text((chain.folder / "tiny.yaml").read_text().replace("easy}", "easy, sensor: both}"))
    place.ok("train")
    place.ok(*OBJECTS, "--split", "all", "-o", "all.json", config=False)
    return place


def scored(place, *words: object) -> dict:
    """The metrics of the newest network, with its own configuration."""
    place.ok(*OBJECTS, *words, "-o", "m.json", config=False)
    return json.loads((place.folder / "m.json").read_text())


def test_one_cameras_recordings_alone_are_scored(both):
    everything = json.loads((both.folder / "all.json").read_text())
    found = {camera: scored(both, "--split", "all", "--sensor", camera) for camera in ("ATIS", "DAVIS")}
    names = {camera: metrics["recordings"] for camera, metrics in found.items()}
    assert all(name.startswith(camera) for camera, mine in names.items() for name in mine)
    assert sorted(names["ATIS"] + names["DAVIS"]) == sorted(everything["recordings"]) and names["ATIS"]
    rows = {row["name"]: row for row in everything["modes"]["object"]["network"]["recordings"]}
    for camera, metrics in found.items():
        assert metrics["settings"]["sensor"] == camera and metrics["thresholds"] == everything["thresholds"]
        assert metrics["modes"]["object"]["network"]["recordings"] == [rows[name] for name in names[camera]]
    output = both.ok(*OBJECTS, "--split", "all", "--sensor", "ATIS", config=False)
    assert "recordings of the all split, ATIS alone" in output and output.splitlines()[-1].startswith("up to date: ")


def test_a_camera_that_is_not_there_is_one_line(chain):
    output = chain.refused("evaluate", "--sensor", "ATIS")
    assert "--sensor ATIS: none of the 2 recordings of the test split; they are of DAVIS" in output
    assert chain("evaluate", "--sensor", "both").exit_code == 2


def test_a_lower_threshold_makes_more_tracks_objects(both):
    found = [scored(both, "--split", "all", "--threshold", x) for x in (0, 1)]
    tracks = [metrics["modes"]["track"]["network"]["tracks"] for metrics in found]
    assert tracks[0] > tracks[1] == 0
    settings = [metrics["settings"] for metrics in found]
    readings = [(one["reading"]["object_threshold"], one["tracking"]["object_threshold"]) for one in settings]
    assert readings == [(0, 0), (1, 1)]
    other = scored(both, "--split", "all", "--set", "tracking.object_threshold=0.0")
    assert other["modes"] == found[0]["modes"]
    assert both("evaluate", "--threshold", "1.5").exit_code == 2


def test_a_threshold_goes_before_the_calibrated_one(copied):
    calibrated = "--set", "evaluation.readout=calibrated"
    copied.ok("sweep")
    plain, given = scored(copied, *calibrated), scored(copied, *calibrated, "--threshold", 0.9)
    assert plain["settings"]["reading"]["object_threshold"] != 0.9 == given["settings"]["reading"]["object_threshold"]
    assert given["checkpoint"]["file"] == "checkpoint_calibrated.pt"
    tracks = [metrics["modes"]["track"]["network"]["tracks"] for metrics in (plain, given)]
    assert tracks[0] > tracks[1]


def test_a_wider_tolerance_finds_more(both):
    near, far = (scored(both, "--split", "all", "--spatial-tolerance", px, "--threshold", 0) for px in (0.5, 25))
    assert (near["settings"]["spatial_tolerance_px"], far["settings"]["spatial_tolerance_px"]) == (0.5, 25)
    assert near["modes"]["object"]["network"]["tp"] < far["modes"]["object"]["network"]["tp"]
    assert near["modes"]["object_1px"] == far["modes"]["object_1px"]
    output = both.refused("evaluate", "--spatial-tolerance", "0")
    assert "--spatial-tolerance: found 0" in output


def test_the_csv_holds_every_figure_of_the_json(chain, tmp_path):
    (path,) = (chain.folder / "runs").glob("*/evaluate/*/metrics.csv")
    metrics = json.loads((path.parent / "metrics.json").read_text())
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0]) == ["mode", "detector", "recording", "figure", "value", "low", "high"]
    found = {(r["mode"], r["detector"], r["recording"], r["figure"]): r for r in rows}
    assert len(found) == len(rows)
    for mode, detectors in metrics["modes"].items():
        for name, values in detectors.items():
            for figure, interval in values["intervals"].items():
                row = found[mode, name, "all", figure]
                assert row["value"] == ("" if values[figure] is None else repr(values[figure]))
                assert (row["low"], row["high"]) == (tuple(map(repr, interval)) if interval else ("", ""))
            for own in values["recordings"]:
                row = {figure: r["value"] for (m, d, n, figure), r in found.items() if (m, d, n) == (mode, name, own["name"])}
                assert row == {key: "" if value is None else str(value) for key, value in own.items() if key != "name"}
    chain.ok("evaluate", "-o", tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == path.read_bytes()
    assert metrics_csv({"modes": {}}) == "mode,detector,recording,figure,value,low,high\n"


def test_recordings_one_by_one(chain):
    (path,) = (chain.folder / "runs").glob("*/evaluate/*/metrics.json")
    metrics = json.loads(path.read_text())
    output, without = chain.ok("evaluate", "--per-recording"), chain.ok("evaluate")
    text = table_by_recording(metrics)
    assert text in output and text not in without
    for mode, rows in metrics["modes"].items():
        if "network" not in rows:
            continue
        block = text.partition(f"{mode}, by recording: trained network\n")[2].partition("\n\n")[0].splitlines()
        heads = -(-len(mode_named(mode).shown) // BESIDE)
        each = [line.split()[0] for line in block if line[0] != " "]
        assert each == heads * metrics["recordings"] and len(block) == heads + len(each)
    own = metrics["modes"]["event"]["network"]["recordings"][1]
    assert re.search(f"{own['name']} +{own['roc_auc']:.3f}", text) and max(map(len, text.splitlines())) <= 100
