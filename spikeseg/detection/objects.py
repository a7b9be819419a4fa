"""Objects of a slice of time: connected blobs of its saliency (ours; SMASH groups instances into the same OBJECT_DTYPE)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .objects_kernels import connect, find

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
box; a lone pixel measures 1. score: sum of its saliency over pixels and steps, no unit. class_id: the network's class, from 0,
or NO_CLASS. pixels: how many are lit.
"""

NO_CLASS = -1
"""The class of what no class of the network has lit up."""

BRIDGE_PX = 2
"""Blobs with at most this many dark pixels between them are one: the events of a dim object leave gaps."""

MIN_PIXELS = 3
"""Blobs of fewer pixels are taken for noise."""


SLICE_US = 100_000
"""Objects are looked for in slices of about this length, µs. In a window of 1 s a star at 80 px/s leaves a streak that breaks
and runs into others: tracked by whole windows, the star fields of 8 simulated nights came out wrong by 14 px/s in the mean, by
slices by 0.9 px/s."""


class Labels(NamedTuple):
    """Which object each pixel of a frame belongs to; nearly all belong to none.

    Attributes:
        size: (H, W).
        pixel: int32 (m,), flat indices of those that belong to one, rising.
        number: int32 (m,), the object's index + 1.
    """

    size: tuple[int, int]
    pixel: np.ndarray
    number: np.ndarray

    def dense(self) -> np.ndarray:
        """int32 (H, W), 0 for none."""
        flat = np.zeros(self.size[0] * self.size[1], np.int32)
        flat[self.pixel] = self.number
        return flat.reshape(self.size)


class Blobs(NamedTuple):
    """Objects of a slice, OBJECT_DTYPE (n,), and their pixels."""

    objects: np.ndarray
    labels: Labels


def joined(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Objects of several slices, OBJECT_DTYPE, one after the other; and int64 (slices + 1,), where those of each begin, and the
    end of the last. They are joined as bytes: of fields, numpy compares those of every slice anew."""
    offsets = np.concatenate([[0], np.cumsum([len(objects) for objects in parts], dtype=np.int64)])
    return np.concatenate([_KIND.view(_BYTES), *(objects.view(_BYTES) for objects in parts)]).view(OBJECT_DTYPE), offsets


class Slice(NamedTuple):
    """A slice of a window: its steps, its time in µs (the end is not part of it), its objects."""

    steps: slice
    start_us: int
    end_us: int
    blobs: Blobs


class WindowTime(NamedTuple):
    """The time of a window.

    Attributes:
        start_us, end_us: µs; where the recording ends within the window, its end is the recording's.
        step_us: length of a step, µs.
        from_us: what comes earlier is left out: where windows overlap, the end of the window before. None: nothing.
    """

    start_us: int
    end_us: int
    step_us: int
    from_us: int | None = None

    def slices(self, n_steps: int, slice_us: int | None = None) -> list[slice]:
        """The steps of the window's slices; n_steps: of the window, silent ones after the recording's end included; slice_us:
        see `slices`."""
        first = 0 if self.from_us is None else max(0, -(-(self.from_us - self.start_us) // self.step_us))
        within = min(n_steps, -(-(self.end_us - self.start_us) // self.step_us))
        return slices(within, self.step_us, min(first, within), slice_us or SLICE_US)

    def of(self, steps: slice) -> tuple[int, int]:
        """Start and end of some of its steps, µs."""
        start, end = self.start_us + steps.start * self.step_us, self.start_us + steps.stop * self.step_us
        return start, min(end, self.end_us)


def objects_in_slices(index: np.ndarray, value: np.ndarray, shape: tuple[int, int, int], time: WindowTime) -> list[Slice]:
    """Objects of a window, slice by slice.

    Args:
        index: (n,), flat indices into (T, H, W) of the steps and pixels that reach the threshold, rising.
        value: (n,), their saliency.
        shape: (T, H, W).
        time: of the window.

    Returns:
        in order of time; none where no step is left.
    """
    n_pixels = shape[1] * shape[2]
    parts = []
    for steps in time.slices(shape[0]):
        low, high = np.searchsorted(index, [steps.start * n_pixels, steps.stop * n_pixels])
        pixel, weight = index[low:high] % n_pixels, value[low:high].astype(np.float64)
        if steps.stop - steps.start > 1:
            pixel, of = np.unique(pixel, return_inverse=True)
            weight = np.asarray(np.bincount(of, weight, len(pixel)), np.float64)
        parts.append(Slice(steps, *time.of(steps), blobs_of(pixel, weight, (shape[1], shape[2]))))
    return parts


def slices(n_steps: int, step_us: int, first: int = 0, slice_us: int = SLICE_US) -> list[slice]:
    """The steps of a window, cut into runs of about slice_us, as equal as can be; at least one step each.

    Args:
        n_steps: of the window.
        step_us: length of a step, µs.
        first: steps before this one are left out: where windows overlap, those that the window before held. May be n_steps.
        slice_us: how long a run is, µs.

    Returns:
        in order, without gaps, up to n_steps; none where no step is left.
    """
    left = n_steps - first
    parts = min(left, max(1, round(left * step_us / slice_us)))
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
    if saliency.ndim not in (2, 3):
        raise ValueError(f"saliency must be (T, H, W) or (H, W), not {saliency.shape}")
    steps = saliency if saliency.ndim == 3 else saliency[None]
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, not {threshold}")
    reached = steps >= threshold
    pixel = np.flatnonzero(reached.any(0))
    weight = np.where(reached, steps, 0).reshape(len(steps), -1)[:, pixel].sum(0, dtype=np.float64)
    size = (steps.shape[1], steps.shape[2])
    return blobs_of(pixel, weight, size, min_pixels=min_pixels, bridge_px=bridge_px, class_id=class_id)


def blobs_of(
    pixel: np.ndarray,
    weight: np.ndarray,
    size: tuple[int, int],
    *,
    min_pixels: int = MIN_PIXELS,
    bridge_px: int = BRIDGE_PX,
    class_id: int = 0,
) -> Blobs:
    """`find_objects` of lit pixels alone: flat indices (n,) into a frame of `size` (H, W), rising, and their weights, float64."""
    least = max(min_pixels, 1)
    objects, labelled, number = find(pixel, weight, bridge_px + 1, least, class_id, _grid(*size), _KIND)
    return Blobs(objects, Labels(size, labelled, number))


def connected(rows: np.ndarray, columns: np.ndarray, size: tuple[int, int], bridge_px: int) -> np.ndarray:
    """The blob of each lit pixel (n,), int64 from 0, in the order of their first pixels; a pixel may come more than once."""
    blob = np.zeros(len(rows), np.int64)
    scratch = _grid(*size), np.zeros(len(rows), np.int64)
    connect(rows.astype(np.int64), columns.astype(np.int64), bridge_px + 1, *scratch, blob)
    return blob


def _grid(height: int, width: int) -> np.ndarray:
    """A frame of -1, which `connect` leaves as it was: made once per thread and size."""
    grids: dict[tuple[int, int], np.ndarray] = _scratch.__dict__.setdefault("grids", {})
    if (height, width) not in grids:
        grids[height, width] = np.full((height, width), -1, np.int64)
    return grids[height, width]


_scratch = threading.local()
_KIND, _BYTES = np.empty(0, OBJECT_DTYPE), np.dtype((np.void, OBJECT_DTYPE.itemsize))
