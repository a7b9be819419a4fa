"""The writer of detections.json, tracks.csv and <recording>.events.npz."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from .schema import (
    DETECTIONS,
    STORED_FIELDS,
    TRACKS,
    RecordingDetections,
    detections_document,
    detections_file,
    detections_text,
    events_file,
    tracks_file,
    tracks_text,
)


class DetectionWriter:
    """Takes recordings one by one, so that the events of no two have to be in memory.

    Attributes:
        folder: where the files go; made where it is missing.
        entries: what detections.json will hold of each recording.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.entries: list[RecordingDetections] = []
        self._tracks: list[np.ndarray] = []

    def add(self, entry: RecordingDetections, tracks: np.ndarray, events: Mapping[str, np.ndarray]) -> None:
        """Write the events of one recording, and keep the rest for the end.

        Args:
            entry: its part of detections.json.
            tracks: of TRACK_COLUMNS.
            events: the arrays of EVENT_COLUMNS.

        Raises:
            InputError: the file cannot be written.
        """
        atomic_write(self.folder / events_file(entry["name"]), functools.partial(_write_events, columns=events))
        self.entries.append(entry)
        self._tracks.append(tracks)

    def finish(self) -> Path:
        """Write detections.json and tracks.csv; -> the folder.

        Raises:
            InputError: they cannot be written.
        """
        atomic_write(self.folder / DETECTIONS, detections_text(detections_document(self.entries)))
        atomic_write(self.folder / TRACKS, tracks_text(self._tracks))
        return self.folder


def write_recording(folder: Path, entry: RecordingDetections, tracks: np.ndarray, events: Mapping[str, np.ndarray]) -> None:
    """The files of one recording: <recording>.events.npz, and its own .detections.json and .tracks.csv.

    Args:
        folder: where they go.
        entry: its part of detections.json.
        tracks: of TRACK_COLUMNS.
        events: the arrays of EVENT_COLUMNS.

    Raises:
        InputError: a file cannot be written.
    """
    name = entry["name"]
    atomic_write(folder / events_file(name), functools.partial(_write_events, columns=events))
    atomic_write(folder / detections_file(name), detections_text(detections_document([entry])))
    atomic_write(folder / tracks_file(name), tracks_text([tracks]))


def join_recordings(folder: Path, recordings: Sequence[tuple[str, Path]]) -> None:
    """detections.json and tracks.csv of several recordings, from those that `write_recording` wrote: the bytes that
    `DetectionWriter` writes of them. No two have to be in memory.

    Args:
        folder: where they go.
        recordings: the name of each, and the folder that its files lie in.

    Raises:
        InputError: a file cannot be read or is not as it was written, or one cannot be written.
    """
    opening, _, closing = detections_text(detections_document([])).rpartition("\n\n")
    ends = (f"{opening}\n", f"\n{closing}")
    entries = [path / detections_file(name) for name, path in recordings]
    atomic_write(folder / DETECTIONS, functools.partial(_join, files=entries, ends=ends, between=",\n"))
    tables = [path / tracks_file(name) for name, path in recordings]
    atomic_write(folder / TRACKS, functools.partial(_join, files=tables, ends=(tracks_text([]), ""), between=""))


def _join(file: BinaryIO, files: Sequence[Path], ends: tuple[str, str], between: str) -> None:
    """The contents of files, which begin and end alike, one after the other between one beginning and one end."""
    first, last = (end.encode() for end in ends)
    file.write(first)
    for number, path in enumerate(files):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}); detect again") from error
        if not content.startswith(first) or not content.endswith(last):
            raise InputError(f"{path}: is not as it was written; remove it and detect again")
        file.write((between.encode() if number else b"") + content[len(first) : len(content) - len(last)])
    file.write(last)


def _write_events(file: BinaryIO, columns: Mapping[str, np.ndarray]) -> None:
    """A .npz of fixed bytes for equal columns. What the recording itself holds is stored as it is: compressing
    it would halve the file and take a fifth of all the time."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, column in columns.items():
            part, entry = io.BytesIO(), zipfile.ZipInfo(f"{name}.npy")
            np.lib.format.write_array_header_1_0(part, np.lib.format.header_data_from_array_1_0(column))
            if name not in STORED_FIELDS:
                part.write(column.data)
                archive.writestr(entry, part.getbuffer(), zipfile.ZIP_DEFLATED, compresslevel=1)
                continue
            entry.file_size = part.tell() + column.nbytes  # from which zipfile knows whether it takes the form for large files
            with archive.open(entry, "w") as whole:
                whole.write(part.getvalue())
                whole.write(column.data)
