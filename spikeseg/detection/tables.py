"""Tables of detections, tracks, objects and events, in sensor pixels, from those of the frames; `schema` has their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from spikeseg.data.frames.framing import to_sensor
from spikeseg.data.windows import WindowedRecording
from spikeseg.tracking.scene import ObjectTrack
from spikeseg.tracking.way import mean_speed, rows_to_average

from .classes import UNNAMED, longest, names_of
from .objects import NO_CLASS, Slice, joined
from .schema import (
    DETECTION_COLUMNS,
    EVENT_COLUMNS,
    OBJECT_COLUMNS,
    STORED_FIELDS,
    TRACK_COLUMNS,
    WINDOW_DTYPE,
    Column,
    decimals,
    table_dtype,
)


class Scale(NamedTuple):
    """Sensor pixels per frame pixel."""

    x: float
    y: float

    @classmethod
    def of(cls, sensor_size: tuple[int, int], frame_size: tuple[int, int]) -> Scale:
        """sensor_size: (width, height). frame_size: (height, width)."""
        return cls(sensor_size[0] / frame_size[1], sensor_size[1] / frame_size[0])


def window_table(view: WindowedRecording) -> np.ndarray:
    """The windows of a recording, WINDOW_DTYPE (N,)."""
    windows = np.empty(len(view.start_us), WINDOW_DTYPE)
    windows["t_start_us"], windows["t_end_us"] = view.start_us, view.end_us
    return windows


def detection_table(
    recording: str,
    windows: np.ndarray,
    slices: Sequence[Sequence[Slice]],
    owners: Sequence[np.ndarray],
    scale: Scale,
    class_names: Mapping[int, str] = UNNAMED,
) -> np.ndarray:
    """The detections of all windows, slice by slice, of DETECTION_COLUMNS.

    Args:
        recording: its name.
        windows: WINDOW_DTYPE (N,).
        slices: of every window, in frame pixels.
        owners: of every slice, in order of time, the track_id of each object; 0 for none.
        scale: of the frames.
        class_names: what classes are called.

    Raises:
        ValueError: more or fewer ids than objects.
    """
    parts = [part for window in slices for part in window]
    counts = [len(part.blobs.objects) for part in parts]
    if counts != [len(ids) for ids in owners]:
        raise ValueError(f"{counts} objects by slice and {[len(ids) for ids in owners]} track ids: must be equally many")
    objects, _ = joined([part.blobs.objects for part in parts])
    window_of = np.repeat(np.arange(len(slices)), [len(window) for window in slices])
    window = windows[np.repeat(window_of, counts)] if len(windows) else windows
    times = np.array([(part.start_us, part.end_us) for part in parts], np.int64).reshape(-1, 2)
    table = np.empty(len(objects), table_dtype(DETECTION_COLUMNS, recording, longest(class_names)))
    table["recording"] = recording
    table["window_start_us"], table["window_end_us"] = window["t_start_us"], window["t_end_us"]
    table["t_start_us"], table["t_end_us"] = np.repeat(times, counts, 0).T
    for position, extent, factor in (("x", "width", scale.x), ("y", "height", scale.y)):
        table[position] = to_sensor(objects[position], factor)
        table[extent] = objects[extent] * factor
    table["class_id"], table["score"] = objects["class_id"], objects["score"]
    table["class_name"] = names_of(objects["class_id"], class_names)
    table["track_id"] = np.concatenate([np.zeros(0, np.int32), *owners])
    return table


def track_table(
    recording: str,
    tracks: Sequence[ObjectTrack],
    objects: Sequence[np.ndarray],
    scale: Scale,
    object_threshold: float,
    classes: np.ndarray | None = None,
    class_names: Mapping[int, str] = UNNAMED,
) -> np.ndarray:
    """The tracks of a recording, of TRACK_COLUMNS, by track, then time.

    Args:
        recording: its name.
        tracks: in sensor pixels.
        objects: OBJECT_DTYPE of every slice that was tracked, in frame pixels.
        scale: of the frames.
        object_threshold: the score from which a track is an object.
        classes: (n,), of each track; None: they are of none.
        class_names: what classes are called.
    """
    counts = [len(track.t_us) for track in tracks]
    table = np.empty(sum(counts), table_dtype(TRACK_COLUMNS, recording, longest(class_names)))
    table["recording"] = recording
    if not tracks:
        return table
    table["track_id"] = np.repeat([track.id for track in tracks], counts)
    table["t_us"] = np.rint(np.concatenate([track.t_us for track in tracks]))
    states = np.concatenate([track.states for track in tracks])
    relative = np.concatenate([track.relative for track in tracks])
    for name, column in zip(("x", "y", "vx", "vy", "vx_rel", "vy_rel"), (*states.T, *relative.T), strict=True):
        table[name] = column
    everything, first = joined(objects)
    own = everything[np.concatenate([first[track.slices] + track.detections for track in tracks])]
    table["width"], table["height"], table["score"] = own["width"] * scale.x, own["height"] * scale.y, own["score"]
    table["object_score"] = np.repeat([track.score for track in tracks], counts)
    table["log_likelihood_ratio"] = np.repeat([track.nats for track in tracks], counts)
    table["class_id"] = NO_CLASS if classes is None else np.repeat(classes, counts)
    table["class_name"] = names_of(table["class_id"], class_names)
    table["is_object"] = table["object_score"] >= object_threshold
    return table


def object_table(tracks: np.ndarray, object_ids: np.ndarray) -> np.ndarray:
    """The objects of a recording, of OBJECT_COLUMNS, a row for each track that is one, by track_id; with 4 decimals.

    Args:
        tracks: of TRACK_COLUMNS, by track, then time.
        object_ids: (n,), of every event the track_id of the object that it belongs to, 0 for none.
    """
    rows = tracks[tracks["is_object"]]
    ids, first, counts = np.unique(rows["track_id"], return_index=True, return_counts=True)
    texts = [max(rows[name].tolist(), key=len, default="") for name in ("recording", "class_name")]
    table = np.empty(len(ids), table_dtype(OBJECT_COLUMNS, *texts))
    opening, closing = rows[first], rows[first + counts - 1]
    table["object_id"], table["confidence"] = ids, opening["object_score"]
    for name in ("recording", "log_likelihood_ratio", "class_id", "class_name"):
        table[name] = opening[name]
    for end, own in (("start", opening), ("end", closing)):
        table[f"t_{end}_us"], table[f"x_{end}"], table[f"y_{end}"] = own["t_us"], own["x"], own["y"]
    for suffix in ("", "_rel"):
        velocity = np.stack([rows[f"vx{suffix}"], rows[f"vy{suffix}"]])
        mean = np.add.reduceat([*velocity, np.hypot(*velocity)], first, 1) / counts if len(ids) else np.empty((3, 0))
        table[f"vx{suffix}"], table[f"vy{suffix}"], table[f"speed{suffix}"] = mean
    for n, (start, count) in enumerate(zip(first, counts, strict=True)):
        speeds = _smoothed_speeds(rows[start : start + count])
        if speeds is not None:
            table["speed"][n], table["speed_rel"][n] = speeds
    for name in ("width", "height"):
        table[name] = [np.median(rows[name][start : start + n]) for start, n in zip(first, counts, strict=True)]
    table["events"] = np.bincount(object_ids, minlength=int(ids.max(initial=0)) + 1)[ids]
    return rounded(table, OBJECT_COLUMNS)


def _smoothed_speeds(rows: np.ndarray) -> tuple[float, float] | None:
    """speed and speed_rel along the smoothed way of an object whose positions jitter, as then its velocities do, and their mean
    length is no speed; None where they do not, or do nothing else.

    Args:
        rows: of TRACK_COLUMNS (n,), its own.
    """
    t_us, positions = rows["t_us"], np.stack([rows["x"], rows["y"]], 1)
    averaged = rows_to_average(positions)
    if averaged == 1:
        return None
    field = np.stack([rows["vx"] - rows["vx_rel"], rows["vy"] - rows["vy_rel"]], 1)
    shift = np.cumsum(np.diff(t_us, prepend=t_us[0])[:, None] * 1e-6 * field, 0)
    return mean_speed(t_us, positions, averaged), mean_speed(t_us, positions - shift, averaged)


def rounded(table: np.ndarray, columns: Mapping[str, Column]) -> np.ndarray:
    """A table, its numbers with a fraction rounded to as many decimals as are written; changed in place."""
    for name, column in columns.items():
        if column.dtype == "<f8":
            table[name] = np.round(table[name], decimals(column))
    return table


def position_errors(tracks: Sequence[ObjectTrack]) -> np.ndarray:
    """float64 (n,), standard deviation of x and of y, px, in the order of `track_table`; nan where it is not known."""
    unknown = [np.full(len(track.t_us), np.nan) if track.variance is None else track.variance for track in tracks]
    return np.sqrt(np.concatenate([np.zeros(0), *unknown]))


def event_columns(
    events: np.ndarray, scores: np.ndarray, object_ids: np.ndarray, object_scores: np.ndarray
) -> dict[str, np.ndarray]:
    """The arrays of EVENT_COLUMNS, each (n,): what <recording>.events.npz holds.

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
    columns = {name: events[name] for name in STORED_FIELDS}
    columns |= {"score": scores, "object_id": object_ids, "object_score": object_scores}
    return {name: np.ascontiguousarray(columns[name], column.dtype) for name, column in EVENT_COLUMNS.items()}
