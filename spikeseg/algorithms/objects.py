"""Objects of a slice of time: connected blobs of its saliency (ours; SMASH groups instances into the same OBJECT_DTYPE)."""

from __future__ import annotations

import itertools
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
"""One object of one slice, in pixels of the frame (0-based, the centre of the top left pixel is (0, 0)).

x, y: centroid of the lit pixels, each weighted by the root of its saliency. (A learned kernel stresses one side of a source: by
saliency itself tracks were off by 0.55 px in the median on simulated nights, by its root by 0.35.) width, height: of the bounding
box; a lone pixel measures 1. score: sum of its saliency over pixels and steps, no unit. class_id: the network's class, from 0.
pixels: how many lit up.
"""

BRIDGE_PX = 2
"""Blobs with at most this many dark pixels between them are one: the events of a dim object leave gaps."""

MIN_PIXELS = 3
"""Blobs of fewer pixels are taken for noise."""


SLICE_US = 100_000
"""Objects are looked for in slices of about this length, µs. In a window of 1 s a star at 80 px/s leaves a streak that breaks
and runs into others: tracked by whole windows, the star fields of 8 simulated nights came out wrong by 14 px/s in the mean, by
slices by 0.9 px/s."""


class Blobs(NamedTuple):
    """Objects of a slice, OBJECT_DTYPE (n,), and for every pixel which of them it belongs to: index + 1, 0 for none,
    int32 (H, W)."""

    objects: np.ndarray
    labels: np.ndarray


class Slice(NamedTuple):
    """A slice of a window: its steps, its time in µs (the end is not part of it), its objects."""

    steps: slice
    start_us: int
    end_us: int
    blobs: Blobs


def find_in_slices(
    saliency: np.ndarray, threshold: float, *, start_us: int, end_us: int, step_us: int, from_us: int | None = None
) -> list[Slice]:
    """Objects of a window, slice by slice.

    Args:
        saliency: (T, H, W), see `find_objects`.
        threshold: > 0.
        start_us, end_us: the window, µs; where the recording ends within it, its end is the recording's.
        step_us: length of a step, µs.
        from_us: what comes earlier is left out: where windows overlap, the end of the window before. None: nothing.

    Returns:
        in order of time; none where nothing is left.

    Raises:
        ValueError: see `find_objects`.
    """
    first = 0 if from_us is None else max(0, -(-(from_us - start_us) // step_us))
    within = min(len(saliency), -(-(end_us - start_us) // step_us))
    found = []
    for steps in slices(within, step_us, min(first, within)):
        start, end = start_us + steps.start * step_us, start_us + steps.stop * step_us
        found.append(Slice(steps, start, min(end, end_us), find_objects(saliency[steps], threshold)))
    return found


def slices(n_steps: int, step_us: int, first: int = 0) -> list[slice]:
    """The steps of a window, cut into runs of about SLICE_US, as equal as can be; at least one step each.

    Args:
        n_steps: of the window.
        step_us: length of a step, µs.
        first: steps before this one are left out: where windows overlap, those that the window before held. May be n_steps.

    Returns:
        in order, without gaps, up to n_steps; none where no step is left.
    """
    left = n_steps - first
    parts = min(left, max(1, round(left * step_us / SLICE_US)))
    edges = [first + left * k // parts for k in range(parts + 1)] if parts else []
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def find_objects(
    saliency: np.ndarray, threshold: float, *, min_pixels: int = MIN_PIXELS, bridge_px: int = BRIDGE_PX, class_id: int = 0
) -> Blobs:
    """Connected blobs of the pixels that reach the threshold at any step.

    Pixels are connected over 8 neighbours and over gaps of up to ``bridge_px`` dark pixels in x and in y.

    Args:
        saliency: (T, H, W) or (H, W), any real dtype, >= 0; not changed. What lies below the threshold counts as 0.
        threshold: > 0.
        min_pixels: blobs of fewer lit pixels are dropped.
        bridge_px: 0 or more, pixels.
        class_id: given to every object.

    Returns:
        Blobs, in order of falling score; labels cover lit pixels only.

    Raises:
        ValueError: a threshold of 0 or less, under which every pixel would be an object; another number of dimensions.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, not {threshold}")
    if saliency.ndim not in (2, 3):
        raise ValueError(f"saliency must be (T, H, W) or (H, W), not {saliency.shape}")
    steps = saliency if saliency.ndim == 3 else saliency[None]
    reached = steps >= threshold
    rows, columns = np.nonzero(reached.any(0))
    part = connected(rows, columns, steps.shape[1:], bridge_px)
    weight = np.where(reached[:, rows, columns], steps[:, rows, columns], 0).sum(0, dtype=np.float64)
    root = np.sqrt(weight)
    pixels = np.bincount(part)
    total, roots = np.bincount(part, weight), np.bincount(part, root)
    kept = np.flatnonzero(pixels >= max(min_pixels, 1))
    kept = kept[np.argsort(-total[kept], kind="stable")]

    objects = np.zeros(len(kept), OBJECT_DTYPE)
    for centre, size, place in (("x", "width", columns), ("y", "height", rows)):
        objects[centre] = np.bincount(part, root * place)[kept] / roots[kept]
        objects[size] = _extent(part, place, len(pixels))[kept]
    objects["score"], objects["pixels"], objects["class_id"] = total[kept], pixels[kept], class_id
    number = np.zeros(len(pixels), np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    labels = np.zeros(steps.shape[1:], np.int32)
    labels[rows, columns] = number[part]
    return Blobs(objects, labels)


def connected(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...], bridge_px: int) -> np.ndarray:
    """The blob of each lit pixel (n,), from 0; pixels may come more than once. Grown by the gap, blobs to be joined touch."""
    lit = np.zeros(shape, bool)
    lit[rows, columns] = True
    if bridge_px:
        lit = ndimage.binary_dilation(lit, np.ones((bridge_px + 1, bridge_px + 1), bool))
    numbers, _ = ndimage.label(lit, np.ones((3, 3), bool))
    return np.asarray(numbers[rows, columns] - 1)


def _extent(part: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    """Number of pixels from the lowest to the highest place of each blob, both included."""
    low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
    np.minimum.at(low, part, place)
    np.maximum.at(high, part, place)
    return high - low + 1
