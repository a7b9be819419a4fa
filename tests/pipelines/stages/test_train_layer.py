"""Training as a stage: what it writes, when it is skipped, what it refuses, and that stopping loses nothing."""

import dataclasses
import hashlib
import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import spikeseg
from spikeseg.config.circumstances import CIRCUMSTANCES, WITHOUT_RESULT, with_defaults
from spikeseg.config.load import dump, load_config
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.learning import LayerTrainer, checkpoint
from spikeseg.models.adaptive_threshold import typical_drive
from spikeseg.ops.device import usable_device
from spikeseg.pipelines.runtime import stage
from spikeseg.pipelines.stages import prepare, train_layer
from spikeseg.pipelines.stages.train import train

BOTH = ("conv2", "conv3")
LATEST = "checkpoints/checkpoint_latest.pt"


def one_line(error: pytest.ExceptionInfo | str | None) -> str:
    line = str(getattr(error, "value", error))
    assert line and "\n" not in line
    return line


# -- what is written ---------------------------------------------------------------------------------


def test_files_of_a_run(world):
    run = world.run({"max_epochs": 2}, BOTH)
    assert run.kinds == {
        "config.yaml", "metrics.jsonl", "metrics_final.json", "conv2.manifest.json", "conv3.manifest.json",
        "logs/TIME-conv2.log", "logs/TIME-conv3.log",
        "checkpoints/checkpoint_epoch1_conv2.pt", "checkpoints/checkpoint_epoch2_conv2.pt",
        "checkpoints/checkpoint_epoch1_conv3.pt", "checkpoints/checkpoint_epoch2_conv3.pt",
        "checkpoints/checkpoint_best.pt", LATEST, "checkpoints/conv2.pt", "checkpoints/conv3.pt",
    }  # fmt: skip
    assert re.fullmatch(r"spikeseg_default-[0-9a-f]{8}", run.folder.name)
    assert (run.folder / "config.yaml").read_text() == dump(with_defaults(run.cfg, {*WITHOUT_RESULT} - {"device"}))
    assert re.search(r"^20\d\d-\d\d-\d\d .* INFO training conv2 on \d+ windows, seed 42", run.log, re.MULTILINE)


def test_every_checkpoint_loads_without_running_code(world):
    run = world.run({"max_epochs": 2}, BOTH)
    paths = list((run.folder / "checkpoints").glob("*.pt"))
    assert len(paths) == 8
    for path in paths:
        assert torch.load(path, weights_only=True)["format"] == "spikeseg-checkpoint"
        assert checkpoint.load(path)[1]["config"] == dataclasses.replace(
            with_defaults(run.cfg, CIRCUMSTANCES), device=usable_device()
        )
    latest, conv2, conv3 = (run.digest(name) for name in (LATEST, "checkpoints/conv2.pt", "checkpoints/conv3.pt"))
    assert latest == conv3 != conv2


def test_metrics_final_tells_of_every_layer(world):
    run = world.run({"max_epochs": 2}, BOTH)
    assert list(run.all_metrics) == ["conv2", "conv3"]
    for layer, maps in (("conv2", 6), ("conv3", 2)):
        metrics = run.all_metrics[layer]
        weight = checkpoint.load(run.folder / f"checkpoints/{layer}.pt")[0].encoder.layer(layer).weight
        assert metrics["maps"] == maps == len(metrics["wins_per_map"]) and metrics["wins"] == sum(metrics["wins_per_map"]) > 0
        assert metrics["samples"] == 2 * len(run.frames.samples("train")) and metrics["epochs"] == 2
        assert metrics["convergence_index"] == pytest.approx(float((weight * (1 - weight)).mean()), abs=1e-6)
        assert metrics["weight_mean"] == pytest.approx(float(weight.mean()))
        assert metrics["stopped"] == "max_epochs = 2 reached"
        assert {"dead_share", "near_duplicate_share", "weight_std", "threshold_mean", "recovered_maps"} <= metrics.keys()


