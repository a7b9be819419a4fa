"""The answers of all detectors, counted, scored and laid out as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.metrics import event, objects, pixel, volume

from . import score
from .score import Subject

if TYPE_CHECKING:
    from spikeseg.sections import Config

    from .detectors import Detector
    from .views import Response

ORDER = ("event", "event_exact", "pixel", "object", "object_1px", "volume")
CONTROL = "shuffled_labels"
FIRST_TOLERANCE_PX = 1.0
"""The tolerance that Kirkland et al. 2023 report mode `object` at, always given beside the configured one."""


@dataclass
class Results:
    """Collects what every mode needs of each answer, and scores it at the end."""

    cfg: Config
    modes: Sequence[str]
    thresholds: Mapping[str, float]

    def __post_init__(self) -> None:
        self._rows: dict[str, dict[str, list[Any]]] = {}
        self._kept: list[tuple[Subject, Response]] = []

    def add(self, detector: Detector, s: Subject) -> None:
        """Let a detector answer, then hold the answer against the labels."""
        response = detector.respond(s.view)
        self._count(detector.name, s, response, detector.is_network, self.thresholds[detector.name])
        if detector.name == "network":
            self._kept.append((s, response))

    def _count(self, name: str, s: Subject, response: Response, is_network: bool, threshold: float) -> None:
        if "event" in self.modes:
            self._put("event", name, score.event_scores(s, response, self.cfg.evaluation))
            exact = score.exact_scores(s, response)
            if exact is not None:
                self._put("event_exact", name, exact)
        self._count_places(name, s, response, is_network, threshold)

    def _put(self, mode: str, name: str, row: Any) -> None:
        self._rows.setdefault(mode, {}).setdefault(name, []).append(row)

    def _count_places(self, name: str, s: Subject, response: Response, is_network: bool, threshold: float) -> None:
        """The modes that look at places rather than events."""
        settings = self.cfg.evaluation
        if "pixel" in self.modes and is_network:
            self._put("pixel", name, score.pixel_counts(s, response, threshold, settings))
        if "object" in self.modes:
            self._put("object", name, score.object_counts(s, response, threshold, settings.spatial_tolerance_px, settings))
            self._put("object_1px", name, score.object_counts(s, response, threshold, FIRST_TOLERANCE_PX, settings))
        if "volume" in self.modes:
            self._put("volume", name, score.volume_counts(s, response, settings))

    def scores(self) -> dict[str, dict[str, Any]]:
        """Mode -> detector -> values, intervals and rows per recording; the control included. `event_exact` covers the recordings
        whose events' causes are known, because they are simulated."""
        self._control()
        settings = self.cfg.evaluation
        draws: dict[str, Any] = {"resamples": settings.bootstrap, "confidence": settings.confidence, "seed": self.cfg.seed}
        scorers = {"pixel": pixel.score, "object": objects.score, "object_1px": objects.score, "volume": volume.score}
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
                self._put("event", CONTROL, row)
        order = np.random.default_rng(self.cfg.seed).permutation(len(self._kept))
        for i, j in zip(order, np.roll(order, 1), strict=True):
            (s, response), (other, _) = self._kept[i], self._kept[j]
            shuffled = score.with_labels_of(s, other, self.cfg.evaluation)
            self._count_places(CONTROL, shuffled, response, True, self.thresholds["network"])
