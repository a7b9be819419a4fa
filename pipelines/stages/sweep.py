"""Stage `sweep`: from which score is a track an object? A table over thresholds, and a calibrated readout for the network.

Only the training or the validation split is ever looked at. Every recording is encoded and tracked once; thresholds are applied
to the finished tracks. Where the network has several classes, those come first that, alone, tell objects' events from others on
the training split.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError
from spikeseg.evaluation.thresholds import COLUMNS, chosen_point, rows_at, sweep_csv, thresholds_of
from spikeseg.learning.run_files import CALIBRATED
from spikeseg.networks import NAMES, file_of

from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients
from ..runtime.stage import StageResult, copied, one_writer, run_stage
from .answers import labelled, of_each, training_frames
from .prepare import STORE, find_frames

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.evaluation.thresholds import TrackedRecording
    from spikeseg.metrics.event import EventScores
    from spikeseg.metrics.mode import LabelledRecording
    from spikeseg.models import SpikeSEG

    from .runs import SavedNetwork

log = logging.getLogger(__name__)

STAGE, VERSION = "sweep", 1
SWEEP, TABLE = "sweep.json", "sweep.csv"
SWEEP_VERSION = 1
SPLITS = ("train", "val")
__all__ = ["COLUMNS", "SWEEP", "TABLE", "sweep"]


def sweep(
    cfg: Config, network: SavedNetwork, *, split: str = "train", output: Path | None = None, force: bool = False
) -> StageResult:
    """Try thresholds on a split; ``sweep/<key>/sweep.json`` and ``sweep.csv`` in the run's folder.

    On the training split the chosen one, and the chosen classes, also go into ``checkpoint_calibrated.pt`` beside the network's
    checkpoint: the same network, which `evaluation.readout: calibrated` then reads in this way.

    Args:
        cfg: the configuration; its tracking.object_threshold is one of those tried.
        network: the checkpoint; a calibrated one stands for the one that it was made from.
        split: "train" or "val", of the frames that the network was trained on; where it is not known which they were, of the
            configuration's.
        output: where a copy goes, of sweep.csv if its name ends so, else of sweep.json.
        force: run again what is up to date.

    Raises InputError when frames are missing, nothing in the split is labelled or no object is in it, the checkpoint does not
    fit, or a folder cannot be written."""
    if split not in SPLITS:
        raise InputError(f"--split {split}: must be train or val; what the test split shows may choose nothing")
    network = uncalibrated(network)
    planned = plan(cfg, network, split)

    def build(folder: Path) -> Mapping[str, Any]:
        result = {**measure(cfg, network, planned.inputs["frames"], split), "settings": planned.config}
        atomic_write(folder / SWEEP, json.dumps(result, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / TABLE, sweep_csv(result))
        return {"seed": cfg.seed, "device": cfg.device}

    done = run_stage(network.folder / STAGE, planned, build, force)
    if split == "train":
        with one_writer(network.beside):
            ran = write_calibrated(network, json.loads((done.path / SWEEP).read_text(encoding="utf-8")))
        done = dataclasses.replace(done, ran=done.ran or ran)
    return copied(done, TABLE if output is not None and output.suffix == ".csv" else SWEEP, output)


UNREAD = (
    "readout", "bootstrap", "confidence", "pixel_tolerance_px", "denoise_filter_time_us", "graded_radius_px", "graded_tau_ms",
)  # fmt: skip
"""Keys of the section evaluation that change nothing here."""


def plan(cfg: Config, network: SavedNetwork, split: str = "train") -> Ingredients:
    """What `sweep` would do with a network that is not calibrated."""
    evaluation = {name: value for name, value in dataclasses.asdict(cfg.evaluation).items() if name not in UNREAD}
    config = {
        "evaluation": evaluation,
        "tracking": dataclasses.asdict(cfg.tracking),
        "model": dataclasses.asdict(cfg.model),
        "split": split,
    }
    key = network.frames_key or find_frames(cfg).key
    return Ingredients(STAGE, VERSION, config, {"frames": key, "checkpoint": sha256_file(network.checkpoint)})


def measure(cfg: Config, network: SavedNetwork, frames_key: str, split: str) -> dict[str, Any]:
    """The content of sweep.json, without its settings."""
    from spikeseg.data.store.frames import Frames
    from spikeseg.detection.network import load_network
    from spikeseg.evaluation import detectors
    from spikeseg.ops.device import network_device

    from ..runtime.console import progress

    store = training_frames(cfg, network) or Frames.open(find_frames(cfg).path / STORE)
    swept = labelled(store, split)
    model = load_network(cfg, str(network.checkpoint), network_device(cfg.device, cfg.backend))
    classes, areas = chosen_classes(cfg, model, store)
    detector = detectors.network("saliency", "network", model, classes)

    def tracks(labelled: LabelledRecording) -> TrackedRecording:
        from spikeseg.core.sparse import ANY_RESPONSE
        from spikeseg.detection.tracked import answer
        from spikeseg.evaluation.thresholds import TrackedRecording
        from spikeseg.metrics.event import labelled_event_scores

        response = answer(labelled.recording, detector.respond(labelled.recording).maps, ANY_RESPONSE, cfg.tracking)
        assert response.tracked is not None
        return TrackedRecording(labelled, response.tracked.tracks, labelled_event_scores(labelled, response, cfg.evaluation))

    recordings = list(of_each(cfg, store, swept, "tracking", tracks))
    thresholds = thresholds_of(recordings, cfg.tracking.object_threshold)
    rows = rows_at(cfg.evaluation, recordings, progress(thresholds, "trying thresholds", "threshold"))
    if not any(row["tp"] + row["fn"] for row in rows):
        raise InputError(
            f"no labelled object is in any window of the {len(swept)} labelled recordings of the {split} split, so there is "
            "nothing to choose a threshold by; prepare recordings with labelled objects, or set evaluation.readout to all"
        )
    point = chosen_point(cfg.evaluation, recordings, rows, cfg.tracking.object_threshold)
    for note in point.notes:
        log.warning("%s", note)
    return {
        "version": SWEEP_VERSION,
        "split": split,
        "recordings": [store.recordings[r].name for r in swept],
        "checkpoint": {"file": network.checkpoint.name, "sha256": sha256_file(network.checkpoint)},
        "frames": frames_key,
        "classes": {"chosen": classes, "roc_auc": areas},
        "thresholds": point.rows,
        "chosen": {**point.row, "plateau": point.plateau},
        "notes": point.notes,
    }


def chosen_classes(cfg: Config, model: SpikeSEG, store: Frames) -> tuple[list[int] | None, list[float | None] | None]:
    """The classes that, alone, tell objects' events from others on the training split, by a ROC-AUC above 1/2; None, for all of
    them, where no class or every one does, or there is but one. And the ROC-AUC of each."""
    if cfg.model.n_classes == 1:
        return None, None
    train = labelled(store, "train", needed=False)
    each = list(of_each(cfg, store, train, "choosing classes", lambda labelled: class_scores(cfg, model, labelled)))
    areas = [_area([scores[c] for scores in each]) for c in range(cfg.model.n_classes)]
    kept = [c for c, area in enumerate(areas) if area is not None and area > 0.5]
    return kept if 0 < len(kept) < cfg.model.n_classes else None, areas


def class_scores(cfg: Config, model: SpikeSEG, labelled: LabelledRecording) -> list[EventScores]:
    """Of every class alone, its events' scores, untracked; a window is encoded once."""
    from spikeseg.detection.network import decoded
    from spikeseg.detection.response import from_maps
    from spikeseg.metrics.event import labelled_event_scores

    single, recording = [[c] for c in range(cfg.model.n_classes)], labelled.recording
    by_window = (by_class for _, _, by_class in decoded(model, recording.windows(), single))
    maps = list(zip(*by_window, strict=True)) or [() for _ in single]
    return [labelled_event_scores(labelled, from_maps(recording, of_class), cfg.evaluation) for of_class in maps]