def test_manifests_tell_what_went_in_and_came_out(world):
    run = world.run({"max_epochs": 2}, BOTH)
    frames, below, manifest = prepare.find_frames(run.cfg).key, run.manifest("conv2"), run.manifest("conv3")
    assert below["inputs"] == {"frames": frames} and manifest["inputs"] == {"frames": frames, "conv2": below["key"]}
    assert manifest["config"]["layer"] == "conv3" and manifest["config"]["stdp"]["lr_plus"] == 0.04
    ((name, described),) = manifest["outputs"].items()
    content = (run.folder / name).read_bytes()
    assert name == "checkpoints/conv3.pt"
    assert described == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert (manifest["seed"], manifest["device"], manifest["result"]) == (42, "cpu", run.all_metrics["conv3"])
    assert manifest["versions"]["torch"] and manifest["seconds"] > 0


def test_two_runs_with_one_seed_give_the_same_network(world):
    first = world.run({"max_epochs": 2}, BOTH)
    second = world.fresh({"max_epochs": 2, "cache_dir": str(world.root / "else")}, BOTH)
    assert first.folder != second.folder
    for layer in BOTH:
        assert first.digest(f"checkpoints/{layer}.pt") == second.digest(f"checkpoints/{layer}.pt")
        assert first.manifest(layer)["key"] == second.manifest(layer)["key"]
    assert (first.folder / "metrics_final.json").read_bytes() == (second.folder / "metrics_final.json").read_bytes()
    assert world.run({"seed": 7}).digest("checkpoints/conv2.pt") != world.run().digest("checkpoints/conv2.pt")


LIVELY = {
    "max_epochs": 2,
    "data.normalize": False,
    "model.background_adaptive": True,
    "wta.enable_homeostasis": True,
    "wta.threshold_min": 1.0,
    "homeostasis.dead_warmup": 2,
    "homeostasis.dead_threshold": 0.9,
}


@pytest.mark.filterwarnings("ignore:wta.threshold_min")
@pytest.mark.parametrize("changes", [{"max_epochs": 2}, LIVELY, {"max_epochs": 2, "data.batch_size": 5}])
def test_every_backend_gives_the_same_network(world, changes):
    """Spikes of the frozen layers, checkpoints and metrics; the key is one and the same."""
    runs = []
    for backend in ("cpu", "reference"):
        own = {"cache_dir": str(world.root / f"{backend}-{len(changes)}"), "backend": backend}
        runs.append(world.fresh({**changes, **own}, BOTH))
        assert runs[-1].error is None and runs[-1].manifest("conv2")["backend"] == backend
    fast, slow = runs
    assert changes is not LIVELY or fast.metrics["recovered_maps"] > 0
    assert fast.manifest("conv3")["key"] == slow.manifest("conv3")["key"]
    assert np.array_equal(fast.spikes, slow.spikes) and fast.spikes.any()
    for name in fast.files:
        if name.endswith(".pt"):
            assert fast.digest(name) == slow.digest(name), name
    assert fast.all_metrics == slow.all_metrics


def test_the_best_checkpoint_has_the_lowest_convergence_index_of_all_epochs(world):
    run = world.run({"max_epochs": 4, "checkpoint.keep_last_n": 9, "stdp.lr_plus": 0.5, "stdp.lr_minus": 0.5})

    def index(name: str) -> float:
        weight = checkpoint.load(run.folder / "checkpoints" / name)[0].encoder.conv2.weight
        return float((weight * (1 - weight)).mean())

    epochs = [index(f"checkpoint_epoch{n}_conv2.pt") for n in (1, 2, 3, 4)]
    assert len(set(epochs)) == 4 and index("checkpoint_best.pt") == min(epochs)


# -- skipping, retraining ----------------------------------------------------------------------------


