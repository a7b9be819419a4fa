"""Masks, as rows and columns of their pixels: grown, parted and shared (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .mask_kernels import grow, nearest_of

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
    left, top, right, bottom = box.tolist()
    y, x = (np.concatenate(own) for own in zip(*masks, strict=True))
    begins = np.cumsum([0, *(len(mask[0]) for mask in masks)])
    found = nearest_of(pixels[0] - top, pixels[1] - left, y - top, x - left, begins, bottom - top, right - left)
    return np.asarray(found)
