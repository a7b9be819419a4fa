"""What a file is, in words, for errors about one that is of the wrong kind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

HEAD_BYTES = 4096
TORCH, DAMAGED_ZIP, FITS = "a file of torch", "a zip file that is cut off or damaged", "a FITS file"
SIGNATURES = (
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "an array of numpy (.npy)"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip file"),
    (b"SIMPLE  =", FITS),
    (b"SQLite format 3", "an SQLite file"),
)
"""First bytes, and what begins with them."""


def kind_of(path: str | Path) -> str:
    """Such as "a folder" or "text": what lies at a path, by its first bytes; nothing is said of what is not there."""
    path = Path(path)
    if path.is_dir():
        return "a folder"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return "not readable"
    if not head:
        return "an empty file"
    named = next((kind for signature, kind in SIGNATURES if head.startswith(signature)), None)
    if named is not None:
        return named
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return "a safetensors file"
    return _kind_of_text(path, head)


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return DAMAGED_ZIP
    if any(name.endswith("data.pkl") for name in names):
        return TORCH
    return "arrays of numpy (.npz)" if any(name.endswith(".npy") for name in names) else "a zip file"


def _kind_of_text(path: Path, head: bytes) -> str:
    try:
        text = head.decode(errors="strict" if len(head) < HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if any(character < " " and not character.isspace() for character in text):
        return "binary data"
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return "text"
        return "JSON"
    return "text"
