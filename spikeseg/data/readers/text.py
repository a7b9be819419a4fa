"""Events as text: one per line, separated by commas, semicolons, tabs or spaces."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from spikeseg.data.checks import MAX_SIDE_PX
from spikeseg.data.times import what_is_too_far
from spikeseg.errors import InputError

from .layout import AS_USUAL, EXACT, FIELDS, Layout
from .raw import BLOCK_EVENTS, FIELD_ALIASES, Columns, Stream, find_fields, known_fields
from .reader import Reader

WORDS = {"true": 1.0, "false": 0.0}
"""Polarity written as a word, as pandas writes booleans."""
SIDES = {"x": "width", "y": "height"}
"""Columns whose name may tell how large the sensor is: x@320, y@240, as faery writes it."""
HEAD_LINES = 100
"""Comments and header end within these lines."""


class Header(NamedTuple):
    """A line that names the columns.

    Attributes:
        columns: those of t, x, y, p.
        width: how many there are.
        size: (width, height) of the sensor, where the names tell it.
    """

    columns: list[int]
    width: int
    size: tuple[int, int] | None


class Head(NamedTuple):
    """What stands before the events.

    Attributes:
        skip: lines before the first event.
        columns: those of t, x, y, p.
        first: the first line of events, "" if there is none.
        size: (width, height), where a line before says so.
    """

    skip: int
    columns: list[int]
    first: str
    size: tuple[int, int] | None


def stream_text(path: str | Path, layout: Layout = AS_USUAL) -> Stream:
    """Columns by the names in a header line (see FIELD_ALIASES), or without one as the layout says.

    Lines that begin with # are comments; one that names the columns is a header too. A line of two whole numbers before the
    events is the sensor's width and height; names such as x@320 and y@240 tell them, too. t is in whole µs, or in the layout's
    unit.

    Raises InputError, naming the line, if one has too few columns, something that is no number, a time that is not exact, or a
    sensor's size that cannot be.
    """
    where = str(path)
    with _opened(where) as file:
        lines = [line.strip() for line in islice(file, HEAD_LINES)]
    head = _head(where, lines, layout)
    return Stream(_parts(where, head, layout), head.size)


@contextmanager
def _opened(where: str) -> Iterator[TextIO]:
    try:
        with open(where, encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is no text file ({error.reason}: byte {error.object[error.start]:#04x})") from error
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror or error})") from error


def _parts(where: str, head: Head, layout: Layout) -> Iterator[Columns]:
    number, words, delimiter = head.skip + 1, split_line(head.first), delimiter_of(head.first)
    with _opened(where) as file:
        lines = islice(file, head.skip, None)
        while part := list(islice(lines, BLOCK_EVENTS)):
            try:
                table = _table(part, head.columns, words, delimiter)
                t = exact_times(part, table[:, 0], head.columns[0], delimiter, layout.time_unit) if len(table) else table
            except ValueError as error:
                reason = _complaint(part, number, head.columns, len(words), head.skip + 1, delimiter)
                raise InputError(f"{where}: {reason}; truncated or damaged?") from error
            number += len(part)
            if len(table):
                yield Columns(layout.in_us(t, where), table[:, 1], table[:, 2], table[:, 3])


def exact_times(lines: list[str], t: np.ndarray, column: int, delimiter: str | None, unit: str) -> np.ndarray:
    """Times in their unit. Those that float64 does not hold exactly are read once more, as whole numbers.

    Raises ValueError if some are none."""
    if unit in ("us", "ns") and (np.abs(t[np.isfinite(t)]) >= EXACT).any():
        t = np.loadtxt(lines, np.int64, delimiter=delimiter, usecols=[column], quotechar='"', ndmin=1)
    return t


def _head(where: str, lines: list[str], layout: Layout) -> Head:
    columns: list[int] | None = layout.places if layout.columns else None
    size: tuple[int, int] | None = None
    named = False
    for number, line in enumerate(lines):
        words = split_line(line.lstrip("# "))
        header = header_of(words, f"{where}: line {number + 1}") if not named else None
        if header is not None:
            named = True
            columns = columns or header.columns
            if size and header.size and size != header.size:
                raise InputError(
                    f"{where}: line {number + 1} tells of {_by(header.size)} pixels, a line before it of {_by(size)}"
                )
            size = size or header.size
        elif line and not line.startswith("#"):
            if size is None and is_size(words) and _is_row(lines[number + 1 :]):
                size = (int(words[0]), int(words[1]))
                continue
            if layout.columns and not named and not all(is_number(words[place]) for place in layout.places if place < len(words)):
                named = True  # by names that are not known here
                continue
            if columns is None and not all(is_number(word) for word in words):
                raise InputError(f"{where}: line {number + 1} holds {line[:60]!r}; {_expected(words)}")
            if len(words) != layout.width and (layout.columns or columns is None):
                told = f"data.columns names {layout.width}" if layout.columns else "no names; expected t, x, y, p"
                raise InputError(f"{where}: line {number + 1} has {len(words)} columns and {told}")
            return Head(number, columns or layout.places, line, size)
    return Head(len(lines), columns or layout.places, "", size)


def _expected(words: list[str]) -> str:
    """What a line that is neither numbers nor the names of all four columns lacks."""
    known = known_fields(bare_names(words))
    missing = {field: names for field, names in FIELD_ALIASES.items() if field not in known}
    wanted = "; ".join(f"{field}: {', '.join(names)}" for field, names in missing.items())
    if known:
        return f"no column for {' and '.join(missing)}; known names are {wanted}; --columns says what each column holds"
    return f"expected numbers, or names ({wanted}); --columns says what unnamed columns hold"


def header_of(words: list[str], where: str) -> Header | None:
    """What a line says that names all four columns; None where it does not.

    Raises InputError, opening with ``where``, if a name tells a width or height that no sensor has, or only one of them is told.
    """
    names = bare_names(words)
    fields = find_fields(names)
    if fields is None:
        return None
    columns = [names.index(fields[field]) for field in FIELDS]
    sized = {side: words[columns[FIELDS.index(field)]].partition("@") for field, side in SIDES.items()}
    if not any(at for _, at, _ in sized.values()):
        return Header(columns, len(words), None)
    for side, (name, at, told) in sized.items():
        if not (told.isascii() and told.isdigit() and len(told) <= 5 and 0 < int(told) <= MAX_SIDE_PX):
            expected = (
                f"expected the sensor's {side} behind @, a whole number from 1 to {MAX_SIDE_PX}, or neither width nor height"
            )
            raise InputError(f"{where} holds {(name + at + told)[:40]!r}; {expected}")
    width, height = (int(told) for _, _, told in sized.values())
    return Header(columns, len(words), (width, height))


def bare_names(words: list[str]) -> list[str]:
    """Names of columns; of those of x and y without the size behind an @."""
    bare = [word.partition("@")[0].strip() for word in words]
    return [name if known_fields([name]).keys() & SIDES else word for name, word in zip(bare, words, strict=True)]


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def is_size(words: list[str]) -> bool:
    """Whether a line holds a width and a height, and no more."""
    return len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) <= 5 for word in words)


def _is_row(lines: list[str]) -> bool:
    """Whether the next line that is no comment could be an event, or names its columns."""
    following = next((line for line in lines if line and not line.startswith("#")), "")
    return len(split_line(following)) >= len(FIELDS)


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
        bad = [word for word in (words[column].strip() for column in columns) if not is_number(word)]
        if bad:
            return f"line {at} holds {bad[0][:40]!r}; expected a number"
        if not _is_exact(words[columns[0]]):
            time = words[columns[0]].strip()
            meaning = what_is_too_far(int(float(time)))
            return f"line {at} holds the time {time[:40]!r}; from 2^53 on only whole numbers are exact; {meaning}"
    return "holds something that is no number"


def _is_exact(word: str) -> bool:
    """Whether a time is a whole number of 64 bits, or one that float64 holds."""
    try:
        return abs(int(word)) < 2**63
    except ValueError:
        return abs(float(word)) < EXACT


def delimiter_of(line: str) -> str | None:
    return next((delimiter for delimiter in (",", ";", "\t") if delimiter in line), None)


def split_line(line: str) -> list[str]:
    return [word.strip().strip("\"'") for word in line.split(delimiter_of(line))]


def is_number(word: str) -> bool:
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


READER = Reader("text (.csv, .txt)", stream_text, suffixes=(".csv", ".txt"), guess=_looks_like_numbers, layouts=True)
