"""Rates from counts, and their intervals from resampling recordings.

Every mode gives a `Statistic`: named values as functions of how often each recording is counted. Counting each once
gives the pooled value, one alone that recording's own, a bootstrap draw one value of the resampled distribution.
Within this module an undefined value (nothing to divide by) is nan; it is returned as None, null in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spikeseg.config.sections import EvaluationConfig


class Bootstrap(NamedTuple):
    """How intervals are drawn: the percentile bootstrap over recordings.

    Attributes:
        resamples: how many; 0: no intervals.
        confidence: 0.95 gives the 2.5th and the 97.5th percentile of the resampled values.
        seed: of the draws.
    """

    resamples: int = EvaluationConfig.bootstrap
    confidence: float = EvaluationConfig.confidence
    seed: int = 0


DEFAULT = Bootstrap()

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Weights int64 (b, n), how often each of n recordings counts -> name -> float64 (b,), nan where undefined."""


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, nan where whole is 0. -> float64, shape of the arguments."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole != 0)


def rates(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall (sensitivity), specificity, F1, IoU and informedness (recall + specificity - 1).

    All arrays of one shape; nan where a denominator is 0.
    """
    recall, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "precision": ratio(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "iou": ratio(tp, tp + fp + fn),
        "informedness": recall + specificity - 1,
    }


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> np.ndarray:
    """The named counts of every recording. -> int64 (len(rows), len(names))."""
    return np.array([[row[name] for name in names] for row in rows], np.int64).reshape(len(rows), len(names))


COUNTED = ("tp", "fp", "fn", "tn")
"""What `rates` are made of, in the order of its arguments."""

RATE_TITLES = {"f1": "F1", "iou": "IoU"}
"""Titles of rates in tables, where they differ from the name."""


def score_rates(rows: Sequence[Mapping[str, Any]], figures: Mapping[str, str], bootstrap: Bootstrap = DEFAULT) -> dict[str, Any]:
    """The `summary` of a mode whose figures are rates.

    Args:
        rows: per recording a "name" and its tp, fp, fn, tn.
        figures: name of a figure -> name of the rate, see `rates`.
        bootstrap: of the intervals.
    """
    counts = columns(rows, COUNTED)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        pooled = rates(*(weights @ counts).T)
        return {figure: pooled[name] for figure, name in figures.items()}

    return summary(statistic, rows, COUNTED, bootstrap)


def draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of n recordings occurs in each resample (n drawn with replacement). -> int64 (resamples, n).

    Equal n and seed give equal draws: the intervals of all detectors rest on the same resamples.
    """
    chosen = np.random.default_rng(seed).integers(0, n, (resamples, n))
    flat = chosen + n * np.arange(resamples)[:, None]
    return np.bincount(flat.ravel(), minlength=resamples * n).reshape(resamples, n)


def summary(
    statistic: Statistic, rows: Sequence[Mapping[str, Any]], counted: Sequence[str], bootstrap: Bootstrap = DEFAULT
) -> dict[str, Any]:
    """What every mode returns: pooled values, pooled counts, intervals, and the same per recording.

    Args:
        statistic: see `Statistic`.
        rows: per recording a "name" and the counts.
        counted: names of the counts.
        bootstrap: of the intervals.

    Returns:
        name -> float or None for values, name -> int for counts; "intervals": name -> [low, high], or None with fewer
        than two recordings or where under half of the resamples define the value; "recordings": per recording
        its row with its own values.
    """
    n = len(rows)
    pooled = statistic(np.ones((1, n), np.int64))
    own = statistic(np.eye(n, dtype=np.int64))
    counts = columns(rows, counted).sum(0).tolist()
    return {
        **{name: _number(value[0]) for name, value in pooled.items()},
        **dict(zip(counted, counts, strict=True)),
        "intervals": _intervals(statistic, n, list(pooled), bootstrap),
        "recordings": [dict(row) | {name: _number(v[i]) for name, v in own.items()} for i, row in enumerate(rows)],
    }


def _intervals(statistic: Statistic, n: int, names: Sequence[str], bootstrap: Bootstrap) -> dict[str, list[float] | None]:
    if n < 2:
        return dict.fromkeys(names)
    resamples, confidence, seed = bootstrap
    drawn = statistic(draws(n, resamples, seed))
    tails = (50 * (1 - confidence), 100 - 50 * (1 - confidence))
    result: dict[str, list[float] | None] = {}
    for name, values in drawn.items():
        defined = values[~np.isnan(values)]
        enough = 2 * len(defined) >= max(resamples, 1)
        result[name] = [float(v) for v in np.percentile(defined, tails)] if enough else None
    return result


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
