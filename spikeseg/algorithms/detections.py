"""The schema of what `detect` writes: pure functions from objects and tracks to rows; no files here.

Positions and sizes are in sensor pixels, times in µs, velocities in px/s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .tracking import Track

DETECTIONS_VERSION = 1
TRACK_COLUMNS = (
    "recording",
    "track_id",
    "t_us",
    "x",
    "y",
    "vx",
    "vy",
    "vx_rel",
    "vy_rel",
    "width",
    "height",
    "score",
)
"""Columns of tracks.csv; `_rel` is relative to the star field."""


def detection_rows(
    objects: np.ndarray, tracks: Sequence[Track], start_us: int, end_us: int, scale: tuple[float, float]
) -> list[dict[str, Any]]:
    """The objects of one window, as `detections.json` lists them.

    Args:
        objects: OBJECT_DTYPE, in frame pixels.
        tracks: the track of each; those never confirmed have id 0.
        start_us, end_us: the window.
        scale: sensor pixels per frame pixel, (x, y).

    Returns:
        one dictionary per object: t_start_us, t_end_us, x, y (centre), width, height, class_id, score, track_id (0: none).
    """
    return [
        {
            "t_start_us": int(start_us),
            "t_end_us": int(end_us),
            "x": to_sensor(float(o["x"]), scale[0]),
            "y": to_sensor(float(o["y"]), scale[1]),
            "width": float(o["width"]) * scale[0],
            "height": float(o["height"]) * scale[1],
            "class_id": int(o["class_id"]),
            "score": float(o["score"]),
            "track_id": track.id,
        }
        for o, track in zip(objects, tracks, strict=True)
    ]


def to_sensor(position: float, scale: float) -> float:
    """Centre of a frame pixel in sensor pixels: pixel i covers [i, i + 1) of the frame, whose first pixel's centre is 0."""
    return (position + 0.5) * scale - 0.5


def track_rows(
    recording: str, tracks: Sequence[Track], objects: Sequence[np.ndarray], star_field: np.ndarray, scale: tuple[float, float]
) -> list[tuple[Any, ...]]:
    """Rows of tracks.csv, by track, then time, in the order of TRACK_COLUMNS.

    Args:
        recording: its name.
        tracks: confirmed ones.
        objects: OBJECT_DTYPE of every window.
        star_field: (2,) px/s, in frame pixels.
        scale: sensor pixels per frame pixel, (x, y).
    """
    rows: list[tuple[Any, ...]] = []
    sx, sy = scale
    for track in sorted(tracks, key=lambda t: t.id):
        for t_us, window, detection, state in zip(track.t_us, track.windows, track.detections, track.states, strict=True):
            x, y, vx, vy = (float(v) for v in state)
            o = objects[window][detection]
            place = to_sensor(x, sx), to_sensor(y, sy)
            speed = vx * sx, vy * sy, (vx - float(star_field[0])) * sx, (vy - float(star_field[1])) * sy
            size = float(o["width"]) * sx, float(o["height"]) * sy
            rows.append((recording, track.id, round(t_us), *place, *speed, *size, float(o["score"])))
    return rows


def event_columns(events: np.ndarray, scores: np.ndarray, object_ids: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of `<recording>.events.npz`: t int64 µs, x, y int16, p bool, score float32, object_id int32 (0: none).

    Raises:
        ValueError: arrays of different lengths.
    """
    if not len(events) == len(scores) == len(object_ids):
        raise ValueError(f"{len(events)} events, {len(scores)} scores, {len(object_ids)} object ids: must be equally many")
    return {
        **{name: np.ascontiguousarray(events[name]) for name in ("t", "x", "y", "p")},
        "score": scores.astype(np.float32),
        "object_id": object_ids.astype(np.int32),
    }
