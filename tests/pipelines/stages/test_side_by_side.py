"""`spikeseg compare`: two runs, or all of them; what cannot be paired is shown without differences, and why."""

import csv
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spikeseg.pipelines.runtime.manifest import as_text, describe_file, manifest_digest


@dataclass(frozen=True)
class Runs:
    """A place with two runs, of which the second is the first with another learning rate and better figures.

    Attributes:
        place: where commands are run.
        first, second: folders of the runs.
    """

    place: Any
    first: Path
    second: Path

    def metrics(self, run: Path) -> Path:
        """The figures of a run."""
        (path,) = run.glob("evaluate/*/metrics.json")
        return path

    def change(self, run: Path, change: Any) -> None:
        """Let a run have got other figures."""
        path = self.metrics(run)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        manifest = json.loads((path.parent / "manifest.json").read_text())
        manifest["outputs"]["metrics.json"] = describe_file(path)
        (path.parent / "manifest.json").write_text(as_text({**manifest, "sha256": manifest_digest(manifest)}))

    def compared(self, *words: str) -> tuple[str, dict[str, Any]]:
        """What is printed, and written as JSON."""
        said = self.place.ok("compare", str(self.first), str(self.second), "-o", "out.json", *words, config=False)
        return said, json.loads((self.place.folder / "out.json").read_text())


def better(content: dict[str, Any]) -> None:
    """Every recording's F1 of events is a tenth higher."""
    for row in content["modes"]["event"]["network"]["recordings"]:
        row["f1"] = (row["f1"] or 0.0) + 0.1


@pytest.fixture
def runs(copied):
    (first,) = (copied.folder / "runs").glob("tiny-*")
    second = first.with_name("slow")
    shutil.copytree(first, second)
    config = (second / "config.yaml").read_text()
    assert "lr_plus: 0.04\n" in config
    (second / "config.yaml").write_text(config.replace("lr_plus: 0.04\n", "lr_plus: 0.004\n"))
    made = Runs(copied, first.relative_to(copied.folder), second.relative_to(copied.folder))
    absolute(made).change(second, better)
    return made


def absolute(runs: Runs) -> Runs:
    return Runs(runs.place, runs.place.folder / runs.first, runs.place.folder / runs.second)


def test_settings_figures_and_differences_of_two_runs(runs):
    said, written = runs.compared()
    assert written["settings"] == {"stdp.lr_plus": [0.04, 0.004]} and written["not_paired"] == []
    assert re.search(r"^stdp\.lr_plus +0\.04 +0\.004$", said, re.MULTILINE)
    row = written["modes"]["event"]["f1"]
    assert row["a"] == row["b"] is not None and row["a_interval"] == row["b_interval"]
    assert row["difference"]["mean"] == pytest.approx(0.1) and row["difference"]["higher"] == 2
    assert row["difference"]["interval"] == pytest.approx([0.1, 0.1])
    assert written["modes"]["event"]["recall"]["difference"]["mean"] == 0
    assert re.search(r"F1 .*\+0\.100 \[\+0\.100, \+0\.100\] +\* +2, 0 of 2$", said, re.MULTILINE)
    assert written["training"]["conv2 samples"][0] == written["training"]["conv2 samples"][1] > 0
    assert written["a"]["path"] == str(runs.first) and len(written["a"]["recordings"]) == 2


def test_a_run_may_be_named_without_its_folder_and_an_evaluation_or_its_file_too(runs):
    here = absolute(runs)
    names = [runs.first.name, str(runs.first), str(here.metrics(here.first).parent), str(here.metrics(here.first))]
    for name in names:
        runs.place.ok("compare", name, "slow", "-o", f"{names.index(name)}.csv", config=False)
    files = {(runs.place.folder / f"{number}.csv").read_text() for number in range(len(names))}
    assert len(files) == 1 and "event,network,f1," in files.pop()


def test_a_copy_outside_of_any_run_has_no_configuration(runs):
    shutil.copy(absolute(runs).metrics(runs.place.folder / runs.first), runs.place.folder / "copy.json")
    runs.place.ok("compare", "copy.json", "slow", "-o", "out.json", config=False)
    written = json.loads((runs.place.folder / "out.json").read_text())
    assert written["settings"] == {} and written["training"]["conv2 samples"][0] is None
    assert written["modes"]["event"]["f1"]["difference"]["mean"] == pytest.approx(0.1)  # the frames are the same


def fewer(content):
    content["recordings"] = content["recordings"][:1]


def elsewhere(content):
    content["frames"] = "0123456789abcdef"


def stricter(content):
    content["settings"]["radius_px"] = 3.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (fewer, "not the same recordings (2 and 1, 1 of them of the same name)"),
        (elsewhere, "it is not known whether recordings of the same names are the same ones: the frames 0123456789abcdef"),
        (stricter, "scored by other rules (evaluation.radius_px is 5.0 and 3.0)"),
    ],
)
def test_what_cannot_be_paired_is_shown_side_by_side_and_why(runs, change, reason):
    absolute(runs).change(runs.place.folder / runs.second, change)
    said, written = runs.compared()
    (found,) = written["not_paired"]
    assert found.startswith(reason) and said.splitlines()[-1].startswith(f"no differences by recording: {reason}")
    assert "B - A" not in said and written["modes"]["event"]["f1"]["b_interval"] is not None
    assert all(row["difference"] is None for figures in written["modes"].values() for row in figures.values())


