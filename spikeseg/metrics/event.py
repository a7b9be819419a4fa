"""Mode `event`: every event of a recording, scored by the detector, against the labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rates import CONFIDENCE, RESAMPLES, Statistic, columns, rates, ratio, summary

COUNTED = ("tp", "fp", "fn", "tn")
ANY_RESPONSE = float(np.finfo(np.float32).tiny)
"""The least threshold: any response reaches it, and silence does not. A smaller one would be 0 beside float32 saliency, and
light up every pixel."""


@dataclass(frozen=True)
class EventScores:
    """The events of one recording.

    Attributes:
        name: of the recording.
        scores: float64 (n,), finite, higher where an object is more likely.
        truth: bool (n,), whether the event is an object's.

    Raises ValueError when the arrays differ in shape or hold something else.
    """

    name: str
    scores: np.ndarray
    truth: np.ndarray

    def __post_init__(self) -> None:
        if self.scores.shape != self.truth.shape or self.scores.ndim != 1 or self.truth.dtype != bool:
            found = f"{self.scores.shape} scores, {self.truth.shape} truth of {self.truth.dtype}"
            raise ValueError(f"{self.name}: {found}; expected (n,) scores and (n,) truth of bool")
        if not np.isfinite(self.scores).all():
            raise ValueError(f"{self.name}: {int((~np.isfinite(self.scores)).sum())} scores are not finite")


def wins(positive: np.ndarray, negative: np.ndarray) -> float:
    """Mann-Whitney U: how many pairs of one score of each kind are in order, ties counted half.

    Args:
        positive, negative: scores, float64, (n,), (m,), each in rising order.
    """
    below = np.searchsorted(negative, positive, side="left").sum(dtype=np.int64)
    not_above = np.searchsorted(negative, positive, side="right").sum(dtype=np.int64)
    return (int(below) + int(not_above)) / 2


def roc_auc(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Area under the ROC curve of scores (n,) against truth bool (n,), ties counted half.

    None unless both kinds occur.
    """
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    pairs = len(positive) * len(negative)
    return wins(positive, negative) / pairs if pairs else None


def counts(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, int]:
    """tp, fp, fn, tn of 'score >= threshold' over events: scores (n,), truth bool (n,)."""
    said = scores >= threshold
    return {
        "tp": int((said & truth).sum()),
        "fp": int((said & ~truth).sum()),
        "fn": int((~said & truth).sum()),
        "tn": int((~said & ~truth).sum()),
    }


def calibrate(recordings: Sequence[EventScores]) -> float:
    """The threshold of highest pooled informedness, the lowest of equals; for the training split alone.

    Never 0 or less: silence is no detection. Without events of both kinds there is nothing to choose by: ANY_RESPONSE.
    """
    if not recordings:
        return ANY_RESPONSE
    scores = np.concatenate([r.scores for r in recordings])
    truth = np.concatenate([r.truth for r in recordings])
    if not truth.any() or truth.all():
        return ANY_RESPONSE
    levels, level = np.unique(scores, return_inverse=True)
    positive = np.bincount(level[truth], minlength=len(levels))
    negative = np.bincount(level[~truth], minlength=len(levels))
    recall = np.cumsum(positive[::-1])[::-1] / positive.sum()
    alarms = np.cumsum(negative[::-1])[::-1] / negative.sum()
    return max(float(levels[np.argmax(recall - alarms)]), ANY_RESPONSE)


def score(
    recordings: Sequence[EventScores],
    threshold: float,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, Any]:
    """Pooled and mean ROC-AUC, and precision, recall, specificity, F1 and informedness at a threshold.

    Args:
        recordings: scores and truth of each.
        threshold: an event is positive if its score reaches it.
        resamples, confidence, seed: of the intervals, see `rates.summary`.

    Returns:
        as `rates.summary`, and threshold, events, object_events (how many). "roc_auc" is that of all events together,
        "roc_auc_mean" the mean over the recordings that have events of both kinds. Both are exact, in the
        intervals too: the pooled one is a quadratic form in the recordings' weights.
    """
    rows = [{"name": r.name, **counts(r.scores, r.truth, threshold)} for r in recordings]
    found = summary(
        _statistic(recordings, columns(rows, COUNTED)),
        rows,
        counted=COUNTED,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    for row in found["recordings"]:
        del row["roc_auc_mean"]  # of one recording: its roc_auc
    return {
        **found,
        "threshold": threshold,
        "events": sum(len(r.scores) for r in recordings),
        "object_events": sum(int(r.truth.sum()) for r in recordings),
    }


def _statistic(recordings: Sequence[EventScores], table: np.ndarray) -> Statistic:
    """Of the recordings and their counts, int64 (n, 4)."""
    n = len(recordings)
    positive = [np.sort(r.scores[r.truth]) for r in recordings]
    negative = [np.sort(r.scores[~r.truth]) for r in recordings]
    won = np.array([[wins(p, q) for q in negative] for p in positive]).reshape(n, n)
    n_positive = np.array([len(p) for p in positive], np.int64)
    n_negative = np.array([len(q) for q in negative], np.int64)
    own = ratio(np.diag(won), n_positive * n_negative)
    both = ~np.isnan(own)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = rates(*(weights @ table).T)
        return {
            "roc_auc": ratio(((weights @ won) * weights).sum(1), (weights @ n_positive) * (weights @ n_negative)),
            "roc_auc_mean": ratio(weights[:, both] @ own[both], weights[:, both].sum(1)),
            **{name: found[name] for name in ("precision", "recall", "specificity", "f1", "informedness")},
        }

    return statistic
