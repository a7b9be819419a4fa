"""The schema of what `detect` writes: pure functions from objects, tracks and scores to rows; no files here.

Positions and sizes are in sensor pixels (0-based, the centre of the top left pixel is (0, 0), y points down), times in µs on the
recording's own clock, velocities in px/s. docs/output-files.md tells users the same.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np

from spikeseg.tracking.scene import ObjectTrack, Tracks

from .objects import together

DETECTIONS_VERSION = 2
"""Of all three files. It rises when a field changes its meaning, its unit or its name, or goes; not when one is added."""

UNITS = {
    "t_start_us, t_end_us": "us",
    "x, y, width, height, sensor_size": "px of the sensor",
    "star_field": "px/s",
    "threshold, score": "saliency",
    "object_threshold, object_score": "0 to 1",
}
"""What detections.json says of itself."""

EVENT_COLUMNS = {"t": "<i8", "x": "<i2", "y": "<i2", "p": "?", "score": "<f4", "object_id": "<i4", "object_score": "<f4"}
"""Arrays of <recording>.events.npz and their dtypes, each (n,), one entry per event that passed the checks, in order.

t: µs, never falling. x, y: px. p: True for ON. score: the saliency at the event's step and pixel (where windows overlap, the
largest), 0 where the network saw nothing or a transform dropped the event. object_id: the track_id of the object that the event
belongs to, 0 for none. object_score: how surely the event belongs to something that moves differently from the stars, 0 to 1.
"""


class Detection(TypedDict):
    """One object of one slice of time.

    Attributes:
        t_start_us, t_end_us: the slice, µs; its end is not part of it.
        x, y: centroid, pixels weighted by the root of their saliency, px.
        width, height: of the bounding box, px.
        class_id: the network's class, from 0.
        score: sum of its saliency over pixels and steps, above 0, no unit.
        track_id: of its track in tracks.csv, from 1; 0 where too few slices in a row showed it.
    """

    t_start_us: int
    t_end_us: int
    x: float
    y: float
    width: float
    height: float
    class_id: int
    score: float
    track_id: int


class WindowDetections(TypedDict):
    """One window of the network.

    Attributes:
        t_start_us, t_end_us: µs; the end is not part of it.
        objects: of its slices in order of time, in each in order of falling score; perhaps none. Where windows overlap, the time
            that two share belongs to the earlier.
    """

    t_start_us: int
    t_end_us: int
    objects: list[Detection]


class RecordingDetections(TypedDict):
    """One recording.

    Attributes:
        name: unique in the file.
        sensor_size: [width, height], px.
        threshold: the saliency from which a pixel counts as lit.
        object_threshold: the object_score from which a track is an object.
        tracks: number of tracks, stars included.
        objects: the track_id of each track that is an object.
        star_field: [x, y], the common motion of the stars, px/s, the mean over the recording; [0, 0] where too few were seen.
        windows: all of them, in order of time.
    """

    name: str
    sensor_size: list[int]
    threshold: float
    object_threshold: float
    tracks: int
    objects: list[int]
    star_field: list[float]
    windows: list[WindowDetections]


class Detections(TypedDict):
    """detections.json.

    Attributes:
        version: DETECTIONS_VERSION.
        units: UNITS.
        recordings: in the order in which they were given.
    """

    version: int
    units: Mapping[str, str]
    recordings: list[RecordingDetections]


class TrackRow(NamedTuple):
    """A row of tracks.csv: a track at one of its detections.

    Attributes:
        recording: its name in detections.json.
        track_id: from 1, in the order of the first detections, unique in its recording.
        t_us: middle of the detection's slice, µs.
        x, y: smoothed position, px.
        vx, vy: smoothed velocity, px/s.
        vx_rel, vy_rel: smoothed velocity less that of the star field, px/s.
        width, height: of the detection's bounding box, px.
        score: the detection's, no unit.
        object_score: how surely the track moves differently from the stars, 0 to 1.
    """

    recording: str
    track_id: int
    t_us: int
    x: float
    y: float
    vx: float
    vy: float
    vx_rel: float
    vy_rel: float
    width: float
    height: float
    score: float
    object_score: float


TRACK_COLUMNS = TrackRow._fields
"""Columns of tracks.csv."""


def detections_document(recordings: Sequence[RecordingDetections]) -> Detections:
    """What detections.json holds."""
    return {"version": DETECTIONS_VERSION, "units": dict(UNITS), "recordings": list(recordings)}


def detections_text(document: Detections) -> str:
    """The text of detections.json: a line per window, since a night holds thousands."""

    def lines(parts: Iterable[str]) -> str:
        return "[\n" + ",\n".join(parts) + "\n]"

    def text(value: object) -> str:
        return json.dumps(value, allow_nan=False)

    def recording(one: RecordingDetections) -> str:
        head = ",\n".join(f"{text(name)}: {text(value)}" for name, value in one.items() if name != "windows")
        return f'{{{head},\n"windows": {lines(map(text, one["windows"]))}}}'

    head = ",\n".join(f"{text(name)}: {text(value)}" for name, value in document.items() if name != "recordings")
    return f'{{{head},\n"recordings": {lines(map(recording, document["recordings"]))}}}\n'


def recording_detections(
    name: str,
    sensor_size: tuple[int, int],
    thresholds: tuple[float, float],
    windows: Sequence[tuple[int, int, Sequence[Detection]]],
    tracks: Tracks,
) -> RecordingDetections:
    """The part of detections.json on one recording.

    Args:
        name: of the recording.
        sensor_size: (width, height), px.
        thresholds: the saliency from which a pixel counts as lit; the score from which a track is an object.
        windows: of each its start and end in µs, and its objects.
        tracks: in sensor pixels.
    """
    return {
        "name": name,
        "sensor_size": [int(side) for side in sensor_size],
        "threshold": float(thresholds[0]),
        "object_threshold": float(thresholds[1]),
        "tracks": len(tracks.tracks),
        "objects": [track.id for track in tracks.tracks if track.score >= thresholds[1]],
        "star_field": [float(v) for v in tracks.field.mean],
        "windows": [
            {"t_start_us": int(start), "t_end_us": int(end), "objects": list(objects)} for start, end, objects in windows
        ],
    }


def detection_rows(
    objects: np.ndarray, ids: np.ndarray, start_us: int, end_us: int, scale: tuple[float, float]
) -> list[Detection]:
    """The objects of one slice.

    Args:
        objects: OBJECT_DTYPE (n,), in frame pixels.
        ids: (n,), the track_id of each, 0 for none.
        start_us, end_us: the slice, µs.
        scale: sensor pixels per frame pixel, (x, y).

    Raises:
        ValueError: more or fewer ids than objects.
    """
    columns = (
        to_sensor(objects["x"], scale[0]),
        to_sensor(objects["y"], scale[1]),
        objects["width"] * scale[0],
        objects["height"] * scale[1],
        objects["class_id"],
        objects["score"],
        np.asarray(ids),
    )
    return [
        {
            "t_start_us": int(start_us),
            "t_end_us": int(end_us),
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "class_id": class_id,
            "score": score,
            "track_id": track_id,
        }
        for x, y, width, height, class_id, score, track_id in zip(*(column.tolist() for column in columns), strict=True)
    ]


def to_sensor(position: np.ndarray, scale: float) -> np.ndarray:
    """Positions in sensor pixels, from those in frame pixels; a pixel's centre is a whole number in both."""
    return (position + 0.5) * scale - 0.5


