"""Stage `evaluate`: a network beside its baselines, scored on recordings it has not learned from.

Thresholds are calibrated on the training split of the frames that the network was trained on, for filters and networks alike,
whose place recordings that are scored never take; labels are read after a detector has answered. Beside them stands a control:
the trained network's answers against another recording's labels.
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

from spikeseg.config import section_dict
from spikeseg.core.files import atomic_write
from spikeseg.core.names import MANIFEST
from spikeseg.evaluation.tables import metrics_csv
from spikeseg.registries import MODES

from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients, read_manifest
from ..runtime.stage import StageResult, copied, run_stage
from .answers import ALL, answers, labelled, training_frames
from .prepare import STORE, find_frames
from .runs import METRICS, SavedNetwork

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.detection.readout import Readout
    from spikeseg.evaluation.detectors import Detector

log = logging.getLogger(__name__)

STAGE, VERSION = "evaluate", 5
TABLE, CURVES = "metrics.csv", "curves.json"
METRICS_VERSION = 2


@dataclass(frozen=True)
class Selection:
    """What is scored.

    Attributes:
        split, sensor: the recordings, "all" for every one.
        modes: names of registered modes, None for every one.
        threshold: from which score a track is an object, whatever the configuration or a calibration says; None: as they say.
    """

    split: str = "test"
    modes: Sequence[str] | None = None
    sensor: str = ALL
    threshold: float | None = None

    @property
    def ordered_modes(self) -> list[str]:
        """The modes, in the order of the registry."""
        return [mode for mode in MODES if self.modes is None or mode in self.modes]


EVERYTHING = Selection()
"""Every mode, on the test split."""


def plan(cfg: Config, network: SavedNetwork, frames_key: str, selection: Selection = EVERYTHING) -> Ingredients:
    """What `evaluate` would do."""
    config = {
        "evaluation": dataclasses.asdict(cfg.evaluation),
        "tracking": dataclasses.asdict(cfg.tracking),
        "model": dataclasses.asdict(cfg.model),
        "stdp": section_dict(cfg.stdp),
        "homeostasis": dataclasses.asdict(cfg.homeostasis),
        "split": selection.split,
        "sensor": selection.sensor,
        "threshold": selection.threshold if cfg.evaluation.readout == "calibrated" else None,  # else it is that of tracking
        "modes": selection.ordered_modes,
        "seed": cfg.seed,
    }
    learned = network.frames_key or frames_key
    inputs = {"frames": frames_key, "checkpoint": sha256_file(network.checkpoint), "calibration": learned}
    return Ingredients(STAGE, VERSION, config, inputs)


def evaluate(
    cfg: Config,
    network: SavedNetwork,
    selection: Selection = EVERYTHING,
    *,
    output: Path | None = None,
    force: bool = False,
) -> StageResult:
    """Score a network and its baselines; ``evaluate/<key>/metrics.json``, ``metrics.csv`` and ``curves.json`` in the
    run's folder.

    Args:
        cfg: the configuration.
        network: the checkpoint.
        selection: what to score.
        output: where a copy goes, of metrics.csv if its name ends so, else of metrics.json.
        force: run again what is up to date.

    Raises InputError when frames are missing, those that the network was trained on included, nothing in the split is labelled,
    the checkpoint does not fit, or a folder cannot be written."""
    frames = find_frames(cfg)
    planned = plan(cfg, network, frames.key, selection)

    def build(folder: Path) -> Mapping[str, Any]:
        metrics, curves = _measured(cfg, network, frames, selection)
        atomic_write(folder / METRICS, json.dumps(metrics, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / CURVES, json.dumps(curves, allow_nan=False) + "\n")
        atomic_write(folder / TABLE, metrics_csv(metrics))
        return {"seed": cfg.seed, "device": cfg.device}

    done = run_stage(network.folder / "evaluate", planned, build, force)
    return copied(done, TABLE if output is not None and output.suffix == ".csv" else METRICS, output)


def measure(cfg: Config, network: SavedNetwork, frames: StageResult, selection: Selection = EVERYTHING) -> dict[str, Any]:
    """The content of metrics.json."""
    return _measured(cfg, network, frames, selection)[0]


def _measured(
    cfg: Config, network: SavedNetwork, frames: StageResult, selection: Selection
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of metrics.json and curves.json."""
    from spikeseg.data.store.frames import Frames
    from spikeseg.detection.readout import readout_of
    from spikeseg.evaluation.compare import titles
    from spikeseg.evaluation.results import CONTROL, Results
    from spikeseg.evaluation.tables import chance_of

    store = Frames.open(frames.path / STORE)
    tested = labelled(store, selection.split, sensor=selection.sensor)
    readout = readout_of(cfg, network.checkpoint)
    if selection.threshold is not None:
        readout = dataclasses.replace(readout, object_threshold=selection.threshold)
    own = training_frames(cfg, network)
    notes = warnings_about(cfg, network, frames, [store.recordings[r].name for r in tested])
    if own is not None:
        trained_on = labelled(own, "train", needed=False)
    else:  # on recordings that are scored nothing is calibrated
        own = store
        trained_on = [r for r in labelled(store, "train", needed=False) if r not in tested]
    if not trained_on:
        notes.append("there is no labelled training recording: nothing was calibrated, any response counts as seen")
    detectors, thresholds = compared(cfg, network, own, trained_on, readout)
    results = Results(cfg, selection.ordered_modes, thresholds)
    for counted in answers(cfg, detectors, store, tested, "scoring", results.count):
        results.add(counted)
    for note in notes:
        log.warning("%s", note)
    chance = {mode.name: chance_of(mode, dataclasses.asdict(cfg.evaluation)) for mode in results.modes}
    metrics = {
        "version": METRICS_VERSION,
        "split": selection.split,
        "recordings": [store.recordings[r].name for r in tested],
        "checkpoint": {"file": network.checkpoint.name, "sha256": sha256_file(network.checkpoint)},
        "frames": frames.key,
        "settings": {
            **dataclasses.asdict(cfg.evaluation),
            "tracking": dataclasses.asdict(cfg.tracking),
            "reading": dataclasses.asdict(readout),
            "sensor": selection.sensor,
            "seed": cfg.seed,
        },
        "thresholds": thresholds,
        "detectors": titles(detectors, CONTROL),
        "modes": results.scores(),
        "chance": chance,
        "notes": notes,
    }
    return metrics, results.curves()


