"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from spikeseg.errors import InputError


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

    Args:
        path: the file; its folder is made where it is missing.
        content: the bytes, the text (UTF-8), or a function that writes into the open binary file
            (``lambda file: torch.save(state, file)``).

    Raises:
        InputError: path cannot be written.
    """
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


def share_file(old: Path, new: Path) -> None:
    """Give a file a second name, or a copy where the disk knows no such names. Raises InputError where new cannot be written."""
    with writing(new):
        try:
            os.link(old, new)
        except OSError:
            shutil.copyfile(old, new)


def fsync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
