"""A table over thresholds, and the calibrated network."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeseg.config.sections import Config, EvaluationConfig
from spikeseg.data.frames.framing import FrameSpec
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE
from spikeseg.data.store.frames import Frames
from spikeseg.data.windows import WindowedRecording
from spikeseg.evaluation import thresholds as sweep_points
from spikeseg.learning import checkpoint
from spikeseg.metrics.event import EventScores
from spikeseg.metrics.mode import LabelledRecording
from spikeseg.models import SpikeSEG
from spikeseg.pipelines.runtime.files import sha256_file
from spikeseg.pipelines.stages.sweep import chosen_classes
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField

CALIBRATED = "--set", "evaluation.readout=calibrated"


def result(place) -> dict:
    (path,) = (place.folder / "runs").glob("*/sweep/*/sweep.json")
    return json.loads(path.read_text())


def best(place) -> Path:
    (path,) = (place.folder / "runs").glob("*/checkpoints/checkpoint_best.pt")
    return path


def calibrated(place) -> Path:
    return best(place).parent / "checkpoint_calibrated.pt"


def changed(path: Path, **thresholds: float) -> None:
    """Another network in the same checkpoint: a layer's thresholds raised."""
    model, meta = checkpoint.load(path)
    for layer, value in thresholds.items():
        model.encoder.layer(layer).threshold += value
    checkpoint.save(path, model, meta["config"])


