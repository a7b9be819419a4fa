"""The loop of one layer's training: epochs over cached spikes, checkpoints, logs, interrupts, resuming."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spikeseg.core import interrupts
from spikeseg.core.files import atomic_write, make_folder
from spikeseg.errors import InputError
from spikeseg.learning.run_files import (
    BEST,
    CALIBRATED,
    CONFIG,
    LATEST,
    METRICS,
    MOTION,
    MOTION_LAYER,
    epoch_checkpoint,
    epoch_of,
    final_checkpoint,
    folder_inside,
    manifest_path,
)

from ..runtime.console import LOGGER, bar, logging_to_file
from ..runtime.files import sha256_file
from ..runtime.manifest import read_manifest
from .history import History
from .summaries import Summaries

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.models import SpikeSEG

log = logging.getLogger(__name__)


class FinishedLayer(NamedTuple):
    """What a layer's training leaves: its checkpoint, the report for its manifest, the device, and other files."""

    checkpoint: Path
    report: dict[str, Any]
    device: str
    beside: list[Path]


class TrainingLoop:
    """Trains one layer of `model` in place and keeps its run's folder.

    Writes, in ``run_dir``: ``<save_dir>/checkpoint_epoch{N}_{layer}.pt`` every `save_interval` epochs (the last `keep_last_n` of
    them), ``checkpoint_latest.pt`` with all that resuming needs, ``checkpoint_best.pt`` (lowest C_l of the layer trained last),
    ``<layer>.pt``, the log, the configuration, ``metrics.jsonl`` (a line per check) and, at the end, ``metrics_final.json`` and
    the layer's manifest.

    Attributes:
        schedule: epochs, position, and the reason to stop.
        interrupted: whether a signal came that found the layer at its end, so that nothing was cut short.
    """

    def __init__(
        self, cfg: Config, layer: str, model: SpikeSEG, spikes: Path, run_dir: Path, key: str, *, tensorboard: bool | None
    ) -> None:
        from spikeseg.data.store.spikes import Spikes
        from spikeseg.learning import LayerTrainer
        from spikeseg.learning.blocks import Blocks
        from spikeseg.learning.schedule import Schedule

        self.cfg, self.layer, self.model, self.run_dir, self.key = cfg, layer, model, run_dir, key
        self.spec = cfg.model.layer(layer)
        self.below = [spec.name for spec in cfg.layers() if spec.learned and spec.index < self.spec.index]
        self.spikes = Spikes.open(spikes)
        if not len(self.spikes):
            raise InputError("data.train_ratio: the training split holds no window; prepare more recordings")
        self.trainer = LayerTrainer(model, layer, cfg)
        self.folder = folder_inside(run_dir, cfg.checkpoint.save_dir, "checkpoint.save_dir")
        self.logs = folder_inside(run_dir, cfg.logging.log_dir, "logging.log_dir")
        self.schedule = Schedule(self.trainer, Blocks(self.spikes), cfg)
        self.resumed = self.interrupted = False
        self.best = float("inf")
        self.best_sha256: str | None = None
        self.summaries = Summaries(cfg, run_dir, layer, model, tensorboard)

    # -- epochs ---------------------------------------------------------------------

    def run(self) -> None:
        """Train until there is a reason to stop: convergence, or max_epochs reached."""
        from spikeseg.config.circumstances import WITHOUT_RESULT, with_defaults
        from spikeseg.config.load import dump

        make_folder(self.folder)
        atomic_write(self.run_dir / CONFIG, dump(with_defaults(self.cfg, {*WITHOUT_RESULT} - {"device"})))
        self._remove_outdated()
        self.history = History(self.run_dir, self.layer, self.trainer.samples, self.below)
        log_file = make_folder(self.logs) / f"{time.strftime('%Y%m%d-%H%M%S')}-{self.layer}.log"
        with _level(self.cfg.logging.log_level), logging_to_file(log_file), interrupts.held_back(), self.summaries:
            log.info("training %s on %d windows, seed %d, %s", self.layer, len(self.spikes), self.cfg.seed, self.trainer.layer)
            while not self.schedule.finished:
                self._one_epoch()
            log.info("%s stopped after %d samples: %s", self.layer, self.trainer.samples, self.schedule.reason)
            self.interrupted = interrupts.arrived()

    def _remove_outdated(self) -> None:
        """Remove the manifests of this layer and those above it and, unless resuming, checkpoints of an earlier attempt."""
        if not self.resumed:
            (self.folder / LATEST).unlink(missing_ok=True)
        for spec in self.cfg.model.layers():
            if spec.index >= self.spec.index:
                manifest_path(self.run_dir, spec.name).unlink(missing_ok=True)
        manifest_path(self.run_dir, MOTION_LAYER).unlink(missing_ok=True)
        if not self.resumed:  # the latest went first, as one at a layer's end stands for all of them
            epochs = self.folder.glob(epoch_checkpoint("*", self.layer))
            for path in (self.folder / BEST, self.folder / MOTION, self.folder / CALIBRATED, *epochs):
                path.unlink(missing_ok=True)

    def _one_epoch(self) -> None:
        schedule = self.schedule
        title = f"{self.layer} epoch {schedule.epoch + 1}/{self.cfg.max_epochs}"
        with bar(title, "sample", schedule.samples_per_epoch, schedule.position, stops=False) as progress:
            for pause in schedule.one_epoch():
                progress.update(pause.samples)
                if pause.checked:
                    self.history.add(schedule.epoch + 1, self.trainer.report())
                if pause.report_due:
                    report = self.trainer.report()
                    self.summaries.write(report)
                    progress.set_postfix_str(f"C_l {report['convergence_index']:.4f}, threshold {report['threshold_mean']:.2f}")
                if interrupts.arrived() and schedule.reason is None:
                    self._interrupted()
        self._save_epoch()

    # -- checkpoints -----------------------------------------------------------------------------------

    def _save(self, name: str) -> Path:
        from spikeseg.learning import checkpoint

        state = {
            "layer": self.layer,
            "key": self.key,
            "epoch": self.schedule.epoch,
            "position": self.schedule.position,
            "best": self.best,
            "best_sha256": self.best_sha256,
            "reason": self.schedule.reason,
            "trainer": self.trainer.state_dict(),
        }
        path = self.folder / name
        return atomic_write(path, lambda file: checkpoint.save(file, self.model, self.cfg, progress=state))

    def _save_epoch(self) -> None:
        c = self.cfg.checkpoint
        index = self.trainer.report()["convergence_index"]
        if c.save_best and index < self.best:
            self.best = index
            self.best_sha256 = sha256_file(self._save(BEST))
        if self.schedule.epoch % c.save_interval == 0:
            self._save(epoch_checkpoint(self.schedule.epoch, self.layer))
        self._save(LATEST)
        checkpoints = sorted(self.folder.glob(epoch_checkpoint("*", self.layer)), key=epoch_of)
        for path in checkpoints[: -c.keep_last_n] if c.keep_last_n else checkpoints:
            path.unlink()

    def resume(self, path: Path) -> None:
        """Go on bitwise from a checkpoint of this very layer, configuration and data; see `saved_progress`."""
        from spikeseg.learning import checkpoint

        saved, progress = saved_progress(path, self.layer, self.key)
        checkpoint.restore(self.model, saved.encoder.state_dict(), str(path))
        self.trainer.load_state_dict(progress["trainer"])
        schedule = self.schedule
        schedule.epoch, schedule.position, schedule.reason = progress["epoch"], progress["position"], progress["reason"]
        self.best, self.best_sha256, self.resumed = progress["best"], progress.get("best_sha256"), True
        log.info("resuming %s at epoch %d, sample %d", self.layer, schedule.epoch + 1, schedule.position)

    def _interrupted(self) -> None:
        if self.cfg.checkpoint.save_on_interrupt:
            path = self._save(LATEST)
            log.warning("stopped; go on with --resume %s", path)
        raise KeyboardInterrupt

    # -- the end ---------------------------------------------------------------------------------------

    def finish(self) -> FinishedLayer:
        """Write the finished layer and the metrics of all layers; the manifest, written last, is the stage's.

        The latest checkpoint stays as it is, with its state of training: until the manifest is there, it is what the layer can be
        finished from."""
        from spikeseg.learning import checkpoint

        report = {**self.trainer.report(), "epochs": self.schedule.epoch, "stopped": self.schedule.reason}
        final = self.folder / final_checkpoint(self.layer)
        atomic_write(final, lambda file: checkpoint.save(file, self.model, self.cfg))
        manifests = {layer: read_manifest(manifest_path(self.run_dir, layer)) for layer in self.below}
        metrics = {layer: manifest["result"] for layer, manifest in manifests.items() if manifest} | {self.layer: report}
        atomic_write(self.run_dir / METRICS, json.dumps(metrics, indent=2) + "\n")
        checkpoints = (self.folder / BEST, self.folder / LATEST, *sorted(self.folder.glob(epoch_checkpoint("*", self.layer))))
        beside = [self.run_dir / CONFIG, self.run_dir / METRICS, *checkpoints]
        return FinishedLayer(final, report, str(self.trainer.layer.weight.device), beside)


def saved_progress(path: Path, layer: str, key: str) -> tuple[SpikeSEG, dict[str, Any]]:
    """The network and the state of training in a checkpoint of an unfinished layer.

    Raises InputError for one of another layer, configuration or data (another key), or of a finished network."""
    from spikeseg.learning import checkpoint
    from spikeseg.learning.checkpoint_reading import check_progress

    model, meta = checkpoint.load(path)
    progress = meta.get("progress")
    if not progress or progress.get("key") != key:
        content = f"{progress.get('layer')} of another configuration or data" if progress else "a finished network"
        raise InputError(f"{path}: holds {content}, not {layer} of this one; resume with the options it was started with")
    check_progress(progress, meta["config"], layer, path)
    return model, progress


def at_end(progress: Mapping[str, Any], cfg: Config) -> bool:
    """Whether the state of training in a checkpoint is that of a layer's end."""
    return progress["reason"] is not None or progress["epoch"] >= cfg.max_epochs


@contextmanager
def _level(level: str) -> Iterator[None]:
    """Log what is of this level and above, while the block runs."""
    earlier = LOGGER.level
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        LOGGER.setLevel(earlier)
