"""The answers of all detectors, counted, scored and laid out as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.metrics import event, objects, pixel, track, volume

from . import score
from .score import LabelledRecording

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.detection.response import Response

    from .detectors import Detector

ORDER = ("event", "event_exact", "event_stars", "pixel", "object", "object_1px", "volume", "track")
CONTROL = "shuffled_labels"
FIRST_TOLERANCE_PX = 1.0
"""The tolerance that Kirkland et al. 2023 report mode `object` at, always given beside the configured one."""


@dataclass(frozen=True)
class DetectorCounts:
    """What one detector's answer to one recording came to.

    Attributes:
        name: of the detector.
        rows: by mode.
        kept: the subject and the answer, where the control needs them.
    """

    name: str
    rows: dict[str, Any]
    kept: tuple[LabelledRecording, Response, Detector] | None


@dataclass
class Results:
    """Collects what every mode needs of each answer, and scores it at the end."""

    cfg: Config
    modes: Sequence[str]
    thresholds: Mapping[str, float]

    def __post_init__(self) -> None:
        self._rows: dict[str, dict[str, list[Any]]] = {}
        self._kept: list[tuple[LabelledRecording, Response, Detector]] = []

    def count(self, detector: Detector, s: LabelledRecording) -> DetectorCounts:
        """Let a detector answer, then hold the answer against the labels. Changes nothing, so that threads may do it."""
        response = detector.respond(s.view)
        rows: dict[str, Any] = {}
        if "event" in self.modes:
            rows["event"] = score.event_scores(s, response, self.cfg.evaluation)
            known = {
                "event_exact": score.exact_scores(s, response),
                "event_stars": score.star_scores(s, response, self.cfg.evaluation),
            }
            rows |= {mode: scores for mode, scores in known.items() if scores is not None}
        rows |= self._places(s, response, detector)
        return DetectorCounts(detector.name, rows, (s, response, detector) if detector.name == "network" else None)

    def add(self, counted: DetectorCounts) -> None:
        """Take in what was counted."""
        self._put(counted.name, counted.rows)
        if counted.kept is not None:
            self._kept.append(counted.kept)

    def _put(self, name: str, rows: Mapping[str, Any]) -> None:
        for mode, row in rows.items():
            self._rows.setdefault(mode, {}).setdefault(name, []).append(row)

    def _places(self, s: LabelledRecording, response: Response, detector: Detector) -> dict[str, Any]:
        """Rows of the modes that look at places rather than events."""
        settings, threshold, of_objects = self.cfg.evaluation, self.thresholds[detector.name], detector.object_threshold
        rows: dict[str, Any] = {}
        if "pixel" in self.modes and detector.is_network:
            rows["pixel"] = score.pixel_counts(s, response, threshold, of_objects, settings)
        if "object" in self.modes:
            for mode, tolerance in (("object", settings.spatial_tolerance_px), ("object_1px", FIRST_TOLERANCE_PX)):
                rows[mode] = score.object_counts(s, response, threshold, of_objects, tolerance, settings)
        if "volume" in self.modes:
            rows["volume"] = score.volume_counts(s, response, of_objects, settings)
        if "track" in self.modes and response.found is not None:
            rows["track"] = score.track_counts(s, response, of_objects, settings)
        return rows

    def scores(self) -> dict[str, dict[str, Any]]:
        """Mode -> detector -> values, intervals and rows per recording; the control included. `event_exact` and
        `event_stars` cover the recordings whose events' causes are known, because they are simulated."""
        self._control()
        settings = self.cfg.evaluation
        draws: dict[str, Any] = {"resamples": settings.bootstrap, "confidence": settings.confidence, "seed": self.cfg.seed}
        scorers = {
            "pixel": pixel.score,
            "object": objects.score,
            "object_1px": objects.score,
            "volume": volume.score,
            "track": track.score,
        }
        result: dict[str, dict[str, Any]] = {}
        for mode in (mode for mode in ORDER if mode in self._rows):
            result[mode] = {}
            for name, rows in self._rows[mode].items():
                if mode.startswith("event"):
                    threshold = self.thresholds["network" if name == CONTROL else name]
                    result[mode][name] = event.score(rows, threshold, **draws)
                else:
                    result[mode][name] = scorers[mode](rows, **draws)
        return result

    def _control(self) -> None:
        """The trained network's answers against labels that are not theirs, drawn by the seed: those of another recording, or, in
        mode `event`, the truth of all events permuted."""
        if len(self._kept) < 2:
            return
        if "event" in self.modes:
            for row in score.on_other_events(self._rows["event"]["network"], self.cfg.seed):
                self._put(CONTROL, {"event": row})
        order = np.random.default_rng(self.cfg.seed).permutation(len(self._kept))
        for i, j in zip(order, np.roll(order, 1), strict=True):
            (s, response, detector), (other, _, _) = self._kept[i], self._kept[j]
            shuffled = score.with_labels_of(s, other, self.cfg.evaluation)
            self._put(CONTROL, self._places(shuffled, response, detector))
