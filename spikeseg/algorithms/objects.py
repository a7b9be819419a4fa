"""Objects of a window: connected blobs of its saliency."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

OBJECT_DTYPE = np.dtype(
    [
        ("x", "<f8"),
        ("y", "<f8"),
        ("width", "<f8"),
        ("height", "<f8"),
        ("score", "<f8"),
        ("class_id", "<i4"),
        ("pixels", "<i4"),
    ]
)
"""An object of one window: saliency-weighted centroid x, y and bounding box width, height in pixels of the frame; score, the
sum of
its saliency; class_id of the network's class; pixels that lit up."""

BRIDGE_PX = 2
"""Blobs closer than this are one: a dim object's events leave gaps."""

MIN_PIXELS = 3


class Blobs(NamedTuple):
    """Objects of a window, and for every pixel the number of its object: index + 1 into `objects`, 0 for none (H, W) int32."""

    objects: np.ndarray
    labels: np.ndarray


def find_objects(
    saliency: np.ndarray, threshold: float, *, min_pixels: int = MIN_PIXELS, bridge_px: int = BRIDGE_PX, class_id: int = 0
) -> Blobs:
    """Connected blobs of the pixels that reach the threshold at any step.

    Args:
        saliency: (T, H, W) or (H, W), >= 0.
        threshold: > 0.
        min_pixels: smaller blobs are dropped.
        bridge_px: gaps up to this width (Chebyshev) join.
        class_id: given to every object.

    Returns:
        Blobs, objects in order of falling score; their labels cover lit pixels only.

    Raises:
        ValueError: a threshold of 0 or less, under which every pixel would be an object.
    """
    if threshold <= 0:
        raise ValueError(f"threshold must be above 0, not {threshold}")
    steps = saliency if saliency.ndim == 3 else saliency[None]
    lit = (steps >= threshold).any(0)
    weight = np.where(steps >= threshold, steps, 0).sum(0, dtype=np.float64)
    square = np.ones((3, 3), bool)
    grown = ndimage.binary_dilation(lit, np.ones((bridge_px + 1,) * 2, bool)) if bridge_px else lit
    parts, _ = ndimage.label(grown, square)
    parts = np.where(lit, parts, 0)
    found = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        if box is None:
            continue
        inside = parts[box] == number
        if inside.sum() < min_pixels:
            continue
        w = weight[box] * inside
        y, x = np.mgrid[box]
        total = w.sum()
        row = (
            (w * x).sum() / total,
            (w * y).sum() / total,
            box[1].stop - box[1].start,
            box[0].stop - box[0].start,
            total,
            class_id,
            inside.sum(),
        )
        found.append((row, number))
    found.sort(key=lambda item: (-item[0][4], item[1]))
    labels = np.zeros(lit.shape, np.int32)
    for index, (_, number) in enumerate(found, 1):
        labels[parts == number] = index
    return Blobs(np.array([row for row, _ in found], OBJECT_DTYPE), labels)
