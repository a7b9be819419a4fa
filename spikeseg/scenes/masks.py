"""Masks, as rows and columns of their pixels: moved, grown, parted and shared (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Mask = tuple[np.ndarray, np.ndarray]
"""y and x of the pixels, int64 (m,) each."""


def moved(mask: Mask, way: np.ndarray, size: tuple[int, int]) -> Mask:
    """A mask, moved by a way (x, y) of whole pixels, as far as it is on a sensor of (width, height)."""
    y, x = mask[0] + round(way[1]), mask[1] + round(way[0])
    inside = (y >= 0) & (y < size[1]) & (x >= 0) & (x < size[0])
    return y[inside], x[inside]


def grown(mask: Mask, by: int, size: tuple[int, int]) -> Mask:
    """A mask, grown on all sides, px, as far as it is on a sensor of (width, height)."""
    y, x = mask
    if not len(y):
        return mask
    top, left = max(int(y.min()) - by, 0), max(int(x.min()) - by, 0)
    bottom, right = min(int(y.max()) + by + 1, size[1]), min(int(x.max()) + by + 1, size[0])
    crop = np.zeros((bottom - top, right - left), bool)
    crop[y - top, x - left] = True
    y, x = np.nonzero(ndimage.maximum_filter(crop, 2 * by + 1, mode="constant"))
    return y + top, x + left


def box_of(mask: Mask) -> np.ndarray:
    """Left, top, right, bottom; the latter two are not part of it."""
    y, x = mask
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """Between two boxes (left, top, right, bottom), px: the wider of the two axes' gaps."""
    return float(np.maximum(np.maximum(one[:2], other[:2]) - np.minimum(one[2:], other[2:]), 0).max())


def nearest(pixels: Mask, box: np.ndarray, masks: Sequence[Mask]) -> np.ndarray:
    """To which of the masks each pixel of a component is nearest: int64 (m,); box: of the component."""
    left, top, right, bottom = box
    distance = []
    for y, x in masks:
        away = np.ones((bottom - top, right - left), bool)
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        away[y[inside] - top, x[inside] - left] = False
        distance.append(np.full(away.shape, np.inf) if away.all() else ndimage.distance_transform_edt(away))
    return np.asarray(np.argmin(np.stack(distance), 0)[pixels[0] - top, pixels[1] - left])
