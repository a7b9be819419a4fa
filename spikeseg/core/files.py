"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

from spikeseg.errors import InputError

_DRY: ContextVar[bool] = ContextVar("dry", default=False)


class DryRun(Exception):
    """Raised within `dry_run` in place of the first thing that would be done or written; its text says what."""


@contextlib.contextmanager
def dry_run() -> Iterator[None]:
    """Within the block nothing is written: what would be the first to be written raises DryRun."""
    token = _DRY.set(True)
    try:
        yield
    finally:
        _DRY.reset(token)


def is_dry() -> bool:
    """Whether nothing may be written, see `dry_run`."""
    return _DRY.get()


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
    if is_dry() and not path.is_dir():
        raise DryRun(f"make the folder {path}")
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
    if is_dry():
        if not callable(content) and path.is_file() and path.read_bytes() == _as_bytes(content):
            return path
        raise DryRun(f"write {path}")
    make_folder(path.parent)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    try:
        with writing(path):
            with open(partial, "wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(_as_bytes(content))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            fsync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _as_bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def fsync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
