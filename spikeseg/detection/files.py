"""The writer of detections.json, tracks.csv, objects.csv, objects.ecsv and <recording>.events.npz."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from .schema import (
    DETECTIONS,
    OBJECT_COLUMNS,
    OBJECTS,
    OBJECTS_ECSV,
    STORED_FIELDS,
    TRACK_COLUMNS,
    TRACKS,
    detections_document,
    detections_text,
    events_file,
    file_of,
)
from .table_text import csv_text, ecsv_text

if TYPE_CHECKING:
    from .result import Detections


def write_recording(folder: Path, detections: Detections) -> None:
    """The files of one recording: <recording>.events.npz, and tables of its own, <recording>.tracks.csv and so on.

    Args:
        folder: where they go; made where it is missing.
        detections: what was detected in it.

    Raises:
        InputError: a file cannot be written.
    """
    _write_events_of(folder, detections)
    for name, text in _tables([detections]).items():
        atomic_write(folder / file_of(detections.recording, name), text)


def write_recordings(folder: Path, recordings: Sequence[Detections]) -> None:
    """The files of several recordings: <recording>.events.npz of each, and the tables of all.

    Args:
        folder: where they go; made where it is missing.
        recordings: what was detected in each.

    Raises:
        InputError: a file cannot be written.
    """
    for detections in recordings:
        _write_events_of(folder, detections)
    for name, text in _tables(recordings).items():
        atomic_write(folder / name, text)


def join_recordings(folder: Path, recordings: Sequence[tuple[str, Path]]) -> None:
    """The tables of several recordings, from those that `write_recording` wrote: the bytes that `write_recordings` writes of
    them. No two have to be in memory.

    Args:
        folder: where they go.
        recordings: the name of each, and the folder that its files lie in.

    Raises:
        InputError: a file cannot be read or is not as it was written, or one cannot be written.
    """
    for table, empty in _tables([]).items():
        ends, between = (empty, ""), ""
        if table == DETECTIONS:
            opening, _, closing = empty.rpartition("\n\n")
            ends, between = (f"{opening}\n", f"\n{closing}"), ",\n"
        parts = [path / file_of(name, table) for name, path in recordings]
        atomic_write(folder / table, functools.partial(_join, files=parts, ends=ends, between=between))


def _tables(recordings: Sequence[Detections]) -> dict[str, str]:
    """The text of each file that holds a table, by its name."""
    objects = [detections.objects for detections in recordings]
    return {
        DETECTIONS: detections_text(detections_document([detections.entry() for detections in recordings])),
        TRACKS: csv_text(TRACK_COLUMNS, [detections.tracks for detections in recordings]),
        OBJECTS: csv_text(OBJECT_COLUMNS, objects),
        OBJECTS_ECSV: ecsv_text(OBJECT_COLUMNS, objects),
    }


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


def _write_events_of(folder: Path, detections: Detections) -> None:
    columns = detections.event_columns
    atomic_write(folder / events_file(detections.recording), functools.partial(_write_events, columns=columns))


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
