"""Two tiny settings: a world of four recordings of 16x12 pixels, on which every stage of training takes a fraction of a second,
and a chain of commands, run once on five simulated recordings of half a second with a network of four maps."""

import contextlib
import hashlib
import json
import logging
import os
import re
import signal
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from click.testing import CliRunner, Result

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.core.sparse import SpikeLists
from spikeseg.data.store.frames import Frames
from spikeseg.data.store.spikes import Spikes
from spikeseg.errors import InputError
from spikeseg.learning import LayerTrainer, checkpoint
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.runtime.console import LOGGER
from spikeseg.pipelines.runtime.manifest import BESIDE, as_text, describe_file, manifest_digest
from spikeseg.pipelines.stages import prepare, train_layer

WIDTH, HEIGHT = 16, 12
DURATION_US = 800_000
BASE = {
    "device": "cpu",
    "max_epochs": 1,
    "model.conv2_channels": 6,
    "model.n_classes": 2,
    "model.thresholds": [0.2, 1.0, 0.5],
    "model.background_adaptive": False,
    "wta.enable_homeostasis": False,
    "homeostasis.theta_rest": 1.0,
    "data.dataset": "files",
    "data.timestep_ms": 20.0,
    "data.input_height": None,
    "data.input_width": None,
    "data.transforms": [],
    "logging.tensorboard": False,
    "logging.log_interval": 1000,
}


def write_recording(path: Path, seed: int) -> None:
    """Noise and of a source that crosses the field, ON ahead and OFF behind."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, DURATION_US, 480))
    kind = rng.integers(0, 3, len(t))  # noise, front, back
    front = (t / DURATION_US * (WIDTH - 2)).astype(int) + (kind == 1)
    x = np.where(kind > 0, front, rng.integers(0, WIDTH, len(t))).astype(np.int16)
    y = np.where(kind > 0, 4 + seed % 3 + rng.integers(0, 2, len(t)), rng.integers(0, HEIGHT, len(t))).astype(np.int16)
    np.savez(path, t=t, x=x, y=y, p=kind == 1, sensor_size=np.array([WIDTH, HEIGHT]))


@dataclass
class Run:
    """What came of one configuration: everything a user could look at.

    Attributes:
        cfg: the configuration, None when it was refused.
        folder: of the run.
        layers: the layers trained.
        error: of an input that was refused, else None.
        interrupted: whether training was.
        warned: warnings in the log, in order.
    """

    cfg: Config | None = None
    folder: Path = Path()
    layers: Sequence[str] = ()
    error: str | None = None
    interrupted: bool = False
    warned: list[str] = field(default_factory=list)

    @property
    def files(self) -> set[str]:
        """All files of the run, relative to its folder."""
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}

    @property
    def kinds(self) -> set[str]:
        """The same without what changes from run to run."""
        return {re.sub(r"\d{8}-\d{6}", "TIME", name) for name in self.files}

    @property
    def contents(self) -> dict[str, bytes]:
        """All files with their bytes."""
        return {name: (self.folder / name).read_bytes() for name in self.files}

    def digest(self, name: str) -> str:
        """SHA-256 over every tensor of a checkpoint."""
        tensors = torch.load(self.folder / name, weights_only=True)["model"]
        return hashlib.sha256(b"".join(key.encode() + tensors[key].numpy().tobytes() for key in sorted(tensors))).hexdigest()

    @property
    def log(self) -> str:
        """The text of all log files."""
        return "".join(path.read_text() for path in sorted(self.folder.rglob("*.log")))

    @property
    def frames(self) -> Frames:
        """The prepared frames."""
        return Frames.open(prepare.find_frames(self.cfg).path / prepare.STORE)

    def names(self, split: str | None = None) -> set[str]:
        """Names of the recordings of a split."""
        return {r.name for r in self.frames.recordings if split in (None, r.split)}

    def manifest(self, layer: str) -> dict[str, Any]:
        """A layer's manifest."""
        return json.loads((self.folder / f"{layer}.manifest.json").read_text())

    @property
    def all_metrics(self) -> dict[str, Any]:
        """metrics_final.json."""
        return json.loads((self.folder / "metrics_final.json").read_text())

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics_final.json tells of the layer trained last."""
        return self.all_metrics[self.layers[-1]]

    @cached_property
    def encoder(self) -> Any:
        """The trained encoder; without training, the one training would start from."""
        if not self.layers:
            return checkpoint.build(self.cfg).encoder
        with warnings.catch_warnings(action="ignore"):
            return checkpoint.load(train_layer.layer_checkpoint(self.cfg, self.folder, self.layers[-1]))[0].encoder

    @property
    def weight(self) -> torch.Tensor:
        """Weights of the layer trained last."""
        return self.encoder.layer(self.layers[-1]).weight

    @property
    def theta(self) -> torch.Tensor:
        """Thresholds of the layer trained last."""
        return self.encoder.layer(self.layers[-1]).threshold

    @cached_property
    def out(self) -> Any:
        """What the encoder says to a fixed input."""
        frames = torch.rand(6, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) < 0.05
        with torch.no_grad():
            return self.encoder(frames)

    @property
    def progress(self) -> dict[str, Any]:
        """What the last epoch's checkpoint keeps for resuming."""
        names = [name for name in self.files if "checkpoint_epoch" in name]
        return torch.load(self.folder / max(names), weights_only=True)["progress"]

    @property
    def spikes(self) -> np.ndarray:
        """The cached input of the layer trained last, (N, T, C, H, W)."""
        layer, frames = self.layers[-1], prepare.find_frames(self.cfg)
        inputs = train_layer.layer_inputs(self.cfg, layer, frames.key)
        done = train_layer.frozen_spikes(self.cfg, layer, frames, checkpoint.build(self.cfg), inputs)
        assert not done.ran
        spikes = Spikes.open(done.path / "spikes.zarr")
        return np.concatenate([lists.dense() for lists in spikes.read(0, len(spikes))])


