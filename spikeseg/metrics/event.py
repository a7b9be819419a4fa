"""Mode `event`: every event of a recording, scored by the detector, against the labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rates import intervals, rates, total

COUNTED = ("tp", "fp", "fn", "tn")

MAX_LEVELS = 2048
"""Score levels kept for the bootstrap of the pooled ROC-AUC; the point value uses all of them."""


@dataclass(frozen=True)
class EventScores:
    """One recording: score (float64, n) and truth (bool, n) of its events; name and source of each event where it is
    simulated."""

    name: str
    scores: np.ndarray
    truth: np.ndarray


def roc_auc(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Area under the ROC curve, ties counted half; None unless both kinds of event occur."""
    levels, inverse = np.unique(scores, return_inverse=True)
    return _auc(*_histograms(inverse, truth, len(levels)))


def _histograms(level: np.ndarray, truth: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.bincount(level[truth], minlength=n), np.bincount(level[~truth], minlength=n)


def _auc(positive: np.ndarray, negative: np.ndarray) -> float | None:
    """AUC of counts per ascending score level (Mann-Whitney U)."""
    n_positive, n_negative = int(positive.sum()), int(negative.sum())
    if not n_positive or not n_negative:
        return None
    below = np.cumsum(negative, dtype=np.float64) - negative
    return float((positive * (below + 0.5 * negative)).sum() / n_positive / n_negative)


def counts(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, int]:
    """tp, fp, fn, tn of 'score >= threshold'."""
    said = scores >= threshold
    return {
        "tp": int((said & truth).sum()),
        "fp": int((said & ~truth).sum()),
        "fn": int((~said & truth).sum()),
        "tn": int((~said & ~truth).sum()),
    }


def calibrate(recordings: Sequence[EventScores]) -> float:
    """The threshold of highest pooled informedness, the lowest of equals; for the training split alone.

    Without events of both kinds there is nothing to choose by: the smallest positive number, so that any response counts."""
    tiny = float(np.finfo(np.float64).tiny)
    if not recordings:
        return tiny
    scores = np.concatenate([r.scores for r in recordings])
    truth = np.concatenate([r.truth for r in recordings])
    if not truth.any() or truth.all():
        return tiny
    levels, inverse = np.unique(scores, return_inverse=True)
    positive, negative = _histograms(inverse, truth, len(levels))
    recall = np.cumsum(positive[::-1])[::-1] / positive.sum()
    alarms = np.cumsum(negative[::-1])[::-1] / negative.sum()
    best = int(np.argmax(recall - alarms))
    return float(levels[best]) if levels[best] > 0 else tiny


def score(
    recordings: Sequence[EventScores], threshold: float, *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Pooled and mean ROC-AUC, precision, recall, F1 and informedness at a threshold, with intervals and a table per recording.

    Args:
        recordings: at least the scores and truth of each.
        threshold: an event is positive if its score reaches it.
        resamples, confidence, seed: of the bootstrap over recordings.
    """
    scores = np.concatenate([r.scores for r in recordings]) if recordings else np.zeros(0)
    truth = np.concatenate([r.truth for r in recordings]) if recordings else np.zeros(0, bool)
    edges = np.unique(scores)
    if len(edges) > MAX_LEVELS:
        edges = np.unique(np.quantile(scores, np.linspace(0, 1, MAX_LEVELS), method="nearest"))
    rows: list[tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]] = []
    for r in recordings:
        level = np.searchsorted(edges, r.scores, side="right") - 1
        histograms = _histograms(np.maximum(level, 0), r.truth, max(len(edges), 1))
        row = {"name": r.name, "roc_auc": roc_auc(r.scores, r.truth), **counts(r.scores, r.truth, threshold)}
        rows.append((row, histograms))

    def statistic(chosen: list[Any]) -> dict[str, float | None]:
        aucs = [row["roc_auc"] for row, _ in chosen if row["roc_auc"] is not None]
        pooled = _auc(sum(h[0] for _, h in chosen), sum(h[1] for _, h in chosen)) if chosen else None
        found = rates(total([{k: row[k] for k in COUNTED} for row, _ in chosen]))
        return {
            "roc_auc": pooled,
            "roc_auc_mean": float(np.mean(aucs)) if aucs else None,
            **{name: found[name] for name in ("precision", "recall", "specificity", "f1", "informedness")},
        }

    value = statistic(rows)
    value["roc_auc"] = roc_auc(scores, truth)
    return {
        **value,
        "threshold": threshold,
        "events": len(scores),
        "object_events": int(truth.sum()),
        "intervals": intervals(rows, statistic, resamples=resamples, confidence=confidence, seed=seed),
        "recordings": [row | rates({k: row[k] for k in COUNTED}) for row, _ in rows],
    }
