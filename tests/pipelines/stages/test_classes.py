"""`spikeseg classes`: what classes look for and answer to, and their names in what `detect` writes."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml

CHECKPOINT = ["--checkpoint", "runs/three"]


@pytest.fixture(scope="module")
def three(chain):
    """The chain's folder with a run of three classes, and one of its recordings as `detect` takes it."""
    chain.ok("train", "--n-classes", "3", "--name", "three", "--no-tensorboard")
    (path,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    return chain, f"{path}::DAVIS_0001"


@pytest.fixture
def run(three):
    """The place, the recording, and the run's folder, as it was trained."""
    place, recording = three
    folder = place.folder / "runs" / "three"
    yield place, recording, folder
    for name in ("classes.json", "classes.png", "class_names.yaml"):
        (folder / name).unlink(missing_ok=True)
    for name in ("classes", "detect"):
        shutil.rmtree(folder / name, ignore_errors=True)


def show(place, *words):
    return place.ok("classes", "runs/three", *words, config=False)


def content(folder):
    return json.loads((folder / "classes.json").read_text())


def class_columns(folder):
    with open(folder / "tracks.csv", newline="") as file:
        return {(int(row["class_id"]), row["class_name"]) for row in csv.DictReader(file)}


def test_a_run_shows_its_classes_over_the_recordings_that_it_was_trained_with(run):
    place, _, folder = run
    said = show(place).splitlines()
    assert [line.split()[:2] for line in said[:4]] == [["class", "name"], ["0", "-"], ["1", "-"], ["2", "-"]]
    told = content(folder)
    assert told["trained"] and len(told["recordings"]) == 5 and f"{told['windows']} windows of 5 recordings" in said
    assert (folder / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert sum(entry["wins"] for entry in told["classes"]) > 0
    for entry, line in zip(told["classes"], said[1:4], strict=True):
        assert line.split()[2:4] == [str(entry["wins"]), str(entry["spikes"])]
        assert entry["wins"] >= entry["windows_won"] <= told["windows"] and entry["wins"] <= entry["spikes"]
        names = [example["recording"] for example in entry["examples"]]
        assert set(names) <= {recording["name"] for recording in told["recordings"]}
        assert len(set(names[:3])) == len(names[:3])  # one of each recording first
    assert said[-1].startswith("wrote classes.png and classes.json in runs/three; next: spikeseg classes runs/three --name ")


def test_the_same_again_is_up_to_date_and_forced_the_same_bytes(run):
    place, _, folder = run
    show(place)
    before = {name: (folder / name).read_bytes() for name in ("classes.json", "classes.png")}
    assert show(place).splitlines()[-1].startswith("up to date")
    assert show(place, "--force").splitlines()[-1].startswith("wrote")
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_a_sheet_in_a_folder_that_had_none_is_written(run, tmp_path):
    place, *_ = run
    show(place)
    for verb in ("wrote", "up to date:"):
        assert show(place, "-o", tmp_path / "sheet").splitlines()[-1].startswith(f"{verb} classes.png")


def test_the_newest_run_is_meant_where_none_is_named(run):
    place, _, folder = run
    place.ok("classes", config=False)
    assert len(content(folder)["classes"]) == 3


def test_given_recordings_are_looked_at_and_the_sheet_goes_where_it_is_asked_for(run, tmp_path):
    place, recording, folder = run
    show(place, recording, "-o", tmp_path / "sheet")
    told = content(tmp_path / "sheet")
    assert [one["name"] for one in told["recordings"]] == ["DAVIS_0001"]
    assert sorted(path.name for path in (tmp_path / "sheet").iterdir()) == ["classes.json", "classes.png"]
    assert not (folder / "classes.json").exists()
    show(place)
    both = content(folder)["classes"]
    assert all(one["spikes"] <= all_of["spikes"] for one, all_of in zip(told["classes"], both, strict=True))
    assert told["windows"] < content(folder)["windows"]
    assert [entry["prototype"] for entry in told["classes"]] == [entry["prototype"] for entry in both]


def test_a_folder_is_looked_at_and_what_cannot_be_read_is_left_out(run, tmp_path):
    place, recording, _ = run
    (tmp_path / "nights").mkdir()
    (tmp_path / "nights" / "all.h5").symlink_to(place.folder / recording.partition("::")[0])
    (tmp_path / "nights" / "gone.h5").symlink_to("nowhere")
    np.savez(tmp_path / "nights" / "cut.npz", t=[0, 1], x=[2**20, 1], y=[0, 0], p=[0, 1])
    result = place("classes", "runs/three", tmp_path / "nights", "-o", tmp_path / "sheet", config=False)
    assert result.exit_code == 0 and "skipped gone: " in result.stderr and "skipped cut: " in result.stderr
    assert len(content(tmp_path / "sheet")["recordings"]) == 5


def test_names_are_carried_by_what_detect_writes_and_renaming_makes_it_stale(run, tmp_path):
    place, recording, folder = run
    out = tmp_path / "found"

    def detect():
        return place.ok("detect", recording, *CHECKPOINT, "-o", out, config=False).splitlines()[-1].split()[0]

    assert detect() == "wrote"
    numbers = {number for number, name in class_columns(out) if name == ""}
    assert numbers == {number for number, _ in class_columns(out)} and numbers & {0, 1, 2}
    plain = (out / "detections.json").read_text()
    weights = {path.name: path.read_bytes() for path in (folder / "checkpoints").iterdir()}

    show(place, "--name", "0=cat", "--name", "1=cat", "--name", "2=a dog, or so")
    assert detect() == "wrote"
    called = {0: "cat", 1: "cat", 2: "a dog, or so", -1: ""}
    assert class_columns(out) == {(number, called[number]) for number in numbers}
    windows = json.loads((out / "detections.json").read_text())["recordings"][0]["windows"]
    objects = [o for window in windows for o in window["objects"]]
    assert objects and all(o["class_name"] == called[o["class_id"]] for o in objects)
    assert detect() == "up"  # to date

    show(place, "--forget", "0", "--forget", "1", "--forget", "2")
    assert detect() == "wrote" and (out / "detections.json").read_text() == plain
    assert weights == {path.name: path.read_bytes() for path in (folder / "checkpoints").iterdir()}
    assert "stale" not in place.ok("status", "--set", "model.n_classes=3")


def test_the_front_door_has_the_names_and_writes_the_same_bytes(run, tmp_path, monkeypatch):
    import spikeseg as ss

    place, recording, folder = run
    show(place, "--name", "0=cat", "--name", "2=dog")
    place.ok("detect", recording, *CHECKPOINT, "-o", tmp_path / "found", config=False)
    monkeypatch.chdir(place.folder)
    best = folder / "checkpoints" / "checkpoint_best.pt"
    for path in (folder, best):
        network = ss.load(path, {"device": "cpu"})
        assert network.class_names == {0: "cat", 2: "dog"}
    network.detect(recording).save(tmp_path / "saved")
    for name in ("detections.json", "tracks.csv"):
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "found" / name).read_bytes()


def test_naming_redraws_the_sheet_without_looking_again(run, monkeypatch):
    place, _, folder = run
    show(place)
    unnamed, picture = content(folder), (folder / "classes.png").read_bytes()
    monkeypatch.setattr("spikeseg.detection.class_survey.survey_recording", None)
    said = show(place, "--name", "1=satellite")
    assert said.splitlines()[0] == "class 1: satellite" and "classes.png and classes.json; next: spikeseg detect" in said
    named = content(folder)
    assert [entry.pop("class_name") for entry in named["classes"]] == ["", "satellite", ""]
    assert [entry.pop("class_name") for entry in unnamed["classes"]] == ["", "", ""] and named == unnamed
    assert (folder / "classes.png").read_bytes() != picture
    assert [line.split()[1] for line in show(place).splitlines()[1:4]] == ["-", "satellite", "-"]
    saved = yaml.safe_load((folder / "class_names.yaml").read_text())
    assert list(saved["networks"].values()) == [{1: "satellite"}]


def test_a_class_can_be_named_before_anything_was_looked_at(run):
    place, _, folder = run
    assert "class 1: satellite" in show(place, "--name", "1=satellite")
    assert not (folder / "classes.json").exists()


def test_without_matplotlib_there_is_no_picture_and_a_warning(run, monkeypatch):
    place, _, folder = run
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    said = place("classes", "runs/three", config=False)
    assert said.exit_code == 0 and "classes.png is not drawn" in said.stderr and "spikeseg[plots]" in said.stderr
    assert (folder / "classes.json").exists() and not (folder / "classes.png").exists()


def test_names_of_weights_that_are_gone_are_not_those_of_the_new_ones(run, tmp_path):
    place, recording, folder = run
    show(place, "--name", "0=cat", "--name", "1=cat", "--name", "2=cat")
    words = ["detect", recording, "--checkpoint", "runs/three/checkpoints/conv3.pt", "-o", tmp_path / "out"]
    saved = yaml.safe_load((folder / "class_names.yaml").read_text())
    saved["networks"] = {"0123456789abcdef": next(iter(saved["networks"].values()))}
    (folder / "class_names.yaml").write_text(yaml.safe_dump(saved))
    said = place(*words, config=False)
    assert said.exit_code == 0 and "names classes of other weights" in said.stderr
    assert {name for _, name in class_columns(tmp_path / "out")} == {""}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "3=cat"], "class 3: the network's classes are 0 to 2"),
        (["--forget", "1"], "class 1: has no name to forget; named are none"),
        (["--name", "1= "], "class 1: name ' ', must be 1 to 40"),
        (["gone.npz"], "gone.npz"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(run, words, told):
    place, _, folder = run
    assert told in place.refused("classes", "runs/three", *words, config=False)
    assert not [name for name in ("classes.json", "class_names.yaml") if (folder / name).exists()]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "cat"], "expected CLASS=NAME"),
        (["--name", "0=a", "--name", "0=b"], "class 0 twice"),
        (["--name", "0=a", "--forget", "0"], "class 0: --name and --forget"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(run, words, told):
    said = run[0]("classes", "runs/three", *words, config=False)
    assert said.exit_code == 2 and told in said.stderr


def test_recordings_that_left_the_cache_have_to_be_named(run):
    place, *_ = run
    told = place.refused("classes", "runs/three", "--set", "cache_dir=elsewhere", config=False)
    assert "not in the cache (elsewhere)" in told and "spikeseg classes runs/three RECORDING..." in told


def test_an_untrained_network_is_shown_with_a_warning_that_it_means_nothing(run):
    import spikeseg as ss

    place, recording, _ = run
    other = place.folder / "runs" / "mine-untrained"
    other.mkdir()
    ss.new(place.folder / "tiny.yaml").save(other / "untrained.pt")
    said = place("classes", other / "untrained.pt", recording, config=False)
    assert said.exit_code == 0 and "untrained" in said.stderr and "mean nothing" in said.stderr
    assert content(other)["trained"] is False
    shutil.rmtree(other)


def test_a_network_for_images_has_no_such_classes(run, tmp_path):
    folder = tmp_path / "classify" / "abc"
    folder.mkdir(parents=True)
    (folder / "network.pt").write_bytes(b"weights")
    for named in (folder, folder / "network.pt"):
        told = run[0].refused("classes", named, config=False)
        assert "a network for images: it has no conv3" in told


def test_events_are_those_of_the_recording(run):
    """The cut-outs hold the recording's own events."""
    place, recording, folder = run
    from spikeseg.data.readers import read

    show(place, recording)
    events = read(recording).events
    examples = [example for entry in content(folder)["classes"] for example in entry["examples"]]
    for example in examples:
        during = (events["t"] >= example["t_start_us"]) & (events["t"] < example["t_end_us"])
        inside = (np.abs(events["x"] - example["x"]) <= example["width"] / 2) & (
            np.abs(events["y"] - example["y"]) <= example["height"] / 2
        )
        there = np.count_nonzero(during & inside)
        assert 0 < example["events"] <= np.sum(example["on"]) + np.sum(example["off"]) <= there
    assert examples
