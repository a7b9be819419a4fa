"""The layout of what `detect` writes, and of the tables that `Detections` holds; no files here.

Positions and sizes are in sensor pixels (0-based, the centre of the top left pixel is (0, 0), y points down), times in µs on the
recording's own clock, velocities in px/s. docs/output-files.md describes it for users.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypedDict

import numpy as np

DETECTIONS_VERSION = 3
"""Of all files. It rises when a field changes its meaning, its unit or its name, or goes; not when one is added."""

DETECTIONS, TRACKS, OBJECTS, OBJECTS_ECSV = "detections.json", "tracks.csv", "objects.csv", "objects.ecsv"
"""Names of the files of all recordings."""


def events_file(recording: str) -> str:
    """Name of the file of a recording's events."""
    return f"{recording}.events.npz"


def file_of(recording: str, name: str) -> str:
    """Name of the file of one recording that is laid out as the one of all recordings, such as DETECTIONS."""
    return f"{recording}.{name}"


UNITS = {
    "t_start_us, t_end_us": "us",
    "x, y, width, height, sensor_size": "px of the sensor",
    "star_field": "px/s",
    "threshold, score": "saliency",
    "object_threshold, object_score": "0 to 1",
}
"""Units by field, an entry of detections.json."""


STAR, OTHER = "star", "other track"
"""What a track that is no object is called: in nights, and in scenes, where nothing is a star."""


class Column(NamedTuple):
    """A column of a table: its dtype as numpy spells it, its unit as astropy does ("" for none), and what it holds."""

    dtype: str
    unit: str
    meaning: str


DETECTION_COLUMNS = {
    "recording": Column("U", "", "name of the recording"),
    "window_start_us": Column("<i8", "us", "start of the network's window"),
    "window_end_us": Column("<i8", "us", "end of the window, not part of it"),
    "t_start_us": Column("<i8", "us", "start of the slice of time in which the object was detected"),
    "t_end_us": Column("<i8", "us", "end of the slice, not part of it"),
    "x": Column("<f8", "pix", "centroid, pixels weighted by the root of their saliency"),
    "y": Column("<f8", "pix", "centroid, pixels weighted by the root of their saliency"),
    "width": Column("<f8", "pix", "of the bounding box"),
    "height": Column("<f8", "pix", "of the bounding box"),
    "class_id": Column("<i4", "", "the network's class that lit it up most, from 0; -1 where none did"),
    "class_name": Column("U", "", "what the user calls that class, empty where it has no name"),
    "score": Column("<f8", "", "sum of the saliency over pixels and steps, above 0"),
    "track_id": Column("<i4", "", "of its track, from 1; 0 where too few slices in a row showed it"),
}
"""Detections, of stars too, one row per detection and slice, in the order of detections.json."""

TRACK_COLUMNS = {
    "recording": Column("U", "", "name of the recording"),
    "track_id": Column("<i4", "", "from 1, in the order of the first detections, unique in its recording"),
    "t_us": Column("<i8", "us", "middle of the detection's slice"),
    "x": Column("<f8", "pix", "smoothed position"),
    "y": Column("<f8", "pix", "smoothed position"),
    "vx": Column("<f8", "pix / s", "smoothed velocity"),
    "vy": Column("<f8", "pix / s", "smoothed velocity"),
    "vx_rel": Column("<f8", "pix / s", "smoothed velocity less that of the star field"),
    "vy_rel": Column("<f8", "pix / s", "smoothed velocity less that of the star field"),
    "width": Column("<f8", "pix", "of the detection's bounding box"),
    "height": Column("<f8", "pix", "of the detection's bounding box"),
    "score": Column("<f8", "", "the detection's, see objects"),
    "object_score": Column("<f8", "", "how surely the track moves differently from the stars, 0 to 1"),
    "log_likelihood_ratio": Column("<f8", "", "of its events against background and stars, nat; 0 without a motion layer"),
    "class_id": Column("<i4", "", "the network's class that lit the track up most, from 0; -1 where none did"),
    "class_name": Column("U", "", "what the user calls that class, empty where it has no name"),
    "is_object": Column("?", "", "whether object_score reaches the threshold, so that the track is no star"),
}
"""Tracks, stars included, one row per detection, by track, then time: the columns of tracks.csv."""

