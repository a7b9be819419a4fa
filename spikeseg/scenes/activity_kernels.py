# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops of `activity`: coincidence counts, which neurons are active, and which of these are connected."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.core.union_kernels import join, number

RADIUS = 2
"""A neuron counts the events of the (2 RADIUS + 1)² pixels around it."""


@compiled()
def count(x, y, change, counts):
    """Add `change` to the pixel of each event. counts: int32 (H, W)."""
    for i in range(len(x)):
        counts[y[i], x[i]] += change


@compiled()
def box_sums(counts, columns, sums):
    """What each neuron counts: int32 (H, W), sums over the pixels around it as far as they are on the sensor.

    counts: int32 (H, W). columns: int32 (W,), scratch.
    """
    height, width = counts.shape
    columns[:] = 0
    for y in range(min(RADIUS, height)):
        for x in range(width):
            columns[x] += counts[y, x]
    for y in range(height):
        if y + RADIUS < height:
            for x in range(width):
                columns[x] += counts[y + RADIUS, x]
        if y - RADIUS - 1 >= 0:
            for x in range(width):
                columns[x] -= counts[y - RADIUS - 1, x]
        total = 0
        for x in range(min(RADIUS, width)):
            total += columns[x]
        for x in range(width):
            if x + RADIUS < width:
                total += columns[x + RADIUS]
            if x - RADIUS - 1 >= 0:
                total -= columns[x - RADIUS - 1]
            sums[y, x] = total


@compiled(allocates=True)
def moments_of(t, x, y, origin, label, n):
    """Of each of n components, float64 (n, 9): its events, and the sums over them of the time since origin, s, its square, x, y,
    their squares, and the time times x and times y."""
    sums = np.zeros((n, 9))
    for i in range(len(t)):
        k = label[y[i], x[i]] - 1
        if k < 0:
            continue
        since = (t[i] - origin) * 1e-6
        row = sums[k]
        row[0] += 1.0
        row[1] += since
        row[2] += since * since
        row[3] += x[i]
        row[4] += y[i]
        row[5] += x[i] * x[i]
        row[6] += y[i] * y[i]
        row[7] += since * x[i]
        row[8] += since * y[i]
    return sums


@compiled()
def active(sums, threshold, lower, favoured, pixels):
    """Flat indices of neurons that reach their threshold, or the lower one where they are favoured, rising, filled in; -> how
    many."""
    height, width = threshold.shape
    n = 0
    for y in range(height):
        for x in range(width):
            count = sums[y, x]
            if count >= threshold[y, x] or (favoured[y, x] and count >= lower[y, x]):
                pixels[n] = y * width + x
                n += 1
    return n


@compiled()
def connect(pixels, reach, grid, parent, part):
    """Number the components of n pixels in the order of their first pixels: those at most `reach` apart in x and in y are of one.

    Args:
        pixels: int64 (n,), flat indices, rising.
        reach: 1 or more, px.
        grid: int32 (H, W) of -1; left so.
        parent: int64 (n,), scratch.
        part: int64 (n,), filled.
    """
    width = grid.shape[1]
    for i in range(len(pixels)):
        parent[i] = i
        y, x = pixels[i] // width, pixels[i] % width
        grid[y, x] = i
        beside = x > 0 and grid[y, x - 1] >= 0
        if beside:  # whose neighbours are known: only the column that is new remains
            join(parent, grid[y, x - 1], i)
            first = x + reach
        else:
            first = max(0, x - reach)
            for column in range(first, x):
                if grid[y, column] >= 0:
                    join(parent, grid[y, column], i)
        for row in range(max(0, y - reach), y):
            for column in range(first, min(width, x + reach + 1)):
                if grid[row, column] >= 0:
                    join(parent, grid[row, column], i)
    for i in range(len(pixels)):
        grid[pixels[i] // width, pixels[i] % width] = -1
    return number(parent, part)


@compiled(allocates=True)
def gathered(pixels, part, n, width):
    """Components from their pixels, those of one component together and rising.

    Returns:
        order int64 (pixels,); begins int64 (n + 1,); boxes int64 (n, 4): left, top, right, bottom, the latter not part of it.
    """
    begins = np.zeros(n + 1, np.int64)
    boxes = np.zeros((n, 4), np.int64)
    boxes[:, :2] = 1 << 40
    for i in range(len(pixels)):
        k, y, x = part[i], pixels[i] // width, pixels[i] % width
        begins[k + 1] += 1
        boxes[k, 0], boxes[k, 1] = min(boxes[k, 0], x), min(boxes[k, 1], y)
        boxes[k, 2], boxes[k, 3] = max(boxes[k, 2], x + 1), max(boxes[k, 3], y + 1)
    for k in range(n):
        begins[k + 1] += begins[k]
    order, filled = np.empty(len(pixels), np.int64), begins[:-1].copy()
    for i in range(len(pixels)):
        order[filled[part[i]]] = i
        filled[part[i]] += 1
    return order, begins, boxes


@compiled()
def look_up(x, y, owner, out):
    """The owner of each event's pixel."""
    for i in range(len(x)):
        out[i] = owner[y[i], x[i]]
