# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops of `activity`: coincidence counts, which neurons are active, and which of these are connected."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.core.union_kernels import join, number

AT_ONCE = 64
"""Neurons that are tested together."""

RADIUS = 2
"""A neuron counts the events of the (2 RADIUS + 1)² pixels around it."""


@compiled()
def find_places(x, y, places):
    """The pixel of each event in one number, row << 16 | column, uint32 (n,), filled: a quarter of what is read of x and y."""
    for i in range(len(x)):
        places[i] = (y[i] << 16) | x[i]


@compiled(inlined=True)
def place_of(places, i):
    """Row and column of event i, see `find_places`."""
    return np.int64(places[i] >> np.uint32(16)), np.int64(places[i] & np.uint32(0xFFFF))


@compiled()
def count(places, change, counts, rows):
    """Add `change` to the pixel of each event, see `find_places`. counts: int32 (H, W); rows: bool (H,), set where one falls."""
    for i in range(len(places)):
        y, x = place_of(places, i)
        counts[y, x] += change
        rows[y] = True


@compiled()
def find_blocks(places, shift, columns, blocks):
    """The block of each event, row * columns + column, int32 (n,), filled. A block is 2**shift px wide and high."""
    for i in range(len(places)):
        y, x = place_of(places, i)
        blocks[i] = (y >> shift) * columns + (x >> shift)


@compiled()
def count_blocks(blocks, begins, ends, counts):
    """Count the events of several steps, block by block.

    Args:
        blocks: int32 (n,), of each event.
        begins: int64 (steps,), the first event of each.
        ends: int64 (steps,), one beyond the last.
        counts: int64 (steps, blocks), to which is added.
    """
    for k in range(len(begins)):
        now = counts[k]
        for i in range(begins[k], ends[k]):
            now[blocks[i]] += 1


@compiled(allocates=True)
def hot(x, y, times, more, shape):
    """Pixels of more events than `times` the mean of the eight around them, and `more`: bool (H, W). Beyond the edges lie the
    pixels at the edges."""
    height, width = shape
    counts, found = np.zeros((height, width), np.int64), np.zeros((height, width), np.bool_)
    for i in range(len(x)):
        counts[y[i], x[i]] += 1
    for row in range(height):
        for column in range(width):
            own = counts[row, column]
            if own <= more:
                continue
            around = -own
            for i in range(row - 1, row + 2):
                for j in range(column - 1, column + 2):
                    around += counts[min(max(i, 0), height - 1), min(max(j, 0), width - 1)]
            found[row, column] = 8 * (own - more) > times * around
    return found


@compiled()
def keep(row, n, s, ss, sx, sy, xx, yy, xt, yt):
    """Write the sums of `moments_of` into a row, float64 (9,)."""
    row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] = n, s, ss, sx, sy, xx, yy, xt, yt


@compiled(allocates=True)
def moments_of(t, places, origin, label, wanted):
    """Of each of n components that is wanted, bool (n,), float64 (n, 9): its events, and the sums over them of the time since
    origin, s, its square, x, y, their squares, and the time times x and times y; 0 of the others."""
    sums = np.zeros((len(wanted), 9))
    last, n, s, ss, sx, sy, xx, yy, xt, yt = -1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0  # of the component in hand
    for i in range(len(t)):
        y, x = place_of(places, i)
        k = label[y, x] - 1
        if k < 0 or not wanted[k]:
            continue
        if k != last:
            if last >= 0:
                keep(sums[last], n, s, ss, sx, sy, xx, yy, xt, yt)
            own = sums[k]
            n, s, ss, sx, sy, xx, yy, xt, yt = own[0], own[1], own[2], own[3], own[4], own[5], own[6], own[7], own[8]
            last = k
        since = (t[i] - origin) * 1e-6
        n += 1.0
        s += since
        ss += since * since
        sx += x
        sy += y
        xx += x * x
        yy += y * y
        xt += since * x
        yt += since * y
    if last >= 0:
        keep(sums[last], n, s, ss, sx, sy, xx, yy, xt, yt)
    return sums


