"""Mode `pixel`: every pixel of every time step, saliency against discs around the labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .rates import intervals, rates, total
from .truth import MAX_GAP_US, positions


def discs(
    labels: np.ndarray, times_us: np.ndarray, size: tuple[int, int], radius_px: float, max_gap_us: float = MAX_GAP_US
) -> np.ndarray:
    """Pixels within `radius_px` of the pixel that holds an object, at each time. -> bool (n, H, W).

    Args:
        labels: LABEL_DTYPE, in pixels of a frame of this size.
        times_us: (n,) µs.
        size: (H, W).
    """
    result = np.zeros((len(times_us), *size), bool)
    reach = np.arange(-int(radius_px) - 1, int(radius_px) + 2)
    dy, dx = (
        v[np.hypot(*np.meshgrid(reach, reach, indexing="ij")) <= radius_px] for v in np.meshgrid(reach, reach, indexing="ij")
    )
    at = positions(labels, times_us, max_gap_us)
    y = np.rint(at["y"]).astype(np.int64)[:, None] + dy
    x = np.rint(at["x"]).astype(np.int64)[:, None] + dx
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    index = np.broadcast_to(at["index"][:, None], y.shape)
    result[index[inside], y[inside], x[inside]] = True
    return result


def counts(
    saliency: np.ndarray,
    times_us: np.ndarray,
    labels: np.ndarray,
    *,
    threshold: float,
    tolerance_px: float,
    max_gap_us: float = MAX_GAP_US,
) -> dict[str, int]:
    """tp, fp, fn, tn over the pixels of several steps.

    Args:
        saliency: (n, H, W) float32.
        times_us: (n,) middle of each step, µs.
        labels: LABEL_DTYPE in frame pixels.
        threshold: positive where saliency >= threshold.
        tolerance_px: radius of the true discs.
    """
    truth = discs(labels, times_us, saliency.shape[1:], tolerance_px, max_gap_us)
    said = saliency >= threshold
    tp, n_said, n_true = int((said & truth).sum()), int(said.sum()), int(truth.sum())
    return {"tp": tp, "fp": n_said - tp, "fn": n_true - tp, "tn": saliency.size - n_said - n_true + tp}


def score(rows: Sequence[dict[str, Any]], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Sensitivity, specificity, informedness and IoU from counts per recording (with a "name" each)."""

    def statistic(chosen: list[dict[str, Any]]) -> dict[str, float | None]:
        found = rates(total([{k: row[k] for k in ("tp", "fp", "fn", "tn")} for row in chosen]))
        return {
            "sensitivity": found["recall"],
            "specificity": found["specificity"],
            "informedness": found["informedness"],
            "iou": found["iou"],
        }

    return {
        **statistic(list(rows)),
        "intervals": intervals(rows, statistic, resamples=resamples, confidence=confidence, seed=seed),
        "recordings": [dict(row) | rates(row) for row in rows],
    }
