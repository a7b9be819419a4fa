"""Evaluation at the front door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeseg.data.recording import Recording
from spikeseg.errors import InputError

from .network import Network
from .recordings import as_recordings


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a network and its baselines on labelled recordings.

    Attributes:
        metrics: "modes" (mode -> detector -> values, intervals, rows per recording), "thresholds", "detectors" (titles),
            "recordings", "notes", as metrics.json has them.
    """

    metrics: Mapping[str, Any]

    def __getitem__(self, mode: str) -> Mapping[str, Any]:
        """The scores of a mode, by detector."""
        scores: Mapping[str, Any] = self.metrics["modes"][mode]
        return scores

    def table(self) -> str:
        """The table that `spikeseg evaluate` prints."""
        from spikeseg.evaluation.tables import metrics_table

        return metrics_table(self.metrics)

    def __repr__(self) -> str:
        return self.table()


def evaluate(
    network: Network,
    recordings: Recording | str | Path | Iterable[Recording | str | Path],
    *,
    modes: str | Sequence[str] = (),
    calibration: Recording | str | Path | Iterable[Recording | str | Path] = (),
) -> Evaluation:
    """Score a network on labelled recordings, beside raw events, filters and the same network untrained.

    Labels are read after a detector has answered.

    Args:
        network: the network.
        recordings: labelled, none of which the network was trained on.
        modes: a metric mode or several ('event', 'pixel', 'object', 'volume', 'track'); empty: all.
        calibration: other labelled recordings, on which the thresholds of the event mode are chosen; without any, every
            response counts.

    Raises:
        InputError: no recording, one that cannot be read or is not labelled, or an unknown mode.

    >>> import spikeseg as ss
    >>> nights = ss.simulate(recordings=2, duration_s=1.0, difficulty="easy")
    >>> network = ss.new("demo", {"device": "cpu", "evaluation.bootstrap": 10})
    >>> scores = ss.evaluate(network, nights, modes=["event"])["event"]["network"]
    >>> 0 <= scores["roc_auc"] <= 1
    True
    """
    from spikeseg.config import section_dict
    from spikeseg.data.recording import checked_labels
    from spikeseg.data.windows import windowed
    from spikeseg.evaluation.compare import calibrated_thresholds, compared_detectors, scored_events, titles
    from spikeseg.evaluation.results import CONTROL, Results
    from spikeseg.evaluation.tables import chance_of
    from spikeseg.metrics.mode import LabelledRecording
    from spikeseg.registries import MODES

    cfg = network.config

    def labelled(given: Recording | str | Path | Iterable[Recording | str | Path]) -> list[LabelledRecording]:
        read_ = as_recordings(given, cfg.data)
        bare = [recording.name for recording in read_ if recording.labels is None]
        if bare:
            raise InputError(f"{bare[0]}: not labelled, so there is nothing to score; `Network.detect` needs no labels")
        for recording in read_:
            if recording.truth is not None and len(recording.truth) != len(recording.events):
                raise InputError(f"{recording.name}: truth: {len(recording.truth)} entries for {len(recording.events)} events")
            t = recording.events["t"]
            span = (int(t[0]), int(t[-1])) if len(t) else None
            checked_labels(recording.name, recording.labels, recording.sensor_size, span, cfg.data.lenient)
        return [
            LabelledRecording.of(windowed(r, cfg.data), r.labels, r.truth, cfg.evaluation) for r in read_ if r.labels is not None
        ]

    def calibrate(detectors: Sequence[Any]) -> dict[str, float]:
        without = [detector for detector in detectors if detector.threshold is None]
        pairs = ((detector, one) for one in calibrated_on for detector in without)
        return calibrated_thresholds(detectors, (scored_events(detector, one, cfg.evaluation) for detector, one in pairs))

    tested, calibrated_on = labelled(recordings), labelled(calibration)
    if not tested:
        raise InputError("recordings: none, so there is nothing to score")
    detectors, thresholds = compared_detectors(network.model, cfg, network.readout, calibrate)
    results = Results(cfg, [modes] if isinstance(modes, str) else list(modes) or list(MODES), thresholds)
    for one in tested:
        for detector in detectors:
            results.add(results.count(detector, one))
    notes = [] if calibrated_on else ["nothing was calibrated: any response counts as seen"]
    return Evaluation(
        {
            "recordings": [one.name for one in tested],
            "settings": {**section_dict(cfg.evaluation), "tracking": section_dict(cfg.tracking), "seed": cfg.seed},
            "thresholds": thresholds,
            "detectors": titles(detectors, CONTROL),
            "modes": results.scores(),
            "chance": {mode.name: chance_of(mode, section_dict(cfg.evaluation)) for mode in results.modes},
            "notes": notes,
        }
    )
