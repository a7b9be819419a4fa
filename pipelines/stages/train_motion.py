"""Stage `train-layer motion`: the motion layer learns the footprint of objects from the training recordings, without labels.

It reads events, not frames. The run's folder gets ``checkpoint_motion.pt``, the network with its footprint, which every command
then takes, and ``motion.manifest.json``, written last.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import section_dict
from spikeseg.core.files import atomic_write, remove_partials
from spikeseg.core.names import MANIFEST_BESIDE
from spikeseg.errors import InputError
from spikeseg.learning.run_files import METRICS, MOTION, MOTION_LAYER, checkpoint_folder, manifest_path

from ..runtime.console import progress
from ..runtime.manifest import (
    BESIDE,
    Ingredients,
    damaged,
    damaged_beside,
    describe_beside,
    describe_file,
    read_manifest,
    write_manifest,
)
from ..runtime.stage import StageResult, one_writer, refuse_if_dry
from . import prepare
from .runs import best_of_layers
from .train_layer import layer_key, resumed_run, run_folder, trained

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

STAGE, VERSION = "train-motion", 1
LEARNED = "motion"
"""In the checkpoint: the key of the layer, and what it has learned, as in its manifest."""


def motion_ingredients(cfg: Config, frames_key: str) -> Ingredients:
    """What the footprint is made from: the recordings, the network that finds the stars, and how objects are tracked."""
    config = {"tracking": section_dict(cfg.tracking), "seed": cfg.seed}
    last = cfg.learned_layers()[-1:]
    return Ingredients(
        STAGE, VERSION, config, {"frames": frames_key, **{layer: layer_key(cfg, layer, frames_key) for layer in last}}
    )


def motion_trained(cfg: Config, run_dir: Path, frames_key: str) -> bool:
    """Whether the run holds this very motion layer, finished and whole."""
    manifest = read_manifest(manifest_path(run_dir, MOTION_LAYER))
    if manifest is None or manifest["key"] != motion_ingredients(cfg, frames_key).key:
        return False
    fault = damaged(manifest, run_dir) or damaged_beside(manifest, run_dir)
    if fault:
        log.warning("%s: %s is damaged (%s) and does not count as trained", run_dir, MOTION_LAYER, fault)
    return not fault


def train_motion(cfg: Config, *, name: str = "auto", force: bool = False, resume: str | Path | None = None) -> StageResult:
    """Train the motion layer, unless the run holds it already.

    Args:
        cfg: the configuration.
        name: of the run, 'auto' to derive it from the configuration.
        force: train again what is up to date.
        resume: a run's folder or checkpoint, whose run is meant; what was begun there begins anew.

    Raises:
        InputError: the network has no motion layer, frames or the layers below are missing, a folder cannot be written.
    """
    if not cfg.model.motion:
        raise InputError("model.motion: false, so there is no motion layer to train; set it to true (--set model.motion=true)")
    if resume is not None:
        cfg, name, _ = resumed_run(cfg, resume, name)
    frames = prepare.find_frames(cfg)
    run_dir = run_folder(cfg, frames.key, name)
    for layer in cfg.learned_layers():
        if not trained(cfg, run_dir, layer, frames.key):
            raise prepare.NotMadeError(f"{run_dir}: {layer} of this configuration is not trained", f"train-layer {layer}")
    ingredients = motion_ingredients(cfg, frames.key)
    remove_partials(run_dir, below=True)
    if not force and motion_trained(cfg, run_dir, frames.key):
        return StageResult(run_dir, ingredients.key, ran=False)
    refuse_if_dry(ingredients, run_dir, Path(cfg.output_dir).glob(f"*/{MANIFEST_BESIDE.format(MOTION_LAYER)}"), force)
    with one_writer(run_dir):
        if not force and motion_trained(cfg, run_dir, frames.key):  # another process has done it meanwhile
            return StageResult(run_dir, ingredients.key, ran=False)
        _train(cfg, run_dir, frames.path / prepare.STORE, ingredients, force=force)
    return StageResult(run_dir, ingredients.key, ran=True)


def _train(cfg: Config, run_dir: Path, store: Path, ingredients: Ingredients, *, force: bool) -> None:
    """Learn the footprint and write the layer's files; of a run that was stopped before its manifest was there, that alone."""
    started = time.monotonic()
    path, manifest = checkpoint_folder(cfg, run_dir) / MOTION, manifest_path(run_dir, MOTION_LAYER)
    report = None if force or manifest.exists() else _report_of(path, ingredients.key)
    if report is None:
        path.unlink(missing_ok=True)  # first: it stands for the layer, where there is no manifest
        manifest.unlink(missing_ok=True)
        report = _learned(cfg, path, store, run_dir, ingredients.key)
    metrics = run_dir / METRICS
    try:
        reports = json.loads(metrics.read_bytes()) if metrics.is_file() else {}
    except ValueError as error:
        raise InputError(f"{metrics}: damaged ({error}); train the last layer again") from error
    atomic_write(metrics, json.dumps({**reports, MOTION_LAYER: report}, indent=2) + "\n")
    write_manifest(
        manifest,
        ingredients,
        outputs={str(path.relative_to(run_dir)): describe_file(path)},
        seconds=time.monotonic() - started,
        extra={
            "seed": cfg.seed,
            "backend": cfg.backend,
            "result": report,
            BESIDE: describe_beside(run_dir, [run_dir / METRICS]),
        },
    )


def _report_of(path: Path, key: str) -> dict[str, Any] | None:
    """What was learned, from a checkpoint of this very layer; None where there is none."""
    from spikeseg.learning import checkpoint

    try:
        _, meta = checkpoint.load(path)
    except InputError:
        return None
    learned = meta.get(LEARNED)
    return dict(learned["report"]) if isinstance(learned, dict) and learned.get("key") == key else None


def _learned(cfg: Config, path: Path, store: Path, run_dir: Path, key: str) -> dict[str, Any]:
    """Learn and write the checkpoint. -> what was learned, in words and numbers."""
    from spikeseg.data.store.frames import Frames
    from spikeseg.data.store.recordings import stored
    from spikeseg.detection.motion_training import train_motion as learn
    from spikeseg.learning import checkpoint
    from spikeseg.ops.device import network_device

    frames = Frames.open(store)
    views = [functools.partial(stored, frames, r) for r, info in enumerate(frames.recordings) if info.split == "train"]
    model, meta = checkpoint.load(best_of_layers(cfg, run_dir))
    model.encoder.backend = cfg.backend
    learned = learn(model.to(network_device(cfg.device, cfg.backend)), views, cfg, _shown)
    model.footprint = learned.share
    of_layer = {LEARNED: {"key": key, "report": learned.report}}
    atomic_write(path, lambda file: checkpoint.save(file, model, meta["config"], **of_layer))
    return learned.report


def _shown(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    return progress(items, title, "recording", total=total)
