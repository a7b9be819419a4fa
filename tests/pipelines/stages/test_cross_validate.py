"""Folds of recordings: what is trained on what, what is scored, and what a second call does."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.data.store.frames import Frames, resplit
from spikeseg.errors import InputError
from spikeseg.evaluation.folds import spread
from spikeseg.metrics.mode import modes_of
from spikeseg.models import SpikeSEG
from spikeseg.pipelines.stages import cross_validate, runs

WORDS = "cross-validate", "--folds", "2"


def newest_result(place) -> dict:
    """The newest result."""
    paths = place.folder.glob("runs/cross-validate/*/cross_validation.json")
    return json.loads(max(paths, key=lambda path: path.stat().st_mtime_ns).read_text())


def stores(place) -> dict[tuple[str, ...], Path]:
    """Frames by the parts of their recordings, in the order of these."""
    paths = (place.folder / "data_cache" / "frames").glob("*/frames.zarr")
    return {tuple(info.split for info in Frames.open(path).recordings): path for path in paths}


@pytest.fixture(scope="module")
def crossed(chain, tmp_path_factory):
    """A copy of the chain's folder after two folds and the final network; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("crossed") / "place"
    shutil.copytree(chain.folder, folder)
    place = type(chain)(folder)
    place.ok(*WORDS, "--final", "-o", "copy.csv")
    return place


def test_every_recording_but_those_of_the_test_split_is_held_out_once(crossed):
    document = newest_result(crossed)
    (manifest,) = [json.loads((path.parent / "manifest.json").read_text()) for path in [stores(crossed)[ORIGINAL]]]
    test = {name for name, part in manifest["splits"].items() if part == "test"}
    rest = set(manifest["splits"]) - test
    held = [run["held_out"] for run in document["runs"]]
    assert sorted(name for names in held for name in names) == sorted(rest) and len(test) == 2
    assert sorted(map(len, held)) == [1, 2]
    for run in document["runs"]:
        assert set(run["trained_on"]) == rest - set(run["held_out"]) and run["scored"] == run["held_out"]
        network = json.loads((crossed.folder / "runs" / run["run"] / "conv2.manifest.json").read_text())
        own = crossed.folder / "data_cache" / "frames" / network["inputs"]["frames"]
        parts = json.loads((own / "manifest.json").read_text())["splits"]
        assert {name for name, part in parts.items() if part == "train"} == set(run["trained_on"])
    final = document["final"]
    assert set(final["trained_on"]) == rest and set(final["scored"]) == test and final["metrics"]["split"] == "test"
    assert document["notes"] == []  # evaluate would say if a network had seen what it is scored on


ORIGINAL = ("train", "train", "test", "train", "test")
"""The tiny configuration's own split, with a train_ratio of 1."""


def test_folds_share_the_frames_and_have_the_bytes_of_their_own(crossed, place):
    made = stores(crossed)
    assert len(made) == 3  # the final network's are the original ones
    place.ok("prepare", "--set", "data.folds=2", "--set", "data.fold=2")
    ((parts, alone),) = stores(place).items()
    assert "val" in parts and alone.parent.name == made[parts].parent.name  # one key
    files = sorted(path.relative_to(alone) for path in alone.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(made[parts]) for path in made[parts].rglob("*") if path.is_file())
    assert all((alone / name).read_bytes() == (made[parts] / name).read_bytes() for name in files)
    shared = [name for name in files if (made[parts] / name).samefile(made[ORIGINAL] / name)]
    assert set(files) - set(shared) == {Path("zarr.json")}


def test_figures_are_those_of_the_folds(crossed):
    document = newest_result(crossed)
    own = [json.loads((crossed.folder / "runs" / run["metrics"]).read_text())["modes"] for run in document["runs"]]
    carried = {mode.name: mode.folds for mode in modes_of() if mode.folds}
    assert list(document["figures"]) == list(carried) == ["event", "event_stars", "object", "volume", "track"]
    assert "network" in document["figures"]["track"]
    for mode, figures in carried.items():
        for detector, of_figure in document["figures"][mode].items():
            assert tuple(of_figure) == figures
            for figure, of in of_figure.items():
                assert of["values"] == [modes[mode].get(detector, {}).get(figure) for modes in own]
    event = document["figures"]["event"]["graded"]["roc_auc"]
    assert event["values"][0] != event["values"][1] and event["folds"] == 2
    assert event["mean"] == pytest.approx(np.mean(event["values"]))
    assert event["std"] == pytest.approx(np.std(event["values"], ddof=1))
    assert (event["min"], event["max"]) == (min(event["values"]), max(event["values"]))
    assert (crossed.folder / "copy.csv").read_text().startswith("mode,detector,figure,fold,value\n")
    lines = csv.DictReader((crossed.folder / "copy.csv").open())
    rows = {(r["mode"], r["detector"], r["figure"], r["fold"]): r["value"] for r in lines}
    assert rows["event", "graded", "roc_auc", "2"] == repr(event["values"][1])
    assert rows["event", "graded", "roc_auc", "std"] == repr(event["std"])
    assert rows["event", "graded", "roc_auc", "test"] == repr(document["final"]["metrics"]["modes"]["event"]["graded"]["roc_auc"])


def test_a_second_call_does_nothing_and_shows_the_same(crossed, monkeypatch):
    monkeypatch.setattr(SpikeSEG, "infer", None)
    monkeypatch.setattr("spikeseg.pipelines.stages.training_loop.TrainingLoop.run", None)
    output = crossed.ok(*WORDS, "--final")
    assert output.splitlines()[-1].startswith("up to date: runs/cross-validate/")
    block = output.partition("event: ROC-AUC\n")[2].partition("\n\n")[0]
    of = newest_result(crossed)["figures"]["event"]["network"]["roc_auc"]
    assert re.search(f"trained network +{of['mean']:.3f} ± {of['std']:.3f}", block)
    assert "2 folds of" in output and "of the test split" in output


