"""Stage `protocol`: a network beside filters, scored as others have published it (`spikeseg.evaluation.protocols`)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.config import section_dict
from spikeseg.core.files import atomic_write

from ..runtime.manifest import Ingredients
from ..runtime.stage import StageResult, copied, run_stage
from .answers import ALL, labelled, of_each, training_frames
from .evaluate import Selection, compared, warnings_about
from .evaluate import plan as evaluate_plan
from .prepare import STORE, find_frames
from .runs import SavedNetwork

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.evaluation.protocols import Contender, Protocol
    from spikeseg.metrics.mode import LabelledRecording

log = logging.getLogger(__name__)

STAGE, VERSION = "protocol", 1
RESULT = "protocol.json"


def score(
    cfg: Config,
    network: SavedNetwork,
    name: str,
    *,
    split: str = ALL,
    sensor: str = ALL,
    output: Path | None = None,
    force: bool = False,
) -> StageResult:
    """Score by a protocol; ``protocol/<key>/protocol.json`` in the run's folder.

    Args:
        cfg: the configuration.
        network: the checkpoint.
        name: of the protocol.
        split: of the recordings, "all" for every one.
        sensor: of the recordings, "all" for every one.
        output: where a copy goes.
        force: run again what is up to date.

    Raises InputError where `evaluate` does, and where there are fewer labelled recordings than groups."""
    frames = find_frames(cfg)
    asked = evaluate_plan(cfg, network, frames.key, Selection(split, (), sensor))
    planned = Ingredients(STAGE, VERSION, {**asked.config, "protocol": name}, asked.inputs)

    def build(folder: Path) -> Mapping[str, Any]:
        result = _measured(cfg, network, frames, name, (split, sensor))
        atomic_write(folder / RESULT, json.dumps(result, indent=1, allow_nan=False) + "\n")
        return {"seed": cfg.seed, "device": cfg.device}

    done = run_stage(network.folder / STAGE, planned, build, force)
    return copied(done, RESULT, output)


def _measured(cfg: Config, network: SavedNetwork, frames: StageResult, name: str, chosen: tuple[str, str]) -> dict[str, Any]:
    """The content of protocol.json; chosen: split and sensor."""
    from spikeseg.data.store.frames import Frames
    from spikeseg.evaluation.protocols import (
        PROTOCOLS,
        SAME_HERE,
        Contender,
        box_truth,
        described,
        grouped,
        noise_contenders,
        scored,
    )

    protocol, store = PROTOCOLS[name], Frames.open(frames.path / STORE)
    tested = labelled(store, chosen[0], sensor=chosen[1])
    names = [store.recordings[r].name for r in tested]
    groups = grouped(names, protocol.folds, cfg.seed)
    truths = [_first(box_truth(store.events(r), _labels(store, r), protocol), protocol) for r in tested]
    notes = warnings_about(cfg, network, frames, names)
    if len(tested) != protocol.recordings:
        notes.append(f"{len(tested)} labelled recordings; the published comparison has {protocol.recordings}")
    for note in notes:
        log.warning("%s", note)
    own = training_frames(cfg, network)
    trained_on = labelled(own, "train", needed=False) if own is not None else []
    detectors, _ = compared(cfg, network, own or store, trained_on)
    contenders = [*noise_contenders(), *(Contender.of(detector) for detector in detectors if detector.name not in SAME_HERE)]
    rows = []
    for contender in contenders:
        answered = _answered(cfg, store, tested, contender, protocol)
        rows.append(scored(contender, answered, truths, [groups[own_name] for own_name in names], protocol.folds))
    return {
        "version": VERSION,
        **described(name),
        "recordings": [{"name": own_name, "group": groups[own_name], "events": len(truth), "object_events": int(truth.sum())}
                       for own_name, truth in zip(names, truths, strict=True)],
        "events": sum(map(len, truths)),
        "object_events": int(sum(truth.sum() for truth in truths)),
        "settings": {"tracking": section_dict(cfg.tracking), "split": chosen[0], "sensor": chosen[1], "seed": cfg.seed},
        "rows": rows,
        "notes": notes,
    }  # fmt: skip


def _answered(
    cfg: Config, store: Frames, recordings: Sequence[int], contender: Contender, protocol: Protocol
) -> list[tuple[np.ndarray, ...]]:
    """The scores of the events that count, by setting and recording; of several settings as float32, to hold them together."""
    kind = np.float64 if len(contender.detectors) == 1 else np.float32

    def ask(shown: LabelledRecording) -> list[np.ndarray]:
        found = (np.asarray(detector.respond(shown.recording).scores) for detector in contender.detectors)
        return [_first(scores, protocol).astype(kind) for scores in found]

    return list(zip(*of_each(cfg, store, recordings, contender.title, ask), strict=True))


def _first(values: np.ndarray, protocol: Protocol) -> np.ndarray:
    return values[: protocol.most_events]


def _labels(store: Frames, r: int) -> np.ndarray:
    labels = store.labels(r)
    assert labels is not None
    return labels
