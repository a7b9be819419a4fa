"""What a network detects: objects, tracks, detections and scored events of one recording or of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.errors import InputError

from .files import write_recordings
from .readout import Readout
from .schema import EVENT_COLUMNS, OTHER, TABLES, RecordingDetections, columns_of, table_dtype, window_detections
from .table_text import astropy_table, completed

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.figure import Figure


class _Tables:
    """Objects, tracks, detections and events as tables of pandas and astropy."""

    objects: np.ndarray
    tracks: np.ndarray
    detections: np.ndarray
    events: np.ndarray

    def table(self, name: str) -> np.ndarray:
        """The attribute of that name. Raises InputError where there is no such table."""
        if name not in TABLES:
            raise InputError(f"table {name!r}: unknown, must be one of {', '.join(TABLES)}")
        table: np.ndarray = getattr(self, name)
        return table

    def to_pandas(self, table: str = "tracks") -> Any:
        """A table as a pandas.DataFrame; its units are in ``.attrs["units"]``.

        Args:
            table: "objects", "tracks", "detections" or "events".

        Raises:
            InputError: no such table, or pandas is not installed (extra 'tables').
        """
        array = self.table(table)
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise InputError("this table needs pandas; install it with: pip install 'spikeseg[tables]'") from None
        frame = pandas.DataFrame({name: array[name] for name in array.dtype.names or ()})
        frame.attrs["units"] = {name: column.unit for name, column in columns_of(table, array.dtype.names).items()}
        return frame

    def to_table(self, table: str = "tracks") -> Table:
        """A table as an astropy.table.Table, its columns with units and descriptions.

        Args:
            table: "objects", "tracks", "detections" or "events".

        Raises:
            InputError: no such table.
        """
        array = self.table(table)
        return astropy_table(columns_of(table, array.dtype.names), array)


@dataclass(frozen=True, eq=False)
class Detections(_Tables):
    """What a network detects in one recording.

    Attributes:
        recording: its name.
        sensor_size: (width, height), px.
        readout: how the network was read: thresholds, classes.
        star_field: common motion of the stars, x and y, px/s, the mean over the recording; (0, 0) where too few were seen.
        windows: schema.WINDOW_DTYPE (N,), all of the network's windows.
        detections: structured array, fields of schema.DETECTION_COLUMNS: what was seen in each slice of each window, stars
            included.
        tracks: structured array, fields of schema.TRACK_COLUMNS: a row per detection of each track, stars included.
        objects: structured array, fields of schema.OBJECT_COLUMNS: a row for each track that is an object.
        event_columns: the arrays of schema.EVENT_COLUMNS, (n,) each: every event that passed the checks; `events` is a
            structured array of them.
        position_error: float64 (n,), standard deviation of x and of y in each row of `tracks`, px; nan where it is not known.
        further: entries of detections.json that say more of the recording.
        attachments: further files, name -> content.

    schema.units_of names the units. `spikeseg.sky` adds columns of schema.UTC_COLUMNS and SKY_COLUMNS to tracks and objects.
    """

    recording: str
    sensor_size: tuple[int, int]
    readout: Readout
    star_field: tuple[float, float]
    windows: np.ndarray
    detections: np.ndarray
    tracks: np.ndarray
    objects: np.ndarray
    event_columns: Mapping[str, np.ndarray]
    position_error: np.ndarray | None = None
    further: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def events(self) -> np.ndarray:  # type: ignore[override]
        """Structured array, fields of schema.EVENT_COLUMNS: a copy of `event_columns`, made when it is asked for."""
        table = np.empty(len(self.event_columns["t"]), table_dtype(EVENT_COLUMNS))
        for name, column in self.event_columns.items():
            table[name] = column
        return table

    @cached_property
    def by_track(self) -> Mapping[int, np.ndarray]:
        """track_id -> its rows of `tracks`, in order of time; track_ids rise."""
        ids, first, counts = np.unique(self.tracks["track_id"], return_index=True, return_counts=True)
        return {int(number): self.tracks[at : at + n] for number, at, n in zip(ids, first, counts, strict=True)}

    @property
    def track_ids(self) -> list[int]:
        """Of all tracks, stars included, rising."""
        return list(self.by_track)

    @property
    def object_ids(self) -> list[int]:
        """The track_id of each track that moves differently from the stars: its object_score reaches the threshold."""
        ids: list[int] = self.objects["object_id"].tolist()
        return ids

    def entry(self) -> RecordingDetections:
        """Its part of detections.json."""
        return {
            "name": self.recording,
            "sensor_size": [int(side) for side in self.sensor_size],
            "threshold": float(self.readout.threshold),
            "object_threshold": float(self.readout.object_threshold),
            "tracks": len(self.track_ids),
            "objects": self.object_ids,
            "star_field": [float(v) for v in self.star_field],
            **self.further,  # type: ignore[typeddict-item]
            "windows": window_detections(self.windows, self.detections),
        }

    def plot(self, others: str = OTHER) -> Figure:
        """A matplotlib figure: events per pixel, the ways of objects and stars, and cut-outs of the surest objects.

        Args:
            others: what a track that is no object is called, such as star.

        Raises:
            InputError: matplotlib is not installed (extra 'plots').
        """
        # plots stands on a higher floor: it is named here, as a registry names what it loads, and imported when asked for
        figure: Figure = import_module("spikeseg.plots.detections").detections_figure(self, others)
        return figure

    def save(self, folder: str | Path) -> Path:
        """Write the files that `spikeseg detect` writes, but for its manifests; -> the folder.

        Raises:
            InputError: the folder cannot be written.
        """
        return DetectionResult([self]).save(folder)

    def __repr__(self) -> str:
        return (
            f"Detections({self.recording!r}: {len(self.object_ids)} objects among {len(self.track_ids)} tracks, "
            f"{len(self.windows)} windows, {len(self.event_columns['t'])} events)"
        )


class DetectionResult(_Tables, Mapping[str, Detections]):
    """What a network detects in several recordings: name -> `Detections`, in the order in which they were given.

    Args:
        recordings: of different names.

    Raises:
        InputError: two of one name.
    """

    def __init__(self, recordings: Sequence[Detections]) -> None:
        names = [detections.recording for detections in recordings]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{twice[0]}: two recordings of this name; detect them into different folders")
        self._recordings = dict(zip(names, recordings, strict=True))

    def __getitem__(self, name: str) -> Detections:
        return self._recordings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._recordings)

    def __len__(self) -> int:
        return len(self._recordings)

    def __repr__(self) -> str:
        return f"DetectionResult([{', '.join(map(repr, self.values()))}])"

    @cached_property
    def objects(self) -> np.ndarray:  # type: ignore[override]
        """Those of all recordings, see `Detections`."""
        return self._joined("objects")

    @cached_property
    def detections(self) -> np.ndarray:  # type: ignore[override]
        """Those of all recordings, see `Detections`."""
        return self._joined("detections")

    @cached_property
    def tracks(self) -> np.ndarray:  # type: ignore[override]
        """Those of all recordings, see `Detections`; a track_id is unique in its recording."""
        return self._joined("tracks")

    @cached_property
    def events(self) -> np.ndarray:  # type: ignore[override]
        """Those of all recordings, one recording after the other; ``result[name].events`` are those of one."""
        return self._joined("events")

    def _joined(self, table: str) -> np.ndarray:
        parts = [getattr(detections, table) for detections in self.values()]
        columns = columns_of(table, *(part.dtype.names for part in parts))
        class_names = [part["class_name"].dtype.itemsize // 4 * "x" for part in parts if "class_name" in TABLES[table]]
        dtype = table_dtype(columns, max(self, key=len, default=""), max(class_names, key=len, default=""))
        joined = np.empty(sum(map(len, parts)), dtype)
        first = 0
        for part in parts:
            joined[first : first + len(part)] = completed(columns, part)
            first += len(part)
        return joined

    def save(self, folder: str | Path) -> Path:
        """Write the files that `spikeseg detect` writes, but for its manifests; -> the folder.

        Raises:
            InputError: the folder cannot be written.
        """
        write_recordings(Path(folder), list(self.values()))
        return Path(folder)
