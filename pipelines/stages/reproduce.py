"""Stage `reproduce`: a run's chain again, from its manifests, in a fresh folder; every file is compared with the run's own.

Recordings are read where the run read them (simulated ones are simulated again); frames, spikes and layers are made anew. What
the run's folder holds of `sweep` and `evaluate` is repeated with the settings that their manifests record.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config.load import from_dict, to_dict
from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError
from spikeseg.learning.run_files import (
    BEST,
    CALIBRATED,
    CONFIG,
    LATEST,
    METRICS,
    MOTION,
    MOTION_LAYER,
    checkpoint_folder,
    manifest_path,
)

from ..runtime.differences import differences
from ..runtime.files import sha256_file
from ..runtime.manifest import read_manifest, versions
from . import evaluate, prepare, sweep
from .comparison import difference
from .runs import SavedNetwork, config_beside
from .train import train

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

NAME = "reproduced"
"""Of the run that is made."""
SECTIONS = ("evaluation", "tracking", "model", "stdp", "homeostasis")
"""Sections of the configuration that manifests of `sweep` and `evaluate` record."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """One stage of the run beside the same one, reproduced.

    Attributes:
        stage: its name, or the layer's, or a folder below the run's.
        equal: files whose SHA-256 are equal.
        different: a line for each other one: its path, and how it differs.
        left_out: why it was not repeated; None where it was.
    """

    stage: str
    equal: int = 0
    different: tuple[str, ...] = ()
    left_out: str | None = None


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        stages: in order.
        versions: packages that differ from the run's, a phrase each.
    """

    stages: Sequence[Compared]
    versions: Sequence[str]

    @property
    def different(self) -> list[str]:
        """Every file that differs."""
        return [line for stage in self.stages for line in stage.different]


def recorded(run: Path) -> tuple[Config, dict[str, Any]]:
    """A finished run's configuration, and the manifest of its last layer.

    Raises InputError: no run's folder, or its training is not finished."""
    cfg = config_beside(run) if (run / CONFIG).is_file() else None
    if cfg is None:
        raise InputError(f"{run}: no run's folder ({CONFIG} is missing); name a folder below output_dir that `train` has made")
    learned = cfg.learned_layers()
    last = MOTION_LAYER if cfg.model.motion else learned[-1]
    manifest = read_manifest(manifest_path(run, last)) or read_manifest(manifest_path(run, learned[-1]))
    if manifest is None:
        raise InputError(f"{run}: training is not finished; go on with `spikeseg train --resume {run}`")
    return cfg, manifest


def reproduce(run: Path, cfg: Config, folder: Path) -> Reproduction:
    """Run the chain of a run again and compare.

    Args:
        run: a finished run's folder.
        cfg: its configuration (see `recorded`), with whatever changes no result (backend, jobs, where the recordings lie).
        folder: where the copy goes, with a cache of its own; empty, or missing.

    Raises:
        InputError: the recordings are others than the run's, folder holds something, or see the stages.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something already; name a new folder, so that nothing in it can be taken for the copy")
    _, manifest = recorded(run)
    fresh = dataclasses.replace(cfg, cache_dir=str(folder / "data_cache"), output_dir=str(folder / "runs"))
    _check_inputs(fresh, cfg, manifest)
    train(fresh, name=NAME, tensorboard=False)
    copy = Path(fresh.output_dir) / NAME
    stages = [*_cached(Path(cfg.cache_dir), Path(fresh.cache_dir)), *_trained(cfg, run, fresh, copy)]
    stages += _repeated(fresh, run, copy, manifest["inputs"]["frames"])
    return Reproduction(stages, version_differences(manifest["versions"]))


def plan(run: Path) -> list[str]:
    """What `reproduce` would run again, a phrase each."""
    cfg, _ = recorded(run)
    layers = [*cfg.learned_layers(), *([MOTION_LAYER] if cfg.model.motion else [])]
    simulated = [] if cfg.data.data_root else ["simulate"]
    return [*simulated, "prepare", *layers, *(path.parent.relative_to(run).as_posix() for path in _later(run))]


def version_differences(then: Mapping[str, str]) -> list[str]:
    """Packages whose versions are not those of a manifest."""
    now = versions()
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return [f"{name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}" for name in names]


def _check_inputs(fresh: Config, cfg: Config, manifest: Mapping[str, Any]) -> None:
    """Raise InputError where what the chain starts from is not what the run's did."""
    planned = prepare.plan(fresh).ingredients
    key = manifest["inputs"]["frames"]
    if planned.key == key:
        return
    frames = read_manifest(Path(cfg.cache_dir) / "frames" / key / MANIFEST)
    reasons = differences(frames, planned) if frames else ["its frames are gone from the cache, so what changed is not known"]
    raise InputError(
        f"the recordings or their settings are not those of the run: {'; '.join(reasons)}; give the run's recordings with "
        "--data-root, and the version of spikeseg that made it"
    )


# -- comparing ---------------------------------------------------------------------------------------


