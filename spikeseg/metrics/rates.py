"""Rates from counts, with intervals from resampling recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Counts = Mapping[str, float]


def ratio(part: float, whole: float) -> float | None:
    """part / whole, or None where there is nothing to count."""
    return part / whole if whole else None


def rates(counts: Counts) -> dict[str, float | None]:
    """Precision, recall (sensitivity), specificity, F1, IoU and informedness of tp, fp, fn, tn (numbers or None)."""
    tp, fp, fn, tn = (counts[k] for k in ("tp", "fp", "fn", "tn"))
    recall, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "precision": ratio(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "iou": ratio(tp, tp + fp + fn),
        "informedness": None if recall is None or specificity is None else recall + specificity - 1,
    }


def total(rows: Sequence[Counts]) -> dict[str, float]:
    """Counts of several recordings added up."""
    names = rows[0].keys() if rows else ("tp", "fp", "fn", "tn")
    return {name: sum(row[name] for row in rows) for name in names}


def intervals(
    rows: Sequence[Any],
    statistic: Callable[[list[Any]], Mapping[str, float | None]],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, list[float] | None]:
    """Percentile bootstrap over recordings.

    Args:
        rows: what the statistic takes, one entry per recording.
        statistic: from a list of rows to named values, None where undefined.
        resamples: how many times to draw as many recordings with replacement.
        confidence: 0.95 gives the 2.5th and the 97.5th percentile.
        seed: of the draws.

    Returns:
        name -> [low, high], or None where too few resamples (under half) defined it.
    """
    if not rows:
        return {}
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in statistic(list(rows))}
    for _ in range(resamples):
        values = statistic([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        for name, value in values.items():
            if value is not None:
                drawn[name].append(value)
    tails = [50 * (1 - confidence), 100 - 50 * (1 - confidence)]
    return {
        name: [float(v) for v in np.percentile(values, tails)] if 2 * len(values) >= resamples else None
        for name, values in drawn.items()
    }
