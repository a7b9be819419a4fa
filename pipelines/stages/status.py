"""Which stages of a configuration are up to date, which are stale and why, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.core.names import MANIFEST
from spikeseg.learning.run_files import MOTION_LAYER, manifest_path

from ..runtime.manifest import Ingredients, finished, plain, read_manifest
from . import evaluate, prepare, simulate
from .runs import network_in
from .train_layer import layer_ingredients, run_folder, trained
from .train_motion import motion_ingredients, motion_trained

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

DONE, STALE, MISSING = "up to date", "stale", "missing"
NAMED = 3
"""Differences that are named; of further ones the number is given."""


@dataclass(frozen=True)
class Stage:
    """One stage of a configuration.

    Attributes:
        name: of the stage, or of the layer.
        state: DONE, STALE or MISSING.
        detail: its folder, or what has changed since it was made.
        command: of spikeseg, that makes it.
    """

    name: str
    state: str
    detail: str
    command: str


def status(cfg: Config) -> list[Stage]:
    """Every stage of a configuration, in order. Raises InputError where the recordings cannot be found."""
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
        stages.append(_evaluation(cfg, frames.key))
    else:
        stages.append(Stage("evaluate", MISSING, "needs the stages before it", "evaluate"))
    return stages


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


def _evaluation(cfg: Config, frames_key: str) -> Stage:
    """The evaluation of the test split; of this configuration's own run, or of any that holds its network."""
    layer = cfg.learned_layers()[-1]
    runs = [run_folder(cfg, frames_key), *sorted(Path(cfg.output_dir).glob("*"))]
    run = next(run for run in runs if trained(cfg, run, layer, frames_key))
    return _folder("evaluate", run / "evaluate", evaluate.plan(cfg, network_in(cfg, run), frames_key), "evaluate")


def _undone(name: str, ingredients: Ingredients, manifests: Iterable[Path], command: str) -> Stage:
    """Stale, with its differences from the most similar of the finished ones; missing when there is none."""
    others = [(path, manifest) for path in sorted(manifests) if (manifest := read_manifest(path))]
    if not others:
        return Stage(name, MISSING, "", command)
    compared = [(differences(manifest, ingredients), path.parent) for path, manifest in others]
    reasons, folder = min(compared, key=lambda pair: len(pair[0]))
    more = f" and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    return Stage(name, STALE, f"{folder}: {'; '.join(reasons[:NAMED]) or 'damaged'}{more}", command)


def differences(manifest: Mapping[str, Any], ingredients: Ingredients) -> list[str]:
    """What is different now from what a finished stage was made from, a phrase each."""
    then, now = dict(_leaves(manifest["config"])), dict(_leaves(plain(ingredients.config)))
    keys = sorted(key for key in then | now if then.get(key) != now.get(key))
    return [f"{key} was {then.get(key)}, is {now.get(key)}" for key in keys] + _input_phrases(
        manifest["inputs"], ingredients.inputs
    )


def _input_phrases(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Of inputs by name: which were added, are gone or have changed."""
    changed = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    kinds: dict[str, Sequence[str]] = {
        "added": sorted(now.keys() - before.keys()), "gone": sorted(before.keys() - now.keys()), "changed": changed,
    }  # fmt: skip
    return [
        f"{names[0]} {kind}" if len(names) == 1 else f"{len(names)} inputs {kind} ({names[0]}, ...)"
        for kind, names in kinds.items()
        if names
    ]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested sections, by dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