OBJECT_COLUMNS = {
    "recording": Column("U", "", "name of the recording"),
    "object_id": Column("<i4", "", "track_id of its track"),
    "t_start_us": Column("<i8", "us", "when it was first seen: middle of the slice of its track's first detection"),
    "t_end_us": Column("<i8", "us", "when it was last seen: middle of the slice of its track's last detection"),
    "x_start": Column("<f8", "pix", "smoothed position when it was first seen"),
    "y_start": Column("<f8", "pix", "smoothed position when it was first seen"),
    "x_end": Column("<f8", "pix", "smoothed position when it was last seen"),
    "y_end": Column("<f8", "pix", "smoothed position when it was last seen"),
    "vx": Column("<f8", "pix / s", "velocity, the mean over its track"),
    "vy": Column("<f8", "pix / s", "velocity, the mean over its track"),
    "speed": Column("<f8", "pix / s", "the mean over its track, along the way that it took"),
    "vx_rel": Column("<f8", "pix / s", "velocity less that of the star field, the mean over its track"),
    "vy_rel": Column("<f8", "pix / s", "velocity less that of the star field, the mean over its track"),
    "speed_rel": Column("<f8", "pix / s", "speed relative to the star field, the mean over its track"),
    "width": Column("<f8", "pix", "of its bounding box, the median over its track"),
    "height": Column("<f8", "pix", "of its bounding box, the median over its track"),
    "events": Column("<i8", "", "how many events are its own"),
    "confidence": Column("<f8", "", "how surely it moves differently from the stars, 0 to 1: the object_score of its track"),
    "log_likelihood_ratio": Column("<f8", "", "of its events against background and stars, nat; 0 without a motion layer"),
    "class_id": Column("<i4", "", "the network's class that lit it up most, from 0; -1 where none did"),
    "class_name": Column("U", "", "what the user calls that class, empty where it has no name"),
}
"""Objects, one row each, by track: the columns of objects.csv and objects.ecsv."""

EVENT_COLUMNS = {
    "t": Column("<i8", "us", "time, never falling"),
    "x": Column("<i2", "pix", "pixel"),
    "y": Column("<i2", "pix", "pixel"),
    "p": Column("?", "", "True for ON"),
    "score": Column("<f4", "", "saliency at the event's step and pixel, the highest where windows overlap; 0 if not seen"),
    "object_id": Column("<i4", "", "track_id of the object that the event belongs to, 0 for none"),
    "object_score": Column("<f4", "", "how surely it belongs to something that moves differently from the stars, 0 to 1"),
}
"""Events that passed the checks, in order: the arrays of <recording>.events.npz."""

UTC_COLUMNS = {
    "tracks": {"utc": Column("<U27", "", "UTC of t_us, ISO 8601")},
    "objects": {
        "utc_start": Column("<U27", "", "UTC of t_start_us, ISO 8601"),
        "utc_end": Column("<U27", "", "UTC of t_end_us, ISO 8601"),
    },
}
"""Further columns of tables, their last, where the UTC of a recording is known; empty for recordings of which it is not."""

_RATES = {
    "ra_rate": Column("<f8", "arcsec / s", "rate of right ascension times the cosine of the declination"),
    "dec_rate": Column("<f8", "arcsec / s", "rate of declination"),
    "ra_err": Column("<f8", "arcsec", "standard deviation of right ascension times the cosine of the declination"),
    "dec_err": Column("<f8", "arcsec", "standard deviation of declination"),
}
SKY_COLUMNS = {
    "tracks": {
        "ra": Column("<f8", "deg", "right ascension, ICRS"),
        "dec": Column("<f8", "deg", "declination, ICRS"),
        **_RATES,
    },
    "objects": {
        "ra_start": Column("<f8", "deg", "right ascension when it was first seen, ICRS"),
        "dec_start": Column("<f8", "deg", "declination when it was first seen, ICRS"),
        "ra_end": Column("<f8", "deg", "right ascension when it was last seen, ICRS"),
        "dec_end": Column("<f8", "deg", "declination when it was last seen, ICRS"),
        **{name: column._replace(meaning=f"{column.meaning}, the median over its track") for name, column in _RATES.items()},
    },
}
"""Further columns of tables, behind their own, where positions on the sky are asked for; nan where one is not known."""

TABLES = {"objects": OBJECT_COLUMNS, "tracks": TRACK_COLUMNS, "detections": DETECTION_COLUMNS, "events": EVENT_COLUMNS}

