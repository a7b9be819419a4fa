"""The rate of the background at every event, for the motion layer: local in place, and following what changes in time (ours).

Real noise is not Poisson: pixels differ, hot ones send for ever, regions flicker, rows and whole sensors fire at once, a pixel
sends pairs. Each would look like evidence. So an event counts for the less, the more events its pixel, its block or its moment
has in any case; and it does not count at all if it is one of many of its row within a millisecond, or repeats its pixel's last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from . import background_kernels as kernels
from .background_kernels import BLOCK_PX

SMOOTHING_PX = 8.0
"""Standard deviation over which the rate is smoothed, px."""

REPEAT_S = 0.015
"""An event of the same pixel so soon after its last one is no new evidence, s."""

BLOCK_S = 1 / 32
"""A burst is looked for in blocks of the sensor of so much time, s."""

DRIFT_S = 2.0
"""Rates are followed in steps of this length, s."""

ROW_S, ROW_EVENTS, ROW_PX = 0.001, 5, 48
"""So many events of a row within ROW_S, spread over at least ROW_PX, are the row's."""

HOT = (3.0, 4.0, 4.0)
"""A pixel above 3 m + 4 sqrt(m) + 4 events, where its neighbourhood has m, is hot."""


SOURCE = 2.0
"""A source sends a pixel no more than so many times what any two opposite neighbours have beyond the background: by the image of
a point 1.2 times, and these are few."""

FAR_PX, REGION = 5, 3
"""If so many of the eight places so far off, px, have more, too, it is no source but a region: its corner, at least."""

SILENT = 5.0
"""A pixel without events where its neighbours have so many each is broken, or was left out: hot."""


class Marks(NamedTuple):
    """repeated, of_row: bool (n,), whether an event repeats its pixel's last, is one of many of its row; moment: int64 (n,),
    events of its block in its BLOCK_S."""

    repeated: np.ndarray
    of_row: np.ndarray
    moment: np.ndarray

    @classmethod
    def of(cls, t_s: np.ndarray, x: np.ndarray, y: np.ndarray, sensor_size: tuple[int, int], points: bool = False) -> Marks:
        """See `background_rates`. points: a bright point that passes is no burst."""
        x, y = np.asarray(x, np.int16), np.asarray(y, np.int16)
        marks = cls(np.zeros(len(t_s), np.bool_), np.zeros(len(t_s), np.bool_), np.zeros(len(t_s), np.int64))
        kernels.bursts(t_s, x, y, *sensor_size, kernels.Bursts(REPEAT_S, ROW_S, ROW_EVENTS, ROW_PX, BLOCK_S, points), *marks)
        return marks


def background_rates(
    t_s: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    sensor_size: tuple[int, int],
    explained: np.ndarray,
    share: float = 0.0,
    marks: Marks | None = None,
    resting: bool = False,
) -> np.ndarray:
    """Background of each event's pixel at its time, both polarities together, events/s; inf where the event does not count.

    Args:
        t_s: float64 (n,), sorted, s.
        x: int (n,), px.
        y: int (n,), px.
        sensor_size: (width, height), px.
        explained: bool (n,), events of stars: they do not count.
        share: of the sensor's area and time that these stars cover.
        marks: `Marks` of these events, if they are known.
        resting: whether something that is no star may rest on the sensor: it lights its neighbours, too, and does not raise the
            background of its own pixels.

    Returns:
        float64 (n,).
    """
    width, height = sensor_size
    if not len(t_s):
        return np.zeros(0)
    x, y = np.asarray(x, np.int16), np.asarray(y, np.int16)
    seconds = max(float(t_s[-1] - t_s[0]), 0.1)
    repeated, of_row, moment = marks or Marks.of(t_s, x, y, sensor_size)
    counts, hidden = np.zeros((height, width)), np.zeros((height, width), np.bool_)
    counted = np.empty(len(t_s), np.bool_)
    kernels.count(x, y, (explained, repeated, of_row), counts, hidden, counted)
    mean, hot = _smooth(counts, np.where(hidden, max(0.0, 1 - share), 1.0) if share else np.ones_like(counts))
    spread = _overdispersion(counts, mean, hot)
    own = _without_sources(counts, mean, spread) if resting and spread > 0 else counts
    gain = (1 + spread * own) / (1 + spread * mean) if spread > 0 else np.ones_like(mean)
    cell, drift = _drift(t_s, x, y, counted, (mean / seconds, hot))
    rate = np.empty(len(t_s))
    kernels.rates(x, y, counted, (mean * gain / seconds, cell, drift, moment), BLOCK_PX**2 * BLOCK_S, rate)
    return rate


