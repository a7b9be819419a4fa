"""Digests of files, and folders that reach the disk whole; files are written by `spikeseg.core.files`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from spikeseg.core.files import fsync_folder, writing


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_tree(root: Path) -> None:
    """Flush every file and folder below root to the disk. Raises InputError: the disk is full."""
    for folder, _, files in os.walk(root):
        for name in files:
            with writing(Path(folder) / name), open(Path(folder) / name, "rb") as file:
                os.fsync(file.fileno())
        with writing(Path(folder)):
            fsync_folder(Path(folder))
