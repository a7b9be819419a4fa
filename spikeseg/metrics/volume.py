"""Mode `volume` [Afshar 2020; Kirkland 2023]: slices of short duration, discs around objects against a tiling of everything else.

A slice's true region is the disc of radius r around a labelled object; its false regions are the squares of side 2r + 1 of a
fixed tiling
that touch no disc. A region is positive if the density of the detector's output in it exceeds the density over the whole
recording.
Radius, tiling and pooling are choices of ours: the published text at hand does not fix them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .rates import intervals, rates, total
from .truth import MAX_GAP_US, positions

SLICE_US = 10_000

OUTPUT_DTYPE = np.dtype([("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("w", "<f8")])
"""A detector's output: weight w at time t (µs) and pixel x, y. A raw event weighs 1."""


def counts(
    output: np.ndarray,
    labels: np.ndarray,
    *,
    sensor_size: tuple[int, int],
    start_us: int,
    end_us: int,
    radius_px: float,
    slice_us: int = SLICE_US,
    max_gap_us: float = MAX_GAP_US,
) -> dict[str, int]:
    """tp, fp, fn, tn over the regions of all slices of a recording.

    Args:
        output: OUTPUT_DTYPE, any order; what lies outside start_us..end_us is ignored.
        labels: LABEL_DTYPE.
        sensor_size: (W, H) pixels.
        start_us, end_us: what is scored; the last slice may be partly filled.
    """
    width, height = sensor_size
    n_slices = max(1, -(-(end_us - start_us + 1) // slice_us))
    output = output[(output["t"] >= start_us) & (output["t"] <= end_us)]
    index = (output["t"] - start_us) // slice_us
    mean = output["w"].sum() / (n_slices * width * height)
    at = positions(labels, start_us + slice_us * np.arange(n_slices) + slice_us // 2, max_gap_us)

    side = int(2 * radius_px) + 1
    rows, columns = -(-height // side), -(-width // side)
    tile = (index * rows + output["y"] // side) * columns + output["x"] // side
    weight = np.bincount(tile, output["w"], n_slices * rows * columns).reshape(n_slices, rows, columns)
    area = np.outer(_lengths(height, side), _lengths(width, side))
    free = ~_touched(at, n_slices, (height, width), side, radius_px)
    alarms = int((weight > mean * area)[free].sum())

    hits = _positive_discs(at, output, index, (height, width), radius_px, mean)
    return {"tp": hits, "fp": alarms, "fn": len(at) - hits, "tn": int(free.sum()) - alarms}


def _lengths(size: int, side: int) -> np.ndarray:
    """Length of each tile along an axis; the last is cut off by the border."""
    return np.minimum(side, size - np.arange(0, size, side))


def _touched(at: np.ndarray, n_slices: int, size: tuple[int, int], side: int, radius: float) -> np.ndarray:
    """Which tiles hold a pixel of a disc. -> bool (n_slices, rows, columns)."""
    rows, columns = -(-size[0] // side), -(-size[1] // side)
    touched = np.zeros((n_slices, rows, columns), bool)
    top, left = np.arange(rows) * side, np.arange(columns) * side
    bottom, right = np.minimum(top + side, size[0]) - 1, np.minimum(left + side, size[1]) - 1
    for p in at:
        dy = np.clip(p["y"], top, bottom) - p["y"]
        dx = np.clip(p["x"], left, right) - p["x"]
        touched[p["index"]] |= np.hypot(dy[:, None], dx[None, :]) <= radius
    return touched


def _positive_discs(
    at: np.ndarray, output: np.ndarray, index: np.ndarray, size: tuple[int, int], radius: float, mean: float
) -> int:
    order = np.argsort(index, kind="stable")
    output, index = output[order], index[order]
    hits = 0
    for p in at:
        inside = slice(*np.searchsorted(index, (p["index"], p["index"] + 1)))
        near = np.hypot(output["x"][inside] - p["x"], output["y"][inside] - p["y"]) <= radius
        hits += output["w"][inside][near].sum() > mean * _disc_area(p["x"], p["y"], size, radius)
    return int(hits)


def _disc_area(x: float, y: float, size: tuple[int, int], radius: float) -> int:
    """Pixels of the sensor within the disc."""
    rows = np.arange(max(0, int(y - radius)), min(size[0], int(y + radius) + 2))
    columns = np.arange(max(0, int(x - radius)), min(size[1], int(x + radius) + 2))
    return int((np.hypot(rows[:, None] - y, columns[None, :] - x) <= radius).sum())


def score(rows: Sequence[dict[str, Any]], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Sensitivity, specificity and informedness, pooled and per recording, from counts per recording."""

    def statistic(chosen: list[dict[str, Any]]) -> dict[str, float | None]:
        found = rates(total([{k: row[k] for k in ("tp", "fp", "fn", "tn")} for row in chosen]))
        return {"sensitivity": found["recall"], "specificity": found["specificity"], "informedness": found["informedness"]}

    return {
        **statistic(list(rows)),
        "intervals": intervals(rows, statistic, resamples=resamples, confidence=confidence, seed=seed),
        "recordings": [dict(row) | rates(row) for row in rows],
    }
