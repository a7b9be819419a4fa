"""The one writer of what `detect` writes: detections.json, tracks.csv, <recording>.events.npz."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from spikeseg.core.files import atomic_write

from .schema import DETECTIONS, STORED_FIELDS, TRACKS, detections_document, detections_text, events_file, tracks_text

if TYPE_CHECKING:
    from .result import Detections


class DetectionWriter:
    """Takes recordings one by one, so that the events of no two have to be in memory.

    Attributes:
        folder: where the files go; made where it is missing.
        recordings: what was written, without its events.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.recordings: list[Detections] = []

    def add(self, detections: Detections) -> None:
        """Write the events of one recording, and keep the rest for the end.

        Raises:
            InputError: the file cannot be written.
        """
        write = functools.partial(_write_events, events=detections.events)
        atomic_write(self.folder / events_file(detections.recording), write)
        self.recordings.append(detections.without_events())

    def finish(self) -> Path:
        """Write detections.json and tracks.csv; -> the folder.

        Raises:
            InputError: they cannot be written.
        """
        document = detections_document([detections.entry() for detections in self.recordings])
        atomic_write(self.folder / DETECTIONS, detections_text(document))
        atomic_write(self.folder / TRACKS, tracks_text(detections.tracks for detections in self.recordings))
        return self.folder


def _write_events(file: BinaryIO, events: np.ndarray) -> None:
    """A .npz of fixed bytes for equal events, an array per field. What the recording itself holds is stored as it is: compressing
    it would halve the file and take a fifth of all the time."""
    with zipfile.ZipFile(file, "w") as archive:
        for name in events.dtype.names or ():
            column = np.ascontiguousarray(events[name])
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
