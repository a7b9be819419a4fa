"""Mode `track` of baselines, which do not track: each of their points is a track that lives for the slice in which it falls."""

from __future__ import annotations

from typing import Any

import numpy as np

from .track import COUNTED, ENOUGH, SLICE_US, TOLERANCE_PX, VALUES, grid, objects_of
from .truth import MAX_GAP_US, disc_pixels, distinct, in_parts, positions


def point_counts(
    points: np.ndarray,
    labels: np.ndarray,
    *,
    start_us: int,
    end_us: int,
    tolerance_px: float = TOLERANCE_PX,
    slice_us: int = SLICE_US,
    max_gap_us: float = MAX_GAP_US,
) -> dict[str, Any]:
    """`track.track_counts` of points, each a track of the slice in which it falls: of several within the tolerance of an object
    the nearest is its track. Such tracks have no velocity.

    Args:
        points: with t (µs), x, y (pixels); any order.
        labels: see `track.track_counts`, as all that follows.
        start_us: first time that is scored.
        end_us: last time that is scored.
        tolerance_px: largest distance at which a point covers an object.
        slice_us: step of the grid.
        max_gap_us: see `truth.positions`.
    """
    times = grid(start_us, end_us, slice_us)
    points = points[(points["t"] >= start_us) & (points["t"] <= end_us)]
    when, near_any = (points["t"] - start_us) // slice_us, np.zeros(len(points), bool)
    result: dict[str, Any] = dict.fromkeys(COUNTED, 0) | {name: [] for name in VALUES}
    for _, _, at in objects_of(labels, times, max_gap_us):
        place = np.full((len(times), 2), np.nan)
        place[at["index"]] = np.stack([at["x"], at["y"]], 1)
        distance = np.hypot(points["x"] - place[when, 0], points["y"] - place[when, 1])
        near = distance <= tolerance_px  # nan, where the object does not live, is not
        near_any |= near
        nearest = np.full(len(times), np.inf)
        np.minimum.at(nearest, when[near], distance[near])
        errors = nearest[nearest <= tolerance_px]
        result["objects"] += 1
        result["life"] += len(at)
        result["covered"] += len(errors)
        result["found"] += int(len(errors) >= ENOUGH * len(at))
        result["switches"] += max(len(errors) - 1, 0)
        result["position_errors_px"] += errors.tolist()
    true = int(near_any.sum())
    result |= {"tracks": len(points), "true_tracks": true, "false_tracks": len(points) - true}
    return result | {"duration_us": int(end_us - start_us + 1)}


def everywhere(
    sensor_size: tuple[int, int],
    labels: np.ndarray,
    *,
    start_us: int,
    end_us: int,
    tolerance_px: float,
    slice_us: int,
    max_gap_us: float,
) -> dict[str, Any]:
    """`point_counts` of a point at every pixel of a sensor of (width, height) in every slice, without making them all: those
    within the tolerance of an object are looked at, the others counted."""
    width, height = sensor_size
    times = grid(start_us, end_us, slice_us)
    at = positions(labels, times, max_gap_us)
    near = [np.zeros(0, np.int64)]
    for part in in_parts(len(at), tolerance_px):
        some = at[part]
        row, column, inside = disc_pixels(some["x"], some["y"], (height, width), tolerance_px)
        near.append(distinct(((some["index"][:, None] * height + row) * width + column)[inside]))
    cell = distinct(np.concatenate(near))
    points = np.zeros(len(cell), [("t", "<i8"), ("x", "<i8"), ("y", "<i8")])
    points["t"] = start_us + cell // (height * width) * slice_us
    points["y"], points["x"] = cell // width % height, cell % width
    scored = {"start_us": start_us, "end_us": end_us, "slice_us": slice_us}
    counts = point_counts(points, labels, tolerance_px=tolerance_px, max_gap_us=max_gap_us, **scored)
    everyone = width * height * len(times)
    return counts | {"tracks": everyone, "false_tracks": everyone - counts["true_tracks"]}