def track_rows(
    recording: str, tracks: Sequence[ObjectTrack], objects: Sequence[np.ndarray], scale: tuple[float, float]
) -> list[tuple[Any, ...]]:
    """Rows of tracks.csv on one recording, each a TrackRow, by track, then time.

    Args:
        recording: its name.
        tracks: in sensor pixels.
        objects: OBJECT_DTYPE of every slice that was tracked, in frame pixels.
        scale: sensor pixels per frame pixel, (x, y).
    """
    rows: list[tuple[Any, ...]] = []
    found, before = together(objects)
    for track in tracks:
        own = found[before[track.slices] + track.detections]
        columns = {
            "t_us": np.rint(track.t_us).astype(np.int64),
            **dict(zip(("x", "y", "vx", "vy"), track.states.T, strict=True)),
            **dict(zip(("vx_rel", "vy_rel"), track.relative.T, strict=True)),
            "width": own["width"] * scale[0],
            "height": own["height"] * scale[1],
            "score": own["score"],
        }
        for values in zip(*(column.tolist() for column in columns.values()), strict=True):
            rows.append(TrackRow._make((recording, track.id, *values, track.score)))
    return rows


def tracks_text(rows: Iterable[tuple[Any, ...]]) -> str:
    """The text of tracks.csv; rows: each a TrackRow."""
    lines = [",".join(TRACK_COLUMNS)]
    names: dict[str, str] = {}
    for name, *values in rows:
        if name not in names:
            names[name] = _cell(name)
        lines.append(names[name] + _VALUES % tuple(values))
    return "\n".join(lines) + "\n"


_VALUES = 2 * ",%d" + 10 * ",%.4f"
"""All of a TrackRow but the name."""


def _cell(text: str) -> str:
    """A text as csv writes it: quoted where that is needed."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    return line.getvalue()


def event_columns(
    events: np.ndarray, scores: np.ndarray, object_ids: np.ndarray, object_scores: np.ndarray
) -> dict[str, np.ndarray]:
    """The arrays of <recording>.events.npz, named and typed as EVENT_COLUMNS says.

    Args:
        events: structured array with fields t, x, y, p (n,).
        scores: (n,), saliency.
        object_ids: (n,), whole numbers; 0 for none.
        object_scores: (n,), 0 to 1.

    Raises:
        ValueError: arrays of different lengths.
    """
    lengths = [len(events), len(scores), len(object_ids), len(object_scores)]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{lengths[0]} events, {lengths[1]} scores, {lengths[2]} object ids, {lengths[3]} object scores: must be equally many"
        )
    columns: dict[str, Any] = {name: events[name] for name in ("t", "x", "y", "p")}
    columns |= {"score": scores, "object_id": object_ids, "object_score": object_scores}
    return {name: np.ascontiguousarray(columns[name], dtype) for name, dtype in EVENT_COLUMNS.items()}
