"""Events as text: one per line, separated by commas, semicolons, tabs or spaces."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from spikeseg.errors import InputError

from .raw import BLOCK_EVENTS, FIELD_ALIASES, Columns, Stream, find_fields
from .reader import Reader

WORDS = {"true": 1.0, "false": 0.0}
"""Polarity written as a word, as pandas writes booleans."""
HEAD_LINES = 100
"""Comments and header end within these lines."""


def stream_text(path: str | Path) -> Stream:
    """Columns by the names in a header line (see FIELD_ALIASES), or without one t, x, y, p in this order.

    Lines that begin with # are comments; one that names the columns is a header too. t is in whole µs. Raises
    InputError, naming the line, if one has too few columns or something that is no number.
    """
    where = str(path)
    with _opened(where) as file:
        head = [line.strip() for line in islice(file, HEAD_LINES)]
    return Stream(_parts(where, *_layout(where, head)))


@contextmanager
def _opened(where: str) -> Iterator[TextIO]:
    try:
        with open(where, encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is no text file ({error.reason}: byte {error.object[error.start]:#04x})") from error
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror or error})") from error


def _parts(where: str, skip: int, columns: list[int], first: str) -> Iterator[Columns]:
    """The lines after those to skip; ``first``: the first line of events."""
    number, words = skip + 1, split_line(first)
    with _opened(where) as file:
        lines = islice(file, skip, None)
        while part := list(islice(lines, BLOCK_EVENTS)):
            try:
                table = _table(part, columns, words, delimiter_of(first))
            except ValueError as error:
                reason = _complaint(part, number, columns, len(words), skip + 1, delimiter_of(first))
                raise InputError(f"{where}: {reason}; truncated or damaged?") from error
            number += len(part)
            if len(table):
                yield Columns(table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def _layout(where: str, head: list[str]) -> tuple[int, list[int], str]:
    """Lines to skip, the columns of t, x, y, p, and the first line of events ("" if there is none)."""
    columns: list[int] | None = None
    for number, line in enumerate(head):
        words = split_line(line.lstrip("# "))
        fields = find_fields(words) if columns is None else None
        if fields is not None:
            columns = [words.index(fields[field]) for field in "txyp"]
        elif line and not line.startswith("#"):
            if columns is None and not all(_is_number(word) for word in words):
                wanted = "; ".join(f"{field}: {', '.join(names)}" for field, names in FIELD_ALIASES.items())
                raise InputError(f"{where}: line {number + 1} holds {line[:60]!r}; expected numbers, or names ({wanted})")
            if columns is None and len(words) != 4:
                raise InputError(f"{where}: line {number + 1} has {len(words)} columns and no names; expected t, x, y, p")
            return number, columns or [0, 1, 2, 3], line
    return len(head), columns or [0, 1, 2, 3], ""


def _table(lines: list[str], columns: list[int], first: list[str], delimiter: str | None) -> np.ndarray:
    """(N, 4) float64: t, x, y, p; ``first``: words of the first line of all. Raises ValueError as np.loadtxt does."""
    polarity = columns[3]
    as_word = polarity < len(first) and first[polarity].lower() in WORDS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        table = np.loadtxt(
            lines,
            delimiter=delimiter,
            usecols=columns if len(first) != 4 else None,
            converters={polarity: _polarity_word} if as_word else None,
            quotechar='"',
            ndmin=2,
        )
    if len(first) != 4 or not len(table):
        return table
    if table.shape[1] != 4:
        raise ValueError(f"{table.shape[1]} columns")
    return table[:, columns]


def _complaint(lines: list[str], number: int, columns: list[int], width: int, first: int, delimiter: str | None) -> str:
    """What is wrong with the first line that np.loadtxt refused, whose own row counts from 0 or from 1; ``number``: of
    lines[0], ``first``: of the first line of events, which has ``width`` columns."""
    for at, line in enumerate(lines, start=number):
        words = line.split("#")[0].strip().split(delimiter)
        if not any(words):
            continue
        if len(words) <= max(columns) or (width == 4 and len(words) != 4):
            return f"line {at} has {len(words)} columns, line {first} has {width}"
        bad = [word for word in (words[column].strip() for column in columns) if not _is_number(word)]
        if bad:
            return f"line {at} holds {bad[0][:40]!r}; expected a number"
    return "holds something that is no number"


def delimiter_of(line: str) -> str | None:
    return next((delimiter for delimiter in (",", ";", "\t") if delimiter in line), None)


def split_line(line: str) -> list[str]:
    return [word.strip().strip("\"'") for word in line.split(delimiter_of(line))]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word.lower() in WORDS
    return True


def _polarity_word(word: str) -> float:
    if word.strip().lower() not in WORDS:
        raise ValueError(f"polarity {word!r}; expected True or False")
    return WORDS[word.strip().lower()]


def _looks_like_numbers(head: bytes) -> bool:
    """Whether the first bytes could be rows of numbers."""
    return not head.strip(b"0123456789+-.,;eE \t\r\n")


READER = Reader("text (.csv, .txt)", stream_text, suffixes=(".csv", ".txt"), guess=_looks_like_numbers)
