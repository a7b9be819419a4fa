"""The one-command trainer: prepare if needed, then every learned layer in turn."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from .prepare import prepare
from .run import Done
from .train_layer import layer_key, learned_layers, train_layer
from .training_loop import LATEST, saved_progress

if TYPE_CHECKING:
    from spikeseg.sections import Config

log = logging.getLogger(__name__)


def train(
    cfg: Config, *, name: str = "auto", force: bool = False, resume: str | Path | None = None, tensorboard: bool | None = None
) -> Done:
    """Run `prepare` and train every learned layer that is not up to date.

    Args:
        cfg: the configuration.
        name: of the run, 'auto' to derive it from the configuration.
        force: train again what is up to date.
        resume: a run's folder or checkpoint to go on from: finished layers are kept, the one that was stopped continues.
        tensorboard: overrides logging.tensorboard.

    Raises:
        InputError: see `train_layer`.
    """
    frames = prepare(cfg)
    checkpoint = _checkpoint(resume, cfg)
    stopped = _layer_of(checkpoint) if checkpoint is not None else None
    if checkpoint is not None and stopped is not None:
        saved_progress(checkpoint, stopped, layer_key(cfg, stopped, frames.key))  # refused before anything is trained anew
    done: Done | None = None
    ran = False
    for layer in learned_layers(cfg):
        going_on = checkpoint if stopped == layer else None
        done = train_layer(cfg, layer, name=name, force=force, resume=going_on, tensorboard=tensorboard)
        ran |= done.ran
    if done is None:
        from spikeseg.errors import InputError

        raise InputError("train_conv1, train_conv2, train_conv3: all false; set at least one to true to train")
    return Done(done.path, done.key, ran)


def _checkpoint(resume: str | Path | None, cfg: Config) -> Path | None:
    if resume is None:
        return None
    path = Path(resume)
    return path / cfg.checkpoint.save_dir / LATEST if path.is_dir() else path


def _layer_of(path: Path) -> str | None:
    """The layer that a checkpoint was in the middle of, or None for a finished one."""
    from spikeseg.learning import checkpoint

    _, meta = checkpoint.load(path)
    progress = meta.get("progress")
    return str(progress["layer"]) if progress else None