@pytest.fixture(scope="module")
def swept(chain, tmp_path_factory):
    """A copy of the chain's folder after a sweep; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("swept") / "place"
    shutil.copytree(chain.folder, folder)
    place = type(chain)(folder)
    place.ok("sweep")
    return place


@pytest.fixture
def mine(swept, tmp_path):
    """A copy of it, to change at will."""
    shutil.copytree(swept.folder, tmp_path / "mine")
    return type(swept)(tmp_path / "mine")


def test_the_table_holds_every_score_of_a_track_and_the_configured_threshold(swept):
    document = result(swept)
    tried = [row["object_threshold"] for row in document["thresholds"]]
    assert tried == sorted(set(tried)) and {0.0, 0.5} < set(tried) and len(tried) > 4
    assert document["thresholds"][0]["tracks"] > document["thresholds"][-1]["tracks"] and document["split"] == "train"
    assert document["chosen"]["f1"] == max(row["f1"] for row in document["thresholds"]) > 0
    (path,) = (swept.folder / "runs").glob("*/sweep/*/sweep.csv")
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0]) == [*sweep_points.COLUMNS, "chosen"]
    assert [float(row["object_threshold"]) for row in rows] == tried
    assert [float(r["object_threshold"]) for r in rows if r["chosen"] == "1"] == [document["chosen"]["object_threshold"]]
    output = swept.ok("sweep")
    assert output.splitlines()[-1].startswith("up to date: ") and output.count("<- chosen") == 1


def test_the_figures_are_those_of_evaluate_at_that_threshold(swept, tmp_path):
    row = result(swept)["thresholds"][3]
    copy = tmp_path / "m.json"
    swept.ok(
        "evaluate", "--split", "train", "--mode", "object", "--mode", "track", "--threshold", row["object_threshold"], "-o", copy
    )
    modes = json.loads(copy.read_text())["modes"]
    names = ("f1", "precision", "recall", "tp", "fp", "fn")
    assert {name: row[name] for name in names} == {name: modes["object"]["network"][name] for name in names}
    names = ("false_tracks_per_minute", "tracks")
    assert {name: row[name] for name in names} == {name: modes["track"]["network"][name] for name in names}
    assert row["tracks"] > 0


def test_the_calibrated_checkpoint_is_the_same_network_with_a_readout(swept):
    ours = torch.load(calibrated(swept), weights_only=True)
    theirs = torch.load(best(swept), weights_only=True)
    assert ours["readout"] == {"object_threshold": result(swept)["chosen"]["object_threshold"], "classes": None}
    assert ours["calibrated_from"] == sha256_file(best(swept)) and "progress" in theirs and "progress" not in ours
    assert all(torch.equal(ours["model"][name], theirs["model"][name]) for name in theirs["model"])
    assert ours["config"] == theirs["config"]


def test_evaluate_and_detect_read_it_so_when_asked(swept, tmp_path):
    chosen = result(swept)["chosen"]["object_threshold"]
    assert chosen != 0.5
    for words in ([], ["--checkpoint", best(swept).parent.parent], ["--checkpoint", best(swept)]):
        swept.ok("evaluate", "--mode", "object", *CALIBRATED, *words, "-o", tmp_path / "m.json", config=False)
        metrics = json.loads((tmp_path / "m.json").read_text())
        assert metrics["settings"]["reading"]["object_threshold"] == chosen
        assert metrics["checkpoint"]["file"] == "checkpoint_calibrated.pt"
    (sky,) = (swept.folder / "data_cache" / "simulated").glob("*/EBSSA/*.h5")
    swept.ok("detect", f"{sky}::DAVIS_0000", *CALIBRATED, "-o", tmp_path / "calibrated")
    swept.ok("detect", f"{sky}::DAVIS_0000", "-o", tmp_path / "all")
    document = [json.loads((tmp_path / name / "detections.json").read_text()) for name in ("calibrated", "all")]
    assert [one["recordings"][0]["object_threshold"] for one in document] == [chosen, 0.5]


def test_without_a_sweep_the_command_is_named(chain):
    assert "run `spikeseg sweep`" in chain.refused("evaluate", *CALIBRATED)


def test_retraining_takes_the_calibration_away(mine):
    mine.ok("train-layer", "conv3", "--force")
    assert best(mine).is_file() and not calibrated(mine).exists()
    assert "run `spikeseg sweep`" in mine.refused("evaluate", *CALIBRATED)


def test_a_calibration_of_another_checkpoint_is_not_used(mine, reseal):
    changed(best(mine), conv3=0.5)
    reseal(best(mine).parents[1])
    assert calibrated(mine).is_file() and "run `spikeseg sweep`" in mine.refused("evaluate", *CALIBRATED)
    assert mine.ok("sweep").splitlines()[-1].startswith("wrote ")
    assert torch.load(calibrated(mine), weights_only=True)["calibrated_from"] == sha256_file(best(mine))


@pytest.mark.parametrize("damage", ["gone", "truncated"])
def test_a_lost_calibration_is_written_again_from_the_table(mine, monkeypatch, damage):
    whole = checkpoint.load(calibrated(mine))[1]["readout"]
    calibrated(mine).unlink() if damage == "gone" else calibrated(mine).write_bytes(b"PK")
    monkeypatch.setattr("spikeseg.pipelines.stages.sweep.measure", None)
    assert mine.ok("sweep", "-o", "copy.csv").splitlines()[-1].startswith("wrote copy.csv")
    assert checkpoint.load(calibrated(mine))[1]["readout"] == whole
    assert (mine.folder / "copy.csv").read_text().startswith("object_threshold,")


def test_the_last_sweep_is_the_one_that_counts(mine):
    def readout() -> float:
        return checkpoint.load(calibrated(mine))[1]["readout"]["object_threshold"]

    first = readout()
    mine.ok("sweep", "--set", "evaluation.spatial_tolerance_px=0.0001", "-o", "strict.json")  # nothing is found: 0.5 stays
    second = json.loads((mine.folder / "strict.json").read_text())["chosen"]["object_threshold"]
    assert readout() == second == 0.5 != first
    assert mine.ok("sweep").splitlines()[-1].startswith("wrote ") and readout() == first


def test_a_calibrated_checkpoint_stands_for_its_source(swept, tmp_path):
    for words in (["--checkpoint", calibrated(swept)], CALIBRATED):
        assert swept.ok("sweep", *words).splitlines()[-1].startswith("up to date: ")
    shutil.copy(calibrated(swept), tmp_path)
    output = swept.refused("sweep", "--checkpoint", tmp_path / "checkpoint_calibrated.pt")
    assert "is calibrated already" in output and "--network" in output


def test_only_training_and_validation_are_looked_at(mine, monkeypatch):
    assert mine("sweep", "--split", "test").exit_code == 2
    assert "the val split holds no recordings" in mine.refused("sweep", "--split", "val")
    true_labels, seen, calls = Frames.labels, set(), []

    def watched(self: Frames, r: int):
        seen.add(self.recordings[r].split)
        return true_labels(self, r)

    infer = SpikeSEG.infer
    monkeypatch.setattr(Frames, "labels", watched)
    monkeypatch.setattr(SpikeSEG, "infer", lambda self, frames, *a: calls.append(len(frames)) or infer(self, frames, *a))
    before = result(mine)
    mine.ok("sweep", "--force")
    assert seen == {"train"} and sum(calls) == 15  # windows of three recordings: each was encoded once
    assert result(mine) == before and len(before["recordings"]) == 3


def test_the_validation_split_calibrates_nothing(mine):
    words = ["--set", "data.train_ratio=0.5", "--seed", "3"]
    mine.ok("train", *words)
    output = mine.ok("sweep", "--split", "val", *words)
    assert " of the val split" in output and len(list(mine.folder.glob("runs/*/checkpoints/*calibrated.pt"))) == 1


def test_of_two_classes_the_one_that_tells_objects_counts(place, reseal):
    """The second class is made deaf: it is not kept, and evaluate counts the first one alone."""
    words = ["--set", "model.n_classes=2"]
    place.ok("train", *words)
    model, meta = checkpoint.load(best(place))
    model.encoder.conv3.threshold[1] = 2000.0
    checkpoint.save(best(place), model, meta["config"])
    reseal(best(place).parents[1])
    output = place.ok("sweep", *words)
    document = result(place)["classes"]
    assert (
        document["chosen"] == [0]
        and document["roc_auc"][0] > 0.5 == document["roc_auc"][1]
        and "classes that count: 0 (" in output
    )
    place.ok("evaluate", "--mode", "object", *words, *CALIBRATED, "-o", "m.json")
    assert json.loads((place.folder / "m.json").read_text())["settings"]["reading"]["classes"] == [0]


def test_one_class_is_not_chosen_from():
    assert chosen_classes(Config(), None, None) == (None, None)


# -- the chosen point --------------------------------------------------------------------------------


def track(number: int, x: float, y: float, score: float) -> ObjectTrack:
    """Something that stands still for a second."""
    t = np.arange(0, 1_000_001, 100_000.0)
    states = np.tile([x, y, 0.0, 0.0], (len(t), 1))
    none = np.zeros(len(t), np.int64)
    return ObjectTrack(number, t, np.arange(len(t)), none, states, np.zeros((len(t), 2)), score)


def scene(*tracks: tuple[float, float, float]) -> list[sweep_points.TrackedRecording]:
    """A second of a recording with an object at (20, 20), and tracks at x, y with a score."""
    events = np.zeros(11, EVENT_DTYPE)
    events["t"] = np.arange(0, 1_000_001, 100_000)
    spec = FrameSpec(n_timesteps=10, timestep_us=10_000)
    view = WindowedRecording(
        "scene", events, np.ones(11, bool), (60, 40), spec, np.arange(0, 1_000_000, 100_000), lambda: iter(())
    )
    labels = np.zeros(2, LABEL_DTYPE)
    labels["t"], labels["x"], labels["y"], labels["id"] = [0, 1_000_000], 20, 20, 1
    found = [track(k, *one) for k, one in enumerate(tracks, 1)]
    scores = EventScores("scene", np.linspace(0, 1, 11), np.arange(11) > 5)
    return [
        sweep_points.TrackedRecording(
            LabelledRecording(view, labels, None, 0, 1_000_000), Tracks(found, StarField.still()), scores
        )
    ]


def point(recordings: list[sweep_points.TrackedRecording], configured: float = 0.5) -> sweep_points.Point:
    settings = EvaluationConfig()
    rows = sweep_points.rows_at(settings, recordings, sweep_points.thresholds_of(recordings, configured))
    return sweep_points.chosen_point(settings, recordings, rows, configured)


def test_the_middle_of_the_plateau_is_chosen():
    found = scene((20, 20, 0.8), (50, 5, 0.3), (5, 35, 0.4))
    chosen = point(found, configured=0.1)
    assert chosen.row["object_threshold"] == pytest.approx(0.6) and chosen.plateau == [0.4, 0.8]
    assert chosen.row["f1"] == 1.0 and chosen.row["tracks"] == 1 and chosen.row["false_tracks_per_minute"] == 0
    tried = [row["object_threshold"] for row in chosen.rows]
    assert tried == pytest.approx([0.1, 0.3, 0.4, 0.6, 0.8]) and [row["tracks"] for row in chosen.rows] == [3, 3, 2, 1, 1]
    assert [row["precision"] for row in chosen.rows] == pytest.approx([1 / 3, 1 / 3, 1 / 2, 1, 1])
    by_event = [row["informedness"] for row in chosen.rows]
    assert by_event == pytest.approx([1 - 5 / 6, 1 - 3 / 6, 1 - 2 / 6, 1, 3 / 5])  # 6 false events up to 0.5, 5 true ones above


def test_of_two_plateaus_the_wider_one_is_chosen():
    found = scene((20, 20, 0.9), (50, 5, 0.1), (20.5, 20, 0.6), (50, 30, 0.5))
    rows = [{"object_threshold": m, "f1": f} for m, f in [(0.1, 1.0), (0.5, 0.5), (0.6, 1.0), (0.9, 1.0)]]
    chosen = sweep_points.chosen_point(EvaluationConfig(), found, rows, 0.5)
    assert chosen.plateau == [0.5, 0.9]


def test_where_nothing_is_found_the_configured_threshold_stays():
    chosen = point(scene((50, 5, 0.3), (5, 35, 0.7)))
    assert chosen.row["object_threshold"] == 0.5 and chosen.row["f1"] == 0 and chosen.plateau is None
    assert "was kept" in chosen.notes[0]
    silent = point(scene())
    assert silent.row["object_threshold"] == 0.5 and silent.row["tracks"] == 0


def test_many_scores_are_thinned_evenly_with_both_ends():
    scores = np.linspace(0.001, 0.999, 500) ** 2
    found = scene(*((50, 5, float(score)) for score in scores))
    tried = sweep_points.thresholds_of(found, 0.5)
    assert len(tried) <= 50 and 0.5 in tried and tried[0] == scores[0] and tried[-1] == scores[-1]
    ranks = np.searchsorted(scores, [threshold for threshold in tried if threshold != 0.5])
    assert np.ptp(np.diff(ranks)) <= 1 and set(np.diff(ranks)) <= {10, 11}
