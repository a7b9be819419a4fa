# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops over the pixels that reach a threshold: which are connected, and what each blob measures."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.core.union_kernels import join, number, root


@compiled()
def connect(rows, columns, reach, grid, parent, part):
    """Number the connected blobs of n pixels, in the order of their first pixels; -> how many.

    Args:
        rows: int64 (n,); a pixel may come more than once.
        columns: int64 (n,).
        reach: pixels at most this far apart in x and in y are connected, 1 or more.
        grid: int64 (H, W) of -1; left so.
        parent: int64 (n,), scratch.
        part: int64 (n,), filled: the blob of each pixel.
    """
    height, width = grid.shape
    for i in range(rows.size):
        parent[i] = i
        if grid[rows[i], columns[i]] >= 0:
            parent[i] = root(parent, grid[rows[i], columns[i]])
            continue
        grid[rows[i], columns[i]] = i
        for y in range(max(0, rows[i] - reach), min(height, rows[i] + reach + 1)):
            for x in range(max(0, columns[i] - reach), min(width, columns[i] + reach + 1)):
                if grid[y, x] >= 0:
                    join(parent, grid[y, x], i)
    for i in range(rows.size):
        grid[rows[i], columns[i]] = -1
    return number(parent, part)


@compiled(allocates=True)
def measure(part, n, rows, columns, weight):
    """Sums of n blobs over their pixels: float64 (n, 4), weight, its roots, and roots times column and row; and int64 (n, 5),
    pixels, lowest and highest column, lowest and highest row."""
    sums = np.zeros((n, 4))
    counts = np.zeros((n, 5), np.int64)
    for i in range(part.size):
        k, root = part[i], np.sqrt(weight[i])
        sums[k, 0] += weight[i]
        sums[k, 1] += root
        sums[k, 2] += root * columns[i]
        sums[k, 3] += root * rows[i]
        if not counts[k, 0]:
            counts[k, 1:3], counts[k, 3:5] = columns[i], rows[i]
        counts[k, 0] += 1
        counts[k, 1], counts[k, 2] = min(counts[k, 1], columns[i]), max(counts[k, 2], columns[i])
        counts[k, 3], counts[k, 4] = min(counts[k, 3], rows[i]), max(counts[k, 4], rows[i])
    return sums, counts


@compiled(allocates=True)
def find(pixel, weight, reach, least, class_id, grid, kind):
    """Blobs of pixels as objects.

    Args:
        pixel: int (n,), rising indices into the frame.
        weight: float64 (n,), their saliency.
        reach: see `connect`.
        least: blobs of fewer pixels are dropped.
        class_id: given to every object.
        grid: see `connect`.
        kind: any array of OBJECT_DTYPE.

    Returns:
        objects, OBJECT_DTYPE, in order of falling score; int32 (m,), the pixels that belong to one; int32 (m,), its index + 1.
    """
    n, width = pixel.size, grid.shape[1]
    rows, columns, part = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        rows[i], columns[i] = pixel[i] // width, pixel[i] % width
    blobs = connect(rows, columns, reach, grid, np.empty(n, np.int64), part)
    sums, counts = measure(part, blobs, rows, columns, weight)
    kept = np.flatnonzero(counts[:, 0] >= least)
    kept = kept[np.argsort(-sums[kept, 0], kind="mergesort")]
    objects, number = np.zeros(kept.size, kind.dtype), np.zeros(blobs, np.int32)
    for i in range(kept.size):
        k, blob = kept[i], objects[i]
        blob.x, blob.y = sums[k, 2] / sums[k, 1], sums[k, 3] / sums[k, 1]
        blob.width, blob.height = counts[k, 2] - counts[k, 1] + 1, counts[k, 4] - counts[k, 3] + 1
        blob.score, blob.pixels, blob.class_id = sums[k, 0], counts[k, 0], class_id
        number[k] = i + 1
    labelled, belongs, m = np.empty(n, np.int32), np.empty(n, np.int32), 0
    for i in range(n):
        if number[part[i]]:
            labelled[m], belongs[m] = pixel[i], number[part[i]]
            m += 1
    return objects, labelled[:m].copy(), belongs[:m].copy()
