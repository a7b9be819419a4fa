"""Objects of a slice of time: groups of instances [Kirkland et al. 2022], as `objects_in_slices` gives connected blobs."""

from __future__ import annotations

import numpy as np

from .hulk import Instances
from .objects import BRIDGE_PX, MIN_PIXELS, OBJECT_DTYPE, Blobs, Labels, Slice, WindowTime, connected


def groups_in_slices(
    instances: Instances,
    group: np.ndarray,
    saliency: np.ndarray,
    threshold: float,
    time: WindowTime,
    *,
    min_pixels: int = MIN_PIXELS,
    pieces: bool = True,
) -> list[Slice]:
    """Objects of a window, slice by slice: the salient pixels of each group, one object for each connected piece of them.

    Without `pieces` it is one object wherever its parts lie. SMASH at 0.1 links what shares a receptive field, on simulated
    nights every second source with a neighbour (42 to 55 %; connected blobs 0.5 %); by pieces they come apart again.

    Salient are pixels and steps whose saliency reaches the threshold, as for connected blobs. Each group has its own share of
    that saliency: its spikes, decoded together; the decoder is linear, so the shares add up. Centroid and score come from the
    share. Where groups overlap, their objects share pixels.

    Args:
        instances: of the window.
        group: int (n,), the object of each instance, from 0, as `smash.group` says; ``np.arange(len(instances))`` makes every
            instance an object of its own. -1: of none.
        saliency: (T, H, W) of all of them, decoded together, >= 0.
        threshold: > 0.
        time: of the window.
        min_pixels: objects of fewer salient pixels in a slice are dropped from it.
        pieces: see above; pixels are connected as in `objects.find_objects`.

    Returns:
        in order of time; objects in order of falling score, class_id that of most of the group's spikes, the lowest among
        equals. A label names the object with the highest saliency in its pixel, the one of higher score among equals.

    Raises:
        ValueError: a threshold of 0 or less; saliency of another shape than the instances' sample.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, not {threshold}")
    steps, height, width = instances.size
    if saliency.shape != instances.size:
        raise ValueError(f"saliency {saliency.shape}, must be {instances.size}")
    parts = time.slices(steps)
    n, n_pixels = int(group.max(initial=-1)) + 1, height * width

    part_of = np.full(steps, -1, np.int32)
    for s, part in enumerate(parts):
        part_of[part] = s
    events = instances.cells
    into = part_of[events // n_pixels]
    counts = (into >= 0) & (saliency.reshape(-1)[events] >= threshold)
    cells = np.where(counts, into * n_pixels + events % n_pixels, -1).astype(np.int32)
    share = instances.traced(group, n, cells, len(parts) * n_pixels)
    ordered = np.argsort(share.members // n_pixels, kind="stable")
    owner, cell, weight = share.owner[ordered], share.members[ordered], share.values[ordered]
    edges = np.searchsorted(cell // n_pixels, np.arange(len(parts) + 1))

    classes, objects = _classes(instances, group, n), []
    for s, part in enumerate(parts):
        inside = slice(edges[s], edges[s + 1])
        of, pixel = owner[inside], cell[inside] % n_pixels
        own = classes
        if pieces and len(pixel):
            piece = connected(*np.divmod(pixel, width), (height, width), BRIDGE_PX)
            both, of = np.unique(of.astype(np.int64) * (piece.max() + 1) + piece, return_inverse=True)
            own = classes[both // (piece.max() + 1)]
        blobs = _blobs(of, pixel, weight[inside], (height, width), own, min_pixels)
        objects.append(Slice(part, *time.of(part), blobs))
    return objects


def _classes(instances: Instances, group: np.ndarray, n: int) -> np.ndarray:
    """int (n,): the class of most spikes of each group."""
    count = int(instances.class_id.max(initial=0)) + 1
    member = group >= 0
    votes = np.bincount(group[member] * count + instances.class_id[member], minlength=n * count)
    return np.argmax(votes.reshape(n, count), 1)


def _blobs(
    owner: np.ndarray, pixel: np.ndarray, weight: np.ndarray, size: tuple[int, int], classes: np.ndarray, min_pixels: int
) -> Blobs:
    """Objects of one slice: saliency `weight` of group `owner` at `pixel`, each pixel once per group."""
    rows, columns = np.divmod(pixel, size[1])
    n = len(classes)
    root = np.sqrt(weight)
    pixels, total, roots = np.bincount(owner, minlength=n), np.bincount(owner, weight, n), np.bincount(owner, root, n)
    kept = np.flatnonzero(pixels >= max(min_pixels, 1))
    kept = kept[np.argsort(-total[kept], kind="stable")]

    objects = np.zeros(len(kept), OBJECT_DTYPE)
    for centre, extent, position in (("x", "width", columns), ("y", "height", rows)):
        low, high = np.full(n, size[0] + size[1], position.dtype), np.zeros(n, position.dtype)
        np.minimum.at(low, owner, position)
        np.maximum.at(high, owner, position)
        objects[centre] = np.bincount(owner, root * position, n)[kept] / roots[kept]
        objects[extent] = (high - low + 1)[kept]
    objects["score"], objects["pixels"], objects["class_id"] = total[kept], pixels[kept], classes[kept]

    number = np.zeros(n, np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    best = np.zeros(size[0] * size[1])
    shown = number[owner] > 0
    np.maximum.at(best, pixel[shown], weight[shown])
    strongest = np.flatnonzero(shown & (weight == best[pixel]))
    strongest = strongest[np.argsort(-number[owner[strongest]], kind="stable")]  # the highest score is written last
    labels = np.zeros(size[0] * size[1], np.int32)
    labels[pixel[strongest]] = number[owner[strongest]]
    labelled = np.flatnonzero(labels)
    return Blobs(objects, Labels(size, labelled.astype(np.int32), labels[labelled]))
