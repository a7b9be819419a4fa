"""The writer of detections.json, tracks.csv, objects.csv, objects.ecsv and <recording>.events.npz."""

from __future__ import annotations

import functools
import io
import itertools
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from .schema import (
    DETECTIONS,
    OBJECTS,
    OBJECTS_ECSV,
    SKY_COLUMNS,
    STORED_FIELDS,
    TRACKS,
    UTC_COLUMNS,
    RecordingDetections,
    columns_of,
    detections_document,
    detections_text,
    events_file,
    file_of,
)
from .table_text import csv_text, ecsv_text


class Written(Protocol):
    """What is written of a recording: a `Detections`."""

    @property
    def recording(self) -> str:
        """Its name."""

    @property
    def event_columns(self) -> Mapping[str, np.ndarray]:
        """The arrays of schema.EVENT_COLUMNS."""

    @property
    def attachments(self) -> Mapping[str, bytes]:
        """Further files, name -> content."""

    def entry(self) -> RecordingDetections:
        """Its part of detections.json."""

    def table(self, name: str) -> np.ndarray:
        """One of schema.TABLES."""


def write_recording(folder: Path, detections: Written) -> None:
    """The files of one recording: <recording>.events.npz, tables of its own, <recording>.tracks.csv and so on, and attachments.

    Args:
        folder: where they go; made where it is missing.
        detections: what was detected in it.

    Raises:
        InputError: a file cannot be written.
    """
    _write_events_of(folder, detections)
    for name, text in _tables([detections]).items():
        atomic_write(folder / file_of(detections.recording, name), text)


def write_recordings(folder: Path, recordings: Sequence[Written]) -> None:
    """The files of several recordings: <recording>.events.npz and attachments of each, and the tables of all.

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
    for table in _tables([]):
        parts = [path / file_of(name, table) for name, path in recordings]
        if table == DETECTIONS:
            opening, _, closing = detections_text(detections_document([])).rpartition("\n\n")
            ends = f"{opening}\n".encode(), f"\n{closing}".encode()
            atomic_write(folder / table, functools.partial(_join, files=parts, ends=ends))
        else:
            atomic_write(folder / table, functools.partial(_join_rows, files=parts, table=table))


def _tables(recordings: Sequence[Written]) -> dict[str, str]:
    """The text of each file that holds a table, by its name."""
    texts = {DETECTIONS: detections_text(detections_document([detections.entry() for detections in recordings]))}
    for file, (table, text_of) in _ROWS.items():
        tables = [detections.table(table) for detections in recordings]
        texts[file] = text_of(columns_of(table, *(part.dtype.names for part in tables)), tables)
    return texts


_ROWS = {TRACKS: ("tracks", csv_text), OBJECTS: ("objects", csv_text), OBJECTS_ECSV: ("objects", ecsv_text)}
"""Files of rows: the table, and how it is written."""
_EMPTY_CELL = {TRACKS: b",", OBJECTS: b",", OBJECTS_ECSV: b' ""'}
"""A text that is empty, at the end of a row."""


def _join(file: BinaryIO, files: Sequence[Path], ends: tuple[bytes, bytes]) -> None:
    """The contents of files, which begin and end alike, one after the other between one beginning and one end."""
    first, last = ends
    file.write(first)
    for number, path in enumerate(files):
        content = _content(path)
        if not content.startswith(first) or not content.endswith(last):
            raise InputError(f"{path}: is not as it was written; remove it and detect again")
        file.write((b",\n" if number else b"") + content[len(first) : len(content) - len(last)])
    file.write(last)


def _join_rows(file: BinaryIO, files: Sequence[Path], table: str) -> None:
    """The rows of files of one table under one header. Where only some have UTC, their last columns, it is empty in others."""
    heads = _heads(table)
    kinds = []
    for path in files:
        content = _content(path)
        found = [kind for kind, head in heads.items() if content.startswith(head)]
        if not found or not content.endswith(b"\n"):
            raise InputError(f"{path}: is not as it was written; remove it and detect again")
        kinds.append(found[0])
    sky, utc = (any(kind[k] for kind in kinds) for k in (0, 1))
    file.write(heads[sky, utc])
    for path, kind in zip(files, kinds, strict=True):
        if kind[0] != sky:
            raise InputError(f"{path}: has no positions on the sky, others have; remove it and detect again")
        rows = _content(path).removeprefix(heads[kind])
        if kind[1] != utc:
            rows = rows.replace(b"\n", len(UTC_COLUMNS[_ROWS[table][0]]) * _EMPTY_CELL[table] + b"\n")
        file.write(rows)


def _heads(table: str) -> dict[tuple[bool, bool], bytes]:
    """What files of a table begin with: without and with positions on the sky, without and with UTC."""
    name, text_of = _ROWS[table]
    heads = {}
    for sky, utc in itertools.product((False, True), repeat=2):
        further = [*(SKY_COLUMNS[name] if sky else ()), *(UTC_COLUMNS[name] if utc else ())]
        heads[sky, utc] = text_of(columns_of(name, further), []).encode()
    return heads


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); detect again") from error


def _write_events_of(folder: Path, detections: Written) -> None:
    for name, content in detections.attachments.items():
        atomic_write(folder / name, content)
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
