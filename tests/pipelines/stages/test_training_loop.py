"""Stopping a training loses nothing: going on gives the network that an undisturbed run gives, bit for bit."""

import json
import signal
from pathlib import Path

import pytest
import torch

from spikeseg.config.load import dump
from spikeseg.errors import InputError
from spikeseg.learning import LayerTrainer
from spikeseg.learning.run_files import HISTORY
from spikeseg.pipelines.runtime.manifest import BESIDE
from spikeseg.pipelines.stages import train_layer, training_loop
from spikeseg.pipelines.stages.train import train

BOTH = ("conv2", "conv3")
LATEST = "checkpoints/checkpoint_latest.pt"


# What resuming must bring back: dead maps and their noise, thresholds per neuron; the weights of the last check; C_l so far.
LIVELY = {
    "max_epochs": 3,
    "wta.enable_homeostasis": True,
    "wta.threshold_min": 3.0,
    "wta.homeostasis_lr": 4.0,
    "homeostasis.dead_warmup": 2,
    "homeostasis.dead_threshold": 0.9,
}
SETTLING = {"convergence.check_interval": 5, "convergence.delta_threshold": 1.0, "convergence.min_wins_per_neuron": 0}
PATIENT = {"max_epochs": 5, "convergence.patience": 2, "stdp.lr_plus": 0.0, "stdp.lr_minus": 0.0}


@pytest.mark.filterwarnings("ignore:wta.threshold_min")
@pytest.mark.parametrize(
    ("changes", "sample", "samples"),
    [
        pytest.param(LIVELY, 4, 36, id="in the first epoch"),
        pytest.param(LIVELY, 12, 36, id="at its end"),
        pytest.param(LIVELY, 13, 36, id="after it"),
        pytest.param(LIVELY, 30, 36, id="in the last epoch"),
        pytest.param(SETTLING, 7, 10, id="between two checks"),
        pytest.param(PATIENT, 30, 36, id="without progress"),
    ],
)
def test_resuming_goes_on_bitwise(world, interrupt, changes, sample, samples):
    whole = world.run(changes)
    assert len(whole.frames.samples("train")) == 12 and whole.metrics["samples"] == samples
    assert changes is not LIVELY or whole.metrics["recovered_maps"] > 0
    with interrupt(sample):
        stopped = world.fresh(changes)
    assert stopped.interrupted and "conv2.manifest.json" not in stopped.files
    assert torch.load(stopped.folder / LATEST, weights_only=True)["progress"]["trainer"]["samples"] == sample
    assert any(str(stopped.folder / LATEST) in line for line in stopped.warned)
    assert train_layer.train_layer(stopped.cfg, "conv2", resume=stopped.folder / LATEST).ran
    assert stopped.digest("checkpoints/conv2.pt") == whole.digest("checkpoints/conv2.pt")
    assert stopped.digest("checkpoints/checkpoint_best.pt") == whole.digest("checkpoints/checkpoint_best.pt")
    assert stopped.all_metrics == whole.all_metrics
    assert stopped.contents["metrics.jsonl"] == whole.contents["metrics.jsonl"]
    assert stopped.kinds == whole.kinds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_train_resumes_a_run_in_the_layer_that_was_stopped(world, interrupt, number, monkeypatch):
    whole = world.run({"max_epochs": 2}, BOTH)
    cfg = world.config({"max_epochs": 2})
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    train_layer.train_layer(cfg, "conv2")
    with interrupt(15, number), pytest.raises(KeyboardInterrupt):
        train(cfg)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    (folder,) = Path(cfg.output_dir).iterdir()
    layers, learn = [], LayerTrainer.learn
    monkeypatch.setattr(
        LayerTrainer, "learn", lambda trainer, *given: layers.extend([trainer.name] * len(given[1])) or learn(trainer, *given)
    )
    shown, bar = [], training_loop.bar
    monkeypatch.setattr(training_loop, "bar", lambda *given, **more: shown.append(given) or bar(*given, **more))
    assert train(cfg, resume=folder).ran
    assert layers == ["conv3"] * 9  # of 24
    assert shown == [("conv3 epoch 2/2", "sample", 12, 3)]
    assert type(whole)(folder=folder).digest("checkpoints/conv3.pt") == whole.digest("checkpoints/conv3.pt")


