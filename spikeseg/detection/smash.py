"""SMASH: instances that look alike and lie together are one object [Kirkland et al. 2022, IEEE Trans. Computers 71(11):2728].

SMASH(i, j) = Jaccard(ASH_i, ASH_j) * IoU(box_i, box_j), from 0 to 1: how much two instances share of the features that made them,
when these fired, and of where they lie. See `hulk.Footprints`.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from spikeseg.config.sections import TrackingConfig
from spikeseg.core.bits import ones
from spikeseg.core.compiled import compiled

from .hulk import Footprints, Instances


def smash(i: Footprints, j: Footprints, at_least: float = 0.0) -> sparse.csr_array:
    """SMASH of all pairs; 0, and not stored, where boxes do not overlap.

    Args:
        i: n instances or objects.
        j: m others, with ASHs of the same shape.
        at_least: smaller ones are not stored either.

    Returns:
        float64 (n, m).

    Raises:
        ValueError: ASHs of two shapes.
    """
    if i.shape != j.shape:
        raise ValueError(f"ASHs of {i.shape} and {j.shape} features and steps, must be of one shape")
    order = np.argsort(j.boxes[:, 1], kind="stable")
    rows, columns, values = _pairs(i.boxes, i.ash, j.boxes[order], j.ash[order], at_least)
    return sparse.csr_array((values, (rows, order[columns])), shape=(len(i.boxes), len(j.boxes)))


def group(instances: Instances | Footprints, threshold: float = TrackingConfig.smash_threshold) -> np.ndarray:
    """Which instances are one object: those that pairs with SMASH >= threshold connect.

    Args:
        instances: n instances, or their footprints.
        threshold: 0 makes all of them one object.

    Returns:
        int64 (n,), number of each instance's object, from 0 in the order of their first instances.
    """
    prints = instances if isinstance(instances, Footprints) else instances.prints
    if threshold <= 0:  # which any pair reaches
        return np.zeros(len(prints.boxes), np.int64)
    _, numbers = sparse.csgraph.connected_components(smash(prints, prints, threshold), directed=False)
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


@compiled(allocates=True)
def _pairs(
    boxes: np.ndarray, words: np.ndarray, other_boxes: np.ndarray, other_words: np.ndarray, at_least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose boxes overlap and whose SMASH is at_least or more and above 0. The others are sorted by their tops.

    Returns:
        rows and columns int64, values float64.
    """
    n, room = 0, 64
    rows, columns, values = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
    set_bits, other_bits = _counts(words), _counts(other_words)
    for i in range(boxes.shape[0]):
        left, top, right, bottom = boxes[i]
        area = (right - left) * (bottom - top)
        for j in range(other_boxes.shape[0]):
            if other_boxes[j, 1] >= bottom:
                break
            width = min(right, other_boxes[j, 2]) - max(left, other_boxes[j, 0])
            height = min(bottom, other_boxes[j, 3]) - max(top, other_boxes[j, 1])
            if width <= 0 or height <= 0:
                continue
            shared = width * height
            other_area = (other_boxes[j, 2] - other_boxes[j, 0]) * (other_boxes[j, 3] - other_boxes[j, 1])
            iou = shared / (area + other_area - shared)
            if iou < at_least:
                continue
            both = 0
            for w in range(words.shape[1]):
                both += ones(words[i, w] & other_words[j, w])
            if both == 0:
                continue
            value = both / (set_bits[i] + other_bits[j] - both) * iou
            if value < at_least:
                continue
            if n == room:
                room *= 2
                rows, columns = np.concatenate((rows, rows)), np.concatenate((columns, columns))
                values = np.concatenate((values, values))
            rows[n], columns[n], values[n] = i, j, value
            n += 1
    return rows[:n], columns[:n], values[:n]


@compiled(allocates=True)
def _counts(words: np.ndarray) -> np.ndarray:
    """Set bits of each row, int64."""
    counts = np.zeros(words.shape[0], np.int64)
    for i in range(words.shape[0]):
        for w in range(words.shape[1]):
            counts[i] += ones(words[i, w])
    return counts
