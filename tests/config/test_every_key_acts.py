"""Every key of the reference configuration acts: changing it changes what a user can see.

The test walks the reference configuration itself, so a key without an entry in ACTS fails. Keys whose effect a later version
brings say so when they are set.
"""

import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from spikeseg.pipelines.runtime import parallel
from spikeseg.pipelines.stages.prepare import prepare

REFERENCE = yaml.safe_load((resources.files("spikeseg.configs") / "config.yaml").read_text())
UNTRAINED: tuple[str, ...] = ()
BOTH = ("conv2", "conv3")


def leaves(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@dataclass(frozen=True)
class Case:
    """A changed value and what it must do.

    Attributes:
        value: the key's other value.
        effect: what it must do, from the runs without and with the change.
        given: other keys in both runs, that make the effect visible.
        layers: what both runs train; the second one trains `then` instead, if given.
    """

    value: Any
    effect: Callable[[Any, Any], bool]
    given: Mapping[str, Any] = field(default_factory=dict)
    layers: Sequence[str] = ("conv2",)
    then: Sequence[str] | None = None


def spikes(run: Any, layer: str) -> int:
    """How many spikes a layer of the network gives to a fixed input."""
    return int(run.out.layer_spikes[layer].sum())


def potential(run: Any, layer: str) -> float:
    """Their mean potential."""
    return float(run.out.layer_membranes[layer].mean())


def size(run: Any, layer: str) -> tuple[int, ...]:
    """The rows and columns of a layer."""
    return tuple(run.out.layer_spikes[layer].shape[2:])


def neurons(run: Any) -> torch.Tensor:
    """Thresholds of the competition, per neuron."""
    return run.progress["trainer"]["competition"]


def has(run: Any, text: str) -> bool:
    return any(text in name for name in run.files)


def epochs_kept(run: Any) -> list[int]:
    return sorted(int(name.split("epoch")[1].split("_")[0]) for name in run.files if "checkpoint_epoch" in name)


def weights_differ(a: Any, b: Any) -> bool:
    return not torch.equal(a.weight, b.weight)


def inputs_differ(a: Any, b: Any) -> bool:
    """Training sees other spikes, of the same windows."""
    return a.names("train") == b.names("train") and a.spikes.shape == b.spikes.shape and not np.array_equal(a.spikes, b.spikes)


PER_NEURON = {"wta.enable_homeostasis": True, "wta.threshold_min": 0.5, "wta.threshold_max": 5.0, "wta.homeostasis_lr": 0.1}
QUIET = {"model.thresholds": [0.2, 9.0, 0.5]}
DYING = {"homeostasis.dead_threshold": 1.0, "homeostasis.dead_warmup": 2, "model.thresholds": [0.2, 5.0, 0.5]}
SETTLED = {"convergence.check_interval": 2, "convergence.delta_threshold": 1.0, "convergence.min_wins_per_neuron": 0}
SETTLED_LONG = {**SETTLED, "max_epochs": 3}
RARE = {**SETTLED_LONG, "wta.local_radius": 20, "convergence.min_wins_per_neuron": 3}  # one winner per sample
SKY = {
    "data.dataset": "synthetic",
    "data.data_root": None,
    "data.input_height": 12,
    "data.input_width": 16,
    "simulate.recordings": 3,
    "simulate.duration_s": 0.3,
    "simulate.sensor": "both",
}

ACTS: dict[str, Case | list[Case]] = {
    "experiment_name": Case("mine", lambda a, b: [r.folder.name[:5] for r in (a, b)] == ["spike", "mine-"]),
    "output_dir": Case("OTHER", lambda _, b: b.folder.parent.name == "OTHER" and has(b, "conv2.pt")),
    "seed": Case(7, lambda a, b: weights_differ(a, b) and b.manifest("conv2")["seed"] == 7),
    "device": Case("cuda:0", lambda _, b: b.manifest("conv2")["device"] == "cuda:0" or any("cuda:0" in w for w in b.warned)),
    "max_epochs": Case(3, lambda a, b: (a.metrics["epochs"], b.metrics["epochs"]) == (1, 3)),
    "train_conv1": Case(
        True, lambda a, b: not torch.equal(a.encoder.conv1.weight, b.encoder.conv1.weight) and "conv1" in b.all_metrics,
        then=("conv1", "conv2"),
    ),
    "train_conv2": [
        Case(False, lambda a, b: a.error is None and "train_conv2: false" in b.error),
        Case(False, lambda a, b: a.all_metrics.keys() == {"conv2", "conv3"} and b.all_metrics.keys() == {"conv3"},
             layers=BOTH, then=("conv3",)),
    ],
    "train_conv3": Case(False, lambda a, b: a.error is None and "train_conv3: false" in b.error, layers=BOTH),
    "model.n_classes": Case(3, lambda a, b: (len(a.weight), len(b.weight)) == (2, 3), layers=BOTH),
    "model.conv1_channels": Case(2, lambda a, b: (a.weight.shape[1], b.weight.shape[1]) == (4, 2)),
    "model.conv2_channels": Case(5, lambda a, b: (len(a.weight), len(b.weight)) == (6, 5)),
    "model.kernel_sizes": Case(
        [3, 7, 5], lambda _, b: [b.encoder.layer(f"conv{i}").weight.shape[-1] for i in (1, 2, 3)] == [3, 7, 5], layers=UNTRAINED
    ),
    "model.pool1_kernel": Case(3, lambda a, b: spikes(a, "pool1") < spikes(b, "pool1"), layers=UNTRAINED),
    "model.pool1_stride": Case(1, lambda a, b: (size(a, "conv2"), size(b, "conv2")) == ((6, 8), (11, 15)), layers=UNTRAINED),
    "model.pool2_kernel": Case(3, lambda a, b: spikes(a, "pool2") < spikes(b, "pool2"), QUIET, UNTRAINED),
    "model.pool2_stride": Case(1, lambda a, b: (size(a, "conv3"), size(b, "conv3")) == ((3, 4), (5, 7)), layers=UNTRAINED),
    "model.thresholds": [
        Case([0.4, 1.0, 0.5], lambda a, b: spikes(a, "conv1") > spikes(b, "conv1") > 0, layers=UNTRAINED),
        Case([0.2, 9.0, 0.5], lambda a, b: spikes(a, "conv2") > spikes(b, "conv2") > 0, layers=UNTRAINED),
        Case([0.2, 1.0, 99.0], lambda a, b: spikes(a, "conv3") > spikes(b, "conv3") > 0, layers=UNTRAINED),
    ],
    "model.leaks": [
        Case([0.05, 0.01, 0.0], lambda a, b: potential(a, "conv1") < potential(b, "conv1"), layers=UNTRAINED),
        Case([0.09, 1.0, 0.0], lambda a, b: potential(a, "conv2") > potential(b, "conv2"), layers=UNTRAINED),
        Case([0.09, 0.01, 2.0], lambda a, b: potential(a, "conv3") > potential(b, "conv3"), layers=UNTRAINED),
    ],
    "model.use_dog_filters": Case(  # of Gabors, every polarity has the same kernel; of DoGs, one polarity has none
        False,
        lambda a, b: (a.encoder.conv1.weight[0, 1] == 0).all() and torch.equal(*b.encoder.conv1.weight[0]),
        layers=UNTRAINED,
    ),
    "stdp.lr_plus": Case(0.4, lambda a, b: b.weight.max() > a.weight.max()),
    "stdp.lr_minus": Case(0.3, lambda a, b: b.weight.min() < a.weight.min()),
    "stdp.weight_min": Case(0.75, lambda a, b: a.weight.min() < 0.75 <= b.weight.min()),
    "stdp.weight_max": Case(0.82, lambda a, b: b.weight.max() <= 0.82 < a.weight.max()),
    "stdp.weight_init_mean": Case(
        0.5, lambda a, b: abs(float(b.encoder.conv3.weight.mean()) - 0.5) < 0.02 < float(a.encoder.conv3.weight.mean()) - 0.7
    ),
    "stdp.weight_init_std": Case(0.1, lambda a, b: b.encoder.conv3.weight.std() > 5 * a.encoder.conv3.weight.std()),
    "stdp.use_soft_bounds": Case(False, lambda a, b: b.weight.min() < 0.5 < a.weight.min()),
    "wta.mode": [
        Case("global", lambda a, b: b.metrics["wins"] > a.metrics["wins"]),
        Case("local", lambda a, b: max(b.metrics["wins_per_map"]) > b.metrics["samples"] >= max(a.metrics["wins_per_map"]),
             given={"wta.local_radius": 0}),
    ],
    "wta.local_radius": Case(20, lambda a, b: a.metrics["wins"] > b.metrics["wins"] == b.metrics["samples"]),
    "wta.enable_homeostasis": Case(
        True, lambda a, b: neurons(a) is None and neurons(b) is not None and weights_differ(a, b), {"wta.threshold_min": 4.0}
    ),
    "wta.target_rate": Case(0.9, lambda a, b: neurons(b).max() < neurons(a).max(), PER_NEURON),
    "wta.homeostasis_lr": Case(0.5, lambda a, b: neurons(b).max() > neurons(a).max(), PER_NEURON),
    "wta.threshold_min": Case(4.0, lambda a, b: neurons(a).min() == 0.5 and neurons(b).min() == 4.0, PER_NEURON),
    "wta.threshold_max": Case(0.55, lambda a, b: neurons(a).max() > neurons(b).max() == np.float32(0.55), PER_NEURON),
    "homeostasis.enabled": Case(False, lambda a, b: (a.theta > 1).all() and (b.theta == 1).all()),
    "homeostasis.theta_rest": Case(3.0, lambda a, b: b.theta.min() >= 4.0 > a.theta.max()),
    "homeostasis.theta_plus": Case(0.5, lambda a, b: b.theta.mean() > a.theta.mean()),
    "homeostasis.tau_theta": Case(2.0, lambda a, b: b.theta.mean() < a.theta.mean()),
    "homeostasis.theta_max": Case(1.03, lambda a, b: a.theta.max() > b.theta.max() == np.float32(2.03)),
    "homeostasis.dead_neuron_recovery": Case(
        False, lambda a, b: a.metrics["recovered_maps"] > 0 == b.metrics["recovered_maps"], DYING
    ),
    "homeostasis.dead_threshold": Case(0.0, lambda a, b: a.metrics["recovered_maps"] > 0 == b.metrics["recovered_maps"], DYING),
    "homeostasis.recovery_boost": Case(0.3, lambda a, b: b.weight.std() > a.weight.std(), DYING),
    "data.dataset": [
        Case("synthetic", lambda a, b: "r0" in a.names() and all(n.startswith(("DAVIS", "ATIS")) for n in b.names()),
             {**SKY, "data.dataset": "files"}, UNTRAINED),
        Case("ebssa", lambda a, b: a.error is None and "labelled_ebssa.h5" in b.error, layers=UNTRAINED),
        Case("nmnist", lambda a, b: a.error is None and ".bin" in b.error, layers=UNTRAINED),
    ],
    "data.data_root": Case("ONE", lambda a, b: a.names() == {"r0", "r1", "r2", "r3"} and b.names() == {"r1"}, layers=UNTRAINED),
    "data.sensor": Case("ATIS", lambda a, b: {n[:4] for n in a.names()} > {n[:4] for n in b.names()} == {"ATIS"}, SKY, UNTRAINED),
    "data.batch_size": Case(4, lambda a, b: a.metrics["samples"] == b.metrics["samples"] and weights_differ(a, b)),
    "data.num_workers": Case(2, lambda a, b: not processes(a) and set(processes(b)) == {2}, layers=UNTRAINED),
    "data.n_timesteps": Case(5, lambda a, b: (a.spikes.shape[1], b.spikes.shape[1]) == (10, 5)),
    "data.input_height": Case(24, lambda a, b: (a.spikes.shape[3], b.spikes.shape[3]) == (6, 12)),
    "data.input_width": Case(32, lambda a, b: (a.spikes.shape[4], b.spikes.shape[4]) == (8, 16)),
    "data.input_channels": Case(1, inputs_differ),
    "data.normalize": Case(False, lambda a, b: brightest(a) == 1 < brightest(b), layers=UNTRAINED),
    "data.train_ratio": Case(0.5, lambda a, b: len(a.names("train")) > len(b.names("train")), layers=UNTRAINED),
    "data.augmentation.enabled": Case(False, inputs_differ),
    "data.augmentation.flip_horizontal": Case(False, inputs_differ),
    "data.augmentation.flip_polarity": Case(True, inputs_differ),
    "convergence.min_wins_per_neuron": Case(
        999, lambda a, b: "stand still" in a.metrics["stopped"] and "max_epochs" in b.metrics["stopped"], SETTLED
    ),
    "convergence.target_ratio": Case(
        0.1, lambda a, b: a.metrics["samples"] > b.metrics["samples"] and "of the maps" in b.metrics["stopped"], RARE
    ),
    "convergence.patience": Case(
        2, lambda a, b: a.metrics["epochs"] == 5 and b.metrics["epochs"] == 3 and "no lower C_l" in b.metrics["stopped"],
        {"max_epochs": 5, "stdp.lr_plus": 0.0, "stdp.lr_minus": 0.0, "homeostasis.dead_neuron_recovery": False},
    ),
    "convergence.delta_threshold": Case(
        0.0, lambda a, b: "stand still" in a.metrics["stopped"] and "max_epochs" in b.metrics["stopped"], SETTLED
    ),
    "convergence.check_interval": Case(3, lambda a, b: (a.metrics["samples"], b.metrics["samples"]) == (4, 6), SETTLED),
    "checkpoint.save_dir": Case("kept", lambda a, b: "checkpoints/conv2.pt" in a.files and "kept/conv2.pt" in b.files),
    "checkpoint.save_interval": Case(2, lambda a, b: (epochs_kept(a), epochs_kept(b)) == ([2, 3, 4], [2, 4]), {"max_epochs": 4}),
    "checkpoint.keep_last_n": [
        Case(1, lambda a, b: (epochs_kept(a), epochs_kept(b)) == ([2, 3, 4], [4]), {"max_epochs": 4}),
        Case(0, lambda a, b: epochs_kept(a) == [1] and epochs_kept(b) == []),
    ],
    "checkpoint.save_best": Case(False, lambda a, b: has(a, "checkpoint_best.pt") and not has(b, "checkpoint_best.pt")),
    "checkpoint.save_on_interrupt": Case(
        False, lambda a, b: a.interrupted and b.interrupted and has(a, "latest.pt") and not has(b, ".pt"), {"seed": 3}
    ),
    "logging.log_dir": Case("told", lambda a, b: has(a, "logs/2") and has(b, "told/2") and not has(b, "logs/")),
    "logging.log_level": Case("WARNING", lambda a, b: "INFO training conv2" in a.log and "INFO" not in b.log),
    "logging.log_interval": Case(5, lambda a, b: "samples, C_l" not in a.log and "conv2: 5 samples, C_l" in b.log),
    "logging.tensorboard": Case(True, lambda a, b: not has(a, "events/") and has(b, "events/")),
    "logging.wandb": Case(True, lambda a, b: not has(a, "wandb/") and has(b, "wandb/spikeseg")),
    "logging.wandb_project": Case("mine", lambda a, b: has(a, "b/spikeseg") and has(b, "b/mine"), {"logging.wandb": True}),
}  # fmt: skip

PROCESSES: list[int] = []


def processes(run: Any) -> list[int]:
    """How many processes preparing asks for."""
    PROCESSES.clear()
    prepare(run.cfg, force=True)
    return list(PROCESSES)


def brightest(run: Any) -> int:
    return max(int(run.frames.windows(r)[1].max()) for r in range(len(run.frames.recordings)))


def test_every_key_of_the_reference_has_an_entry():
    assert sorted(leaves(REFERENCE)) == sorted(ACTS)


@pytest.fixture
def surroundings(world, monkeypatch, interrupt, request):
    """Stand-ins for what a key needs: another folder of recordings, TensorBoard, processes, someone who presses Ctrl-C."""
    key = request.node.callspec.params["key"]
    if key == "data.data_root" and not (world.root / "ONE").exists():
        (world.root / "ONE").mkdir()
        (world.root / "ONE" / "r1.npz").write_bytes((world.root / "recordings" / "r1.npz").read_bytes())
    if key == "logging.tensorboard":
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    if key.startswith("logging.wandb"):
        monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(Settings=dict, init=wandb_run, Error=OSError))
    if key == "data.num_workers":
        monkeypatch.setattr(parallel, "_submit", at_once)
    if key == "checkpoint.save_on_interrupt":
        with interrupt(3):
            yield
        return
    yield


