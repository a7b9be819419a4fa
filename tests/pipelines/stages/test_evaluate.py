"""A network beside its baselines."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeseg.config.load import load_config
from spikeseg.data.store.frames import Frames
from spikeseg.data.store.recordings import stored
from spikeseg.detection.network import decoded, load_network
from spikeseg.errors import InputError
from spikeseg.evaluation.tables import metrics_table
from spikeseg.pipelines.runtime.stage import StageResult
from spikeseg.pipelines.stages import answers, evaluate, runs, sweep

DETECTORS = [
    "raw_events", "random_scores", "everything", "random",
    "denoise", "graded", "blobs", "lines", "graded_tracks", "saliency", "untrained", "network", "shuffled_labels",
]  # fmt: skip
BASELINES = DETECTORS[:4]
TRACKING = ["graded_tracks", "untrained", "network"]


@pytest.fixture(scope="module")
def metrics(chain) -> dict:
    (path,) = (chain.folder / "runs").glob("*/evaluate/*/metrics.json")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def own(chain):
    """Configuration, network and frames of the chain, with absolute paths."""
    folder = chain.folder
    cfg = load_config(folder / "tiny.yaml", {"cache_dir": str(folder / "data_cache"), "output_dir": str(folder / "runs")})
    (frames,) = (folder / "data_cache" / "frames").glob("*/manifest.json")
    return cfg, runs.network_of(cfg), StageResult(frames.parent, frames.parent.name, False)


def test_every_mode_has_every_detector_with_values_and_intervals(metrics):
    modes = ["event", "event_exact", "event_stars", "pixel", "object", "object_1px", "volume", "track"]
    assert metrics["version"] == 2 and list(metrics["modes"]) == modes
    without = {"event_exact": DETECTORS[:-1], "event_stars": DETECTORS[:-1]}
    expected = {"track": [*BASELINES, *TRACKING, DETECTORS[-1]], **without}
    for mode, rows in metrics["modes"].items():
        assert list(rows) == expected.get(mode, DETECTORS), mode
        for values in rows.values():
            assert len(values["recordings"]) == len(metrics["recordings"]) == 2 and values["intervals"]
    assert set(metrics["thresholds"]) == set(DETECTORS[:-1]) and metrics["settings"]["scope"] == "recording"


def test_raw_events_are_at_chance_and_the_filters_are_not(metrics):
    by_event = metrics["modes"]["event"]
    assert by_event["raw_events"]["roc_auc"] == 0.5 and by_event["raw_events"]["informedness"] == 0.0
    assert by_event["graded"]["roc_auc"] > 0.75


def test_the_table_shows_every_detector_in_every_mode(metrics):
    text = metrics_table(metrics)
    for mode in metrics["modes"]:
        block = text.partition(f"{mode}: ")[2].partition("\n\n")[0]
        assert all(metrics["detectors"][name] in block for name in metrics["modes"][mode])
    assert "95% intervals" in text and "[" in text and max(map(len, text.splitlines())) <= 100


def test_of_one_recording_there_are_no_brackets(metrics):
    of_one = metrics_table({**metrics, "recordings": metrics["recordings"][:1]}).splitlines()[-1]
    assert of_one == "1 recording of the test split"


def test_the_table_has_errors_of_tracks(metrics):
    changed = json.loads(json.dumps(metrics))
    found = changed["modes"]["track"]["network"]
    found["position_error_px"], found["velocity_error"], found["intervals"]["velocity_error"] = 0.34, 0.012, [0.01, 0.02]
    errors = re.split(r"position error, px +velocity error\n", metrics_table(changed))[1].partition("\n\n")[0]
    assert ["trained network", "0.340", "0.012 [0.010, 0.020]"] in [re.split("  +", line) for line in errors.splitlines()]
    assert all(metrics["detectors"][name] in errors for name in metrics["modes"]["track"])


def test_the_table_names_a_limited_scope_and_says_where_nothing_counts(metrics):
    changed = json.loads(json.dumps(metrics))
    changed["settings"]["scope"] = "labelled_span"
    changed["modes"]["event"]["network"]["roc_auc"] = None
    assert "evaluation.scope" in metrics_table(changed) and re.search("trained network  +-", metrics_table(changed))


def test_labels_of_the_test_split_change_no_threshold(own, monkeypatch):
    cfg, network, frames = own
    events = evaluate.Selection(modes=["event"])
    before = evaluate.measure(cfg, network, frames, events)
    true_labels = Frames.labels

    def moved(self: Frames, r: int):
        labels = true_labels(self, r)
        if self.recordings[r].split == "test":
            labels["x"] = 239 - labels["x"]
        return labels

    monkeypatch.setattr(Frames, "labels", moved)
    after = evaluate.measure(cfg, network, frames, events)
    assert after["thresholds"] == before["thresholds"]
    assert after["modes"]["event"]["network"]["roc_auc"] != before["modes"]["event"]["network"]["roc_auc"]


def test_detectors_see_no_labels(own, monkeypatch):
    """What they answer is the same when labels and truth cannot be read."""
    cfg, network, frames = own
    store = Frames.open(frames.path / "frames.zarr")

    def forbidden(*_: object) -> None:
        raise AssertionError("a detector asked for labels")

    monkeypatch.setattr(Frames, "labels", forbidden)
    monkeypatch.setattr(Frames, "truth", forbidden)
    compared, thresholds = evaluate.compared(cfg, network, store, [])
    view = stored(store, 0)
    for detector in compared:
        response = detector.respond(view)
        assert response.scores.shape == (len(view.events),) and (response.scores >= 0).all()
        assert len(response.maps) == len(view.start_us)
        assert (response.tracked is not None) is (detector.name in TRACKING)
        assert (response.positions is not None) is (detector.name in ("everything", "blobs", "lines"))
        saliency = response.scores if response.saliency is None else response.saliency
        assert detector.name in BASELINES or not saliency[~view.kept].any()
    assert [d.name for d in compared] == DETECTORS[:-1] == sorted(thresholds, key=DETECTORS.index)
    assert {thresholds[name] for name in [*BASELINES, "denoise"]} == {0.5}


def test_choosing_every_class_is_choosing_none(own):
    cfg, network, frames = own
    store = Frames.open(frames.path / "frames.zarr")
    model = load_network(cfg, str(network.checkpoint), torch.device("cpu"))
    salient = 0
    for _, _, (whole, alone) in decoded(model, stored(store, 0).windows(), [None, [0]]):
        assert whole.shape == (4, 45, 60) and np.array_equal(whole.dense(), alone.dense())
        salient += len(whole.index)
    assert salient


def test_one_mode_and_a_copy_where_asked_for(copied, tmp_path):
    output = copied.ok("evaluate", "--mode", "volume", "--split", "train", "-o", tmp_path / "sub" / "m.json")
    assert output.splitlines()[-1].startswith(f"wrote {tmp_path}/sub/m.json")
    metrics = json.loads((tmp_path / "sub" / "m.json").read_text())
    assert list(metrics["modes"]) == ["volume"] and metrics["split"] == "train" and len(metrics["recordings"]) == 3
    assert any("trained on 3 of these 3 recordings" in note for note in metrics["notes"])


def test_a_network_from_elsewhere_is_noted(own, metrics, tmp_path):
    cfg, network, frames = own
    assert metrics["notes"] == []
    names = ["DAVIS_0000"]
    unknown = runs.SavedNetwork(network.checkpoint, tmp_path, None)
    assert "not known" in evaluate.warnings_about(cfg, unknown, frames, names)[0]


@pytest.mark.parametrize("stage", [evaluate.evaluate, sweep.sweep])
def test_without_the_frames_of_training_nothing_is_calibrated_on_others(own, tmp_path, stage):
    """Those of the configuration are at hand, and could be taken for them."""
    cfg, network, _ = own
    gone = runs.SavedNetwork(network.checkpoint, tmp_path, "0" * 16)
    with pytest.raises(
        InputError, match=r"trained on \(0{16}\) are not in .*calibrated on nothing else; run `spikeseg prepare -c .*yaml`"
    ):
        stage(cfg, gone)
    assert not [path for path in tmp_path.rglob("*.json")]


def test_the_command_that_is_named_makes_the_frames_again(copied):
    words = ["--data-root", "elsewhere", "--dataset", "ebssa"]
    copied.ok("simulate", "elsewhere", "--recordings", 1, "--duration", 0.3, "--seed", 77, "--difficulty", "easy", config=False)
    (checkpoint,) = (copied.folder / "runs").glob("*/checkpoints/checkpoint_best.pt")
    (learned,) = (copied.folder / "data_cache" / "frames").glob("*/manifest.json")
    copied.ok("prepare", *words)
    shutil.rmtree(learned.parent)
    said = copied.refused("evaluate", *words, "--split", "all", "--checkpoint", checkpoint)
    command = re.search("`spikeseg (prepare -c .*?)`", said)[1]
    copied.ok(*command.split(), config=False)
    assert learned.is_file()


@pytest.mark.parametrize("split", ["all", "test"])
def test_where_training_is_not_known_nothing_is_calibrated_on_what_is_scored(own, tmp_path, monkeypatch, split):
    cfg, network, frames = own
    calibrated_on = []

    def compared(cfg, network, store, train, readout):
        calibrated_on.append([store.recordings[r].split for r in train])
        return [], {}

    monkeypatch.setattr(evaluate, "compared", compared)
    unknown = runs.SavedNetwork(network.checkpoint, tmp_path, None)
    notes = evaluate.measure(cfg, unknown, frames, evaluate.Selection(split, ["event"]))["notes"]
    assert calibrated_on == [[] if split == "all" else ["train"] * 3]
    assert any("nothing was calibrated" in note for note in notes) is (split == "all")


def test_a_checkpoint_of_another_shape_is_one_line(chain, tmp_path):
    (path,) = (chain.folder / "runs").glob("*/checkpoints/checkpoint_best.pt")
    np.savez(tmp_path / "x.npz", t=np.arange(50), x=np.arange(50), y=np.arange(50) % 40, p=np.arange(50) % 2)
    for words in (["evaluate"], ["detect", tmp_path / "x.npz"]):
        output = chain.refused(*words, "--checkpoint", path, "--set", "model.conv2_channels=5")
        assert "checkpoint_best.pt: conv2.threshold is (4,) in the checkpoint" in output and "asks for (5,)" in output
    assert not [path for path in chain.folder.rglob("*.partial-*")]


@pytest.mark.parametrize("damage", ["truncated", "other", "missing"])
def test_a_damaged_checkpoint_is_one_line(chain, tmp_path, damage):
    (path,) = (chain.folder / "runs").glob("*/checkpoints/checkpoint_best.pt")
    mine = tmp_path / "mine.pt"
    if damage == "truncated":
        mine.write_bytes(path.read_bytes()[:1000])
    elif damage == "other":
        torch.save({"weights": torch.zeros(3)}, mine)
    for config in (True, False):
        assert "mine.pt" in chain.refused("evaluate", "--checkpoint", mine, config=config)
    assert sorted(p.name for p in tmp_path.iterdir()) == ([] if damage == "missing" else ["mine.pt"])


def test_a_checkpoint_alone_brings_its_configuration(chain, tmp_path):
    (path,) = (chain.folder / "runs").glob("*/checkpoints/checkpoint_best.pt")
    shutil.copy(path, tmp_path / "mine.pt")
    output = chain.ok("evaluate", "--checkpoint", tmp_path / "mine.pt", "--mode", "event", config=False)
    assert output.splitlines()[-1].startswith(f"wrote {tmp_path}/evaluate/")


def test_unlabelled_recordings_have_nothing_to_score(place):
    root = place.folder / "rec"
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        t = np.sort(rng.integers(0, 300_000, 500))
        np.savez(root / f"r{i}.npz", t=t, x=rng.integers(0, 60, 500), y=rng.integers(0, 45, 500), p=rng.integers(0, 2, 500))
    words = ["--dataset", "files", "--data-root", "rec"]
    place.ok("train", *words)
    output = place.refused("evaluate", *words)
    assert "none of the 1 recordings of the test split is labelled" in output and "spikeseg detect" in output
    assert "holds no recordings" in place.refused("evaluate", "--split", "val", *words)
    assert not [path for path in Path(place.folder).rglob("metrics.json")]


def test_every_mode_says_what_chance_is_and_the_table_repeats_it(metrics):
    assert list(metrics["chance"]) == list(metrics["modes"])
    levels = {mode: chance["figures"] for mode, chance in metrics["chance"].items()}
    assert levels["event"] == {"roc_auc": 0.5, "informedness": 0.0} and levels["object"] == levels["track"] == {}
    assert levels["pixel"] == levels["volume"] == {"informedness": 0.0}
    blocks = metrics_table(metrics).split("\n\n")
    for (mode, chance), block in zip(metrics["chance"].items(), blocks[:-1], strict=True):
        title, note = block.splitlines()[0], " ".join(" ".join(block.splitlines()).partition(" chance: ")[2].split())
        assert title.startswith(mode + ":") and chance["note"] and note.endswith(chance["note"])
    assert (
        "chance: ROC-AUC 0.5, informedness 0: " in blocks[0]
        and "for the 10 ms in which it falls" in metrics["chance"]["track"]["note"]
    )


@pytest.mark.parametrize(
    ("mode", "figure"), [("event", "roc_auc"), ("event", "informedness"), ("pixel", "informedness"), ("volume", "informedness")]
)
def test_what_knows_nothing_is_at_chance_and_raw_events_need_not_be(metrics, mode, figure):
    rows, level = metrics["modes"][mode], metrics["chance"][mode]["figures"][figure]
    assert rows["random"][figure] == pytest.approx(level, abs=0.05) and rows["everything"][figure] == level
    if mode in ("pixel", "volume"):
        assert min(rows[name][figure] for name in ("raw_events", "random_scores")) > 0.3


def test_everything_finds_all_and_is_almost_always_wrong(metrics):
    for mode in ("object", "object_1px"):
        everything = metrics["modes"][mode]["everything"]
        assert everything["recall"] == 1 and everything["precision"] < 1e-4
    tracks = {name: metrics["modes"]["track"][name] for name in BASELINES}
    assert tracks["everything"]["coverage"] == 1 and tracks["everything"]["position_error_px"] < 0.75
    rates = {name: row["false_tracks_per_minute"] for name, row in tracks.items()}
    assert rates["everything"] > 1000 * rates["raw_events"] and rates["raw_events"] > 1.9 * rates["random_scores"] > 0
    assert tracks["random"]["coverage"] < 0.2 < tracks["raw_events"]["coverage"]


def test_a_recording_is_read_once_for_all_detectors(monkeypatch):
    read = []
    monkeypatch.setattr(answers, "labelled_recording_of", lambda store, r, cfg: read.append(r) or f"recording {r}")
    cfg = load_config(None, {"data.num_workers": 0})
    found = answers.answers(cfg, ["one", "other"], None, [3, 5], "scoring", lambda detector, recording: (detector, recording))
    assert list(found) == [(name, f"recording {r}") for r in (3, 5) for name in ("one", "other")] and read == [3, 5]
