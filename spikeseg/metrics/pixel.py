"""Mode `pixel`: every pixel of every time step, saliency against discs around the labelled objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeseg.core.sparse import ANY_RESPONSE

from .mode import Answer, CountSettings, LabelledRecording, Mode
from .rates import COUNTED, DEFAULT, RATE_TITLES, Bootstrap, score_rates
from .truth import MAX_GAP_US, disc_pixels, in_parts, positions

FIGURES = {"sensitivity": "recall", "specificity": "specificity", "informedness": "informedness", "iou": "iou"}


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
    result = np.zeros((len(times_us), *size), bool)
    for part in in_parts(len(at), radius_px):
        some = at[part]
        row, column, inside = disc_pixels(np.rint(some["x"]), np.rint(some["y"]), size, radius_px)
        index = np.broadcast_to(some["index"][:, None], row.shape)
        result[index[inside], row[inside], column[inside]] = True
    return result


def pixel_counts(
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
    predicted = saliency >= threshold
    tp, n_predicted, n_true = (int(np.count_nonzero(mask)) for mask in (predicted & truth, predicted, truth))
    return {"tp": tp, "fp": n_predicted - tp, "fn": n_true - tp, "tn": saliency.size - n_predicted - n_true + tp}


def score(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap = DEFAULT) -> dict[str, Any]:
    """Sensitivity, specificity, informedness and IoU.

    Args:
        rows: per recording a "name" and its `pixel_counts`.
        bootstrap: of the intervals; see `rates.summary`, which says what is returned.
    """
    return score_rates(rows, FIGURES, bootstrap)


def _count(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> dict[str, Any]:
    """The steps whose middle is scored, each once (time that two windows share belongs to the earlier one). Where the detector
    tracks, only the pixels of its objects are detected."""
    recording, spec, labels = labelled.recording, labelled.recording.spec, labelled.frame_labels
    maps, threshold = answer.object_maps(settings.object_threshold), ANY_RESPONSE
    if maps is None:
        maps, threshold = (saliency.dense() for saliency in answer.maps), settings.threshold
    total = dict.fromkeys(COUNTED, 0)
    from_us = labelled.start_us
    for start, end, saliency in zip(recording.start_us.tolist(), recording.end_us.tolist(), maps, strict=True):
        times = start + spec.timestep_us * np.arange(spec.n_timesteps) + spec.timestep_us // 2
        scored = (times >= from_us) & (times <= labelled.end_us)
        from_us = max(from_us, end)
        counts = pixel_counts(
            saliency[scored],
            times[scored],
            labels,
            threshold=threshold,
            tolerance_px=settings.evaluation.pixel_tolerance_px,
            max_gap_us=settings.max_gap_us,
        )
        for name, count in counts.items():
            total[name] += count
    return {"name": labelled.name, **total}


MODE = Mode(
    name="pixel",
    title="a pixel of a step, {pixel_tolerance_px:g} px tolerance",
    shown=("informedness", "sensitivity", "iou"),
    count=_count,
    score=score,
    figure_titles=RATE_TITLES,
    chance={"informedness": 0.0},
    chance_note="what marks pixels without regard to objects marks theirs and others alike. Raw events lie above it, because "
    "more of them lie on objects than elsewhere: what a detector adds is what it has above their row. IoU: see random",
)
