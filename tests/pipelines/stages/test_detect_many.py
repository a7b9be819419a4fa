"""`detect` over many recordings: each finished by itself, done once, and passed over where it cannot be read."""

import csv
import json
import re

import folder_from_hell as hell
import numpy as np
import pytest

from spikeseg.detection import detect as detection

TABLES = ("detections.json", "objects.csv", "objects.ecsv", "tracks.csv")


@pytest.fixture
def asked(monkeypatch):
    """The recordings that a network is asked about, as it goes; `stop_at`: the one at which it is interrupted."""
    detect_recording = detection.detect_recording

    class Asked(list):
        stop_at = None

    names = Asked()

    def noted(model, recording, *given):
        if recording.name == names.stop_at:
            raise KeyboardInterrupt
        names.append(recording.name)
        return detect_recording(model, recording, *given)

    monkeypatch.setattr(detection, "detect_recording", noted)
    return names


@pytest.fixture
def nights(tmp_path):
    """A folder of four recordings."""
    folder = tmp_path / "nights"
    (folder / "sub").mkdir(parents=True)
    for seed, name in enumerate(("a.npz", "b.npz", "sub/c.npz", "sub/a.npz")):
        hell.npz(folder / name, seed)
    return folder


NAMES = ["nights_a", "b", "sub_a", "c"]
"""Of the four recordings, in order."""