def compared(
    cfg: Config, network: SavedNetwork, store: Frames, train: Sequence[int], readout: Readout | None = None
) -> tuple[list[Detector], dict[str, float]]:
    """The detectors, in the order of the table, and the threshold of each for events. readout: else as the configuration says."""
    from spikeseg.detection.network import load_network
    from spikeseg.detection.readout import readout_of
    from spikeseg.evaluation import compare
    from spikeseg.ops.device import network_device

    model = load_network(cfg, str(network.checkpoint), network_device(cfg.device, cfg.backend))
    calibration = functools.partial(calibrated, cfg, store, train)
    return compare.compared_detectors(model, cfg, readout or readout_of(cfg, network.checkpoint), calibration)


def calibrated(cfg: Config, store: Frames, train: Sequence[int], detectors: Sequence[Detector]) -> dict[str, float]:
    """The threshold of each detector: its own, or the one of highest informedness on the training split."""
    from spikeseg.evaluation.compare import calibrated_thresholds, scored_events

    without = [detector for detector in detectors if detector.threshold is None]
    ask = functools.partial(scored_events, settings=cfg.evaluation)
    return calibrated_thresholds(detectors, answers(cfg, without, store, train, "calibrating", ask))


# -- warnings ----------------------------------------------------------------------------------------


def warnings_about(cfg: Config, network: SavedNetwork, frames: StageResult, names: Sequence[str]) -> list[str]:
    """Warnings about the figures: recordings that the network has learned from."""
    if network.frames_key is None:
        return ["it is not known which recordings the network was trained on; these may have been among them"]
    scored_on = read_manifest(frames.path / MANIFEST) or {}
    trained_on = read_manifest(Path(cfg.cache_dir) / "frames" / network.frames_key / MANIFEST) or {"splits": {}}
    learned = {identity(trained_on, name) for name, part in trained_on["splits"].items() if part == "train"}
    shared = [name for name in names if identity(scored_on, name) in learned]
    if not shared:
        return []
    return [f"the network was trained on {len(shared)} of these {len(names)} recordings ({', '.join(shared[:3])}, ...)"]


def identity(manifest: Mapping[str, Any], name: str) -> tuple[str | None, ...]:
    """A recording by its content: the fingerprint of its file, or its number in a simulation; manifest: of its frames."""
    inputs = manifest["inputs"]
    return (inputs[name],) if name in inputs else (inputs.get("simulated"), name)
