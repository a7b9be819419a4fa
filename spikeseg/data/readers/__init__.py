"""Readers: one file per format (`spikeseg.registries.READERS`), one function for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeseg.data.recording import Recording, checked
from spikeseg.data.sensors import SENSOR_SIZES, fitting_sensor, named_sensor
from spikeseg.errors import InputError
from spikeseg.registries import READERS

from .formats import detect
from .layout import AS_USUAL, Layout
from .raw import Columns, Raw, Stream
from .reader import Reader
from .recording_path import MEMBER, recording_path

__all__ = ["AS_USUAL", "Columns", "Layout", "Raw", "Reader", "Stream", "read", "read_raw", "read_stream", "streamed"]


def read(
    path: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    labels: Mapping[str, np.ndarray] | None = None,
    lenient: bool = False,
    layout: Layout = AS_USUAL,
) -> Recording:
    """Any supported recording, checked; format by content, then by name.

    Its name is the file's without suffix, or that of the recording in ``FILE.h5::NAME``.

    Args:
        path: of the file, or ``FILE.h5::NAME``, or ``FILE.mcap::TOPIC``.
        sensor_size: (width, height); by default that of the file, or else the smallest known sensor that
            holds the coordinates (sensors.SENSOR_SIZES).
        labels: columns t, x, y, id, for a file that holds none itself (``labels.read_labels``).
        lenient: see ``recording.checked``.
        layout: what files of plain rows do not tell.

    Raises InputError: a file that is missing, empty, truncated, of an unknown or unsupported format, or whose
    content fails the checks.
    """
    where, name = str(path), recording_path(path).name
    raw = read_raw(path, layout=layout)
    size = sensor_size or raw.sensor_size or SENSOR_SIZES[fitting_sensor(where, raw.x, raw.y)]
    known = raw.labels if labels is None else labels
    recording = checked(name, where, raw.columns._asdict(), size, known, sensor=raw.sensor, lenient=lenient)
    left_out = {reason: count for reason, count in raw.left_out.items() if count}
    return replace(recording, dropped={**left_out, **recording.dropped}) if left_out else recording


def streamed(path: str | Path) -> bool:
    """Whether ``read_stream`` takes bounded memory for this file. Raises InputError where its format is unknown."""
    return READERS[detect(path)].bounded


def read_raw(path: str | Path, sensor: str = "", layout: Layout = AS_USUAL) -> Raw:
    """The columns of any supported recording, unchecked. Raises InputError as ``read`` does.

    Args:
        path: see ``read``.
        sensor: "DAVIS" or "ATIS" where an EBSSA file's is known; "": by the names of file and folder, or else
            by the coordinates.
        layout: see ``read``.
    """
    return read_stream(path, sensor, layout).whole()


def read_stream(path: str | Path, sensor: str = "", layout: Layout = AS_USUAL) -> Stream:
    """The same, part by part: formats whose reader is `bounded` take bounded memory for files of any length.

    Raises InputError as ``read`` does, some of it when the parts are taken."""
    file, member = recording_path(path)
    name = detect(file)
    reader = READERS[name]
    if member and not reader.members:
        raise InputError(
            f"{path}: {MEMBER} names a recording of an HDF5 file, a topic of a bag, a stream of AEDAT; this one is {name}"
        )
    return reader.opened(Path(file), member, sensor or named_sensor("/".join(Path(file).parts[-2:])), layout)
