# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled loops over the events of scenes' objects: which pixels of a slice they light up, and whose each pixel is."""

from __future__ import annotations

import numpy as np

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled


@compiled()
def listed(marks, low, high, pixels, n):
    """List the pixels whose bits are set in the words from `low` to `high`, rising, and clear the bits; -> pixels so far."""
    for word in range(low, high + 1):
        left = marks[word]
        while left:
            pixels[n] = (word << 6) + lowest(left)
            left &= left - np.uint64(1)
            n += 1
        marks[word] = 0
    return n


@compiled(allocates=True)
def lit_pixels(own, events, cells, ranges, marks):
    """Pixels of a frame that the events of one object light up in each of several stretches of them.

    Args:
        own: int64 (m,), which events are the object's.
        events: int64 x and y (n,) of all events, px of the sensor.
        cells: int64, of each column of the sensor the column of the frame, and of each line the frame's first pixel in it.
        ranges: int64 (s, 2), the first of `own` in each stretch and one beyond the last.
        marks: uint64, a bit per pixel, of 0; left so.

    Returns:
        int64 (s + 1,), where the pixels of each stretch begin; int32, flat indices, rising, each once.
    """
    (x, y), (column, line) = events, cells
    begins, pixels, n = np.zeros(len(ranges) + 1, np.int64), np.empty((ranges[:, 1] - ranges[:, 0]).sum(), np.int32), 0
    for s in range(len(ranges)):
        low, high = len(marks), -1
        for i in range(ranges[s, 0], ranges[s, 1]):
            cell = line[y[own[i]]] + column[x[own[i]]]
            word = cell >> 6
            marks[word] |= np.uint64(1) << np.uint64(cell & 63)
            low, high = min(low, word), max(high, word)
        n = listed(marks, low, high, pixels, n)
        begins[s + 1] = n
    return begins, pixels[:n]


@compiled(allocates=True)
def first_come(pixel, number, owner, marks):
    """Pixels, int32 (n,), each once and rising, and of its numbers, int32 (n,) from 1, the one that comes first.

    owner: int32, one per pixel, and marks: uint64, a bit per pixel; both of 0 and left so.
    """
    low, high = len(marks), -1
    for i in range(len(pixel)):
        if owner[pixel[i]] == 0:
            owner[pixel[i]] = number[i]
            word = pixel[i] >> 6
            marks[word] |= np.uint64(1) << np.uint64(pixel[i] & 63)
            low, high = min(low, word), max(high, word)
    pixels = np.empty(len(pixel), np.int32)
    n = listed(marks, low, high, pixels, 0)
    numbers = np.empty(n, np.int32)
    for i in range(n):
        numbers[i] = owner[pixels[i]]
        owner[pixels[i]] = 0
    return pixels[:n], numbers


@compiled()
def add_by_label(saliency, steps, n_pixels, labels, sums):
    """Add the saliency of some steps to the sums of its pixels' objects.

    Args:
        saliency: int64 (n,), flat indices into steps of pixels, rising, and float32 (n,), its values.
        steps: the first, and one beyond the last.
        n_pixels: of a step.
        labels: int32 (m,), pixels that belong to an object, rising, and the number of each one's, from 1.
        sums: float64, one per object, changed.
    """
    (index, value), (pixel, number) = saliency, labels
    at = np.searchsorted(index, steps[0] * n_pixels)
    for step in range(steps[0] * n_pixels, steps[1] * n_pixels, n_pixels):
        k = 0
        while at < len(index) and index[at] < step + n_pixels:
            while k < len(pixel) and pixel[k] < index[at] - step:
                k += 1
            if k < len(pixel) and pixel[k] == index[at] - step:
                sums[number[k] - 1] += value[at]
            at += 1


@compiled()
def scores_of(ids, score, saliency, untracked, out):
    """The score of each event: that of its object, or a small one by its saliency.

    Args:
        ids: int32 (n,), the object of each, 0 for none.
        score: float64, of each object, by its number.
        saliency: float64 (n,).
        untracked: of saliency without end.
        out: float64 (n,), filled.
    """
    for i in range(len(ids)):
        out[i] = score[ids[i]] if ids[i] > 0 else untracked * saliency[i] / (1.0 + saliency[i])