def test_what_is_trained_is_not_trained_again(world, monkeypatch):
    run = world.run({"max_epochs": 2}, BOTH)
    before = run.contents
    monkeypatch.setattr(LayerTrainer, "learn", lambda *_: pytest.fail("must not learn"))
    assert [train_layer.train_layer(run.cfg, layer).ran for layer in BOTH] == [False, False]
    done = train(run.cfg)
    assert (done.ran, done.path) == (False, run.folder) and run.contents == before


def test_what_changes_no_result_does_not_train_again(world):
    run = world.run({"max_epochs": 2}, BOTH)
    changes = {"max_epochs": 2, "output_dir": str(run.folder.parent), "logging.log_interval": 3, "checkpoint.save_interval": 2}
    assert not train_layer.train_layer(world.config(changes), "conv2").ran


def test_a_stale_layer_is_trained_again_and_the_one_above_no_longer_counts(world):
    output = {"output_dir": str(world.root / "stale")}
    old = world.fresh(output, BOTH, name="mine")
    assert old.error is None
    new = world.fresh({**output, "stdp.lr_plus": 0.2}, name="mine")
    assert new.manifest("conv2")["config"]["stdp"]["lr_plus"] == 0.2 and list(new.all_metrics) == ["conv2"]
    assert not (new.folder / "conv3.manifest.json").exists()
    again = world.fresh({**output, "stdp.lr_plus": 0.2}, ("conv3",), name="mine")
    assert again.manifest("conv3")["inputs"]["conv2"] == new.manifest("conv2")["key"]
    assert load_config(again.folder / "config.yaml").stdp.lr_plus == 0.2


def test_training_anew_leaves_no_checkpoints_of_the_longer_training_before(world):
    output = {"output_dir": str(world.root / "anew")}
    world.fresh({**output, "max_epochs": 4}, name="mine")
    shorter = world.fresh({**output, "checkpoint.save_best": False}, name="mine")
    assert {name for name in shorter.files if name.endswith(".pt")} == {
        "checkpoints/checkpoint_epoch1_conv2.pt", LATEST, "checkpoints/conv2.pt",
    }  # fmt: skip


def test_force_trains_again_to_the_same_network(world):
    run = world.fresh()
    before = run.digest("checkpoints/conv2.pt")
    (run.folder / "checkpoints/conv2.pt").unlink()
    assert train_layer.train_layer(run.cfg, "conv2", force=True).ran
    assert run.digest("checkpoints/conv2.pt") == before


def test_a_truncated_checkpoint_does_not_count_as_trained(world):
    run = world.fresh()
    path = run.folder / "checkpoints/conv2.pt"
    before = run.digest("checkpoints/conv2.pt")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"conv2 of this configuration is not trained; run `spikeseg train-layer conv2`"):
        train_layer.train_layer(run.cfg, "conv3")
    assert train_layer.train_layer(run.cfg, "conv2").ran and run.digest("checkpoints/conv2.pt") == before


def test_a_layer_below_that_is_not_trained_is_part_of_the_key_of_its_spikes(world):
    """With train_conv2: false, conv3 learns from what an untrained conv2 says: another draw, other spikes."""
    changes = {"train_conv2": False, "model.thresholds": [0.2, 9.0, 0.5]}
    inputs = [
        world.run({**changes, **other}, ("conv3",)).spikes
        for other in ({}, {"stdp.weight_init_mean": 0.4}, {"homeostasis.theta_rest": 4.0})
    ]
    assert inputs[0].sum() > inputs[1].sum() and inputs[0].sum() > inputs[2].sum()


def test_thresholds_that_adapt_learn_their_drive_and_the_layer_above_learns_from_what_they_pass(world):
    adaptive = {"model.adaptive_thresholds": True}
    below, run, fixed = world.run(adaptive), world.run(adaptive, BOTH), world.run(None, BOTH)
    drives = run.encoder.drives
    assert set(drives) == set(BOTH) and below.encoder.drives == {"conv2": drives["conv2"]} and fixed.encoder.drives == {}
    for trained, layer in ((below, "conv2"), (run, "conv3")):
        assert drives[layer] == typical_drive([SpikeLists.of(trained.spikes)]) > 0
    assert torch.equal(below.weight, world.run().weight)
    assert run.spikes.sum() > fixed.spikes.sum()
    assert checkpoint.load(run.folder / "checkpoints/checkpoint_best.pt")[0].encoder.drives == drives


