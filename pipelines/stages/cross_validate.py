"""Stage `cross-validate`: train and score once per fold of recordings, each time without those that are scored.

A fold is a configuration like any other (data.folds, data.fold) that goes through the stages `prepare`, `train` and `evaluate`;
so a fold that is done is not done again, and an interrupted one goes on where it was. Recordings are framed once: the folds'
frames differ in nothing but their splits and share their files. Under `evaluation.readout: calibrated` each network is
calibrated (`sweep`) on the recordings it was trained on.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.core.files import atomic_write
from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError
from spikeseg.evaluation.folds import folds_csv, over_folds
from spikeseg.learning.run_files import LATEST, checkpoint_folder

from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients, finished, read_manifest
from ..runtime.stage import StageResult, copied, run_stage
from .answers import labelled
from .evaluate import METRICS, Selection, evaluate
from .evaluate import plan as plan_evaluation
from .prepare import STORE, prepare, prepare_split
from .prepare import plan as plan_frames
from .runs import network_in
from .sweep import sweep
from .train import train
from .train_layer import run_folder, trained, training_config

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

STAGE, VERSION = "cross-validate", 2
RESULT, TABLE = "cross_validation.json", "cross_validation.csv"
RESULT_VERSION = 2
RUNS = "runs"
"""Folder of the folds' networks, inside the stage's."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One training and scoring.

    Attributes:
        title: for people.
        cfg: its configuration.
        scored: the split it is scored on.
    """

    title: str
    cfg: Config
    scored: str


def parts(cfg: Config, folds: int, final: bool) -> list[Part]:
    """The folds, and at the end the training on all of them that the test split is opened for."""
    runs_folder = str(Path(cfg.output_dir) / STAGE / RUNS)

    def part(title: str, name: str, scored: str, **data: Any) -> Part:
        section = dataclasses.replace(cfg.data, **data)
        return Part(title, dataclasses.replace(cfg, data=section, experiment_name=name, output_dir=runs_folder), scored)

    numbers = range(1, folds + 1)
    of_folds = [part(f"fold {k} of {folds}", f"fold{k}of{folds}", "val", folds=folds, fold=k) for k in numbers]
    return [*of_folds, part("all folds", "final", "test", folds=0, fold=0, train_ratio=1.0)] if final else of_folds


def cross_validate(
    cfg: Config,
    *,
    folds: int = 5,
    final: bool = False,
    tensorboard: bool | None = None,
    output: Path | None = None,
    force: bool = False,
) -> StageResult:
    """Train and score every fold; ``<output_dir>/cross-validate/<key>/cross_validation.json`` and ``.csv``.

    Args:
        cfg: the configuration; its data.test_ratio is held out of every fold, its data.train_ratio plays no part.
        folds: how many.
        final: also train on all folds, and score that network on the test split.
        tensorboard: overrides logging.tensorboard.
        output: where a copy goes, of the .csv if its name ends so, else of the .json.
        force: train and score again what is up to date.

    Raises:
        InputError: fewer recordings than folds, recordings that lists deal out, nothing labelled in one of the folds, or see the
            stages.
        KeyboardInterrupt: after the sample in hand; calling again goes on from there.
    """
    if cfg.data.train_recordings is not None:
        raise InputError("data.train_recordings: its list deals the recordings out, and so do folds; set it to null for folds")
    base = dataclasses.replace(cfg, data=dataclasses.replace(cfg.data, folds=0, fold=0))
    frames = prepare(base)
    work = parts(base, folds, final)
    prepared = [_prepared(part, frames) for part in work]
    scored = []
    for part, own in zip(work, prepared, strict=True):
        try:
            scored.append(_scored(part, own, tensorboard, force))
        except KeyboardInterrupt:
            log.warning("stopped in %s; the same command goes on from there", part.title)
            raise
    digests = [sha256_file(done.path / METRICS) for _, done in scored]
    inputs = {part.title: digest for part, digest in zip(work, digests, strict=True)} | {"frames": frames.key}

    def build(folder: Path) -> Mapping[str, Any]:
        result = _result(work, [(run, own, done) for (run, done), own in zip(scored, prepared, strict=True)], folds, cfg.seed)
        atomic_write(folder / RESULT, json.dumps(result, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / TABLE, folds_csv(result))
        return {"seed": cfg.seed, "device": cfg.device}

    ran = any(done.ran for _, done in scored)
    done = run_stage(Path(cfg.output_dir) / STAGE, _ingredients(cfg, folds, final, inputs), build, force)
    done = dataclasses.replace(done, ran=done.ran or ran)
    return copied(done, TABLE if output is not None and output.suffix == ".csv" else RESULT, output)


def plan(cfg: Config, folds: int, final: bool) -> Ingredients | None:
    """What `cross_validate` would put together; None where a part is not trained and scored."""
    base = dataclasses.replace(cfg, data=dataclasses.replace(cfg.data, folds=0, fold=0))
    inputs = {}
    for part in parts(base, folds, final):
        key = plan_frames(part.cfg).ingredients.key
        run = run_folder(part.cfg, key)
        if not all(trained(part.cfg, run, layer, key) for layer in cfg.learned_layers()):
            return None
        scored = plan_evaluation(part.cfg, network_in(part.cfg, run), key, Selection(part.scored))
        metrics = run / scored.stage / scored.key / METRICS
        if not finished(metrics.parent):
            return None
        inputs[part.title] = sha256_file(metrics)
    return _ingredients(cfg, folds, final, {**inputs, "frames": plan_frames(base).ingredients.key})


def _ingredients(cfg: Config, folds: int, final: bool, inputs: Mapping[str, str]) -> Ingredients:
    return Ingredients(STAGE, VERSION, {"training": training_config(cfg), "folds": folds, "final": final}, inputs)


def _prepared(part: Part, frames: StageResult) -> StageResult:
    """The part's frames; before anything is trained, it is known that what it is scored on is labelled."""
    from spikeseg.data.store.frames import Frames

    own = prepare_split(part.cfg, frames)
    try:
        labelled(Frames.open(own.path / STORE), part.scored)
    except InputError as error:
        raise InputError(f"{part.title}: {error}") from error
    return own