def test_a_signal_at_the_layer_s_last_sample_finishes_the_layer_and_stops(world, interrupt):
    settled = {"max_epochs": 3, "convergence.check_interval": 2, "convergence.delta_threshold": 1.0,
               "convergence.min_wins_per_neuron": 0}  # fmt: skip
    whole = world.run(settled)
    assert whole.metrics["samples"] == 4
    with interrupt(4):
        stopped = world.fresh(settled, BOTH)
    assert stopped.interrupted and "conv3.manifest.json" not in stopped.files
    assert stopped.manifest("conv2")["result"] == whole.metrics
    assert stopped.digest("checkpoints/conv2.pt") == whole.digest("checkpoints/conv2.pt")


class Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


def files_of(run) -> dict[str, bytes]:
    """All but the logs, and manifests without times."""
    times = ("seconds", "sha256")
    read = {name: content for name, content in run.contents.items() if not name.startswith("logs/")}
    manifests = {name: json.loads(content) for name, content in read.items() if name.endswith(".manifest.json")}
    for manifest in manifests.values():
        del manifest[BESIDE]["config.yaml"]  # names the folder of the runs
    return read | {name: {k: v for k, v in value.items() if k not in times} for name, value in manifests.items()}


def dying_at(monkeypatch, moment: str):
    """Let the process die in the moment before a file of a finished layer is there."""
    write, manifest = training_loop.atomic_write, train_layer.write_manifest

    def dies(path, *given):
        if path.name == moment:
            raise Killed
        return write(path, *given)

    def dies_at_the_manifest(path, *given, **more):
        if path.name == moment:
            raise Killed
        return manifest(path, *given, **more)

    monkeypatch.setattr(training_loop, "atomic_write", dies)
    monkeypatch.setattr(train_layer, "write_manifest", dies_at_the_manifest)


@pytest.mark.parametrize("resumed", [True, False])
@pytest.mark.parametrize("moment", ["conv2.pt", "metrics_final.json", "conv2.manifest.json"])
@pytest.mark.parametrize("changes", [{"max_epochs": 2}, {**SETTLING, "max_epochs": 3}], ids=["all epochs", "settled"])
def test_killed_between_the_last_checkpoint_and_the_manifest_it_learns_nothing_again(
    world, monkeypatch, changes, moment, resumed
):
    whole, killed = world.run(changes), world.config(changes)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dying_at(patch, moment)
        train_layer.train_layer(killed, "conv2")
    (folder,) = Path(killed.output_dir).iterdir()
    assert not (folder / "conv2.manifest.json").exists()
    with monkeypatch.context() as patch:
        patch.setattr(LayerTrainer, "learn", lambda *_: pytest.fail("learned already"))
        assert train_layer.train_layer(killed, "conv2", resume=folder if resumed else None).ran
    found, expected = files_of(type(whole)(folder=folder)), files_of(whole)
    del found["config.yaml"], expected["config.yaml"]
    assert found == expected


@pytest.mark.parametrize("harm", ["manifest", "best", "latest"])
def test_a_layer_s_end_that_is_damaged_is_trained_anew(world, monkeypatch, harm):
    whole, killed = world.run({"max_epochs": 2}), world.config({"max_epochs": 2})
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dying_at(patch, "conv2.manifest.json")
        train_layer.train_layer(killed, "conv2")
    (folder,) = Path(killed.output_dir).iterdir()
    if harm == "manifest":  # finished, and then a file was lost
        train_layer.train_layer(killed, "conv2")
        (folder / "checkpoints/conv2.pt").unlink()
    else:
        path = folder / f"checkpoints/checkpoint_{harm}.pt"
        path.write_bytes(path.read_bytes()[:-9])
    learned, learn = [], LayerTrainer.learn
    monkeypatch.setattr(LayerTrainer, "learn", lambda trainer, *given: learned.append(1) or learn(trainer, *given))
    assert train_layer.train_layer(killed, "conv2").ran and learned
    found = type(whole)(folder=folder)
    assert all(found.contents[name] == whole.contents[name] for name in whole.files if name.endswith(".pt"))


