"""Events as text: one per line, separated by commas, semicolons, tabs or spaces."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from spikeseg.data.readers.raw import FIELD_ALIASES, Raw, find_fields
from spikeseg.errors import InputError

WORDS = {"true": 1.0, "false": 0.0}
"""Polarity written as a word, as pandas writes booleans."""
HEAD_LINES = 100
"""Comments and header end within these lines."""


def read_text(path: str | Path) -> Raw:
    """Columns by the names in a header line (see FIELD_ALIASES), or without one t, x, y, p in this order.

    Lines that begin with # are comments; one that names the columns is a header too. t is in whole µs. Raises
    InputError, naming the line, if one has too few columns or something that is no number.
    """
    where = str(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            head = [line.strip() for line in islice(file, HEAD_LINES)]
    except UnicodeDecodeError as error:
        raise _not_text(where, error) from error
    skip, columns, data = _layout(where, head)
    try:
        table = _table(path, skip, columns, data)
    except UnicodeDecodeError as error:
        raise _not_text(where, error) from error
    except ValueError as error:
        raise InputError(
            f"{where}: {_complaint(path, skip, columns, data)}; truncated or damaged?"
        ) from error
    return Raw(table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def _not_text(where: str, error: UnicodeDecodeError) -> InputError:
    return InputError(f"{where}: is no text file ({error.reason} at byte {error.start})")


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
                raise InputError(
                    f"{where}: line {number + 1} holds {line[:60]!r}; expected numbers, or names ({wanted})"
                )
            if columns is None and len(words) != 4:
                found = f"{len(words)} columns and no names"
                raise InputError(f"{where}: line {number + 1} has {found}; expected t, x, y, p")
            return number, columns or [0, 1, 2, 3], line
    return len(head), columns or [0, 1, 2, 3], ""


def _table(path: str | Path, skip: int, columns: list[int], first: str) -> np.ndarray:
    """(N, 4) float64: t, x, y, p. Raises ValueError as np.loadtxt does."""
    if not first:
        return np.empty((0, 4))
    words = split_line(first)
    polarity = columns[3]
    as_word = polarity < len(words) and words[polarity].lower() in WORDS
    table = np.loadtxt(
        path,
        delimiter=delimiter_of(first),
        skiprows=skip,
        usecols=columns if len(words) != 4 else None,
        converters={polarity: _polarity_word} if as_word else None,
        quotechar='"',
        ndmin=2,
        encoding="utf-8-sig",
    )
    return table if len(words) != 4 else table[:, columns]


def _complaint(path: str | Path, skip: int, columns: list[int], first: str) -> str:
    """What is wrong with the first line that np.loadtxt refused, whose own row counts from 0 or from 1."""
    width = len(split_line(first))
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(islice(file, skip, None), start=skip + 1):
            words = line.split("#")[0].strip().split(delimiter_of(first))
            if not any(words):
                continue
            if len(words) <= max(columns) or (width == 4 and len(words) != 4):
                return f"line {number} has {len(words)} columns, line {skip + 1} has {width}"
            bad = [word for word in (words[column].strip() for column in columns) if not _is_number(word)]
            if bad:
                return f"line {number} holds {bad[0][:40]!r}; expected a number"
    return "holds something that is no number"


def delimiter_of(line: str) -> str | None:
    return next((mark for mark in (",", ";", "\t") if mark in line), None)


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