def _scored(part: Part, frames: StageResult, tensorboard: bool | None, force: bool) -> tuple[Path, StageResult]:
    """Train and score one part. -> its run, and its metrics."""
    cfg = part.cfg
    run = run_folder(cfg, frames.key)
    resume = run if not force and (checkpoint_folder(cfg, run) / LATEST).is_file() else None
    log.info("%s, in %s", part.title, run)
    network = train(cfg, force=force, resume=resume, tensorboard=tensorboard)
    if cfg.evaluation.readout == "calibrated":
        sweep(cfg, network_in(cfg, run), force=force)
    done = evaluate(cfg, network_in(cfg, run), Selection(part.scored), force=force)
    return run, dataclasses.replace(done, ran=done.ran or network.ran)


def _result(work: list[Part], scored: list[tuple[Path, StageResult, StageResult]], folds: int, seed: int) -> dict[str, Any]:
    """The content of cross_validation.json. scored: of each part its run, its frames and its metrics."""
    folder = Path(work[0].cfg.output_dir).parents[1]  # the user's; paths are relative to it
    metrics = [json.loads((done.path / METRICS).read_text(encoding="utf-8")) for _, _, done in scored]
    runs = []
    for part, (run, frames, done), own in zip(work, scored, metrics, strict=True):
        splits = (read_manifest(frames.path / MANIFEST) or {})["splits"]
        runs.append(
            {
                "title": part.title,
                "run": str(run.relative_to(folder)),
                "metrics": str((done.path / METRICS).relative_to(folder)),
                "metrics_sha256": sha256_file(done.path / METRICS),
                "checkpoint": own["checkpoint"],
                "trained_on": [name for name, split in splits.items() if split == "train"],
                "held_out": [name for name, split in splits.items() if split == part.scored],
                "scored": own["recordings"],
            }
        )
    last = {**runs[-1], "metrics": metrics[-1]} if len(work) > folds else None
    return {
        "version": RESULT_VERSION,
        "folds": folds,
        "seed": seed,
        "settings": metrics[0]["settings"],
        "detectors": metrics[0]["detectors"],
        "figures": over_folds(metrics[:folds]),
        "runs": runs[:folds],
        "final": last,
        "notes": [f"{part.title}: {note}" for part, own in zip(work, metrics, strict=True) for note in own["notes"]],
    }
