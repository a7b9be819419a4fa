"""Boxes of tracks per window, and how well they hit: average precision at an intersection over union of 0.5, as for OrbitSight.

Predictions are taken by falling confidence; each takes the box of its window, not yet taken, that it overlaps most, and counts
where the intersection is at least half of the union. Should windows not begin together, its window is the one in which the middle
of its own lies. The average precision of a recording is the area under its precision, made falling, over recall; the mean over
recordings is mAP.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeseg.data.boxes import BOX_DTYPE

WINDOW_US = 40_000
LEAST_IOU = 0.5
REACH_US = 100_000
"""A track has a box so long before its first and after its last row, µs: rows stand for slices of about 100 ms."""


def boxes_of(tracks: np.ndarray, start_us: int, end_us: int, window_us: int = WINDOW_US) -> np.ndarray:
    """A box of each object in each window in which its track is there: BOX_DTYPE (n,), sorted by window.

    Position and size are those of the track's rows, interpolated to the middle of the window; confidence is its object_score.

    Args:
        tracks: fields of `spikeseg.detection.schema.TRACK_COLUMNS`, of one recording; tracks that are no object have no box.
        start_us: where the first window begins, the recording's first event, µs.
        end_us: the recording's last event, µs.
        window_us: length of a window, µs.
    """
    starts = np.arange(start_us, end_us + 1, window_us, dtype=np.int64)
    middle = starts + window_us / 2
    parts = [np.zeros(0, BOX_DTYPE)]
    for number in np.unique(tracks["track_id"][tracks["is_object"]]):
        rows = tracks[tracks["track_id"] == number]
        t = rows["t_us"].astype(np.float64)
        there = (middle >= t[0] - REACH_US / 2) & (middle <= t[-1] + REACH_US / 2)
        own = np.zeros(np.count_nonzero(there), BOX_DTYPE)
        own["start"], own["end"] = starts[there], starts[there] + window_us
        for name in ("x", "y", "width", "height"):
            own[name] = np.interp(middle[there], t, rows[name])
        own["confidence"] = rows["object_score"][0]
        parts.append(own)
    boxes = np.concatenate(parts)
    return boxes[np.argsort(boxes["start"], kind="stable")]


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others BOX_DTYPE (n,): float64 (n,)."""
    inside = np.ones(len(others))
    for axis, side in (("x", "width"), ("y", "height")):
        low = np.maximum(box[axis] - box[side] / 2, others[axis] - others[side] / 2)
        high = np.minimum(box[axis] + box[side] / 2, others[axis] + others[side] / 2)
        inside *= np.maximum(high - low, 0.0)
    union = box["width"] * box["height"] + others["width"] * others["height"] - inside
    return np.asarray(inside / union)


def hits(predicted: np.ndarray, truth: np.ndarray, least: float = LEAST_IOU) -> np.ndarray:
    """Which predictions hit a box, by falling confidence (of equals the first in the array): bool (n,).

    Args:
        predicted: BOX_DTYPE (n,).
        truth: BOX_DTYPE (m,).
        least: intersection over union.
    """
    taken, found = np.zeros(len(truth), bool), np.zeros(len(predicted), bool)
    for rank, row in enumerate(np.argsort(-predicted["confidence"], kind="stable")):
        box = predicted[row]
        middle = (box["start"] + box["end"]) // 2
        free = np.flatnonzero(~taken & (truth["start"] <= middle) & (middle < truth["end"]))
        overlaps = overlap(box, truth[free])
        if len(free) and overlaps.max() >= least:
            found[rank] = taken[free[int(np.argmax(overlaps))]] = True
    return found


def average_precision(found: np.ndarray, boxes: int) -> float | None:
    """Area under falling precision over recall; None without boxes.

    Args:
        found: bool (n,), which predictions hit, by falling confidence.
        boxes: how many there are to hit.
    """
    if not boxes:
        return None
    precision = np.cumsum(found) / np.arange(1, len(found) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return math.fsum(falling[found].tolist()) / boxes


def score_boxes(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], least: float = LEAST_IOU) -> dict[str, Any]:
    """mAP, precision, recall and F1 of all recordings, and figures of each.

    Args:
        pairs: recording -> predictions and truth, BOX_DTYPE each.
        least: intersection over union from which a prediction hits.

    Returns:
        "map" (None where no recording has a box), "precision", "recall", "f1", "recordings": name -> the same with
        "average_precision", "predicted", "boxes", "hits".
    """
    recordings = {}
    for name, (predicted, truth) in pairs.items():
        found = hits(predicted, truth, least)
        figures = _rates(int(found.sum()), len(predicted), len(truth))
        recordings[name] = {"average_precision": average_precision(found, len(truth)), **figures}
    known = [own["average_precision"] for own in recordings.values() if own["average_precision"] is not None]
    sums = [sum(own[figure] for own in recordings.values()) for figure in ("hits", "predicted", "boxes")]
    return {"map": math.fsum(known) / len(known) if known else None, **_rates(*sums), "recordings": recordings}


def _rates(found: int, predicted: int, boxes: int) -> dict[str, Any]:
    precision, recall = (found / predicted if predicted else 0.0), (found / boxes if boxes else 0.0)
    f1 = 2 * found / (predicted + boxes) if predicted + boxes else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "hits": found, "predicted": predicted, "boxes": boxes}
