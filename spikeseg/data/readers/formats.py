"""Which format a file has: by its content, then by its name."""

from __future__ import annotations

from pathlib import Path

import h5py

from spikeseg.errors import InputError

from .hdf5_events import is_hdf5_events
from .prophesee import read_header

FORMATS: dict[str, str] = {
    "mat5": "EBSSA .mat (v5)",
    "hdf5": "EBSSA HDF5",
    "hdf5_events": "HDF5 (DSEC, E2VID, Metavision)",
    "aedat2": "AEDAT 2",
    "aedat3": "AEDAT 3.1",
    "aedat4": "AEDAT 4",
    "dat": "Prophesee .dat",
    "evt2": "Prophesee .raw (EVT 2.0)",
    "evt3": "Prophesee .raw (EVT 3.0)",
    "es": "event stream (.es)",
    "rosbag": "ROS bag",
    "nmnist": "N-MNIST .bin",
    "npz": ".npz",
    "npy": ".npy",
    "text": "text (.csv, .txt)",
}
"""Every format that is read, as `detect` names it -> as a message names it."""

READABLE = ", ".join(FORMATS.values())

HEAD_BYTES = 512

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"MATLAB 5.0 MAT-file", "mat5"),
    (b"#!AER-DAT4", "aedat4"),
    (b"#!AER-DAT1", "AEDAT 1"),
    (b"#!AER-DAT2", "aedat2"),
    (b"#!AER-DAT3", "aedat3"),
    (b"PK\x03\x04", "npz"),
    (b"PK\x05\x06", "npz"),
    (b"\x93NUMPY", "npy"),
    (b"Event Stream", "es"),
    (b"#ROSBAG", "rosbag"),
    (b"SQLite format 3", "ROS 2 bag (.db3)"),
    (b"\x1f\x8b", "gzip (unpack it first)"),
)
"""First bytes -> format; the readable ones in short, the others as a message names them."""

SUFFIXES: dict[str, str] = {
    ".bin": "nmnist",
    ".csv": "text",
    ".txt": "text",
    ".dat": "dat",
    ".raw": "Prophesee .raw without a header",
    ".aedat": "AEDAT of unknown version",
    ".aedat2": "aedat2",
    ".es": "es",
    ".bag": "rosbag",
    ".db3": "ROS 2 bag (.db3)",
}
"""Suffix -> format, asked when the first bytes say nothing."""


def detect(path: str | Path) -> str:
    """One of FORMATS. Raises InputError: no such file, a folder, empty, unknown, or not supported yet."""
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; expected a recording ({READABLE})")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not head:
        raise InputError(f"{path}: is empty (0 bytes); expected a recording ({READABLE})")
    found = _format(path, head)
    if not found:
        raise InputError(f"{path}: is in no format known here; readable: {READABLE}")
    if found not in FORMATS:
        raise InputError(f"{path}: format {found} is not supported; readable: {READABLE}")
    return found


def _format(path: Path, head: bytes) -> str:
    """A reader, the name of an unsupported format, or ""."""
    for signature, name in SIGNATURES:
        if head.startswith(signature):
            return name
    if head.startswith(b"MATLAB 7.3 MAT-file") or h5py.is_hdf5(path):
        return "hdf5_events" if is_hdf5_events(path) else "hdf5"
    if head.startswith(b"% "):
        return _prophesee(path)
    by_name = SUFFIXES.get(path.suffix.lower(), "")
    if by_name:
        return by_name
    return "text" if _looks_like_numbers(head) else ""


def _prophesee(path: Path) -> str:
    """By the lines that begin with %; a .dat names no encoding."""
    encoding = read_header(path).encoding
    unnamed = "Prophesee .raw of no encoding" if path.suffix.lower() == ".raw" else "dat"
    return {"EVT 2.0": "evt2", "EVT 3.0": "evt3", "": unnamed}.get(encoding, f"Prophesee {encoding}")


def _looks_like_numbers(head: bytes) -> bool:
    """True if the first bytes could be rows of numbers: for text without a telling name."""
    return not head.strip(b"0123456789+-.,;eE \t\r\n")
