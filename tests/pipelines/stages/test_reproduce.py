"""A run's chain again: equal where nothing was touched, and which file, tensor and value differs where something was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeseg.learning import checkpoint
from spikeseg.pipelines.stages.comparison import difference
from spikeseg.pipelines.stages.reproduce import version_differences


def the_run(place) -> Path:
    """The one run of the place."""
    (config,) = (place.folder / "runs").glob("*/config.yaml")
    return config.parent


def changed_weight(path: Path, name: str, place: tuple[int, ...], value: float) -> None:
    """Rewrite a checkpoint with one weight changed."""
    model, meta = checkpoint.load(path)
    with torch.no_grad():
        model.encoder.state_dict()[name][place] = value
    checkpoint.save(path, model, meta.pop("config"), **meta)


@pytest.fixture(scope="module")
def swept(chain):
    """The chain with a sweep and an evaluation of the calibrated network beside the plain one."""
    chain.ok("sweep", "--split", "train")
    chain.ok("evaluate", "--set", "evaluation.readout=calibrated", "--mode", "event")
    return chain


def test_an_untouched_run_comes_out_equal_in_every_file(swept):
    run = the_run(swept)
    said = swept.ok("reproduce", str(run), "-o", "again", config=False)
    stages = [line.split()[0].partition("/")[0] for line in said.splitlines() if " equal" in line]
    expected = "simulated frames spikes spikes conv2 conv3 the sweep evaluate evaluate reproduced:"
    assert stages == expected.split()
    assert "different" not in said and "versions: the same" in said
    copy = swept.folder / "again" / "runs" / "reproduced" / "checkpoints" / "conv3.pt"
    assert copy.read_bytes() == (run / "checkpoints" / "conv3.pt").read_bytes()


def test_the_copy_goes_when_no_folder_is_named_and_the_run_stays_as_it_is(copied):
    """And what the cache no longer holds is not compared."""
    shutil.rmtree(copied.folder / "data_cache")
    before = {path: path.read_bytes() for path in copied.folder.rglob("*") if path.is_file()}
    said = copied.ok("reproduce", str(the_run(copied)), "--jobs", "2", config=False)
    assert {path: path.read_bytes() for path in copied.folder.rglob("*") if path.is_file()} == before
    assert said.count("gone from the cache") == 4 and "reproduced: all " in said


def test_a_changed_weight_and_a_changed_figure_are_named(copied):
    run = the_run(copied)
    path = run / "checkpoints" / "conv3.pt"
    was = float(checkpoint.load(path)[0].encoder.state_dict()["conv3.weight"][0, 1, 2, 0])
    changed_weight(path, "conv3.weight", (0, 1, 2, 0), 0.123)
    figures = next(run.glob("evaluate/*/metrics.json"))
    metrics = json.loads(figures.read_text())
    metrics["thresholds"]["network"] = 0.5
    figures.write_text(json.dumps(metrics, indent=1) + "\n")
    result = copied("reproduce", str(run), config=False)
    assert result.exit_code == 3
    (line,) = [line for line in result.stdout.splitlines() if "conv3.weight" in line]
    found = f"conv3.weight[0, 1, 2, 0] is {float(np.float32(0.123))}, reproduced {was} (1 of "
    assert f"{path}: changed since it was written: {found}" in line
    assert "thresholds.network is 0.5, reproduced " in result.stdout and ": 2 of " in result.stderr.splitlines()[-1]


def test_other_recordings_and_folders_that_hold_something_are_refused(copied):
    run = the_run(copied)
    assert "simulate.seed" not in copied.refused("reproduce", str(run), "-o", "runs", config=False)
    said = copied.refused("reproduce", str(run), "--set", "data.test_ratio=0.2", config=False)
    assert "test_ratio 0.4 → 0.2" in said
    assert "config.yaml is missing" in copied.refused("reproduce", "data_cache", config=False)
    (run / "conv3.manifest.json").unlink()
    assert "training is not finished" in copied.refused("reproduce", str(run), config=False)


def test_differences_of_files(tmp_path):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_text('{"a": {"b": [1, 2]}, "c": 3}')
    other.write_text('{"a": {"b": [1, 4]}, "d": 3}')
    assert difference(one, other) == "a.b[1] is 2, reproduced 4 (the first of 3 values that differ)"
    other.write_text('{"c": 3, "a": {"b": [1, 2]}}')
    assert difference(one, other) == "holds the same values, written differently"
    other.write_text("{")
    assert "is no JSON" in difference(one, other)
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_bytes(b"abc")
    other.write_bytes(b"abd")
    assert difference(one, other) == "byte 2 differs"
    other.write_bytes(b"abcd")
    assert difference(one, other) == "has 3 bytes, reproduced 4"


def test_versions_that_differ_are_named(monkeypatch):
    monkeypatch.setattr("spikeseg.pipelines.stages.reproduce.versions", lambda: {"torch": "2.13.0", "numpy": "2.0.0"})
    assert version_differences({"torch": "2.13.0", "numpy": "1.26.4", "scipy": "1.1"}) == [
        "numpy was 1.26.4, is 2.0.0", "scipy was 1.1, is absent",
    ]  # fmt: skip
