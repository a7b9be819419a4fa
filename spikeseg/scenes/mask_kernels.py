# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops of `masks`, and how many pixels of a mask each component has."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled(allocates=True)
def move(y, x, down, right, height, width):
    """Pixels (y, x), int64 (m,) each, moved by so many px, as far as they are on the sensor: the same."""
    rows, columns, n = np.empty(len(y), np.int64), np.empty(len(y), np.int64), 0
    for i in range(len(y)):
        row, column = y[i] + down, x[i] + right
        if 0 <= row < height and 0 <= column < width:
            rows[n], columns[n] = row, column
            n += 1
    return rows[:n], columns[:n]


@compiled()
def mark(y, x, down, right, value, out):
    """Set the pixels (y, x), int64 (m,) each, moved by so many px, to a value, as far as they are in out (H, W)."""
    height, width = out.shape
    for i in range(len(y)):
        row, column = y[i] + down, x[i] + right
        if 0 <= row < height and 0 <= column < width:
            out[row, column] = value


@compiled(allocates=True)
def grow(y, x, by, height, width):
    """All pixels of the sensor at most `by` from one of (y, x) in both axes, row by row: int64 (m,) each; (y, x) not empty."""
    top, left = max(y.min() - by, 0), max(x.min() - by, 0)
    bottom, right = min(y.max() + by + 1, height), min(x.max() + by + 1, width)
    change = np.zeros((bottom - top + 1, right - left + 1), np.int32)  # of how many squares from pixel to pixel
    for i in range(len(y)):
        first, last = max(y[i] - by - top, 0), min(y[i] + by + 1 - top, bottom - top)
        begin, end = max(x[i] - by - left, 0), min(x[i] + by + 1 - left, right - left)
        change[first, begin] += 1
        change[first, end] -= 1
        change[last, begin] -= 1
        change[last, end] += 1
    n, above = 0, np.zeros(right - left, np.int32)
    for row in range(bottom - top):
        squares = 0
        for column in range(right - left):
            squares += change[row, column]
            above[column] += squares
            change[row, column] = above[column]
            n += above[column] > 0
    rows, columns, k = np.empty(n, np.int64), np.empty(n, np.int64), 0
    for row in range(bottom - top):
        for column in range(right - left):
            if change[row, column] > 0:
                rows[k], columns[k] = row + top, column + left
                k += 1
    return rows, columns


@compiled(allocates=True)
def nearest_of(y, x, rows, columns, begins, height, width):
    """To which mask each of the pixels (y, x), int64 (m,) each, of a part of the sensor (height, width) is nearest, as far as the
    masks lie in it; the first of several: int64 (m,).

    rows, columns: int64 (n,), the pixels of the masks, mask by mask; begins: int64 (masks + 1,), where those of each begin.
    """
    far, masks = height + width, len(begins) - 1
    upright = np.full((masks, height, width), far, np.int32)  # how far each mask is in the same column
    for k in range(masks):
        for i in range(begins[k], begins[k + 1]):
            if 0 <= rows[i] < height and 0 <= columns[i] < width:
                upright[k, rows[i], columns[i]] = 0
        for row in range(1, height):
            for column in range(width):
                upright[k, row, column] = min(upright[k, row, column], upright[k, row - 1, column] + 1)
        for row in range(height - 2, -1, -1):
            for column in range(width):
                upright[k, row, column] = min(upright[k, row, column], upright[k, row + 1, column] + 1)
    found = np.zeros(len(y), np.int64)
    for i in range(len(y)):
        least, aside = far * far, 0  # the square of the distance, and how far it has been looked for to both sides
        while aside * aside <= least and aside < width:
            for column in (x[i] - aside, x[i] + aside):
                if 0 <= column < width:
                    for k in range(masks):
                        square = aside * aside + np.int64(upright[k, y[i], column]) ** 2
                        if square < least or (square == least and k < found[i]):
                            least, found[i] = square, k
            aside += 1
    return found


@compiled(allocates=True)
def pixels_on(label, y, x, n):
    """How many of the pixels (y, x) each of n components has: int64 (n,). label: int32 (H, W), its number + 1."""
    found = np.zeros(n, np.int64)
    for i in range(len(y)):
        k = label[y[i], x[i]] - 1
        if k >= 0:
            found[k] += 1
    return found


