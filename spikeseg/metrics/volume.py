"""Mode `volume` [Afshar 2020; Kirkland 2023]: in short slices of time, discs around objects against a tiling.

A slice's true regions are the discs around the labelled objects at its middle; its false regions are the squares of a fixed
tiling, from the origin, that hold no pixel of a disc. Both have the same number of pixels: a square's side is the whole number
nearest to the root of the area of a disc of radius r (9 px for 5 px), and a disc is the side² pixels nearest to its object. For
noise of few events per region exceeds its mean more often in a smaller region than in a larger one; in regions of equal area
equally often, so that an answer that does not depend on where objects are has informedness 0.

A region is positive if the density of the detector's output in it exceeds the density over the whole of what is scored. Regions
cut off by the sensor's border, and the last slice where it is partly filled, count with the area and time they have.

Radius, tiling and pooling are choices of ours: the published text at hand does not fix them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeseg.config.sections import EvaluationConfig

from .mode import Answer, CountSettings, LabelledRecording, Mode
from .rates import DEFAULT, Bootstrap, score_rates
from .truth import MAX_GAP_US, disc_area, distinct, in_parts, nearest_pixels, positions

SLICE_US: int = round(1000 * EvaluationConfig.slice_ms)
FIGURES = {"sensitivity": "recall", "specificity": "specificity", "informedness": "informedness"}
ROUNDING = 1 + 1e-9
"""A sum of weights is above a density only if it is so by more than its own rounding."""

OUTPUT_DTYPE = np.dtype([("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("w", "<f8")])
"""A detector's output: weight w >= 0 at time t (µs) and pixel x, y. A raw event weighs 1."""


