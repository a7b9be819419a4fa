"""What readers of binary files share: opening, and the errors of a file that ends too early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikeseg.errors import InputError

LINE_BYTES = 4096
"""A line of a text header is shorter."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file; what the system cannot open or read is an InputError."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def cut(path: Path, end: int, where: str) -> InputError:
    """The error of a file that ends at byte ``end``, too early."""
    return InputError(f"{path}: truncated: it ends at byte {end}, {where}; get the file again")


def whole(path: Path, start: int, end: int, size: int) -> None:
    """Raise InputError unless whole words of ``size`` bytes lie between the bytes ``start`` and ``end``."""
    over = (end - start) % size
    if over:
        raise cut(path, end, f"{over} bytes into one of {size}")


def blocks(path: Path, start: int, size: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    """The words of the file from byte ``start``, ``size`` bytes at a time."""
    with opened(path) as file:
        file.seek(start)
        while data := file.read(size):
            whole(path, 0, len(data), dtype.itemsize)
            yield np.frombuffer(data, dtype)


def text_line(line: bytes) -> str | None:
    """A line of a text header (UTF-8 or Latin-1), or None: data that happen to begin as one."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return text if text.replace("\t", " ").rstrip("\r\n").isprintable() else None


def unwrapped(counter: np.ndarray, last: int, turns: int, bits: int = 32) -> tuple[np.ndarray, int, int]:
    """Times of a counter of so many bits that starts again: one that falls by half its range or more has done so.

    Args:
        counter: (N,) its values, in the order of the file; N > 0.
        last: the value before.
        turns: how often the counter had started again by then.
        bits: of the counter.

    Returns (N,) int64 times, and the two for the next part.
    """
    t = counter.astype(np.int64)
    turn = turns + np.cumsum(np.diff(t, prepend=last) <= -(1 << bits - 1))
    return t + (turn << bits), int(t[-1]), int(turn[-1])
