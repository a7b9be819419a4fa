"""What is done of a configuration, what is stale and why, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.manifest import MANIFEST, finished, plain, read_manifest
from . import evaluate, prepare, simulate
from .run_files import manifest_path
from .runs import network_in
from .train_layer import layer_inputs, run_folder, trained, training_config

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

DONE, STALE, MISSING = "up to date", "stale", "missing"
TOLD = 3
"""Differences that are named; more are counted."""


@dataclass(frozen=True)
class Stage:
    """One stage of a configuration: whether it is done, where or why not, and the command that makes it."""

    name: str
    state: str
    detail: str
    command: str


def status(cfg: Config) -> list[Stage]:
    """Every stage of a configuration, in order. Raises InputError where the recordings cannot be found."""
    stages = []
    cache, planned = Path(cfg.cache_dir), prepare.plan(cfg)
    if "simulated" in planned.inputs:
        folder = cache / "simulated" / planned.inputs["simulated"]
        stages.append(_folder("simulate", folder, simulate.config_values(cfg), {}, "prepare"))
    stages.append(_folder("prepare", cache / "frames" / planned.key, planned.config, planned.inputs, "prepare"))
    stages += _layers(cfg, planned.key)
    if all(stage.state == DONE for stage in stages):
        stages.append(_evaluation(cfg, planned.key))
    else:
        stages.append(Stage("evaluate", MISSING, "needs what is before it", "evaluate"))
    return stages


def _folder(name: str, folder: Path, config: Mapping[str, Any], inputs: Mapping[str, str], command: str) -> Stage:
    """A stage whose folder is named by its key."""
    if finished(folder):
        return Stage(name, DONE, str(folder), command)
    return _undone(name, config, inputs, folder.parent.glob(f"*/{MANIFEST}"), command)


def _layers(cfg: Config, frames_key: str) -> Iterator[Stage]:
    runs = sorted(path for path in Path(cfg.output_dir).glob("*") if path.is_dir())
    for layer in cfg.learned_layers():
        found = [run for run in runs if trained(cfg, run, layer, frames_key)]
        if found:
            yield Stage(layer, DONE, ", ".join(map(str, found)), f"train-layer {layer}")
            continue
        config = {**training_config(cfg), "layer": layer}
        manifests = (manifest_path(run, layer) for run in runs)
        yield _undone(layer, config, layer_inputs(cfg, layer, frames_key), manifests, f"train-layer {layer}")


def _evaluation(cfg: Config, frames_key: str) -> Stage:
    """The evaluation of the test split; of this configuration's own run, or of any that holds its network."""
    layer = cfg.learned_layers()[-1]
    runs = [run_folder(cfg, frames_key), *sorted(Path(cfg.output_dir).glob("*"))]
    run = next(run for run in runs if trained(cfg, run, layer, frames_key))
    planned = evaluate.plan(cfg, network_in(cfg, run), frames_key)
    return _folder("evaluate", run / "evaluate" / planned.key, planned.config, planned.inputs, "evaluate")


def _undone(name: str, config: Mapping[str, Any], inputs: Mapping[str, str], manifests: Iterator[Path], command: str) -> Stage:
    """Stale, with what sets it apart from the nearest thing that is there; missing when nothing is."""
    others = [(path, manifest) for path in sorted(manifests) if (manifest := read_manifest(path))]
    if not others:
        return Stage(name, MISSING, "", command)
    compared = [(differences(manifest, config, inputs), path.parent) for path, manifest in others]
    reasons, folder = min(compared, key=lambda entry: len(entry[0]))
    more = f" and {len(reasons) - TOLD} more" if len(reasons) > TOLD else ""
    return Stage(name, STALE, f"{folder}: {'; '.join(reasons[:TOLD]) or 'damaged'}{more}", command)


def differences(manifest: Mapping[str, Any], config: Mapping[str, Any], inputs: Mapping[str, str]) -> list[str]:
    """What a finished stage was made from that is different now, a phrase each."""
    then, now = dict(_leaves(manifest["config"])), dict(_leaves(plain(config)))
    told = [f"{key} was {then.get(key)}, is {now.get(key)}" for key in sorted(then | now) if then.get(key) != now.get(key)]
    before = manifest["inputs"]
    changed = [name for name in sorted(before.keys() | inputs.keys()) if before.get(name) != inputs.get(name)]
    return told + _input_phrases(changed, before, inputs)


def _input_phrases(changed: Sequence[str], before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    kinds = {"added": set(now) - set(before), "gone": set(before) - set(now), "changed": set(now) & set(before)}
    found = ((kind, [name for name in changed if name in names]) for kind, names in kinds.items())
    return [
        f"{names[0]} {kind}" if len(names) == 1 else f"{len(names)} inputs {kind} ({names[0]}, ...)"
        for kind, names in found
        if names
    ]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