def region_counts(
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
        start_us: first time that is scored.
        end_us: last time that is scored.
        radius_px: of the discs, see above.
        slice_us: length of a slice; the first begins at start_us.
        max_gap_us: see `truth.positions`.

    Raises ValueError: end before start, output off the sensor, weights below 0 or not finite.
    """
    width, height = sensor_size
    output = output[(output["t"] >= start_us) & (output["t"] <= end_us)]
    _check(output, sensor_size, start_us, end_us)
    duration = end_us - start_us + 1
    n_slices = -(-duration // slice_us)
    filled = np.ones(n_slices)
    filled[-1] = duration / slice_us - (n_slices - 1)
    index = (output["t"] - start_us) // slice_us
    density = output["w"].sum() / (filled.sum() * width * height) * ROUNDING

    side = round(disc_area(radius_px) ** 0.5)
    n_rows, n_columns = -(-height // side), -(-width // side)
    middles = start_us + slice_us * (np.arange(n_slices) + filled / 2)
    pixels, weights = _sums((index * height + output["y"]) * width + output["x"], output["w"])
    at = positions(labels, middles, max_gap_us)
    hits, discs, touched = 0, 0, [np.zeros(0, np.int64)]
    for part in in_parts(len(at), (side * side / np.pi) ** 0.5):
        some = at[part]
        row, column, inside = nearest_pixels(some["x"], some["y"], (height, width), side * side)
        when = some["index"][:, None]
        area = inside.sum(1)
        weight = np.where(inside, _looked_up((when * height + row) * width + column, pixels, weights), 0).sum(1)
        hits += int((weight > density * area * filled[some["index"]]).sum())
        discs += int((area > 0).sum())
        touched.append(distinct(((when * n_rows + row // side) * n_columns + column // side)[inside]))
    true_tiles = distinct(np.concatenate(touched))

    tiles, weights = _sums((index * n_rows + output["y"] // side) * n_columns + output["x"] // side, output["w"])
    area = np.outer(_lengths(height, side), _lengths(width, side)).ravel()[tiles % (n_rows * n_columns)]
    positive = tiles[weights > density * area * filled[tiles // (n_rows * n_columns)]]
    alarms = int((~np.isin(positive, true_tiles)).sum())
    free = n_slices * n_rows * n_columns - len(true_tiles)
    return {"tp": hits, "fp": alarms, "fn": discs - hits, "tn": free - alarms}


def _check(output: np.ndarray, sensor_size: tuple[int, int], start_us: int, end_us: int) -> None:
    if end_us < start_us:
        raise ValueError(f"scored from {start_us} to {end_us} µs; expected an end not before the start")
    for name, side in zip("xy", sensor_size, strict=True):
        if len(output) and not 0 <= output[name].min() <= output[name].max() < side:
            span = f"{output[name].min()}..{output[name].max()}"
            raise ValueError(f"output.{name}: {span}; expected 0..{side - 1}")
    if not (np.isfinite(output["w"]) & (output["w"] >= 0)).all():
        raise ValueError("output.w: expected finite weights from 0")


def _sums(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, rising, and the sum of weights of each."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(inverse, weights, len(distinct))


def _looked_up(keys: np.ndarray, distinct: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value of each key, 0 where it is not among the distinct ones."""
    if not len(distinct):
        return np.zeros(keys.shape)
    index = np.minimum(np.searchsorted(distinct, keys), len(distinct) - 1)
    return np.where(distinct[index] == keys, values[index], 0)


def _lengths(size: int, side: int) -> np.ndarray:
    """Length of each tile along an axis; the last is cut off by the border."""
    return np.minimum(side, size - np.arange(0, size, side))


def score(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap = DEFAULT) -> dict[str, Any]:
    """Sensitivity, specificity and informedness, pooled and per recording.

    Args:
        rows: per recording a "name" and its `region_counts`.
        bootstrap: of the intervals; see `rates.summary`, which says what is returned.
    """
    return score_rates(rows, FIGURES, bootstrap)


def _count(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> dict[str, Any]:
    """A detector's output is every event, weighted by its score; that of one that tracks is, in the middle of every slice, the
    position of each of its objects, whether or not events fell there just then."""
    counts = region_counts(
        _output(labelled, answer, settings),
        labelled.labels,
        sensor_size=labelled.recording.sensor_size,
        start_us=labelled.start_us,
        end_us=labelled.end_us,
        radius_px=settings.evaluation.radius_px,
        slice_us=settings.slice_us,
        max_gap_us=settings.max_gap_us,
    )
    return {"name": labelled.name, **counts}


def _output(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> np.ndarray:
    """OUTPUT_DTYPE: of tracks, their positions as far as they are on the sensor; of a baseline its points; else the events with a
    score."""
    times = np.arange(labelled.start_us, labelled.end_us + 1, settings.slice_us) + settings.slice_us // 2
    times = times[times <= labelled.end_us]
    paths = answer.paths_at(times, settings.object_threshold)
    if paths is None and answer.everywhere:  # nowhere denser than on the whole, as silence
        return np.zeros(0, OUTPUT_DTYPE)
    if paths is None and answer.points is not None:
        return answer.points
    if paths is None:
        scored = np.flatnonzero(answer.scores > 0)
        output = np.zeros(len(scored), OUTPUT_DTYPE)
        for name in "txy":
            output[name] = labelled.recording.events[name][scored]
        output["w"] = answer.scores[scored]
        return output
    parts = [np.zeros(0, OUTPUT_DTYPE)]
    for path in paths:
        pixel = np.rint(path)
        inside = ((pixel >= 0) & (pixel < labelled.recording.sensor_size)).all(1)  # nan is not
        part = np.zeros(int(inside.sum()), OUTPUT_DTYPE)
        part["t"], part["x"], part["y"], part["w"] = times[inside], pixel[inside, 0], pixel[inside, 1], 1.0
        parts.append(part)
    return np.concatenate(parts)


MODE = Mode(
    name="volume",
    title="slices of {slice_ms:g} ms, discs of {radius_px:g} px",
    shown=("informedness", "sensitivity", "specificity"),
    folds=("informedness",),
    chance={"informedness": 0.0},
    chance_note="discs and tiles have equal areas, so that noise stands out in both equally often; pooled over recordings that "
    "differ in noise, by as much beside it as random. Raw events lie above it, even with random scores, because more of them lie "
    "around objects: what a detector adds is what it has above their rows",
    count=_count,
    score=score,
)
