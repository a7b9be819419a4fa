"""Mode `object`: detections of a window against the objects in it, one to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from .rates import intervals, rates, ratio


def match(detected: np.ndarray, true: np.ndarray, tolerance_px: float) -> list[tuple[int, int]]:
    """Pairs (detection, object) within the tolerance: as many as possible, then the closest (Hungarian).

    Args:
        detected, true: (n, 2), (m, 2) positions x, y in pixels.
    """
    if not len(detected) or not len(true):
        return []
    distance = np.hypot(*(detected[:, None] - true[None]).transpose(2, 0, 1))
    near = distance <= tolerance_px
    far = 1 + tolerance_px * (1 + min(distance.shape))  # one match more always outweighs the distances
    rows, columns = linear_sum_assignment(np.where(near, distance, far))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if near[i, j]]


def counts(windows: Sequence[tuple[np.ndarray, np.ndarray]], tolerance_px: float) -> dict[str, int]:
    """tp, fp, fn over a recording's windows, and how many object-free windows it has and how many of them stayed silent.

    Args:
        windows: per window, detected and true positions (n, 2), (m, 2).
    """
    result = {"tp": 0, "fp": 0, "fn": 0, "free": 0, "silent": 0}
    for detected, true in windows:
        hits = len(match(detected, true, tolerance_px))
        result["tp"] += hits
        result["fp"] += len(detected) - hits
        result["fn"] += len(true) - hits
        result["free"] += not len(true)
        result["silent"] += not len(true) and not len(detected)
    return result


def score(rows: Sequence[dict[str, Any]], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """TP, FP, FN, precision, recall, F1, specificity over object-free windows and informedness, from counts per recording."""

    def statistic(chosen: list[dict[str, Any]]) -> dict[str, float | None]:
        summed = {name: sum(row[name] for row in chosen) for name in ("tp", "fp", "fn", "free", "silent")}
        found = rates({**summed, "tn": 0})
        specificity = ratio(summed["silent"], summed["free"])
        recall = found["recall"]
        informedness = None if recall is None or specificity is None else recall + specificity - 1
        return {
            "precision": found["precision"],
            "recall": recall,
            "f1": found["f1"],
            "specificity": specificity,
            "informedness": informedness,
        }

    return {
        **{name: sum(row[name] for row in rows) for name in ("tp", "fp", "fn")},
        **statistic(list(rows)),
        "intervals": intervals(rows, statistic, resamples=resamples, confidence=confidence, seed=seed),
        "recordings": [dict(row) for row in rows],
    }