class Writer:
    """What TensorBoard's SummaryWriter would do: write a file into its folder."""

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir(parents=True)
        (Path(folder) / "events.out").touch()

    def add_scalar(self, name: str, value: float, step: int) -> None: ...

    def close(self) -> None: ...


def wandb_run(project: str, dir: str, **_: Any) -> Any:
    """What wandb.init would do: write a file into the run's folder."""
    (Path(dir) / "wandb").mkdir(parents=True)
    (Path(dir) / "wandb" / project).touch()
    return types.SimpleNamespace(define_metric=lambda *_, **__: None, finish=lambda: None)


def at_once(jobs: int, function: Callable[[Any], Any], item: Any) -> Future[Any]:
    """What a process would do, here and now."""
    PROCESSES.append(jobs)
    done: Future[Any] = Future()
    done.set_result(function(item))
    return done


def cases(key: str) -> list[Case]:
    entry = ACTS.get(key, [])
    return entry if isinstance(entry, list) else [entry]


CASES = [pytest.param(key, case, id=f"{key}={case.value}") for key in leaves(REFERENCE) for case in cases(key)]


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize(("key", "case"), CASES)
def test_acts(world, key, case):
    value = str(world.root / case.value) if case.value in ("OTHER", "ONE") else case.value
    given = dict(case.given)
    if given.get("data.dataset") == "files":
        del given["data.data_root"]
    changed = {**given, key: value, **({"data.data_root": None} if value == "synthetic" else {})}
    before = world.run(given, case.layers)
    after = world.run(changed, case.layers if case.then is None else case.then)
    assert case.effect(before, after), (before, after)