@pytest.mark.parametrize("same", [True, False])
def test_frames_of_other_settings_pair_if_they_are_of_the_same_recordings(runs, same):
    cache = runs.place.folder / "data_cache" / "frames"
    (frames,) = (path for path in cache.iterdir() if (path / "manifest.json").is_file())
    manifest = json.loads((frames / "manifest.json").read_text())
    if not same:
        manifest["inputs"]["simulated"] = "fedcba9876543210"
    (cache / "0123456789abcdef").mkdir()
    (cache / "0123456789abcdef" / "manifest.json").write_text(as_text({**manifest, "sha256": manifest_digest(manifest)}))
    absolute(runs).change(runs.place.folder / runs.second, elsewhere)
    _, written = runs.compared()
    if same:
        assert not written["not_paired"] and written["modes"]["event"]["f1"]["difference"]["recordings"] == 2
    else:
        assert written["not_paired"][0].startswith("recordings of the same names, but of other content (")


def test_of_several_evaluations_those_that_scored_the_same_are_taken(runs):
    here = absolute(runs)
    old = here.metrics(here.second).parent
    shutil.copytree(old, old.with_name("newer"))
    shutil.move(old, runs.place.folder / "aside")
    here.change(here.second, fewer)
    shutil.move(runs.place.folder / "aside", old)
    os.utime(old / "manifest.json", (1, 1))
    _, written = runs.compared()
    assert written["b"]["evaluation"].endswith(old.name) and not written["not_paired"]


def test_a_run_without_evaluation_is_compared_by_its_settings(runs):
    shutil.rmtree(runs.place.folder / runs.second / "evaluate")
    said, written = runs.compared()
    assert written["settings"] == {"stdp.lr_plus": [0.04, 0.004]}
    assert f"B  {runs.second}: not evaluated; `spikeseg evaluate --network {runs.second}` does that" in said
    assert said.splitlines()[-1] == f"no differences by recording: {runs.second} has not been evaluated"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no JSON"),
        ("[]", "holds a list, not an object"),
        ('{"version": 1, "accuracy": 1}', "not the metrics.json of `spikeseg evaluate`"),
        ('{"version": 99, "recordings": [], "settings": {}, "detectors": {}, "modes": {}}', "version 99 of metrics.json"),
        ('{"version": 2, "recordings": [], "settings": {}, "detectors": {}, "modes": {}}', "settings and modes are not as"),
    ],
)
def test_a_file_that_holds_no_figures_is_refused(copied, content, told):
    (copied.folder / "f.json").write_text(content)
    assert f"f.json: {told}" in copied.refused("compare", "f.json", "f.json", config=False)


def test_what_is_not_there_is_refused(runs):
    assert "nowhere: no such run" in runs.place.refused("compare", "nowhere", "slow", config=False)
    assert "data_cache: no run's folder" in runs.place.refused("compare", "data_cache", "slow", config=False)
    said = runs.place.refused("compare", "slow", "slow", "--detector", "nobody", config=False)
    assert "--detector nobody: " in said and "has none; its are raw_events, " in said
    assert "no run lies there" in runs.place.refused("compare", "--all", "--set", "output_dir=empty", config=False)
    for words in ((), ("slow",), ("slow", "slow", "slow"), ("--all", "slow", "slow")):
        assert runs.place("compare", *words, config=False).exit_code == 2


def test_all_runs_are_a_table_and_a_csv(runs):
    folder = runs.place.folder
    shutil.copytree(folder / runs.second, folder / "runs" / "unscored")
    shutil.rmtree(folder / "runs" / "unscored" / "evaluate")
    (folder / "runs" / "broken").mkdir()
    (folder / "runs" / "broken" / "config.yaml").write_text("no_such_key: 1\n")
    result = runs.place("compare", "--all", "-o", "all.csv", config=False)
    assert result.exit_code == 0 and re.search("^warning: runs/broken is left out: ", result.stderr, re.MULTILINE)
    with (folder / "all.csv").open() as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["slow", runs.first.name, "unscored"]
    assert [row["stdp.lr_plus"] for row in rows.values()] == ["0.004", "0.04", "0.004"]
    assert rows["slow"]["recordings"] == "2" and rows["slow"]["split"] == "test" and rows["unscored"]["event.f1"] == ""
    metrics = json.loads(absolute(runs).metrics(folder / runs.first).read_text())["modes"]["object"]["network"]
    assert rows[runs.first.name]["object.recall"] == str(metrics["recall"])
    assert rows[runs.first.name]["object.recall.low"] == str(metrics["intervals"]["recall"][0])
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["stdp.lr_plus", "0.004", "slow,", "unscored"] in lines and ["0.04", runs.first.name] in lines
    assert result.stdout.splitlines()[-1].startswith("not scored yet: unscored; ")
    (row,) = [line for line in lines if line[:1] == ["slow"]]
    assert row[1:4] == ["2", "of", "test"] and len(row) == 4 + 5
