"""Mode `object`: detections of a window against the objects in it, one to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .mode import Answer, CountSettings, LabelledRecording, Mode
from .rates import DEFAULT, RATE_TITLES, Bootstrap, columns, rates, ratio, summary
from .truth import positions

COUNTED = ("tp", "fp", "fn", "free", "silent")
FIRST_TOLERANCE_PX = 1.0
"""The tolerance that Kirkland et al. 2023 report this mode at, always given beside the configured one."""


def match(detected: np.ndarray, true: np.ndarray, tolerance_px: float) -> list[tuple[int, int]]:
    """Pairs (detection, object) within the tolerance: as many as possible, then the closest (Hungarian).

    Args:
        detected: (n, 2) positions x, y in pixels.
        true: (m, 2) positions.
        tolerance_px: the border included.
    """
    from scipy.optimize import linear_sum_assignment

    if not len(detected) or not len(true):
        return []
    distance = np.hypot(*(detected[:, None] - true[None]).transpose(2, 0, 1))
    near = distance <= tolerance_px
    far = 1 + tolerance_px * (1 + min(distance.shape))  # one match more always outweighs the distances
    rows, cols = linear_sum_assignment(np.where(near, distance, far))
    return [(int(i), int(j)) for i, j in zip(rows, cols, strict=True) if near[i, j]]


def object_counts(windows: Sequence[tuple[np.ndarray, np.ndarray]], tolerance_px: float) -> dict[str, int]:
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


def score(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap = DEFAULT) -> dict[str, Any]:
    """Precision, recall and F1 of objects, specificity over object-free windows, and informedness.

    Args:
        rows: per recording a "name" and its `object_counts`.
        bootstrap: of the intervals.

    Returns:
        as `rates.summary`. The specificity is None where no window is free of objects, and so is the informedness
        (recall of objects + specificity of windows - 1).
    """
    counts = columns(rows, COUNTED)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        tp, fp, fn, free, silent = (weights @ counts).T
        of_objects, specificity = rates(tp, fp, fn, np.zeros_like(tp)), ratio(silent, free)
        return {
            **{name: of_objects[name] for name in ("precision", "recall", "f1")},
            "specificity": specificity,
            "informedness": of_objects["recall"] + specificity - 1,
        }

    return summary(statistic, rows, COUNTED, bootstrap)


def _count_within(labelled: LabelledRecording, answer: Answer, settings: CountSettings, tolerance_px: float) -> dict[str, Any]:
    """What a detector finds at the middle of each window (tracks, where it tracks; what it lists itself, or else blobs of pixels)
    against the objects that are there, in sensor pixels."""
    recording, windows = labelled.recording, []
    for window, (start, end) in enumerate(zip(recording.start_us.tolist(), recording.end_us.tolist(), strict=True)):
        middle = np.array([(start + end) // 2])
        if not labelled.start_us <= middle[0] <= labelled.end_us:
            continue
        paths = answer.paths_at(middle, settings.object_threshold)
        if paths is None:
            detected = answer.window_objects(recording, window, settings.threshold)
        else:
            detected = np.array([path[0] for path in paths]).reshape(-1, 2)
            detected = detected[~np.isnan(detected[:, 0])]
        true = positions(labelled.labels, middle, settings.max_gap_us)
        windows.append((detected, np.stack([true["x"], true["y"]], 1)))
    return {"name": labelled.name, **object_counts(windows, tolerance_px)}


def _count(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> dict[str, Any]:
    return _count_within(labelled, answer, settings, settings.evaluation.spatial_tolerance_px)


def _count_first(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> dict[str, Any]:
    return _count_within(labelled, answer, settings, FIRST_TOLERANCE_PX)


SHOWN = ("f1", "precision", "recall")
CHANCE_NOTE = (
    "none that is fixed: who names more places finds more objects. random looks for blobs among as many events as there are, "
    "anywhere; everything names every pixel, so that its recall is 1 and its precision the least there is"
)

FIRST = Mode(
    name="object_1px",
    title="the same within 1 px",
    shown=SHOWN,
    count=_count_first,
    score=score,
    figure_titles=RATE_TITLES,
    chance_note=CHANCE_NOTE,
)
MODE = Mode(
    name="object",
    title="an object at the middle of a window, within {spatial_tolerance_px:g} px",
    shown=SHOWN,
    folds=("f1", "recall", "precision"),
    count=_count,
    score=score,
    figure_titles=RATE_TITLES,
    chance_note=CHANCE_NOTE,
    variants=(FIRST,),
)
