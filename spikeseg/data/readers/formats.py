"""Which format a file has: by its content, then by its name."""

from __future__ import annotations

from pathlib import Path

import h5py

from spikeseg.errors import InputError

READABLE = "EBSSA .mat (v5, v7.3), AEDAT 4, N-MNIST .bin, .npz, .npy, .csv or .txt"

HEAD_BYTES = 512

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"MATLAB 5.0 MAT-file", "mat5"),
    (b"#!AER-DAT4", "aedat4"),
    (b"#!AER-DAT1", "AEDAT 1"),
    (b"#!AER-DAT2", "AEDAT 2"),
    (b"#!AER-DAT3", "AEDAT 3"),
    (b"PK\x03\x04", "npz"),
    (b"PK\x05\x06", "npz"),
    (b"\x93NUMPY", "npy"),
    (b"Event Stream", "event stream (.es)"),
    (b"#ROSBAG", "ROS bag"),
    (b"SQLite format 3", "ROS 2 bag (.db3)"),
    (b"\x1f\x8b", "gzip (unpack it first)"),
)
"""First bytes -> format; the readable ones in short, the others as a message names them."""

SUFFIXES: dict[str, str] = {
    ".bin": "nmnist",
    ".csv": "text",
    ".txt": "text",
    ".dat": "Prophesee .dat",
    ".raw": "Prophesee .raw",
    ".aedat": "AEDAT of unknown version",
    ".aedat2": "AEDAT 2",
    ".es": "event stream (.es)",
    ".bag": "ROS bag",
    ".db3": "ROS 2 bag (.db3)",
}
"""Suffix -> format, asked when the first bytes say nothing."""

READERS = ("mat5", "hdf5", "aedat4", "npz", "npy", "nmnist", "text")


def detect(path: str | Path) -> str:
    """One of READERS. Raises InputError: no such file, a folder, empty, unknown, or not supported yet."""
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
    if found not in READERS:
        raise InputError(f"{path}: format {found} is not supported yet; readable: {READABLE}")
    return found


def _format(path: Path, head: bytes) -> str:
    """A reader, the name of an unsupported format, or ""."""
    for signature, name in SIGNATURES:
        if head.startswith(signature):
            return name
    if head.startswith(b"MATLAB 7.3 MAT-file") or h5py.is_hdf5(path):
        return "hdf5"
    if head.startswith(b"% ") or b"\n% evt " in head:
        lines = head.decode("latin-1").splitlines()
        version = next((line[2:].split()[1][0] for line in lines if line.startswith("% evt ")), "")
        return (
            f"Prophesee EVT{version}"
            if version
            else SUFFIXES.get(path.suffix.lower(), "Prophesee .raw or .dat")
        )
    by_name = SUFFIXES.get(path.suffix.lower(), "")
    if by_name:
        return by_name
    return "text" if _looks_like_numbers(head) else ""


def _looks_like_numbers(head: bytes) -> bool:
    """True if the first bytes could be rows of numbers: for text without a telling name."""
    return not head.strip(b"0123456789+-.,;eE \t\r\n")
