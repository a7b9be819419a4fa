"""Masks, as rows and columns of their pixels: grown, parted and shared (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from .mask_kernels import grow

Mask = tuple[np.ndarray, np.ndarray]
"""y and x of the pixels, int64 (m,) each."""


def grown(mask: Mask, by: int, size: tuple[int, int]) -> Mask:
    """A mask, grown on all sides, px, as far as it is on a sensor of (width, height)."""
    y, x = mask
    if not len(y):
        return mask
    y, x = grow(y, x, by, size[1], size[0])
    return y, x


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