def _area(recordings: Sequence[EventScores]) -> float | None:
    from spikeseg.metrics import event

    if not recordings:
        return None
    return event.roc_auc(np.concatenate([r.scores for r in recordings]), np.concatenate([r.truth for r in recordings]))


# -- the calibrated checkpoint -----------------------------------------------------------------------


def uncalibrated(network: SavedNetwork) -> SavedNetwork:
    """The network itself, or, of a calibrated one, the checkpoint beside it that it was made from.

    Raises InputError when that is gone, or the file is no checkpoint."""
    from spikeseg.learning import checkpoint

    if network.checkpoint.name != CALIBRATED:
        return network
    source = checkpoint.load(network.checkpoint)[1].get("calibrated_from")
    for path in [*sorted(network.checkpoint.parent.glob("*.pt")), *map(file_of, NAMES)]:
        if sha256_file(path) == source:
            return dataclasses.replace(network, checkpoint=path)
    raise InputError(
        f"{network.checkpoint}: is calibrated already, and the checkpoint it was made from is not beside it; name one that "
        "training wrote with --network"
    )


def write_calibrated(network: SavedNetwork, swept: Mapping[str, Any]) -> bool:
    """Write the network with the readout of sweep.json beside its checkpoint, unless it is there. -> whether it was not."""
    from spikeseg.learning import checkpoint

    path = network.beside / CALIBRATED
    readout = {"object_threshold": swept["chosen"]["object_threshold"], "classes": swept["classes"]["chosen"]}
    source, written = sha256_file(network.checkpoint), io.BytesIO()
    model, meta = checkpoint.load(network.checkpoint)
    rest = {name: value for name, value in meta.items() if name not in ("config", "progress")}
    rest |= {"readout": readout, "calibrated_from": source}
    checkpoint.save(written, model, meta["config"], **rest)
    if path.is_file() and path.read_bytes() == written.getvalue():
        return False
    atomic_write(path, written.getvalue())
    return True
