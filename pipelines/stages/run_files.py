"""The files of a run's folder: their names, one place each.

``<output_dir>/<run>/`` holds `CONFIG`, `METRICS`, the manifest of every finished layer and, in ``<checkpoint.save_dir>/``, the
checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.errors import InputError

from ..runtime.manifest import read_manifest
from ..runtime.names import MANIFEST_BESIDE

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

CONFIG = "config.yaml"
"""The resolved configuration."""
METRICS = "metrics_final.json"
"""Per layer: wins, weight statistics, convergence."""
LATEST, BEST = "checkpoint_latest.pt", "checkpoint_best.pt"
"""Checkpoints: with all that resuming needs; of the lowest C_l."""
CALIBRATED = "checkpoint_calibrated.pt"
"""The best network with a calibrated readout, which `sweep` writes."""
MANIFESTS = MANIFEST_BESIDE.format("*")
"""Those of all layers."""


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


def layer_checkpoint(cfg: Config, run_dir: Path, layer: str) -> Path:
    """The finished layer's checkpoint: it and all layers below; where its manifest says, or else where the configuration does."""
    manifest = read_manifest(manifest_path(run_dir, layer))
    if manifest is not None:
        return run_dir / next(iter(manifest["outputs"]))
    return checkpoint_folder(cfg, run_dir) / final_checkpoint(layer)
