"""Which class of the network objects and tracks are of: the one that lit them up most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.tracking.scene import ObjectTrack

from .objects import NO_CLASS, Blobs, Slice
from .slice_kernels import add_by_label

UNNAMED: Mapping[int, str] = MappingProxyType({})
"""Names of the classes of a network whose classes nobody has named."""


def classify(slices: Sequence[Sequence[Slice]], by_class: Sequence[Sequence[SparseMap]]) -> list[np.ndarray]:
    """Give every object its class, in place.

    Args:
        slices: of every window.
        by_class: of every window the saliency of one class after the other.

    Returns:
        `saliency_by_class` of every slice, in order of time.
    """
    lit = []
    for parts, of_classes in zip(slices, by_class, strict=True):
        for part in parts:
            lit.append(saliency_by_class(part.blobs, of_classes, part.steps))
            part.blobs.objects["class_id"] = strongest_class(lit[-1])
    return lit


def saliency_by_class(blobs: Blobs, by_class: Sequence[SparseMap], steps: slice) -> np.ndarray:
    """Of each object of a slice the saliency that each class gave its pixels.

    Args:
        blobs: n objects.
        by_class: saliency (T, H, W) of the window, of one class after the other.
        steps: of the window, those of the slice.

    Returns:
        float64 (n, classes).
    """
    size, *labels = blobs.labels
    sums = np.zeros((len(by_class), len(blobs.objects)))
    if len(blobs.objects):
        of_slice = (steps.start, steps.stop), size[0] * size[1], tuple(labels)
        for own, saliency in zip(sums, by_class, strict=True):
            add_by_label((saliency.index, saliency.value), *of_slice, own)
    return np.ascontiguousarray(sums.T)


def score_by_class(slices: Sequence[Sequence[Slice]], n_classes: int) -> list[np.ndarray]:
    """Of every slice, in order of time, the same where its objects have classes already (HULK): the score at an object's class, 0
    at all others."""
    objects = [part.blobs.objects for parts in slices for part in parts]
    return [np.where(own["class_id"][:, None] == np.arange(n_classes), own["score"][:, None], 0.0) for own in objects]


def strongest_class(saliency: np.ndarray) -> np.ndarray:
    """int32 (n,): each object's class of most saliency (n, classes), the lowest among equals; NO_CLASS where none has any."""
    return np.where(saliency.any(1), np.argmax(saliency, 1), NO_CLASS).astype(np.int32)


def classes_of_tracks(tracks: Sequence[ObjectTrack], saliency: Sequence[np.ndarray]) -> np.ndarray:
    """The class of each track: that of most saliency, over all its detections.

    Args:
        tracks: n tracks.
        saliency: of every slice, as `saliency_by_class` gives it.

    Returns:
        int32 (n,); NO_CLASS where no class lit it up.
    """
    if not tracks:
        return np.zeros(0, np.int32)
    first = np.concatenate([[0], np.cumsum([len(part) for part in saliency], dtype=np.int64)])
    everything = np.concatenate(saliency)
    return strongest_class(np.stack([everything[first[track.slices] + track.detections].sum(0) for track in tracks]))


def names_of(class_ids: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    """The name of each class (n,), '' for one that has none: an array (n,) of text."""
    return np.array([names.get(number, "") for number in class_ids.tolist()], "U" if len(class_ids) else "U1")


def longest(names: Mapping[int, str]) -> str:
    """The longest of these names; '' where there is none."""
    return max(names.values(), key=len, default="")
