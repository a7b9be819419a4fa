"""Mode `object`: detections of a window against the objects in it, one to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from .rates import CONFIDENCE, RESAMPLES, columns, rates, ratio, summary

COUNTED = ("tp", "fp", "fn", "free", "silent")


def match(detected: np.ndarray, true: np.ndarray, tolerance_px: float) -> list[tuple[int, int]]:
    """Pairs (detection, object) within the tolerance: as many as possible, then the closest (Hungarian).

    Args:
        detected, true: (n, 2), (m, 2) positions x, y in pixels.
        tolerance_px: the border included.
    """
    if not len(detected) or not len(true):
        return []
    distance = np.hypot(*(detected[:, None] - true[None]).transpose(2, 0, 1))
    near = distance <= tolerance_px
    far = 1 + tolerance_px * (1 + min(distance.shape))  # one match more always outweighs the distances
    rows, cols = linear_sum_assignment(np.where(near, distance, far))
    return [(int(i), int(j)) for i, j in zip(rows, cols, strict=True) if near[i, j]]


def counts(windows: Sequence[tuple[np.ndarray, np.ndarray]], tolerance_px: float) -> dict[str, int]:
    """tp, fp, fn over a recording's windows; free, its object-free windows; silent, those of them without detection.

    Args:
        windows: per window, detected and true positions (n, 2), (m, 2), pixels.
        tolerance_px: largest distance of a match.
    """
    result = dict.fromkeys(COUNTED, 0)
    for detected, true in windows:
        hits = len(match(detected, true, tolerance_px))
        result["tp"] += hits
        result["fp"] += len(detected) - hits
        result["fn"] += len(true) - hits
        result["free"] += not len(true)
        result["silent"] += not len(true) and not len(detected)
    return result


def score(
    rows: Sequence[dict[str, Any]], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> dict[str, Any]:
    """Precision, recall and F1 of objects, specificity over object-free windows, and informedness.

    Args:
        rows: per recording a "name" and its `counts`.
        resamples, confidence, seed: of the intervals, see `rates.summary`.

    Returns:
        as `rates.summary`. The specificity is None where no window is free of objects, and so is the informedness
        (recall of objects + specificity of windows - 1).
    """
    table = columns(rows, COUNTED)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        tp, fp, fn, free, silent = (weights @ table).T
        of_objects, specificity = rates(tp, fp, fn, np.zeros_like(tp)), ratio(silent, free)
        return {
            **{name: of_objects[name] for name in ("precision", "recall", "f1")},
            "specificity": specificity,
            "informedness": of_objects["recall"] + specificity - 1,
        }

    return summary(statistic, rows, counted=COUNTED, resamples=resamples, confidence=confidence, seed=seed)
