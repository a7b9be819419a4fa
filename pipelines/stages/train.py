"""The one-command trainer: prepare if needed, then every learned layer in turn, the motion layer last."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.errors import InputError
from spikeseg.learning.run_files import manifest_path

from ..runtime.manifest import read_manifest
from ..runtime.stage import StageResult, one_writer
from .prepare import prepare
from .train_layer import layer_key, resumed_run, run_folder, train_layer
from .train_motion import train_motion
from .training_loop import saved_progress

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)


def train(
    cfg: Config, *, name: str = "auto", force: bool = False, resume: str | Path | None = None, tensorboard: bool | None = None
) -> StageResult:
    """Run `prepare` and train every learned layer that is not up to date, then the motion layer where there is one.

    Args:
        cfg: the configuration.
        name: of the run, 'auto' to derive it from the configuration.
        force: train again what is up to date.
        resume: a run's folder or checkpoint to continue: finished layers are kept and the interrupted one goes on, in that
            run's folder unless a name is given.
        tensorboard: overrides logging.tensorboard.

    Raises:
        InputError: see `train_layer`.
    """
    if cfg.backend == "cuda":
        from spikeseg.ops.device import require_backend

        require_backend(cfg.device, cfg.backend)  # refused before anything is prepared
    frames = prepare(cfg)
    checkpoint = None
    if resume is not None:
        cfg, name, checkpoint = resumed_run(cfg, resume, name)
    with one_writer(run_folder(cfg, frames.key, name)):
        return _layers(cfg, frames, checkpoint, name=name, force=force, tensorboard=tensorboard)


def _layers(
    cfg: Config, frames: StageResult, checkpoint: Path | None, *, name: str, force: bool, tensorboard: bool | None
) -> StageResult:
    """Train every layer that is not up to date, from a checkpoint on or anew."""
    interrupted = None
    if checkpoint is not None:
        interrupted = _layer_of(checkpoint)
        _refuse_others(cfg, run_folder(cfg, frames.key, name), frames.key)
    if checkpoint is not None and interrupted is not None:
        saved_progress(
            checkpoint, interrupted, layer_key(cfg, interrupted, frames.key)
        )  # refused before anything is trained anew
    result: StageResult | None = None
    ran = False
    for layer in cfg.learned_layers():
        saved = checkpoint if interrupted == layer and not ran else None  # not of a layer whose lower ones were trained anew
        result = train_layer(cfg, layer, name=name, force=force, resume=saved, tensorboard=tensorboard)
        ran |= result.ran
    if result is None:
        raise InputError("train_conv1, train_conv2, train_conv3: all false; set at least one to true to train")
    if cfg.model.motion:
        motion = train_motion(cfg, name=name, force=force)
        return StageResult(motion.path, motion.key, ran | motion.ran)
    return StageResult(result.path, result.key, ran)


def _refuse_others(cfg: Config, run: Path, frames_key: str) -> None:
    """Raise InputError when the run to continue holds a layer of another configuration or data."""
    for layer in cfg.learned_layers():
        manifest = read_manifest(manifest_path(run, layer))
        if manifest is not None and manifest["key"] != layer_key(cfg, layer, frames_key):
            raise InputError(
                f"{run}: holds {layer} of another configuration or data; resume with the options it was started with"
            )


def _layer_of(path: Path) -> str | None:
    """The layer whose training a checkpoint continues, or None where it is finished."""
    from spikeseg.learning import checkpoint

    _, meta = checkpoint.load(path)
    progress = meta.get("progress")
    return str(progress.get("layer")) if progress else None
