"""Which stages of a configuration are up to date, which are stale and why, and which are missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.core.names import MANIFEST
from spikeseg.learning.run_files import MOTION_LAYER, manifest_path
from spikeseg.registries import DATASETS

from ..runtime.differences import stale_reason
from ..runtime.manifest import Ingredients, finished, read_manifest
from . import classify, cross_validate, evaluate, prepare, simulate, sweep
from .runs import SavedNetwork, network_in
from .train_layer import layer_ingredients, run_folder, trained
from .train_motion import motion_ingredients, motion_trained

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

DONE, STALE, MISSING = "up to date", "stale", "missing"


@dataclass(frozen=True)
class Stage:
    """One stage of a configuration.

    Attributes:
        name: of the stage, or of the layer.
        state: DONE, STALE or MISSING.
        detail: its folder, or what has changed since it was made.
        command: of spikeseg, that makes it.
        optional: whether nothing that the configuration asks for needs it.
    """

    name: str
    state: str
    detail: str
    command: str
    optional: bool = False


def status(cfg: Config) -> list[Stage]:
    """Every stage of a configuration, in order. Raises InputError where the recordings cannot be found."""
    if DATASETS[cfg.data.dataset].settings is not None:
        return [_classification(cfg)]
    stages = []
    cache, frames = Path(cfg.cache_dir), prepare.plan(cfg).ingredients
    if "simulated" in frames.inputs:
        simulated = simulate.ingredients(cfg)
        stages.append(_folder("simulate", cache / "simulated", simulated, "prepare"))
    stages.append(_folder("prepare", cache / "frames", frames, "prepare"))
    stages += _layers(cfg, frames.key)
    if cfg.model.motion:
        stages.append(_motion(cfg, frames.key))
    if all(stage.state == DONE for stage in stages):
        network = _network(cfg, frames.key)
        stages += _sweeps(cfg, network)
        stages.append(_evaluation(cfg, network, frames.key))
    else:
        stages.append(Stage("evaluate", MISSING, "needs the stages before it", "evaluate"))
    return [*stages, *_cross_validations(cfg)]


def next_command(stages: Iterable[Stage]) -> str | None:
    """The command that makes the first stage that is not up to date; None where all are that must be."""
    return next((stage.command for stage in stages if stage.state != DONE and not stage.optional), None)


def after(stages: Iterable[Stage]) -> str:
    """What is left to run where every stage is done."""
    return "nothing to do" if any(stage.name == classify.STAGE for stage in stages) else "spikeseg detect RECORDING"


def _folder(name: str, root: Path, ingredients: Ingredients, command: str) -> Stage:
    """A stage whose folder in root is named by its key."""
    folder = root / ingredients.key
    if finished(folder):
        return Stage(name, DONE, str(folder), command)
    return _undone(name, ingredients, root.glob(f"*/{MANIFEST}"), command)


def _layers(cfg: Config, frames_key: str) -> Iterator[Stage]:
    """The learned layers, each in any run."""
    runs = sorted(path for path in Path(cfg.output_dir).glob("*") if path.is_dir())
    for layer in cfg.learned_layers():
        command = f"train-layer {layer}"
        holding = [run for run in runs if trained(cfg, run, layer, frames_key)]
        if holding:
            yield Stage(layer, DONE, ", ".join(map(str, holding)), command)
        else:
            manifests = (manifest_path(run, layer) for run in runs)
            yield _undone(layer, layer_ingredients(cfg, layer, frames_key), manifests, command)


def _motion(cfg: Config, frames_key: str) -> Stage:
    """The motion layer, in any run."""
    runs, command = sorted(path for path in Path(cfg.output_dir).glob("*") if path.is_dir()), f"train-layer {MOTION_LAYER}"
    holding = [run for run in runs if motion_trained(cfg, run, frames_key)]
    if holding:
        return Stage(MOTION_LAYER, DONE, ", ".join(map(str, holding)), command)
    manifests = (manifest_path(run, MOTION_LAYER) for run in runs)
    return _undone(MOTION_LAYER, motion_ingredients(cfg, frames_key), manifests, command)


def _network(cfg: Config, frames_key: str) -> SavedNetwork:
    """The trained network; of this configuration's own run, or of any that holds it."""
    layer = cfg.learned_layers()[-1]
    runs = [run_folder(cfg, frames_key), *sorted(Path(cfg.output_dir).glob("*"))]
    return network_in(cfg, next(run for run in runs if trained(cfg, run, layer, frames_key)))


def _evaluation(cfg: Config, network: SavedNetwork, frames_key: str) -> Stage:
    """The evaluation of the test split."""
    planned = evaluate.plan(cfg, network, frames_key)
    return _folder("evaluate", network.folder / "evaluate", planned, "evaluate")


def _sweeps(cfg: Config, network: SavedNetwork) -> Iterator[Stage]:
    """The sweep over the training split: where the configuration reads its result, or somebody has made one."""
    root, needed = network.folder / sweep.STAGE, cfg.evaluation.readout == "calibrated"
    if needed or root.is_dir():
        stage = _folder("sweep", root, sweep.plan(cfg, sweep.uncalibrated(network)), "sweep")
        yield dataclasses.replace(stage, optional=not needed)


def _cross_validations(cfg: Config) -> Iterator[Stage]:
    """Each cross-validation that somebody has made, with this configuration or another."""
    root = Path(cfg.output_dir) / cross_validate.STAGE
    for path in sorted(root.glob(f"*/{MANIFEST}")):
        manifest = read_manifest(path) or {}
        folds, final = manifest["config"]["folds"], manifest["config"]["final"]
        command = f"cross-validate --folds {folds}" + (" --final" if final else "")
        planned = cross_validate.plan(cfg, folds, final)
        if planned is None:
            yield Stage("cross-validate", STALE, f"{path.parent}: not scored with this configuration", command, optional=True)
        elif planned.key == manifest["key"] and finished(path.parent):
            yield Stage("cross-validate", DONE, str(path.parent), command, optional=True)
        else:
            yield dataclasses.replace(_undone("cross-validate", planned, [path], command), optional=True)


def _classification(cfg: Config) -> Stage:
    """What `classify` makes, with or without controls, of one network or several."""
    root = Path(cfg.output_dir) / classify.STAGE
    data, finished_ones = classify.ImageData(cfg), sorted(root.glob(f"*/{MANIFEST}"))
    planned = classify.plan(cfg, data)
    for path in finished_ones:
        made = (read_manifest(path) or {}).get("config", {})
        asked = classify.plan(cfg, data, controls=made.get("controls", False), repeat=made.get("repeat", 1))
        if asked.key == path.parent.name and finished(path.parent):
            return Stage(classify.STAGE, DONE, str(path.parent), classify.STAGE)
    return _undone(classify.STAGE, planned, finished_ones, classify.STAGE)


def _undone(name: str, ingredients: Ingredients, manifests: Iterable[Path], command: str) -> Stage:
    """Stale, with its differences from the most similar of the finished ones; missing when there is none."""
    reason = stale_reason(ingredients, manifests)
    return Stage(name, MISSING, "", command) if reason is None else Stage(name, STALE, reason, command)