def test_the_folds_networks_are_no_ones_newest_run(crossed):
    assert runs.newest_run(crossed.folder / "runs").name.startswith("tiny-")


def test_interrupted_it_goes_on_and_ends_the_same_without_opening_the_test_split(copied, crossed, interrupt, monkeypatch):
    """Stopped in the middle of a layer of the first fold, then before the second one is scored."""
    opened, rows, labels = set(), Frames._rows, Frames.labels
    monkeypatch.setattr(Frames, "_rows", lambda self, r, *a: opened.add(self.recordings[r].split) or rows(self, r, *a))
    monkeypatch.setattr(Frames, "labels", lambda self, r: opened.add(self.recordings[r].split) or labels(self, r))
    with interrupt(3):
        result = copied(*WORDS)
    assert result.exit_code == 130 and "stopped in fold 1 of 2; the same command goes on from there" in result.stderr

    def stop(cfg, *words, **options):
        if cfg.data.fold == 2:
            raise KeyboardInterrupt
        return evaluated(cfg, *words, **options)

    evaluated = cross_validate.evaluate
    with monkeypatch.context() as patch:
        patch.setattr(cross_validate, "evaluate", stop)
        result = copied(*WORDS)
    assert result.exit_code == 130 and "resuming conv2" in result.stderr and "stopped in fold 2 of 2" in result.stderr
    first = list(copied.folder.glob("runs/cross-validate/runs/fold1of2-*/conv?.manifest.json"))
    times = [path.stat().st_mtime_ns for path in first]
    monkeypatch.setattr("spikeseg.pipelines.stages.training_loop.TrainingLoop.run", None)  # both networks are trained
    assert copied.ok(*WORDS).splitlines()[-1].startswith("wrote ")
    assert opened == {"train", "val"} and [path.stat().st_mtime_ns for path in first] == times and len(times) == 2
    ours, theirs = newest_result(copied), newest_result(crossed)
    assert ours["final"] is None and ours["figures"] == theirs["figures"]
    assert [run["metrics_sha256"] for run in ours["runs"]] == [run["metrics_sha256"] for run in theirs["runs"]]


def test_a_calibrated_readout_is_calibrated_in_every_fold(copied, monkeypatch):
    swept = []
    own = cross_validate.sweep
    monkeypatch.setattr(cross_validate, "sweep", lambda cfg, *a, **k: swept.append(cfg.data.fold) or own(cfg, *a, **k))
    copied.ok(*WORDS, "--set", "evaluation.readout=calibrated", "--set", "evaluation.bootstrap=5")
    assert swept == [1, 2]
    names = [run["checkpoint"]["file"] for run in newest_result(copied)["runs"]]
    assert names == ["checkpoint_calibrated.pt"] * 2


def test_too_many_folds_are_one_line(chain):
    output = chain.refused("cross-validate", "--folds", "4")
    assert "data.folds: 4" in output and "(data.test_ratio) leaves 3 of 5 recordings" in output
    assert chain("cross-validate", "--folds", "1").exit_code == 2
    assert not (chain.folder / "runs" / "cross-validate").exists()


def test_what_is_not_labelled_is_said_before_training(place):
    rng = np.random.default_rng(0)
    (place.folder / "rec").mkdir()
    for i in range(4):
        t = np.sort(rng.integers(0, 300_000, 300))
        np.savez(place.folder / "rec" / f"r{i}.npz", t=t, x=rng.integers(0, 60, 300), y=rng.integers(0, 45, 300), p=t % 2)
    output = place.refused(*WORDS, "--dataset", "files", "--data-root", "rec")
    assert "fold 1 of 2: none of the 1 recordings of the val split is labelled" in output
    assert not (place.folder / "runs").exists()


def test_a_fold_is_a_configuration_of_its_own(tmp_path):
    cfg = load_config("demo", {"output_dir": str(tmp_path), "data.train_ratio": 0.5, "data.test_ratio": 0.3})
    parts = cross_validate.parts(cfg, 3, final=True)
    assert [(part.cfg.data.folds, part.cfg.data.fold, part.scored) for part in parts] == [
        (3, 1, "val"), (3, 2, "val"), (3, 3, "val"), (0, 0, "test"),
    ]  # fmt: skip
    assert parts[-1].cfg.data.train_ratio == 1.0 and {part.cfg.data.test_ratio for part in parts} == {0.3}
    assert len({part.cfg.experiment_name for part in parts}) == 4


def test_spread_leaves_out_what_is_not_defined():
    assert spread([0.5, None, 1.0]) == {
        "values": [0.5, None, 1.0], "folds": 2, "mean": 0.75, "std": pytest.approx(0.125**0.5), "min": 0.5, "max": 1.0,
    }  # fmt: skip
    assert spread([0.5])["std"] is None
    assert spread([None, None])["mean"] is spread([None])["max"] is None


def test_other_splits_need_every_recording(chain, tmp_path):
    source = stores(chain)[ORIGINAL]
    names = [info.name for info in Frames.open(source).recordings]
    with pytest.raises(InputError, match=f"{names[-1]}: split None, must be one of train, val, test"):
        resplit(source, tmp_path / "a", dict.fromkeys(names[:-1], "val"))
    resplit(source, tmp_path / "b", dict.fromkeys(names, "val"))
    assert {info.split for info in Frames.open(tmp_path / "b").recordings} == {"val"}
    assert Frames.open(source).recordings[0].split == "train"
    with pytest.raises(InputError, match="exists already"):
        resplit(source, tmp_path / "b", dict.fromkeys(names, "test"))