def test_training_in_memory_gives_the_same_drives(world):
    run = world.run({"model.adaptive_thresholds": True, "data.train_ratio": 1.0, "data.test_ratio": 0.0}, BOTH)
    names = [recording.name for recording in run.frames.recordings]
    recordings = [spikeseg.read(f"{run.cfg.data.data_root}/{name}.npz") for name in names]
    network = spikeseg.Network(checkpoint.build(run.cfg), run.cfg).train(recordings, progress=False)
    assert network.model.encoder.drives == run.encoder.drives
    assert torch.equal(network.model.encoder.conv3.weight, run.weight)


def test_train_does_everything_in_turn(world):
    cfg = world.config({"cache_dir": str(world.root / "one"), "train_conv1": True})
    done = train(cfg)
    assert done.ran and list(json.loads((done.path / "metrics_final.json").read_text())) == ["conv1", "conv2", "conv3"]


def test_recordings_of_several_sizes_are_trained_in_batches_of_one_size(world):
    sky = {"data.dataset": "synthetic", "data.data_root": None, "simulate.recordings": 4, "simulate.duration_s": 0.2}
    mixed = {**sky, "simulate.sensor": "both", "data.n_timesteps": 2, "data.batch_size": 8, "model.pool1_kernel": 8,
             "model.pool1_stride": 8}  # fmt: skip
    run = world.run(mixed)
    assert len({r.sensor_size for r in run.frames.recordings}) == 2
    assert run.metrics["samples"] == len(run.frames.samples("train"))
    refused = world.run({**mixed, "wta.enable_homeostasis": True})
    assert "set data.input_height and input_width" in one_line(refused.error)


# -- what is refused ---------------------------------------------------------------------------------


def test_missing_frames_name_the_command(world):
    cfg = world.config({"cache_dir": str(world.root / "nothing")})
    with pytest.raises(InputError, match=r"run `spikeseg prepare` with the same options first"):
        train_layer.train_layer(cfg, "conv2")
    assert not Path(cfg.output_dir).exists() and not (world.root / "nothing").exists()


def test_a_missing_layer_below_names_the_command(world):
    run = world.fresh(layers=("conv3",))
    assert "conv2 of this configuration is not trained; run `spikeseg train-layer conv2`" in one_line(run.error)
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("changes", "layer", "line"),
    [
        ({}, "conv4", "layer: 'conv4', must be one of conv1, conv2, conv3"),
        ({}, "conv1", "train_conv1: false in the configuration; set it to true"),
        ({"train_conv1": True, "data.normalize": False}, "conv1", "conv1 learns from binary frames"),
        ({"experiment_name": "a/b"}, "conv2", "experiment_name: found 'a/b', must be a plain name"),
        ({"checkpoint.save_dir": "/tmp/x"}, "conv2", "checkpoint.save_dir: found '/tmp/x', must be a folder inside the run's"),
        ({"logging.log_dir": "../x"}, "conv2", "logging.log_dir: found '../x', must be a folder inside the run's"),
        ({"device": "tpu"}, "conv2", "device: 'tpu'; allowed: auto, cpu, cuda"),
        ({"model.thresholds": [0.2, 2047.0, 1.0]}, "conv2", "model: conv2: potentials could reach"),
    ],
)
def test_refused_in_one_line(world, changes, layer, line):
    run = world.fresh(changes, (layer,))
    assert line in one_line(run.error) and not (run.folder.name and run.folder.exists())


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp/x"])
def test_a_run_has_a_plain_name(world, name):
    with pytest.raises(InputError, match=r"--name: found .* must be a plain name"):
        train_layer.run_folder(world.config(), "0" * 16, name)


