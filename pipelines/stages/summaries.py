"""What training reports while it runs: log lines; where they are switched on, TensorBoard and Weights & Biases."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from spikeseg.core.files import writing
from spikeseg.errors import InputError, together

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.models import SpikeSEG

log = logging.getLogger(__name__)

SCALARS = ("convergence_index", "wins", "threshold_mean", "dead_share", "near_duplicate_share", "weight_mean")
FOLDER = "events"
"""Of TensorBoard's files, in the run's folder; those of Weights & Biases lie in ``wandb``."""


class Sink(Protocol):
    """Where summaries go. Names of values begin with the layer; steps are its samples."""

    def write(
        self, scalars: Mapping[str, float], histograms: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray], step: int
    ) -> None:
        """Take values; images are uint8 (H, W, 3)."""

    def close(self) -> None:
        """Nothing more will come."""


class Summaries:
    """Scalars of one layer's training, histograms of weights, thresholds and who has won since the report before, every
    `logging.log_interval` samples; its filters as the input that drives them the first time, and whenever there are twice as many
    reports as at the last. Use as a context manager.

    Args:
        cfg: the configuration.
        run_dir: the run's folder.
        layer: that trains.
        model: its network.
        tensorboard: overrides logging.tensorboard.

    Raises:
        InputError: logging.wandb is on, and wandb is not installed.
    """

    def __init__(self, cfg: Config, run_dir: Path, layer: str, model: SpikeSEG, tensorboard: bool | None = None) -> None:
        self.layer, self.model, self.sinks = layer, model, list[Sink]()
        self._reports, self._wins = 0, np.zeros(1, np.int64)  # of each map, at the report before
        if cfg.logging.wandb:
            self.sinks.append(_Wandb(cfg, run_dir, layer))
        if cfg.logging.tensorboard if tensorboard is None else tensorboard:
            try:
                self.sinks += _tensorboard(run_dir / FOLDER)
            except BaseException as error:
                self._close(error)
                raise

    def write(self, report: Mapping[str, Any]) -> None:
        """Log one report of `LayerTrainer`."""
        log.info(
            "%s: %d samples, C_l %.4f, threshold %.2f, %d of %d maps dead, %d near-duplicates",
            self.layer,
            report["samples"],
            report["convergence_index"],
            report["threshold_mean"],
            report["dead_maps"],
            report["maps"],
            report["near_duplicate_maps"],
        )
        if not self.sinks:
            return
        layer = self.model.encoder.layer(self.layer)
        scalars = {f"{self.layer}/{name}": float(report[name]) for name in SCALARS}
        histograms = {
            f"{self.layer}/weights": layer.weight.cpu().numpy().ravel(),
            f"{self.layer}/thresholds": layer.threshold.cpu().numpy().ravel(),
            f"{self.layer}/winners": np.repeat(np.arange(report["maps"]), np.subtract(report["wins_per_map"], self._wins)),
        }
        self._wins = np.array(report["wins_per_map"])
        self._reports += 1
        images = {} if self._reports & (self._reports - 1) else {f"{self.layer}/filters": self._filters()}
        _raise(self._each(lambda sink: sink.write(scalars, histograms, images, report["samples"])))

    def _filters(self) -> np.ndarray:
        from spikeseg.models.prototypes import prototypes
        from spikeseg.plots.patterns import sheet

        return sheet(prototypes(self.model.encoder, self.layer))

    def __enter__(self) -> Summaries:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close(error)

    def _each(self, what: Callable[[Sink], None]) -> list[Exception]:
        """Do something with every sink, whatever others refuse; -> the refusals."""
        faults = []
        for sink in self.sinks:
            try:
                what(sink)
            except Exception as error:
                faults.append(error)
        return faults

    def _close(self, error: BaseException | None) -> None:
        """Close all sinks. What they refuse is raised, all in one; beside an error that has come before it is a warning."""
        faults = self._each(lambda sink: sink.close())
        if error is None:
            _raise(faults)
        for fault in faults:
            log.warning("%s", fault)


def _raise(faults: Sequence[Exception]) -> None:
    """Raise all as one where all are the user's; else the first that is a fault of ours, after warnings of the others."""
    if not faults:
        return
    if users := [fault for fault in faults if isinstance(fault, InputError)]:
        if len(users) == len(faults):
            raise together(users) from users[0]
    ours = next(fault for fault in faults if fault not in users)
    for fault in faults:
        if fault is not ours:
            log.warning("%s", fault)
    raise ours


class _TensorBoard:
    """TensorBoard's files. writer: its SummaryWriter."""

    def __init__(self, folder: Path, writer: Any) -> None:
        self.folder, self.writer = folder, writer

    def write(
        self, scalars: Mapping[str, float], histograms: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray], step: int
    ) -> None:
        """See `Sink`."""
        with writing(self.folder):
            for name, value in scalars.items():
                self.writer.add_scalar(name, value, step)
            for name, values in histograms.items():
                if len(values):
                    self.writer.add_histogram(name, values, step)
            for name, image in images.items():
                self.writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """See `Sink`."""
        with writing(self.folder):
            self.writer.close()


def _tensorboard(folder: Path) -> list[Sink]:
    """TensorBoard, or nothing where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("TensorBoard is not installed, so no event files are written; install the extra 'tensorboard' for them")
        return []
    with writing(folder):
        return [_TensorBoard(folder, SummaryWriter(str(folder)))]


class _Wandb:
    """A run of Weights & Biases for one layer of a run; where and whether it is sent, wandb's own variables say (WANDB_MODE,
    WANDB_API_KEY, ...)."""

    def __init__(self, cfg: Config, run_dir: Path, layer: str) -> None:
        from spikeseg.config.load import to_dict

        try:
            self.wandb = import_module("wandb")
        except ImportError:
            raise InputError(
                "logging.wandb: true needs wandb; install it with: pip install 'spikeseg[wandb]', or --set logging.wandb=false"
            ) from None
        quiet = self.wandb.Settings(console="off", silent=True)
        with writing(run_dir), contextlib.suppress(FileExistsError):
            os.makedirs(run_dir)
        with self._told():
            self.run = self.wandb.init(
                project=cfg.logging.wandb_project, dir=str(run_dir), group=run_dir.name, name=f"{run_dir.name} {layer}",
                job_type=layer, config=to_dict(cfg), settings=quiet,
            )  # fmt: skip
        self.run.define_metric(f"{layer}/*", step_metric=f"{layer}/samples")
        self.layer = layer

    def write(
        self, scalars: Mapping[str, float], histograms: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray], step: int
    ) -> None:
        """See `Sink`."""
        drawn = {name: self.wandb.Histogram(values) for name, values in histograms.items() if len(values)}
        shown = {name: self.wandb.Image(image) for name, image in images.items()}
        with self._told():
            self.run.log({**scalars, **drawn, **shown, f"{self.layer}/samples": step})

    def close(self) -> None:
        """See `Sink`."""
        with self._told():
            self.run.finish()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn an error of wandb into one line that says what to do."""
        try:
            yield
        except self.wandb.Error as error:
            raise InputError(
                f"logging.wandb: {' '.join(str(error).split())}; `wandb login`, WANDB_MODE=offline, or --set logging.wandb=false"
            ) from error