@dataclass
class World:
    """Recordings, one cache for all tests, and a new folder for every run.

    Attributes:
        root: holds ``recordings/*.npz`` and ``cache``.
    """

    root: Path
    runs: int = 0
    known: dict[str, Run] = field(default_factory=dict)

    def config(self, changes: dict[str, Any] | None = None) -> Config:
        """BASE with the world's folders and changes on top."""
        places = {"data.data_root": str(self.root / "recordings"), "cache_dir": str(self.root / "cache")}
        self.runs += 1
        fresh = {"output_dir": str(self.root / f"runs{self.runs}")}
        with warnings.catch_warnings(action="ignore"):
            return load_config(None, {**BASE, **places, **fresh, **(changes or {})})

    def run(self, changes: dict[str, Any] | None = None, layers: Sequence[str] = ("conv2",)) -> Run:
        """Prepare and train with a changed configuration; again with the same one gives the same Run."""
        name = json.dumps([changes, layers], sort_keys=True)
        if name not in self.known:
            self.known[name] = self.fresh(changes, layers)
        return self.known[name]

    def fresh(self, changes: dict[str, Any] | None = None, layers: Sequence[str] = ("conv2",), **options: Any) -> Run:
        """As `run`, in a folder of its own; options are those of `train_layer`."""
        run = Run(layers=layers)
        with warnings_of(run.warned):
            try:
                run.cfg = self.config(changes)
                frames = prepare.prepare(run.cfg)
                run.folder = train_layer.run_folder(run.cfg, frames.key, options.get("name", "auto"))
                for layer in layers:
                    train_layer.train_layer(run.cfg, layer, **options)
            except InputError as error:
                run.error = str(error)
            except KeyboardInterrupt:
                run.interrupted = True
        return run


@contextlib.contextmanager
def warnings_of(told: list[str]) -> Iterator[None]:
    """Collect warnings, logged ones and Python's."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", UserWarning)
            yield
    finally:
        LOGGER.removeHandler(handler)
        told.extend(str(warning.message) for warning in found)


@contextlib.contextmanager
def interrupted_after(batches: int, number: int = signal.SIGINT) -> Iterator[None]:
    """Send this process a signal while a layer learns from the given batch (of one sample each)."""
    learn = LayerTrainer.learn

    def one(trainer: LayerTrainer, lists: SpikeLists, order: np.ndarray) -> None:
        if trainer.samples == batches - 1:
            signal.raise_signal(number)
        learn(trainer, lists, order)

    with mock.patch.object(LayerTrainer, "learn", one), mock.patch("spikeseg.learning.schedule.AT_A_TIME", 1):
        yield


def resealed(run: Path) -> None:
    """Let the manifests of a run list its files as they are now, as if training had written what a test has put there."""
    for path in run.glob("*.manifest.json"):
        told = json.loads(path.read_text())
        for part in ("outputs", BESIDE):
            told[part] = {name: describe_file(run / name) for name in told.get(part, {}) if (run / name).is_file()}
        path.write_text(as_text({**told, "sha256": manifest_digest(told)}))


TINY = """
experiment_name: tiny
device: cpu
max_epochs: 1
model: {conv2_channels: 4, thresholds: [0.2, 1.0, 0.0], leaks: [0.18, 0.1, 0.0]}
homeostasis: {theta_rest: 1.0, theta_max: 100.0}
wta: {enable_homeostasis: false}
data:
  dataset: synthetic
  n_timesteps: 4
  timestep_ms: 25.0
  input_height: 45
  input_width: 60
  train_ratio: 1.0
  test_ratio: 0.4
  transforms: [{name: DropPixel, hot_pixel_frequency: 40}]
evaluation: {bootstrap: 20}
tracking: {min_hits: 2}
simulate: {recordings: 5, duration_s: 0.5, difficulty: easy}
"""


@dataclass(frozen=True)
class Place:
    """A folder with tiny.yaml in it, in which commands are run."""

    folder: Path

    def __call__(self, *words: str, config: bool = True) -> Result:
        """Run the command line in the folder; config: with the tiny configuration."""
        command = words[0]
        options = ["-c", "tiny.yaml"] if config else []
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(main, [command, *options, *map(str, words[1:])])
        finally:
            os.chdir(before)

    def ok(self, *words: str, config: bool = True) -> str:
        """Run a command that must succeed; what it printed on stdout."""
        result = self(*words, config=config)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *words: str, config: bool = True) -> str:
        """Run a command that must be refused with one line and exit code 3; that line."""
        result = self(*words, config=config)
        assert result.exit_code == 3, result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and "Traceback" not in result.output, result.output
        return lines[0]


def new_place(folder: Path) -> Place:
    """A folder with nothing but tiny.yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY)
    return Place(folder)