def test_resuming_something_else_is_refused_and_harms_nothing(world, interrupt):
    with interrupt(4):
        stopped = world.fresh({"max_epochs": 2}, name="mine")
    before = stopped.contents
    other = world.config({"max_epochs": 2, "stdp.lr_plus": 0.3, "output_dir": str(stopped.folder.parent)})
    for start in (train, lambda cfg, **options: train_layer.train_layer(cfg, "conv2", **options)):
        with pytest.raises(InputError, match="holds conv2 of another configuration or data") as caught:
            start(other, name="mine", resume=stopped.folder / LATEST)
        assert "\n" not in str(caught.value)
    finished = world.run().folder / "checkpoints/conv2.pt"
    with pytest.raises(InputError, match="holds a finished network, not conv2"):
        train_layer.train_layer(stopped.cfg, "conv2", name="mine", resume=finished)
    for path, line in ((stopped.folder / "gone.pt", "no such checkpoint"), (stopped.folder / "config.yaml", "not a readable")):
        with pytest.raises(InputError, match=line):
            train(stopped.cfg, name="mine", resume=path)
    assert stopped.contents == before


def test_a_named_run_goes_on_in_its_own_folder(world, interrupt):
    """`train --name mine` is followed by `train --resume runs/mine`, from whatever folder."""
    with interrupt(15):
        stopped = world.fresh({"max_epochs": 2}, BOTH, name="mine")
    for resume in (stopped.folder, stopped.folder / LATEST):
        elsewhere = world.config({"max_epochs": 2})
        assert train(elsewhere, resume=resume).path == stopped.folder
        assert not Path(elsewhere.output_dir).exists()
    assert stopped.digest("checkpoints/conv3.pt") == world.run({"max_epochs": 2}, BOTH).digest("checkpoints/conv3.pt")


def test_resuming_a_run_with_a_finished_layer_of_other_options_is_refused(world):
    run = world.fresh({"max_epochs": 2})
    with pytest.raises(InputError, match="holds conv2 of another configuration or data"):
        train(world.config({"max_epochs": 2, "stdp.lr_plus": 0.3}), resume=run.folder)


def test_resuming_a_finished_run_has_nothing_to_do(world):
    run = world.run({"max_epochs": 2}, BOTH)
    assert not train(run.cfg, resume=run.folder).ran


def test_an_interrupted_command_exits_with_130_and_says_how_to_go_on(world, interrupt, place):
    cfg = world.config()
    (place.folder / "tiny.yaml").write_text(dump(cfg))
    with interrupt(3):
        result = place("train")
    assert result.exit_code == 130 and "go on with --resume" in result.stderr and "Traceback" not in result.output
    name = next(Path(cfg.output_dir).iterdir()).name  # of the run, in the folder of the runs
    assert "conv2: C_l" in place.ok("train", "--resume", name, "-o", cfg.output_dir, config=False)


def test_every_check_leaves_a_line_and_training_again_starts_anew(world):
    cfg = world.config({**SETTLING, "convergence.target_ratio": 1.0, "convergence.delta_threshold": 0.0})
    run = train(cfg).path

    def lines() -> list[tuple[str, int, int]]:
        return [(row["layer"], row["epoch"], row["samples"]) for row in map(json.loads, (run / HISTORY).open())]

    whole = lines()
    assert whole == [(layer, 1, samples) for layer in BOTH for samples in (5, 10)]
    (run / HISTORY).write_text((run / HISTORY).read_text()[:-20])  # killed while it wrote
    train_layer.train_layer(cfg, "conv3", force=True)
    assert lines() == whole
    train_layer.train_layer(cfg, "conv2", force=True)
    assert lines() == whole[:2]
