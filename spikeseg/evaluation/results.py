"""The answers of all detectors, counted by every mode, and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spikeseg.metrics import event
from spikeseg.metrics.mode import CountSettings, LabelledRecording, Mode, modes_of
from spikeseg.metrics.rates import Bootstrap

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.detection.response import Response

    from .detectors import Detector

CONTROLLED = "network"
"""The detector whose answers the control holds against labels that are not theirs."""
CONTROL = "shuffled_labels"
CURVE_DECIMALS = 7


class Answered(NamedTuple):
    """A labelled recording, a detector, and its answer."""

    labelled: LabelledRecording
    detector: Detector
    response: Response


@dataclass(frozen=True)
class DetectorCounts:
    """Counts of one detector's answer to one recording.

    Attributes:
        name: of the detector.
        rows: by mode.
        answered: the answer itself, where the control needs it.
    """

    name: str
    rows: dict[str, Any]
    answered: Answered | None


class Results:
    """Collects what every mode counts of each answer, and scores it at the end.

    Args:
        cfg: the configuration.
        modes: names of registered modes; their variants come with them.
        thresholds: by detector, see `CountSettings.threshold`.
    """

    def __init__(self, cfg: Config, modes: Sequence[str], thresholds: Mapping[str, float]) -> None:
        self.cfg, self.modes, self.thresholds = cfg, modes_of(modes), thresholds
        self._rows: dict[str, dict[str, list[Any]]] = {}
        self._answered: list[Answered] = []

    def count(self, detector: Detector, labelled: LabelledRecording) -> DetectorCounts:
        """Run a detector on a recording, then count its answer against the labels. Changes nothing, so threads may call it."""
        answered = Answered(labelled, detector, detector.respond(labelled.recording))
        rows = {mode.name: self._row(mode, answered) for mode in self.modes}
        present = {mode: row for mode, row in rows.items() if row is not None}
        return DetectorCounts(detector.name, present, answered if detector.name == CONTROLLED else None)

    def _row(self, mode: Mode, answered: Answered) -> Any:
        labelled, detector, response = answered
        threshold = self.thresholds[detector.name]
        settings = CountSettings(self.cfg.evaluation, threshold, detector.object_threshold, detector.is_network)
        return mode.count(labelled, response, settings)

    def add(self, counted: DetectorCounts) -> None:
        """Add the counts of one answer."""
        for mode, row in counted.rows.items():
            self._rows.setdefault(mode, {}).setdefault(counted.name, []).append(row)
        if counted.answered is not None:
            self._answered.append(counted.answered)

    def scores(self) -> dict[str, dict[str, Any]]:
        """Mode -> detector -> values, intervals and rows per recording; the control included."""
        settings = self.cfg.evaluation
        bootstrap = Bootstrap(settings.bootstrap, settings.confidence, self.cfg.seed)
        result: dict[str, dict[str, Any]] = {}
        for mode in self.modes:
            rows = {**self._rows.get(mode.name, {}), CONTROL: self._control(mode)}
            scored = {detector: mode.score(own, bootstrap) for detector, own in rows.items() if len(own)}
            if scored:
                result[mode.name] = scored
        return result

    def curves(self) -> dict[str, list[list[float]]]:
        """Detector -> the points of its ROC curve in mode `event`, see `event.roc_points`; the control included."""
        mode, own = event.MODE, self._rows.get(event.MODE.name, {})
        if not own:
            return {}
        found = {
            name: event.roc_points([row.events for row in rows]) for name, rows in {**own, CONTROL: self._control(mode)}.items()
        }
        return {name: np.round(points, CURVE_DECIMALS).tolist() for name, points in found.items() if points is not None}

    def _control(self, mode: Mode) -> Sequence[Any]:
        """Rows of the network's answers against labels that are not theirs, drawn by the seed: as the mode permutes its rows, or
        those of another recording."""
        if len(self._answered) < 2:
            return []
        if mode.permuted is not None:
            own_rows = self._rows.get(mode.name, {}).get(CONTROLLED, [])
            return mode.permuted(own_rows, self.cfg.seed) if own_rows else []
        rows = []
        order = np.random.default_rng(self.cfg.seed).permutation(len(self._answered))
        for i, j in zip(order, np.roll(order, 1), strict=True):
            own, other = self._answered[i], self._answered[j]
            shuffled = own.labelled.with_labels_of(other.labelled, self.cfg.evaluation)
            rows.append(self._row(mode, own._replace(labelled=shuffled)))
        return [row for row in rows if row is not None]
