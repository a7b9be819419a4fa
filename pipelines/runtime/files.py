"""Writes that happen whole or not at all, and refusals told in one line."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from spikeseg.errors import InputError


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write at path into a one-line InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}; choose a folder you can write to"
        ) from error


def make_folder(path: Path) -> Path:
    """path as an existing folder; InputError when it cannot be made."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def atomic_write(path: Path, content: bytes | str | Callable[[BinaryIO], Any]) -> Path:
    """Write a whole file or nothing: temporary file beside it, fsync, rename.

    content is the bytes, the text (UTF-8), or a function that writes into the open binary file
    (``lambda f: torch.save(state, f)``). Raises InputError when path cannot be written."""
    path = Path(path)
    make_folder(path.parent)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    try:
        with writing(path):
            with open(partial, "wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            fsync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return path


def fsync_folder(path: Path) -> None:
    """Let a folder's entries reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_tree(root: Path) -> None:
    """Let every file and folder below root reach the disk."""
    for folder, _, files in os.walk(root):
        for name in files:
            with open(Path(folder) / name, "rb") as file:
                os.fsync(file.fileno())
        fsync_folder(Path(folder))