@compiled(allocates=True)
def beyond(y, x, down, right, by, label):
    """Whether no component has a pixel in the box about a mask that is moved by so many px and grown on all sides."""
    height, width = label.shape
    if len(y) == 0:
        return True
    for row in range(max(y.min() + down - by, 0), min(y.max() + down + by + 1, height)):
        for column in range(max(x.min() + right - by, 0), min(x.max() + right + by + 1, width)):
            if label[row, column] > 0:
                return False
    return True


@compiled(allocates=True)
def near(y, x, begins, down, right, stays, by, label):
    """Whether any component has a pixel in the box about each mask, where it would be now or, if it may have stayed, where it
    was: bool (masks,). See `move_all` and `look_for`."""
    found = np.empty(len(begins) - 1, np.bool_)
    for k in range(len(found)):
        own = slice(begins[k], begins[k + 1])
        found[k] = not beyond(y[own], x[own], down[k], right[k], by[k], label)
        if not found[k] and stays[k]:
            found[k] = not beyond(y[own], x[own], 0, 0, by[k], label)
    return found


@compiled(allocates=True)
def look_around(y, x, down, right, by, label, n):
    """A mask, moved by so many px and grown on all sides, and how many of its pixels each of n components has: see `move`,
    `grow`, `pixels_on`. Without pixels where no component has any of them."""
    if beyond(y, x, down, right, by, label):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(n, np.int64)
    rows, columns = move(y, x, down, right, label.shape[0], label.shape[1])
    if len(rows):
        rows, columns = grow(rows, columns, by, label.shape[0], label.shape[1])
    return rows, columns, pixels_on(label, rows, columns, n)


@compiled(allocates=True)
def look_for(y, x, down, right, stays, by, label, n):
    """`look_around` where the mask would be now, or, if it may have stayed, where it was, whichever has more pixels of
    components."""
    rows, columns, found = look_around(y, x, down, right, by, label, n)
    if stays and (down != 0 or right != 0):
        others = look_around(y, x, 0, 0, by, label, n)
        if others[2].sum() > found.sum():
            return others
    return rows, columns, found


@compiled(allocates=True)
def move_all(y, x, begins, down, right, label, n):
    """Masks, moved, and how many of their pixels each of n components has.

    Args:
        y: int64 (m,), rows of the pixels, mask by mask.
        x: int64 (m,), their columns.
        begins: int64 (masks + 1,), where those of each mask begin.
        down: int64 (masks,), how far each is moved, px.
        right: int64 (masks,), the same.
        label: int32 (H, W), the number of each pixel's component + 1, 0 for none.
        n: components.

    Returns:
        int64 (k,), rows and columns of the pixels that are then on the sensor; int64 (masks + 1,), where those of each mask
        begin; int32 (masks, n).
    """
    height, width = label.shape
    rows, columns, k = np.empty(len(y), np.int64), np.empty(len(y), np.int64), 0
    starts, shared = np.zeros(len(begins), np.int64), np.zeros((len(begins) - 1, n), np.int32)
    for mask in range(len(begins) - 1):
        for i in range(begins[mask], begins[mask + 1]):
            row, column = y[i] + down[mask], x[i] + right[mask]
            if 0 <= row < height and 0 <= column < width:
                rows[k], columns[k] = row, column
                k += 1
                if label[row, column] > 0:
                    shared[mask, label[row, column] - 1] += 1
        starts[mask + 1] = k
    return rows[:k], columns[:k], starts, shared


@compiled(allocates=True)
def beside(before, where, least_px, sizes):
    """Which boxes lie beside new ones: those before, and the new ones that came first.

    Args:
        before: how many are not new.
        where: float64 (n, 4), centres x and y and half of the size, px.
        least_px: boxes that lie so far apart in one axis, or nearer, are beside each other ...
        sizes: ... or this share of half of the larger one's longer side.

    Returns:
        int64 (k,), the new ones, in order; int64 (k,), the others, rising.
    """
    new, other = [np.int64(0)], [np.int64(0)]
    for i in range(before, len(where)):
        x, y, wide, high = where[i]
        for j in range(i):
            gap = max(abs(x - where[j, 0]) - wide - where[j, 2], abs(y - where[j, 1]) - high - where[j, 3])
            if gap <= max(least_px, sizes * max(max(wide, high), max(where[j, 2], where[j, 3]))):
                new.append(np.int64(i))
                other.append(np.int64(j))
    return np.array(new)[1:], np.array(other)[1:]