def _cached(before: Path, after: Path) -> Iterator[Compared]:
    """Every stage that the copy has in its cache, beside that of the same key in the run's cache."""
    for path in sorted(after.glob(f"*/*/{MANIFEST}"), key=lambda path: path.stat().st_mtime_ns):
        own, copy = before / path.parent.relative_to(after), path.parent
        name = f"{copy.parent.name}/{copy.name}"
        if not (own / MANIFEST).is_file():
            yield Compared(name, left_out="gone from the cache, so there is nothing to compare with")
            continue
        yield _compared(name, own, copy, read_manifest(own / MANIFEST) or {}, read_manifest(path) or {})


def _trained(cfg: Config, run: Path, fresh: Config, copy: Path) -> Iterator[Compared]:
    """The layers, and the checkpoints that belong to none of them alone."""
    layers = [*cfg.learned_layers(), *([MOTION_LAYER] if cfg.model.motion else [])]
    for layer in layers:
        manifest = read_manifest(manifest_path(run, layer))
        if manifest is None:
            yield Compared(layer, left_out="not trained in the run")
        else:
            yield _compared(layer, run, copy, manifest, read_manifest(manifest_path(copy, layer)) or {})
    folder, other = checkpoint_folder(cfg, run), checkpoint_folder(fresh, copy)
    pairs = [(folder / name, other / name) for name in (BEST, LATEST)] + [(run / METRICS, copy / METRICS)]
    there = [(own, again) for own, again in pairs if own.is_file() and again.is_file()]
    lines = tuple(f"{own}: {difference(own, again)}" for own, again in there if sha256_file(own) != sha256_file(again))
    yield Compared("the run's other files", len(there) - len(lines), lines)


def _compared(name: str, own: Path, copy: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> Compared:
    """The files of a stage: as recorded, as they are in the run, and as they came out again."""
    before, after = then.get("outputs", {}), now.get("outputs", {})
    lines = []
    for file in sorted({*before, *after}):
        if file not in after:
            lines.append(f"{own / file}: is recorded, but did not come out now")
            continue
        if file not in before:
            lines.append(f"{own / file}: came out now, but is not recorded")
            continue
        recorded_digest, digest = before[file]["sha256"], after[file]["sha256"]
        there = sha256_file(own / file) if (own / file).is_file() else None
        if there is None:
            lines.append(f"{own / file}: missing")
        elif there != digest:
            since = "changed since it was written: " if recorded_digest == digest else ""
            lines.append(f"{own / file}: {since}{difference(own / file, copy / file)}")
        elif recorded_digest != digest:
            lines.append(f"{own / file}: its manifest records another digest")
    return Compared(name, len({*before, *after}) - len(lines), tuple(lines))


# -- sweep and evaluate --------------------------------------------------------------------------------


def _later(run: Path) -> list[Path]:
    """Manifests of what followed training in the run's folder, `sweep` first, for evaluations may read its checkpoint."""
    return [path for stage in (sweep.STAGE, evaluate.STAGE) for path in sorted(run.glob(f"{stage}/*/{MANIFEST}"))]


def _repeated(fresh: Config, run: Path, copy: Path, frames_key: str) -> Iterator[Compared]:
    """Each of them again."""
    for path in _later(run):
        manifest = read_manifest(path) or {}
        name = path.parent.relative_to(run).as_posix()
        done = _again(fresh, copy, manifest, frames_key)
        if isinstance(done, str):
            yield Compared(name, left_out=done)
        else:
            yield _compared(name, path.parent, done, manifest, read_manifest(done / MANIFEST) or {})


def _again(fresh: Config, copy: Path, manifest: Mapping[str, Any], frames_key: str) -> Path | str:
    """Run one of them. -> its folder, or why not."""
    values, inputs = manifest["config"], manifest["inputs"]
    if inputs["frames"] != frames_key:
        return "of other recordings than the run was trained on"
    checkpoint = _checkpoint(checkpoint_folder(fresh, copy), inputs["checkpoint"])
    if checkpoint is None:
        return f"of a checkpoint (SHA-256 {inputs['checkpoint'][:16]}...) that did not come out again"
    network = SavedNetwork(checkpoint, copy, frames_key)
    cfg = _with_sections(fresh, values)
    if manifest["stage"] == sweep.STAGE:
        return sweep.sweep(cfg, network, split=values["split"]).path
    selection = evaluate.Selection(values["split"], values["modes"], values["sensor"], values["threshold"])
    planned = evaluate.plan(cfg, network, frames_key, selection)
    if planned.key != manifest["key"]:
        return f"of another version of spikeseg ({'; '.join(differences(manifest, planned)[:3]) or 'the stage has changed'})"
    return evaluate.evaluate(cfg, network, selection).path


def _with_sections(fresh: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with the sections that a manifest records."""
    of_manifest = {name: values[name] for name in SECTIONS if name in values}
    content = to_dict(fresh)
    for name, section in of_manifest.items():
        content[name] = {**content.get(name, {}), **section}
    return from_dict({**content, "seed": values.get("seed", fresh.seed)}, "the manifest")


def _checkpoint(folder: Path, digest: str) -> Path | None:
    """The checkpoint of this SHA-256."""
    best_first = sorted(folder.glob("*.pt"), key=lambda path: (path.name not in (MOTION, BEST, CALIBRATED), path.name))
    return next((path for path in best_first if sha256_file(path) == digest), None)