WINDOW_DTYPE = np.dtype([("t_start_us", "<i8"), ("t_end_us", "<i8")])
"""A window of the network, µs; its end is not part of it."""

STORED_FIELDS = ("t", "x", "y", "p")
"""Arrays of <recording>.events.npz that the recording itself holds."""


def table_dtype(columns: Mapping[str, Column], recording: str = "", class_name: str = "") -> np.dtype:
    """The dtype of a table.

    Args:
        columns: one of TABLES.
        recording: the longest name that the column "recording" has to hold.
        class_name: the longest that "class_name" has to hold.
    """
    texts = {"recording": f"<U{max(len(recording), 1)}", "class_name": f"<U{max(len(class_name), 1)}"}
    return np.dtype([(name, texts[name] if column.dtype == "U" else column.dtype) for name, column in columns.items()])


def columns_of(table: str, *names: Sequence[str] | None) -> dict[str, Column]:
    """The columns of a table, its own, then those of SKY_COLUMNS and UTC_COLUMNS that occur.

    Args:
        table: one of TABLES.
        names: fields of each array that is to fit, its dtype.names.
    """
    present = {name for fields in names for name in fields or ()}
    further = {**SKY_COLUMNS.get(table, {}), **UTC_COLUMNS.get(table, {})}
    return {**TABLES[table], **{name: column for name, column in further.items() if name in present}}


def decimals(column: Column) -> int:
    """With how many a number with a fraction is written: angles on the sky to 0.4 mas."""
    return 7 if column.unit == "deg" else 4


def units_of(table: str) -> dict[str, str]:
    """Field -> unit as astropy spells it ("us", "pix", "pix / s", "" for none), of a table of TABLES."""
    return {name: column.unit for name, column in TABLES[table].items()}


class Detection(TypedDict):
    """One object of one slice of time; see DETECTION_COLUMNS."""

    t_start_us: int
    t_end_us: int
    x: float
    y: float
    width: float
    height: float
    class_id: int
    class_name: str
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

    Where they are known, entries of `Detections.further` stand before the windows.
    """

    name: str
    sensor_size: list[int]
    threshold: float
    object_threshold: float
    tracks: int
    objects: list[int]
    star_field: list[float]
    windows: list[WindowDetections]


class DetectionsDocument(TypedDict):
    """detections.json.

    Attributes:
        version: DETECTIONS_VERSION.
        units: UNITS.
        recordings: in the order in which they were given.
    """

    version: int
    units: Mapping[str, str]
    recordings: list[RecordingDetections]


def window_detections(windows: np.ndarray, objects: np.ndarray) -> list[WindowDetections]:
    """The windows of a recording with their objects.

    Args:
        windows: WINDOW_DTYPE (N,), in order of time.
        objects: of DETECTION_COLUMNS (n,), in order of their windows.
    """
    fields = list(Detection.__annotations__)
    rows = [dict(zip(fields, values, strict=True)) for values in objects[fields].tolist()]
    ends = np.searchsorted(objects["window_start_us"], windows["t_start_us"], side="right").tolist()
    entries: list[WindowDetections] = []
    first = 0
    for (start, end), last in zip(windows.tolist(), ends, strict=True):
        entries.append({"t_start_us": start, "t_end_us": end, "objects": rows[first:last]})  # type: ignore[typeddict-item]
        first = last
    return entries


def detections_document(recordings: Sequence[RecordingDetections]) -> DetectionsDocument:
    """What detections.json holds."""
    return {"version": DETECTIONS_VERSION, "units": dict(UNITS), "recordings": list(recordings)}


def detections_text(document: DetectionsDocument) -> str:
    """The text of detections.json: a line per window, since a night holds thousands."""

    def lines(parts: Iterable[str]) -> str:
        return "[\n" + ",\n".join(parts) + "\n]"

    def text(value: object) -> str:
        return json.dumps(value, allow_nan=False)

    def recording_text(recording: RecordingDetections) -> str:
        head = ",\n".join(f"{text(name)}: {text(value)}" for name, value in recording.items() if name != "windows")
        return f'{{{head},\n"windows": {lines(map(text, recording["windows"]))}}}'

    head = ",\n".join(f"{text(name)}: {text(value)}" for name, value in document.items() if name != "recordings")
    return f'{{{head},\n"recordings": {lines(map(recording_text, document["recordings"]))}}}\n'
