"""The files of a run's folder: their names, one place each.

``<output_dir>/<run>/`` holds `CONFIG`, `METRICS`, the manifest of every finished layer and, in ``<checkpoint.save_dir>/``, the
checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.core.names import CONFIG as CONFIG
from spikeseg.core.names import MANIFEST_BESIDE
from spikeseg.errors import InputError

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

METRICS = "metrics_final.json"
"""Per layer: wins, weight statistics, convergence."""
HISTORY = "metrics.jsonl"
"""The same at every check of convergence, a line each."""
LATEST, BEST = "checkpoint_latest.pt", "checkpoint_best.pt"
"""Checkpoints: with all that resuming needs; of the lowest C_l."""
MOTION = "checkpoint_motion.pt"
"""The best network with the footprint that its motion layer has learned, which `train-layer motion` writes."""
MOTION_LAYER = "motion"
"""The name of that layer."""
CALIBRATED = "checkpoint_calibrated.pt"
"""The best network with a calibrated readout, which `sweep` writes."""
CLASS_NAMES = "class_names.yaml"
"""What its classes are called, which `spikeseg classes` writes; its layout is that of `spikeseg.learning.class_names`."""
MANIFESTS = MANIFEST_BESIDE.format("*")
"""Those of all layers."""


def config_file(path: Path) -> Path | None:
    """The configuration of the run that a folder or a checkpoint lies in, or None."""
    folders = (path, path.parent, path.parent.parent)
    return next((folder / CONFIG for folder in folders if (folder / CONFIG).is_file()), None)


def run_of(checkpoint: Path) -> Path:
    """The folder of the run that a checkpoint lies in; its own where it lies in none."""
    config = config_file(checkpoint)
    return config.parent if config else checkpoint.parent


def manifest_path(run_dir: Path, layer: str) -> Path:
    """The file that says a layer is finished."""
    return run_dir / MANIFEST_BESIDE.format(layer)


def folder_inside(run_dir: Path, name: str, key: str) -> Path:
    """A folder of the run. Raises InputError when the name, the value of `key`, leads out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{key}: found {name!r}, must be a folder inside the run's, such as 'checkpoints'")
    return run_dir / name


def checkpoint_folder(cfg: Config, run_dir: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return run_dir / cfg.checkpoint.save_dir


def epoch_checkpoint(epoch: int | str, layer: str) -> str:
    """The name of an epoch's checkpoint; '*' for those of all epochs."""
    return f"checkpoint_epoch{epoch}_{layer}.pt"


def epoch_of(path: Path) -> int:
    """The epoch of such a checkpoint."""
    return int(path.stem.removeprefix("checkpoint_epoch").partition("_")[0])


def final_checkpoint(layer: str) -> str:
    """The name of a finished layer's checkpoint."""
    return f"{layer}.pt"


def motion_checkpoint(cfg: Config, run_dir: Path) -> Path | None:
    """The run's network with its trained motion layer; None where it has none."""
    path = checkpoint_folder(cfg, run_dir) / MOTION
    there = cfg.model.motion and manifest_path(run_dir, MOTION_LAYER).is_file() and path.is_file()
    return path if there else None


def best_checkpoint(run_dir: Path) -> Path:
    """The checkpoint of lowest C_l in the folder of a finished run, with its motion layer where that is trained; without one,
    that of its last layer's end.

    Raises:
        InputError: no run's folder, or training is not finished.
    """
    from spikeseg.config.load import load_config

    if not (run_dir / CONFIG).is_file():
        raise InputError(f"{run_dir}: no run's folder ({CONFIG} is missing); name a checkpoint file or a run")
    cfg = load_config(run_dir / CONFIG)
    last = cfg.learned_layers()[-1]
    if not manifest_path(run_dir, last).is_file():
        raise InputError(f"{run_dir}: training is not finished; go on with `spikeseg train --resume {run_dir}`")
    with_motion = motion_checkpoint(cfg, run_dir)
    if with_motion is not None:
        return with_motion
    folder = checkpoint_folder(cfg, run_dir)
    return folder / BEST if (folder / BEST).is_file() else folder / final_checkpoint(last)
