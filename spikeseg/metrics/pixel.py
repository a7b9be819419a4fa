"""Mode `pixel`: every pixel of every time step, saliency against discs around the labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .rates import CONFIDENCE, RESAMPLES, columns, rates, summary
from .truth import MAX_GAP_US, disc_pixels, positions

COUNTED = ("tp", "fp", "fn", "tn")


def discs(
    labels: np.ndarray,
    times_us: np.ndarray,
    size: tuple[int, int],
    radius_px: float,
    max_gap_us: float = MAX_GAP_US,
) -> np.ndarray:
    """Pixels within `radius_px` of the pixel that holds an object, at each time. -> bool (n, H, W).

    Args:
        labels: LABEL_DTYPE, in pixels of a frame of this size.
        times_us: (n,) µs.
        size: (H, W).
        radius_px: 0 gives that pixel alone, 1 its four neighbours too.
        max_gap_us: see `truth.positions`.
    """
    at = positions(labels, times_us, max_gap_us)
    row, column, inside = disc_pixels(np.rint(at["x"]), np.rint(at["y"]), size, radius_px)
    index = np.broadcast_to(at["index"][:, None], row.shape)
    result = np.zeros((len(times_us), *size), bool)
    result[index[inside], row[inside], column[inside]] = True
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
        max_gap_us: see `truth.positions`.
    """
    truth = discs(labels, times_us, saliency.shape[1:], tolerance_px, max_gap_us)
    said = saliency >= threshold
    tp, n_said, n_true = (int(np.count_nonzero(mask)) for mask in (said & truth, said, truth))
    return {"tp": tp, "fp": n_said - tp, "fn": n_true - tp, "tn": saliency.size - n_said - n_true + tp}


def score(
    rows: Sequence[dict[str, Any]], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> dict[str, Any]:
    """Sensitivity, specificity, informedness and IoU.

    Args:
        rows: per recording a "name" and its `counts`.
        resamples, confidence, seed: of the intervals, see `rates.summary`, which says what is returned.
    """
    table = columns(rows, COUNTED)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = rates(*(weights @ table).T)
        return {
            "sensitivity": found["recall"],
            "specificity": found["specificity"],
            "informedness": found["informedness"],
            "iou": found["iou"],
        }

    return summary(statistic, rows, counted=COUNTED, resamples=resamples, confidence=confidence, seed=seed)