def _smooth(counts: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean count of the neighbourhood of each pixel, hot pixels left out, and which are hot. seen: share of time each is seen."""
    hot = np.zeros(counts.shape, bool)
    mean = np.full(counts.shape, counts.mean())
    a, b, c = HOT
    for turn in range(3):
        before, hot = hot, counts > a * mean + b * np.sqrt(mean) + c
        if turn and np.array_equal(before, hot):  # nothing would change
            break
        kept = np.where(hot, 0.0, 1.0)
        total = ndimage.gaussian_filter(counts * kept, SMOOTHING_PX, mode="reflect")
        weight = ndimage.gaussian_filter(seen * kept, SMOOTHING_PX, mode="reflect")
        mean = np.maximum(total / np.maximum(weight, 1e-3), 1e-3)
    around = ndimage.uniform_filter(counts, 3, mode="constant") * 9 - counts  # beyond the edge nothing is lit
    return mean, hot & (counts > around)  # a source lights its neighbours, too


def _overdispersion(counts: np.ndarray, mean: np.ndarray, hot: np.ndarray) -> float:
    """Variance of the pixels' rates over the square of their mean; 0 for equal pixels."""
    usual = ~hot & (counts <= HOT[0] * mean + HOT[1] * np.sqrt(mean) + HOT[2])
    excess = float((((counts - mean) ** 2 - mean)[usual]).sum() / (mean[usual] ** 2).sum())
    return excess if excess > 0.05 else 0.0


def _without_sources(counts: np.ndarray, mean: np.ndarray, spread: float) -> np.ndarray:
    """Counts less what a source has sent, which lights neighbours on all sides and nothing far off; not below the mean. What
    silent pixels would have sent is taken from their neighbours."""
    sent, lit = (ndimage.uniform_filter(part, 3, mode="reflect") for part in (counts, np.where(counts > 0, 1.0, 0.0)))
    whole = np.where((counts == 0) & (sent > SILENT * 8 / 9), sent / np.maximum(lit, 1e-9), counts)
    beyond = np.pad(whole - mean, 1, mode="reflect")
    height, width = counts.shape
    sides = [
        beyond[1 + y : 1 + y + height, 1 + x : 1 + x + width] + beyond[1 - y : 1 - y + height, 1 - x : 1 - x + width]
        for x, y in ((1, 0), (0, 1), (1, 1), (1, -1))
    ]
    source = np.minimum.reduce(sides) - np.sqrt(2 * mean * (1 + spread * mean))
    own = counts.copy()
    y, x = np.nonzero(source > 0)
    around, step = ndimage.uniform_filter(counts, 3, mode="reflect"), np.array([-FAR_PX, 0, FAR_PX])
    rows, columns = np.clip(y + step[:, None], 0, height - 1), np.clip(x + step[:, None], 0, width - 1)
    ring = np.delete(around[rows[:, None], columns[None]].reshape(9, -1), 4, axis=0)
    usual = mean[y, x]
    region = np.partition(ring, -REGION, axis=0)[-REGION] - usual - np.sqrt(usual * (1 + spread * usual)) / 3
    sent = SOURCE * np.maximum(source[y, x] - 2 * np.maximum(region, 0.0), 0.0)
    own[y, x] = np.maximum(own[y, x] - sent, np.minimum(own[y, x], mean[y, x]))
    return own


def _drift(
    t_s: np.ndarray, x: np.ndarray, y: np.ndarray, counted: np.ndarray, steady: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """How much more than in the mean over time blocks send at a time: int32 (n,), of each event the block in its time, and
    float64, of these. counted: what is hot is taken out."""
    mean, hot = steady
    height, width = mean.shape
    columns, rows = (-(-side // BLOCK_PX) for side in (width, height))
    origin, last = float(t_s[0]), float(t_s[-1] - t_s[0])
    steps = max(1, round(last / DRIFT_S))
    length = max(last, 1e-3) / steps
    cell, counts = np.empty(len(t_s), np.int32), np.zeros((steps, rows, columns))
    kernels.blocks(t_s, x, y, hot, (origin, length), counted, cell, counts)
    of_pixel = (np.arange(height) // BLOCK_PX)[:, None] * columns + np.arange(width) // BLOCK_PX
    expected = np.bincount(of_pixel.ravel(), np.where(hot, 0.0, mean).ravel(), rows * columns).reshape(rows, columns) * length
    around = np.stack([ndimage.uniform_filter(part, 3, mode="nearest") for part in counts])
    ratio = (around + 10) / (ndimage.uniform_filter(expected, 3, mode="nearest") + 10)
    return cell, ndimage.median_filter(ratio, size=(1, 3, 3), mode="nearest").ravel()
