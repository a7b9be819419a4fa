"""Stage `evaluate`: a network beside its baselines, scored on recordings it has not learned from.

Thresholds are calibrated on the training split, for filters and networks alike; labels are read after a
detector has answered. Beside them stands a control: the trained network's answers against another recording's labels.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.evaluation.tables import csv_of

from ..runtime.stage import MANIFEST, StageResult, atomic_write, read_manifest, run_stage, sha256_file, stage_key
from .answers import ALL, answers, labelled, learned_from, learned_key
from .detect import Readout, readout_of
from .prepare import STORE, find_frames
from .runs import Network

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.evaluation.detectors import Detector
    from spikeseg.evaluation.score import LabelledRecording
    from spikeseg.metrics import event

log = logging.getLogger(__name__)

STAGE, VERSION = "evaluate", 4
METRICS, TABLE = "metrics.json", "metrics.csv"
METRICS_VERSION = 2
MODES = ("event", "pixel", "object", "volume", "track")


@dataclass(frozen=True)
class Plan:
    """What the stage reads: configuration values and inputs, which together give its key."""

    config: dict[str, Any]
    inputs: dict[str, str]

    @property
    def key(self) -> str:
        """The key of the metrics."""
        return stage_key(STAGE, VERSION, self.config, self.inputs)


def plan(
    cfg: Config,
    network: Network,
    frames_key: str,
    split: str = "test",
    modes: Sequence[str] = MODES,
    sensor: str = ALL,
    threshold: float | None = None,
) -> Plan:
    """What `evaluate` would do."""
    config = {
        "evaluation": dataclasses.asdict(cfg.evaluation),
        "tracking": dataclasses.asdict(cfg.tracking),
        "model": dataclasses.asdict(cfg.model),
        "stdp": dataclasses.asdict(cfg.stdp),
        "homeostasis": dataclasses.asdict(cfg.homeostasis),
        "split": split,
        "sensor": sensor,
        "threshold": threshold if cfg.evaluation.readout == "calibrated" else None,  # else it is that of tracking
        "modes": [mode for mode in MODES if mode in modes],
        "seed": cfg.seed,
    }
    learned = learned_key(cfg, network) or frames_key
    return Plan(config, {"frames": frames_key, "checkpoint": sha256_file(network.checkpoint), "calibration": learned})


def evaluate(
    cfg: Config,
    network: Network,
    *,
    split: str = "test",
    modes: Sequence[str] = MODES,
    sensor: str = ALL,
    threshold: float | None = None,
    output: Path | None = None,
    force: bool = False,
) -> StageResult:
    """Score a network and its baselines; ``evaluate/<key>/metrics.json`` and ``metrics.csv`` in the run's folder.

    Args:
        cfg: the configuration.
        network: the checkpoint.
        split, sensor: the recordings to score.
        modes: what to score.
        threshold: from which score a track is an object, whatever the configuration or a calibration says.
        output: where a copy goes, of metrics.csv if its name ends so, else of metrics.json.
        force: run again what is up to date.

    Raises InputError when frames are missing, nothing in the split is labelled, the checkpoint does not fit, or a folder
    cannot be written."""
    frames = find_frames(cfg)
    planned = plan(cfg, network, frames.key, split, modes, sensor, threshold)

    def build(folder: Path) -> Mapping[str, Any]:
        metrics = measure(cfg, network, frames, split, planned.config["modes"], sensor, threshold)
        atomic_write(folder / METRICS, json.dumps(metrics, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / TABLE, csv_of(metrics))
        return {"seed": cfg.seed, "device": cfg.device}

    done = run_stage(network.folder / "evaluate", STAGE, VERSION, planned.config, planned.inputs, build, force)
    if output is not None:
        atomic_write(output, (done.path / (TABLE if output.suffix == ".csv" else METRICS)).read_bytes())
    return done


def measure(
    cfg: Config,
    network: Network,
    frames: StageResult,
    split: str,
    modes: Sequence[str],
    sensor: str = ALL,
    threshold: float | None = None,
) -> dict[str, Any]:
    """The content of metrics.json."""
    from spikeseg.data.store.frames import Frames
    from spikeseg.evaluation.results import CONTROL, Results

    store = Frames.open(frames.path / STORE)
    tested = labelled(store, split, cfg, sensor=sensor)
    reading = readout_of(cfg, network)
    if threshold is not None:
        reading = dataclasses.replace(reading, object_threshold=threshold)
    own = learned_from(cfg, network) or store
    trained_on = labelled(own, "train", cfg, needed=False)
    notes = warnings_about(cfg, network, frames, [store.recordings[r].name for r in tested])
    if not trained_on:
        notes.append("no recording of the training split is labelled: nothing was calibrated, any response counts as seen")
    detectors, marks = compared(cfg, network, own, trained_on, reading)
    results = Results(cfg, modes, marks)
    for counted in answers(cfg, detectors, store, tested, "scoring", results.count):
        results.add(counted)
    for note in notes:
        log.warning("%s", note)
    return {
        "version": METRICS_VERSION,
        "split": split,
        "recordings": [store.recordings[r].name for r in tested],
        "checkpoint": {"file": network.checkpoint.name, "sha256": sha256_file(network.checkpoint)},
        "frames": frames.key,
        "settings": {
            **dataclasses.asdict(cfg.evaluation),
            "tracking": dataclasses.asdict(cfg.tracking),
            "reading": dataclasses.asdict(reading),
            "sensor": sensor,
            "seed": cfg.seed,
        },
        "thresholds": marks,
        "detectors": {**{d.name: d.title for d in detectors}, CONTROL: "shuffled-label control"},
        "modes": results.scores(),
        "notes": notes,
    }


def compared(
    cfg: Config, network: Network, store: Frames, train: Sequence[int], reading: Readout | None = None
) -> tuple[list[Detector], dict[str, float]]:
    """The detectors, in the order of the table, and the threshold of each for events. reading: else as the configuration says."""
    from spikeseg.evaluation import detectors
    from spikeseg.learning import checkpoint

    from ..runtime.device import network_device

    device = network_device(cfg.device, cfg.backend)
    model = detectors.load_network(cfg, str(network.checkpoint), device)
    untrained = checkpoint.untrained(model.to("cpu"), cfg).to(device)
    model.to(device)
    reading = reading or readout_of(cfg, network)
    raw, denoise, graded = detectors.filters(cfg.evaluation)
    saliency = detectors.network("saliency", "network, not tracked", model, reading.classes, cfg.tracking, reading.threshold)
    without = detectors.network("untrained", "untrained network", untrained, reading.classes, cfg.tracking, reading.threshold)
    marks = calibrated(cfg, [raw, denoise, graded, *detectors.classical(), saliency], store, train)

    def tracks_of(name: str, title: str, one: Detector, lit: float) -> Detector:
        return detectors.tracked(name, title, one, lit, reading.object_threshold, cfg.tracking)

    on_top = [
        tracks_of("graded_tracks", "graded filter, tracked", graded, marks["graded"]),
        tracks_of("untrained", "untrained network", without, reading.threshold),
        tracks_of("network", "trained network", saliency, reading.threshold),
    ]
    marks |= calibrated(cfg, on_top, store, train)
    return [raw, denoise, graded, *detectors.classical(), on_top[0], saliency, *on_top[1:]], marks


def calibrated(cfg: Config, detectors: Sequence[Detector], store: Frames, train: Sequence[int]) -> dict[str, float]:
    """The threshold of each detector: its own, or the one of highest informedness on the training split."""
    from spikeseg.metrics import event

    open_ = [d for d in detectors if d.threshold is None]
    scores: dict[str, list[event.EventScores]] = {d.name: [] for d in open_}
    for name, found in answers(cfg, open_, store, train, "calibrating", functools.partial(_event_scores, cfg)):
        scores[name].append(found)
    return {d.name: event.calibrate(scores[d.name]) if d.threshold is None else d.threshold for d in detectors}


def _event_scores(cfg: Config, detector: Detector, s: LabelledRecording) -> tuple[str, event.EventScores]:
    from spikeseg.evaluation.score import event_scores

    return detector.name, event_scores(s, detector.respond(s.view), cfg.evaluation)


# -- honesty -----------------------------------------------------------------------------------------


def warnings_about(cfg: Config, network: Network, frames: StageResult, names: Sequence[str]) -> list[str]:
    """What a reader must know before believing the numbers: recordings that the network has learned from."""
    if network.frames_key is None:
        return ["it is not known which recordings the network was trained on; these may have been among them"]
    now = read_manifest(frames.path / MANIFEST) or {}
    then = read_manifest(Path(cfg.cache_dir) / "frames" / network.frames_key / MANIFEST)
    if then is None:
        return ["the frames that the network was trained on are gone; these recordings may have been among them"]
    learned = {_identity(then, name) for name, part in then["splits"].items() if part == "train"}
    seen = [name for name in names if _identity(now, name) in learned]
    if not seen:
        return []
    return [f"the network was trained on {len(seen)} of these {len(names)} recordings ({', '.join(seen[:3])}, ...)"]


def _identity(manifest: Mapping[str, Any], name: str) -> tuple[str | None, ...]:
    """A recording by its content: the fingerprint of its file, or its place in a simulation."""
    inputs = manifest["inputs"]
    return (inputs[name],) if name in inputs else (inputs.get("simulated"), name)
