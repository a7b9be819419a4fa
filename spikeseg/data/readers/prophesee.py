"""Prophesee recordings: `.dat` and, of the `.raw` encodings, EVT 2.0 and EVT 3.0.

Formats: https://docs.prophesee.ai/stable/data/file_formats/dat.html, .../raw.html, and
https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html, .../evt3.html. Where these leave it open (what comes before
the first time, rows of other kinds of events), the rules are those of the vendor's own decoder, OpenEB. A counter that falls by
half its range or more has started again (so in OpenEB for EVT 3.0; for EVT 2.0 it asks for all of the range but 10 ms).

Decoded here, because faery 0.7 silently changes times. One that steps back becomes the latest seen, so that a damaged one
freezes all after it, and the low bits of EVT 3.0, which sensors set back by some µs, are up to 11 µs late (0.66 % of the events
of a real file). In EVT 2.0 a step back adds 4.8 h; in EVT 3.0 the clock stands still where the word in which it wraps is missing
or the recording starts just before. Data that begin with % are taken for header lines, one event outside the sensor refuses the
file, a cut last word is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.errors import InputError

from .binary import LINE_BYTES, blocks, cut, opened, text_line, unwrapped, whole
from .raw import BLOCK_EVENTS, Columns, Stream
from .reader import Reader

Array = np.ndarray

READ_BYTES = 2**20
WIDEST = 2**14
"""x and y have at most 14 bits."""
DAT_EVENTS = {0x00: "generic 2D", 0x0C: "change detection"}
"""Type byte of the records of a .dat that are events of the sensor."""
DAT_RECORD = np.dtype([("t", "<u4"), ("word", "<u4")])
DAT_BITS = {"1": (9, 8), "2": (14, 14)}
"""Version -> bits of x and of y; polarity takes the 4 above."""
EVT_VERSIONS = {"2": "EVT 2.0", "20": "EVT 2.0", "21": "EVT 2.1", "3": "EVT 3.0", "30": "EVT 3.0", "4": "EVT 4.0"}
LARGEST_VECTOR = 12
"""Events in one word, at most."""
START = (-1, 0, 0, -1, -1, 0, 0, 0, 0)
"""State of a decoder before the first word; see `_evt3`."""


class Header(NamedTuple):
    """The text header of a file.

    Attributes:
        fields: keyword -> value.
        encoding: "EVT 3.0" and so on, or "" where no line names one.
        size: (width, height) in pixels, or None.
        t0_us: time to add to every other (written by faery), else 0.
        start: position of the first byte after the lines.
        end: size of the file, bytes.
    """

    fields: dict[str, str]
    encoding: str
    size: tuple[int, int] | None
    t0_us: int
    start: int
    end: int


def stream_dat(path: str | Path) -> Stream:
    """Events of a `.dat`, t unwrapped where the 32-bit counter starts again (every 71.6 min).

    Raises InputError: truncated, other events, or a version that is not 1 or 2 (programs differ on files without one).
    """
    path = Path(path)
    header = read_header(path)
    with opened(path) as file:
        file.seek(header.start)
        kind = file.read(2)
    if len(kind) < 2:
        raise cut(path, header.end, "before the type of its records")
    version = header.fields.get("Version", "none").removesuffix(".0")
    if version not in DAT_BITS:
        raise InputError(f"{path}: .dat of version {version!r}; expected a line '% Version 2' or '% Version 1'")
    if kind[0] not in DAT_EVENTS or kind[1] != DAT_RECORD.itemsize:
        raise InputError(
            f"{path}: .dat records of type {kind[0]:#04x} and {kind[1]} bytes; expected type 0x00 or 0x0c (events) and 8 bytes"
        )
    start = header.start + 2
    whole(path, start, header.end, DAT_RECORD.itemsize)
    return Stream(_dat_parts(path, start, DAT_BITS[version], header.t0_us), header.size)


def stream_evt2(path: str | Path) -> Stream:
    """Events of an EVT 2.0 `.raw`, t unwrapped where the 34-bit counter starts again (every 4.8 h).

    Left out and counted: external triggers, other words of the sensor, events before the first time.
    Raises InputError: truncated, or encoded otherwise.
    """
    return _stream_evt(Path(path), "EVT 2.0", "<u4", _evt2)


def stream_evt3(path: str | Path) -> Stream:
    """Events of an EVT 3.0 `.raw`, t unwrapped where the 24-bit counter starts again (every 16.8 s).

    Left out and counted: as for EVT 2.0, and events before the first row or in rows of another kind than change detection.
    Raises InputError: truncated, or encoded otherwise.
    """
    return _stream_evt(Path(path), "EVT 3.0", "<u2", _evt3)


def read_header(path: str | Path) -> Header:
    """The lines "% keyword value" at the start, down to "% end" or the first that is none.

    Raises InputError: the file ends in a line, or its sensor size or time makes no sense.
    """
    path = Path(path)
    fields: dict[str, str] = {}
    with opened(path) as file:
        end = file.seek(0, 2)
        start = file.seek(0)
        while (mark := file.read(2)) == b"% " and (line := text_line(file.readline(LINE_BYTES))) is not None:
            if not line.endswith("\n"):
                raise cut(path, end, "in a line of its header")
            start = file.tell()
            key, *values = line.split() or [""]
            if key == "end":
                break
            fields[key] = " ".join(values)
    if mark == b"%":
        raise cut(path, end, "in a line of its header")
    name, *parts = fields.get("format", "").split(";")
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    if options.get("endianness", "little") == "big":
        raise InputError(f"{path}: big-endian words are not supported; convert the file with Metavision")
    number = (name or fields.get("evt", "")).upper().removeprefix("EVT").replace(".", "")
    encoding = EVT_VERSIONS.get(number, name or fields.get("evt", ""))
    t0 = fields.get("T0", fields.get("t0", "0"))
    if not re.fullmatch(r"[0-9]{1,16}", t0):
        raise InputError(f"{path}: header: T0 {t0!r}; expected a time in µs")
    return Header(fields, encoding, _size(path, fields, options), int(t0), start, end)


def _size(path: Path, fields: dict[str, str], options: dict[str, str]) -> tuple[int, int] | None:
    """(width, height) by the lines Width and Height, the options of the line format, or the line geometry; None without both."""
    geometry = fields.get("geometry", "").split("x")
    for sides in ([fields.get("Width"), fields.get("Height")], [options.get("width"), options.get("height")], geometry):
        texts = [text for text in sides if text]
        if len(texts) < 2:
            continue
        numbers = [int(text) for text in texts if re.fullmatch(r"[0-9]{1,5}", text)]
        if len(texts) == len(numbers) == 2 and all(1 <= number <= WIDEST for number in numbers):
            return numbers[0], numbers[1]
        raise InputError(f"{path}: header: sensor of {' x '.join(texts)} pixels; expected two numbers from 1 to {WIDEST}")
    return None


def _dat_parts(path: Path, start: int, bits: tuple[int, int], t0: int) -> Iterator[Columns]:
    across, down = bits
    last, turns = 0, 0
    for records in blocks(path, start, BLOCK_EVENTS * DAT_RECORD.itemsize, DAT_RECORD):
        t, last, turns = unwrapped(records["t"], last, turns)
        word = records["word"]
        x = (word & (2**across - 1)).astype(np.uint16)
        y = (word >> across & (2**down - 1)).astype(np.uint16)
        yield Columns(t + t0, x, y, (word >> (across + down) & 0xF).astype(np.uint8))


Kernel = Callable[..., tuple[int, int]]


def _stream_evt(path: Path, encoding: str, dtype: str, kernel: Kernel) -> Stream:
    header = read_header(path)
    if not header.encoding and header.start == header.end:
        raise cut(path, header.end, "before its header names an encoding")
    if header.encoding != encoding:
        raise InputError(f"{path}: its header names {header.encoding or 'no encoding'}; expected {encoding}")
    whole(path, header.start, header.end, np.dtype(dtype).itemsize)
    left_out: dict[str, int] = {}
    parts = _evt_parts(path, header, np.dtype(dtype), kernel, left_out)
    return Stream(parts, header.size, left_out=left_out)


def _evt_parts(path: Path, header: Header, dtype: np.dtype, kernel: Kernel, left_out: dict[str, int]) -> Iterator[Columns]:
    state = np.array(START, np.int64)
    columns, n = _room(), 0
    for words in blocks(path, header.start, READ_BYTES, dtype):
        i = 0
        while i < len(words):
            i, n = kernel(words, i, n, header.t0_us, state, columns)
            if i < len(words):
                yield Columns(*(column[:n] for column in columns))
                columns, n = _room(), 0
    if n:
        yield Columns(*(column[:n] for column in columns))
    left_out.update(_left_out(state))


class Evt3Decoder:
    """Decodes words of EVT 3.0 that come piece by piece.

    Attributes:
        left_out: see `stream_evt3`, of all words so far.
    """

    def __init__(self) -> None:
        self._state = np.array(START, np.int64)

    def decoded(self, words: np.ndarray) -> Columns:
        """The events of the next words, uint16 (n,)."""
        columns, n = _room(LARGEST_VECTOR * (len(words) + 1)), 0
        i = 0
        while i < len(words):
            i, n = _evt3(words, i, n, 0, self._state, columns)
        return Columns(*(column[:n].copy() for column in columns))

    def forget_place(self) -> None:
        """Words are missing here: the next events have no place until their row and column are told again."""
        self._state[3:5] = -1

    @property
    def left_out(self) -> dict[str, int]:
        return _left_out(self._state)


def _left_out(state: Array) -> dict[str, int]:
    kinds = ("external triggers", "other words of the sensor", "events without time or place")
    return {kind: int(count) for kind, count in zip(kinds, state[6:], strict=True) if count}


def _room(n: int = BLOCK_EVENTS) -> Columns:
    return Columns(np.empty(n, np.int64), np.empty(n, np.uint16), np.empty(n, np.uint16), np.empty(n, np.uint8))


@compiled()
def _evt2(words: Array, i: int, n: int, t0: int, state: Array, columns: Columns) -> tuple[int, int]:
    """Decode words from i on into columns from n on, until one of them ends: the next i and n.

    state: high bits of the time (-1: not known yet), -, turns of the counter, -, -, -, triggers, others, events without time.
    """
    t, x, y, p = columns
    high, turns = state[0], state[2]
    while i < len(words) and n < len(t):
        word = np.int64(words[i])
        i += 1
        kind = word >> 28
        if kind <= 1:
            if high < 0:
                state[8] += 1
                continue
            t[n] = t0 + (turns << 34) + (high << 6) + (word >> 22 & 0x3F)
            x[n], y[n], p[n] = word >> 11 & 0x7FF, word & 0x7FF, kind
            n += 1
        elif kind == 8:
            new = word & 0xFFFFFFF
            turns += high - new >= 2**27
            high = new
        elif kind == 10:
            state[6] += 1
        elif kind != 15:  # the rest of the word before
            state[7] += 1
    state[0], state[2] = high, turns
    return i, n


@compiled()
def _evt3(words: Array, i: int, n: int, t0: int, state: Array, columns: Columns) -> tuple[int, int]:
    """As `_evt2`; state: high bits of the time (-1: not known yet), low bits, turns of the counter, row (-1: none), column (-1:
    none) and polarity of the next vector, triggers, others, events without time or place."""
    t, x, y, p = columns
    high, low, turns, row, column, polarity = state[0], state[1], state[2], state[3], state[4], state[5]
    while i < len(words) and n + LARGEST_VECTOR <= len(t):
        word = np.int64(words[i])
        i += 1
        kind, value = word >> 12, word & 0xFFF
        now = t0 + (turns << 24) + (high << 12) + low
        if kind == 0:
            row = value & 0x7FF
        elif kind == 1:  # the row of an event of another kind
            row = -1
        elif kind == 2:
            if high < 0 or row < 0:
                state[8] += 1
                continue
            t[n], x[n], y[n], p[n] = now, value & 0x7FF, row, value >> 11
            n += 1
        elif kind == 3:
            column, polarity = value & 0x7FF, value >> 11
        elif kind == 4 or kind == 5:
            length = 12 if kind == 4 else 8
            for bit in range(length):
                if not value >> bit & 1:
                    continue
                if high < 0 or row < 0 or column < 0:
                    state[8] += 1
                    continue
                t[n], x[n], y[n], p[n] = now, column + bit, row, polarity
                n += 1
            if column >= 0:
                column = min(column + length, WIDEST)
        elif kind == 6:
            low = value
        elif kind == 8:
            turns += high - value >= 2**11
            low = low if value == high else 0
            high = value
        elif kind == 10:
            state[6] += 1
        elif kind != 7 and kind != 15:  # the rest of the word before
            state[7] += 1
    state[0], state[1], state[2], state[3], state[4], state[5] = high, low, turns, row, column, polarity
    return i, n


def _has_encoding(encoding: str) -> Callable[[Path, bytes], bool]:
    """Whether the lines that begin with % name this encoding; a .dat names none."""

    def content(path: Path, head: bytes) -> bool:
        if not head.startswith(b"% ") or (not encoding and path.suffix.lower() == ".raw"):
            return False
        return read_header(path).encoding == encoding

    return content


DAT = Reader("Prophesee .dat", stream_dat, content=_has_encoding(""), suffixes=(".dat",))
EVT2 = Reader("Prophesee .raw (EVT 2.0)", stream_evt2, content=_has_encoding("EVT 2.0"))
EVT3 = Reader("Prophesee .raw (EVT 3.0)", stream_evt3, content=_has_encoding("EVT 3.0"))