def contents(folder):
    """Every file of a folder but the manifests."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if "manifest" not in path.name}


def told(folder):
    """Names of the recordings in the tables, and that both can be read."""
    text = (folder / "detections.json").read_text(encoding="utf-8")
    names = [recording["name"] for recording in json.loads(text)["recordings"]]
    with open(folder / "tracks.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["recording"] for row in rows} <= set(names) and None not in {value for row in rows for value in row.values()}
    return names


def test_a_folder_is_all_recordings_below_it_and_equal_names_get_that_of_their_folder(chain, nights, tmp_path):
    said = chain.ok("detect", nights, "-o", tmp_path / "out")
    assert told(tmp_path / "out") == NAMES
    assert re.search(r"^\d+ objects?, \d+ stars?, 4 recordings, .* s of work$", said, re.MULTILINE)
    assert "of 4 recordings in" in said.splitlines()[-1]
    files = {f"{name}.{end}" for name in NAMES for end in ("events.npz", *TABLES)}
    assert contents(tmp_path / "out").keys() == {*TABLES, *files}


def test_an_hdf5_file_is_all_its_recordings(chain, tmp_path):
    many = hell.h5(tmp_path / "many.h5", ("one", "two"))
    chain.ok("detect", many, "-o", tmp_path / "out")
    chain.ok("detect", f"{many}::two", f"{many}::one", "-o", tmp_path / "turned")
    assert (told(tmp_path / "out"), told(tmp_path / "turned")) == (["one", "two"], ["two", "one"])


def test_a_bad_recording_costs_no_other_and_is_tried_again(chain, nights, tmp_path, asked):
    sound = (nights / "b.npz").read_bytes()
    (nights / "b.npz").write_bytes(sound[:90])
    result = chain("detect", nights, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "warning: skipped b: " in result.stderr and "b.npz: truncated" in result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("wrote objects.csv, tracks.csv, detections.json and events of 3 ") and "(1 skipped)" in last
    assert told(tmp_path / "out") == ["nights_a", "sub_a", "c"] == asked
    manifest = json.loads((tmp_path / "out" / "detect.manifest.json").read_text())
    assert manifest["skipped"].keys() == {"b"} and list(manifest["recordings"]) == ["nights_a", "sub_a", "c"]

    asked.clear()
    again = chain("detect", nights, "-o", tmp_path / "out", "--strict")
    assert again.exit_code == 3 and "error: --strict: 1 of 4 recordings could not be read; the others are done" in again.stderr
    assert again.stdout.splitlines()[-1].startswith("up to date:") and not asked

    (nights / "b.npz").write_bytes(sound)
    chain.ok("detect", nights, "-o", tmp_path / "out")
    assert asked == ["b"] and told(tmp_path / "out") == NAMES
    chain.ok("detect", nights, "-o", tmp_path / "fresh")
    assert contents(tmp_path / "fresh") == contents(tmp_path / "out")


def test_none_that_can_be_read_is_an_error_and_leaves_nothing(chain, nights, tmp_path):
    for path in nights.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:90])
    assert "none of the 4 recordings can be read; " in chain.refused("detect", nights, "-o", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("where", ["run", "folder"])
def test_an_interrupted_run_goes_on_where_it_was(copied, nights, tmp_path, asked, where):
    output = ["-o", tmp_path / "out"] if where == "folder" else []
    asked.stop_at = "sub_a"
    assert copied("detect", nights, *output).exit_code == 130
    assert asked == ["nights_a", "b"]
    asked.clear()
    asked.stop_at = None
    said = copied.ok("detect", nights, *output).splitlines()[-1]
    assert asked == ["sub_a", "c"] and said.startswith("wrote")
    found = tmp_path / "out" if output else copied.folder / said.rpartition(" in ")[2].partition(";")[0]
    copied.ok("detect", nights, "-o", tmp_path / "fresh")
    assert contents(found) == contents(tmp_path / "fresh") and told(found) == NAMES
    asked.clear()
    assert copied.ok("detect", nights, *output).splitlines()[-1].startswith("up to date") and not asked


@pytest.mark.parametrize("where", ["run", "folder"])
def test_tables_do_not_depend_on_what_was_done_when(copied, nights, tmp_path, asked, where):
    output = ["-o", tmp_path / "out"] if where == "folder" else []
    c, b, others = nights / "sub" / "c.npz", nights / "b.npz", [nights / "a.npz", nights / "sub" / "a.npz"]
    for given in ([c], [b, c], [*others, c]):
        copied.ok("detect", *given, *output)
    assert asked == ["c", "b", "nights_a", "sub_a"]
    said = copied.ok("detect", nights, *output).splitlines()[-1]
    assert asked[4:] == []
    found = tmp_path / "out" if output else copied.folder / said.rpartition(" in ")[2].partition(";")[0]
    copied.ok("detect", nights, "-o", tmp_path / "fresh", "--jobs", "2")
    assert contents(found) == contents(tmp_path / "fresh")


def test_a_damaged_file_of_one_recording_is_done_again_and_no_other(chain, nights, tmp_path, asked):
    chain.ok("detect", nights, "-o", tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "c.events.npz").unlink()
    asked.clear()
    chain.ok("detect", nights, "-o", tmp_path / "out")
    assert asked == ["c"] and contents(tmp_path / "out") == before


def test_what_is_written_into_the_folder_itself_is_no_recording_of_the_next_run(chain, nights, asked):
    chain.ok("detect", nights, "-o", nights / "found")
    assert chain.ok("detect", nights, "-o", nights / "found").splitlines()[-1].startswith("up to date") and len(asked) == 4


@pytest.mark.parametrize("where", ["run", "folder"])
def test_a_dry_run_says_what_is_next_and_does_nothing(copied, nights, tmp_path, asked, where):
    output = ["-o", tmp_path / "out"] if where == "folder" else []
    before = {path for path in copied.folder.rglob("*")}
    assert "detect" in copied.ok("detect", nights, *output, "--dry-run")
    assert not asked and {path for path in copied.folder.rglob("*")} == before and not (tmp_path / "out").exists()
    copied.ok("detect", nights, *output)
    assert len(asked) == 4 and "up to date" in copied.ok("detect", nights, *output, "--dry-run")


def test_tables_from_elsewhere_are_refused_before_anything_is_done(chain, nights, tmp_path, asked):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tracks.csv").write_text("mine")
    assert "tracks.csv: is there already, from elsewhere" in chain.refused("detect", nights, "-o", tmp_path / "out")
    assert not asked and [path.name for path in (tmp_path / "out").iterdir()] == ["tracks.csv"]


@pytest.mark.parametrize("words", [["none.raw"], ["here.npz", "none.h5::x"], ["--follow", "--sensor-size", "64x48", "none.csv"]])
def test_a_missing_file_is_said_before_any_network_is_looked_for(place, words):
    hell.npz(place.folder / "here.npz")
    missing = f"{words[-1]}: cannot be read (No such file"
    for command in (["detect"], ["detect", "-c", "files"]):
        result = place(*command, *words, config=False)
        assert result.exit_code == 3 and result.stderr.startswith(f"error: {missing}")
        assert "network" not in result.stderr and result.stderr.count("\n") == 1
    result = place("detect", "--checkpoint", "nowhere", *words, config=False)  # both are told
    assert result.exit_code == 3 and result.stderr.startswith("error: nowhere: no such") and f". Also: {missing}" in result.stderr
    result = place("classes", "nowhere", words[-1], config=False)
    assert result.exit_code == 3 and "cannot be read (No such file" in result.stderr


def test_a_folder_as_users_have_them(chain, tmp_path):
    folder = hell.make(tmp_path / "hell")
    result = chain("detect", folder, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    skipped = {line.partition(": skipped ")[2] for line in result.stderr.splitlines() if ": skipped " in line}
    for name, reason in hell.BAD.items():
        assert any(line.startswith(name.partition(".")[0]) and reason in line for line in skipped), (name, skipped)
    assert any(line.startswith("truth_one: ") for line in skipped) and len(skipped) == len(hell.BAD) + 1
    names = told(tmp_path / "out")
    (long,) = (name for name in names if name.startswith("nnn"))
    assert set(names) == {*hell.NAMES, long, "many_one", "two"}
    for name in names:
        with np.load(tmp_path / "out" / f"{name}.events.npz") as events:
            assert len(events["t"]) == 300
    assert chain("detect", folder, "-o", tmp_path / "out").stdout.splitlines()[-1].startswith("up to date")
    chain.ok("detect", folder / "cost$5_$^.csv", "-o", tmp_path / "drawn", "--plot-format", "svg")
    assert (tmp_path / "drawn" / "cost$5_$^.svg").read_bytes().startswith(b"<?xml")
