"""Cones followed by compiled loops: upwards, unions of what spikes reach; downwards, sums of weights."""

from __future__ import annotations

import numpy as np

from spikeseg.ops.reference.tracing import exact
from spikeseg.ops.types import FAR, Cones, Groups

from . import cone_links


def unite(cones: Cones) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.unite`. From the events upwards, because cones share most of what they reach."""
    events, *layers = cones.nodes
    _, height, width = events.shape
    pixels = events.sites % np.int32(height * width)
    x, y = pixels % np.int32(width), pixels // np.int32(width)
    boxes, maps_below = np.stack([x, y, x + np.int32(1), y + np.int32(1)], 1), 0
    words = np.zeros((len(boxes), 0), np.uint64)
    for nodes, links in zip(layers, cones.links, strict=True):
        low_boxes, low_words, n = boxes, words, len(nodes.sites)
        boxes = np.tile(np.array([FAR, FAR, 0, 0], np.int32), (n, 1))
        words = np.zeros((n, -(-(maps_below + nodes.shape[0]) * cones.steps // 64)), np.uint64)
        bit = (maps_below + nodes.sites // (nodes.shape[1] * nodes.shape[2])) * cones.steps + nodes.fired
        words[np.arange(n), bit // 64] = np.uint64(1) << (bit % 64).astype(np.uint64)
        cone_links.unite(links.offsets, links.targets, links.earlier, low_boxes, low_words, boxes, words)
        maps_below += nodes.shape[0]
    return boxes, words


def spread(cones: Cones, groups: Groups, cells: np.ndarray, n_cells: int) -> Groups:
    """See `reference.spread`."""
    parts, steps, bounds = groups, None, np.zeros(0, np.int64)
    if not exact(cones.reach):
        step = cones.nodes[-1].steps[groups.members].astype(np.int64)
        order = np.lexsort((step, groups.owner))
        owner, step = groups.owner[order], step[order]
        first = np.flatnonzero(np.append(True, (np.diff(owner) != 0) | (np.diff(step) != 0))[: len(order)])
        starts, steps = np.append(first, len(order)), step[first]
        parts, bounds = Groups(starts, groups.members[order], groups.values[order]), np.searchsorted(first, groups.starts)
    for links in reversed(cones.links):
        parts = Groups(*cone_links.spread(parts, links))
    if steps is not None:
        parts = Groups(*cone_links.weaken(parts, steps, bounds, cones.nodes[0].steps, cones.reach))
    return Groups(*cone_links.gather(*parts, cells, n_cells))
