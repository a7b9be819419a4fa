"""Metric mode `mine` of another package: the share of scored events above the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeseg.metrics.mode import Answer, CountSettings, LabelledRecording, Mode
from spikeseg.metrics.rates import Bootstrap, columns, ratio, summary


def count(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> dict[str, Any] | None:
    """Of one recording: how many of its scored events a network finds."""
    if not settings.is_network:
        return None
    scores = answer.scores[labelled.scored]
    return {"name": labelled.name, "above": int((scores >= settings.threshold).sum()), "events": len(scores)}


def score(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap) -> dict[str, Any]:
    """Of all recordings: the share, with its interval over recordings."""

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        above, events = (weights @ columns(rows, ("above", "events"))).T
        return {"share_above": ratio(above, events)}

    return summary(statistic, rows, ("above", "events"), bootstrap)


MODE = Mode(
    name="mine",
    title="events above the threshold, slices of {slice_ms:g} ms",
    shown=("share_above", "events"),
    folds=("share_above",),
    count=count,
    score=score,
    figure_titles={"share_above": "share above"},
)