def test_all_layers_off_is_refused(world):
    with pytest.raises(InputError, match="all false; set at least one to true"):
        train(world.config({"train_conv2": False, "train_conv3": False}))


def test_no_training_windows_are_refused(world):
    (world.root / "lone").mkdir()
    (world.root / "lone" / "r0.npz").write_bytes((world.root / "recordings" / "r0.npz").read_bytes())
    run = world.fresh({"data.data_root": str(world.root / "lone"), "data.test_ratio": 0.0, "data.train_ratio": 0.1})
    assert "data.train_ratio: the training split holds no window" in one_line(run.error)


def test_a_checkpoint_of_another_shape_below_is_refused(world, reseal):
    run, other = world.fresh(), world.run({"model.conv2_channels": 5})
    path = run.folder / "checkpoints/conv2.pt"
    content = torch.load(path, weights_only=True)
    content["model"] = torch.load(other.folder / "checkpoints/conv2.pt", weights_only=True)["model"]
    torch.save(content, path)
    reseal(run.folder)
    with pytest.raises(InputError, match=r"conv2.pt: conv2.threshold is \(5,\) in the checkpoint, but") as caught:
        train_layer.train_layer(run.cfg, "conv3")
    one_line(caught)
    assert not (run.folder / "conv3.manifest.json").exists() and "checkpoints/conv3.pt" not in run.files


def test_output_that_cannot_be_written_is_refused(world):
    file = world.root / "a file"
    file.touch()
    run = world.fresh({"output_dir": str(file / "runs")})
    assert f"cannot write {file / 'runs'}" in one_line(run.error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_folder_is_refused_and_stays_empty(world, tmp_path):
    tmp_path.chmod(0o500)
    run = world.fresh({"output_dir": str(tmp_path)})
    tmp_path.chmod(0o700)
    assert "cannot write" in one_line(run.error) and not any(tmp_path.iterdir())


def test_a_failure_leaves_the_stage_unfinished(world, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LayerTrainer, "learn", fail)
    cfg = world.config()
    frames = prepare.prepare(cfg)
    with pytest.raises(OSError, match="No space"):
        train_layer.train_layer(cfg, "conv2")
    run = train_layer.run_folder(cfg, frames.key)
    assert not train_layer.trained(cfg, run, "conv2", frames.key)
    assert not list(run.rglob("*.pt")) and not list(run.rglob("*partial*"))


def test_the_command_line_names_what_is_missing(world, place):
    (place.folder / "tiny.yaml").write_text(dump(world.config({"cache_dir": "here"})))
    assert "run `spikeseg prepare -c tiny.yaml` first" in place.refused("train-layer", "conv2")
    place.ok("prepare")
    assert "run `spikeseg train-layer conv2 -c tiny.yaml` first" in place.refused("train-layer", "conv3")


# -- two at once -------------------------------------------------------------------------------------


def test_of_two_in_one_run_the_second_waits_and_finds_the_layer_done(world, monkeypatch):
    cfg, alone, told, others, results = world.config(), world.run(), threading.Event(), [], []
    prepare.prepare(cfg)
    work, log = train_layer._train, stage.log.info

    def begun(*given):
        others.append(threading.Thread(target=lambda: results.append(train_layer.train_layer(cfg, "conv2").ran)))
        others[0].start()
        told.wait()
        work(*given)

    monkeypatch.setattr(train_layer, "_train", begun)
    monkeypatch.setattr(stage.log, "info", lambda text, *given: log(text, *given) or ("waiting" in text and told.set()))
    assert train_layer.train_layer(cfg, "conv2").ran
    others[0].join()
    (folder,) = Path(cfg.output_dir).iterdir()
    assert results == [False] and not list(folder.glob(".*"))
    assert type(alone)(folder=folder).digest("checkpoints/conv2.pt") == alone.digest("checkpoints/conv2.pt")
