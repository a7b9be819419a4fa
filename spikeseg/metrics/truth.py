"""Ground truth: where the labelled objects are at a time, and which events and pixels belong to them."""

from __future__ import annotations

import numpy as np

MAX_GAP_US = 1_000_000


def positions(labels: np.ndarray, times_us: np.ndarray, max_gap_us: float = MAX_GAP_US) -> np.ndarray:
    """Objects at given times, interpolated linearly between their label points.

    Nothing is interpolated over gaps above `max_gap_us`, nor before an object's first and after its last point.

    Args:
        labels: LABEL_DTYPE, any order.
        times_us: (n,) int64 or float64, µs.

    Returns:
        structured array (m,) with fields ``index`` (int64, which time), ``id`` (int32), ``x``, ``y`` (float64, pixels), in
        the order of
        objects, then times.
    """
    found = []
    times = np.asarray(times_us, np.float64)
    for name in np.unique(labels["id"]):
        points = labels[labels["id"] == name]
        points = points[np.argsort(points["t"], kind="stable")]
        t = points["t"].astype(np.float64)
        after = np.searchsorted(t, times, side="left")
        exact = (after < len(t)) & (t[np.minimum(after, len(t) - 1)] == times)
        inside = (after > 0) & (after < len(t))
        gap = np.where(inside, t[np.minimum(after, len(t) - 1)] - t[np.maximum(after - 1, 0)], np.inf)
        known = np.flatnonzero(exact | (inside & (gap <= max_gap_us)))
        rows = np.zeros(len(known), POSITION_DTYPE)
        rows["index"], rows["id"] = known, name
        rows["x"] = np.interp(times[known], t, points["x"])
        rows["y"] = np.interp(times[known], t, points["y"])
        found.append(rows)
    return np.concatenate(found) if found else np.zeros(0, POSITION_DTYPE)


POSITION_DTYPE = np.dtype([("index", "<i8"), ("id", "<i4"), ("x", "<f8"), ("y", "<f8")])


def event_truth(events: np.ndarray, labels: np.ndarray, radius_px: float, max_gap_us: float = MAX_GAP_US) -> np.ndarray:
    """Whether each event lies within `radius_px` of a labelled object at its time. -> bool (n,)."""
    result = np.zeros(len(events), bool)
    at = positions(labels, events["t"], max_gap_us)
    near = np.hypot(events["x"][at["index"]] - at["x"], events["y"][at["index"]] - at["y"]) <= radius_px
    result[at["index"][near]] = True
    return result


def span(labels: np.ndarray) -> tuple[int, int] | None:
    """First and last label (µs), for the scope 'labelled_span'; None without labels."""
    return (int(labels["t"].min()), int(labels["t"].max())) if len(labels) else None
