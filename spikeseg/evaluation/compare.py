"""Which detectors are compared, and how each is calibrated: by every stage and by the front door in the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from spikeseg.metrics.event import EventScores, calibrate, labelled_event_scores

from . import detectors as kinds
from .baselines import baselines
from .detectors import Detector

if TYPE_CHECKING:
    from spikeseg.config.sections import Config, EvaluationConfig
    from spikeseg.detection.moving import Motion
    from spikeseg.detection.readout import Readout
    from spikeseg.metrics.mode import LabelledRecording
    from spikeseg.models import SpikeSEG

Calibration = Callable[[Sequence[Detector]], dict[str, float]]
"""The threshold of each detector, by name, see `calibrated_thresholds`."""


def compared_detectors(
    model: SpikeSEG, cfg: Config, readout: Readout, calibration: Calibration
) -> tuple[list[Detector], dict[str, float]]:
    """A network and what it is compared with: baselines, filters, classical detectors, the same network untrained.

    Args:
        model: the trained network, on any device.
        cfg: its configuration.
        readout: how it is read.
        calibration: gives the thresholds of detectors that have none of their own.

    Returns:
        the detectors, in the order of the table, and the threshold of each for events.
    """
    from spikeseg.detection.moving import motion_of
    from spikeseg.learning import checkpoint

    device = model.encoder.conv1.weight.device
    untrained = checkpoint.untrained(model.to("cpu"), cfg).to(device)
    model.to(device)
    denoise, graded = kinds.filters(cfg.evaluation)
    read = readout.classes, cfg.tracking, readout.threshold
    saliency = kinds.network("saliency", "network, not tracked", model, *read)
    of_untrained = kinds.network("untrained", "untrained network", untrained, *read)
    untracked = [*baselines(cfg.seed), denoise, graded, *kinds.classical(), saliency]
    thresholds = calibration(untracked)

    points = dataclasses.replace(cfg.tracking, scenes=False)

    def tracks_of(
        name: str, title: str, detector: Detector, pixel: float, motion: Motion | None = None, *, as_points: bool = False
    ) -> Detector:
        settings = points if as_points else cfg.tracking
        return kinds.tracked(name, title, detector, (pixel, readout.object_threshold), settings, motion)

    motion = motion_of(cfg, model)
    tracked = [tracks_of("graded_tracks", "graded filter, tracked", graded, thresholds["graded"], as_points=True)]
    if motion is not None:
        tracked.append(tracks_of("no_motion", "network, no motion layer", saliency, readout.threshold))
    if cfg.tracking.scenes:
        tracked.append(tracks_of("points", "network, tracked as points", saliency, readout.threshold, as_points=True))
    tracked += [
        tracks_of("untrained", "untrained network", of_untrained, readout.threshold, motion_of(cfg, untrained)),
        network_detector(model, cfg, readout),
    ]
    thresholds |= calibration(tracked)
    return [*untracked[:-1], tracked[0], saliency, *tracked[1:]], thresholds


def network_detector(model: SpikeSEG, cfg: Config, readout: Readout) -> Detector:
    """The network as `detect` runs it: its saliency tracked, with its motion layer where it has one."""
    from spikeseg.detection.moving import motion_of

    saliency = kinds.network("network", "trained network", model, readout.classes, cfg.tracking, readout.threshold)
    thresholds = readout.threshold, readout.object_threshold
    return kinds.tracked("network", "trained network", saliency, thresholds, cfg.tracking, motion_of(cfg, model))


def scored_events(detector: Detector, labelled: LabelledRecording, settings: EvaluationConfig) -> tuple[str, EventScores]:
    """The detector's name, and its score and the truth of every event: what calibration looks at."""
    return detector.name, labelled_event_scores(labelled, detector.respond(labelled.recording), settings)


def calibrated_thresholds(detectors: Sequence[Detector], scores: Iterable[tuple[str, EventScores]]) -> dict[str, float]:
    """The threshold of each detector: its own, or the one of highest informedness on these scores of labelled recordings."""
    by_name: dict[str, list[EventScores]] = {d.name: [] for d in detectors if d.threshold is None}
    for name, events in scores:
        by_name[name].append(events)
    return {d.name: calibrate(by_name[d.name]) if d.threshold is None else d.threshold for d in detectors}


def titles(detectors: Sequence[Detector], control: str) -> Mapping[str, str]:
    """What tables call each detector, the control last."""
    return {**{d.name: d.title for d in detectors}, control: "shuffled-label control"}