@compiled()
def add_around(columns, sums):
    """Sums of 2 RADIUS + 1 successive numbers. columns: int32 (n + 2 RADIUS,); sums: int32 (n,), filled."""
    for x in range(sums.size):
        total = columns[x]
        for k in range(1, 2 * RADIUS + 1):
            total = np.int32(total + columns[x + k])
        sums[x] = total


@compiled()
def reached(sums, threshold):
    """Whether any number reaches its threshold: int32 (n,) each."""
    above = np.int32(-(2**31))
    for x in range(sums.size):
        above = max(above, np.int32(sums[x] - threshold[x]))
    return above >= 0


@compiled()
def active(counts, rows, scratch, block, threshold, lower, favoured, pixels):
    """Flat indices of neurons that reach their threshold, or the lower one where they are favoured, rising, filled in; -> how
    many. A neuron counts the events of the pixels around it as far as they are on the sensor.

    Args:
        counts: int32 (H, W), events of each pixel.
        rows: bool (H,), false only where a row has no events; set to whether it has.
        scratch: int32 (2, W + 2 RADIUS).
        block: thresholds hold for so many rows each.
        threshold: int32 (ceil(H / block), W), 1 or more.
        lower: the same, no higher.
        favoured: uint8 (H, W).
        pixels: int64, filled.
    """
    height, width = counts.shape
    columns, sums = scratch[0], scratch[1, :width]
    columns[:] = 0
    n, near = 0, 0  # near: rows around with events
    for y in range(-RADIUS, height):
        if y + RADIUS < height and rows[y + RADIUS]:
            coming, some = counts[y + RADIUS], np.int32(0)
            for x in range(width):
                columns[x + RADIUS] += coming[x]
                some |= coming[x]
            rows[y + RADIUS] = some != 0
            near += some != 0
        if y - RADIUS - 1 >= 0 and rows[y - RADIUS - 1]:
            near -= 1
            going = counts[y - RADIUS - 1]
            for x in range(width):
                columns[x + RADIUS] -= going[x]
        if y < 0 or near == 0:
            continue
        add_around(columns, sums)
        enough, less = threshold[y // block], lower[y // block]
        for first in range(0, width, AT_ONCE):
            if not reached(sums[first : first + AT_ONCE], less[first : first + AT_ONCE]):
                continue
            for x in range(first, min(first + AT_ONCE, width)):
                if sums[x] >= less[x] and (sums[x] >= enough[x] or favoured[y, x]):
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
    width, y = grid.shape[1], 0
    for i in range(len(pixels)):
        parent[i] = i
        while pixels[i] >= (y + 1) * width:  # a division takes as long as many of these
            y += 1
        x = pixels[i] - y * width
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
            known = beside and first <= width and grid[row, first - 1] >= 0
            for column in range(first, min(width, x + reach + 1)):
                here = grid[row, column] >= 0
                if here and not known:  # one beside another is joined to it
                    join(parent, grid[row, column], i)
                known = here
    everywhere = grid.reshape(-1)
    for i in range(len(pixels)):
        everywhere[pixels[i]] = -1
    return number(parent, part)


@compiled(allocates=True)
def gathered(pixels, part, n, width):
    """Components from their pixels, which rise; those of one component together and rising.

    Returns:
        order int64 (pixels,); begins int64 (n + 1,); boxes int64 (n, 4): left, top, right, bottom, the latter not part of it.
    """
    begins = np.zeros(n + 1, np.int64)
    boxes = np.zeros((n, 4), np.int64)
    boxes[:, :2] = 1 << 40
    y = 0
    for i in range(len(pixels)):
        while pixels[i] >= (y + 1) * width:
            y += 1
        k, x = part[i], pixels[i] - y * width
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
def look_up(places, owner, out):
    """The owner, int32 (H, W), of each event's pixel, see `find_places`."""
    for i in range(len(places)):
        out[i] = owner[place_of(places, i)]
