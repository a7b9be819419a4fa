"""Readers: one file per format, one function for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeseg.data.recording import Recording, checked
from spikeseg.data.sensors import SENSOR_SIZES, fitting_sensor, named_sensor
from spikeseg.errors import InputError

from .aedat2 import stream_aedat2
from .aedat3 import stream_aedat3
from .aedat4 import stream_aedat4
from .ebssa_mat import read_hdf5, read_mat5
from .event_stream import stream_es
from .formats import detect
from .hdf5_events import stream_hdf5_events
from .nmnist import read_nmnist
from .numpy_files import stream_npy, stream_npz
from .prophesee import stream_dat, stream_evt2, stream_evt3
from .raw import Columns, Raw, Stream
from .rosbag import stream_rosbag
from .text import stream_text

__all__ = ["READ", "Columns", "Raw", "Stream", "read", "read_raw", "read_stream", "streamed"]

READ: dict[str, Callable[[Path], Raw]] = {"nmnist": read_nmnist}
"""Format as ``formats.detect`` names it -> reader of whole files, for those that need nothing but the path."""

STREAM: dict[str, Callable[[Path], Stream]] = {
    "aedat2": stream_aedat2,
    "aedat3": stream_aedat3,
    "aedat4": stream_aedat4,
    "dat": stream_dat,
    "es": stream_es,
    "evt2": stream_evt2,
    "evt3": stream_evt3,
    "hdf5_events": stream_hdf5_events,
    "npy": stream_npy,
    "npz": stream_npz,
    "rosbag": stream_rosbag,
    "text": stream_text,
}
"""Format -> reader of files of any length, part by part."""

MEMBER = "::"
"""Separates an HDF5 file of several recordings from the name of one: ``labelled_ebssa.h5::NAME``."""


def read(
    path: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    labels: Mapping[str, np.ndarray] | None = None,
    lenient: bool = False,
) -> Recording:
    """Any supported recording, checked; format by content, then by name.

    Its name is the file's without suffix, or that of the recording in ``FILE.h5::NAME``.

    Args:
        sensor_size: (width, height); by default what the file says, or else the smallest known sensor that
            holds the coordinates (sensors.SENSOR_SIZES).
        labels: columns t, x, y, id, for a file that holds none itself (``labels.read_labels``).
        lenient: see ``recording.checked``.

    Raises InputError: a file that is missing, empty, truncated, of an unknown or unsupported format, or whose
    content fails the checks.
    """
    where = str(path)
    raw = read_raw(path)
    size = sensor_size or raw.sensor_size or SENSOR_SIZES[fitting_sensor(where, raw.x, raw.y)]
    name = where.split(MEMBER)[-1] if MEMBER in Path(where).name else Path(where).stem
    known = raw.labels if labels is None else labels
    recording = checked(name, where, raw.t, raw.x, raw.y, raw.p, size, known, sensor=raw.sensor, lenient=lenient)
    left_out = {reason: count for reason, count in raw.left_out.items() if count}
    return replace(recording, dropped={**left_out, **recording.dropped}) if left_out else recording


def streamed(path: str | Path) -> bool:
    """Whether ``read_stream`` takes bounded memory for this file. Raises InputError where its format is unknown."""
    return detect(path) in STREAM


def read_raw(path: str | Path, sensor: str = "") -> Raw:
    """The columns of any supported recording, unchecked. Raises InputError as ``read`` does.

    Args:
        sensor: "DAVIS" or "ATIS" where an EBSSA file's is known; "": by the names of file and folder, or else
            by the coordinates.
    """
    return read_stream(path, sensor).whole()


def read_stream(path: str | Path, sensor: str = "") -> Stream:
    """The same, part by part: formats in STREAM take bounded memory for files of any length. Raises InputError as ``read`` does,
    some of it when the parts are taken."""
    file, _, member = str(path).partition(MEMBER) if not Path(path).exists() else (str(path), "", "")
    found = detect(file)
    if member and found != "hdf5":
        raise InputError(f"{path}: {MEMBER} names a recording of an HDF5 file, but this one is {found}")
    if found in STREAM:
        return STREAM[found](Path(file))
    if found in READ:
        return READ[found](Path(file)).stream()
    sensor = sensor or named_sensor("/".join(Path(file).parts[-2:]))
    return (read_mat5(file, sensor) if found == "mat5" else read_hdf5(file, member, sensor)).stream()
