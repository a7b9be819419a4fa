"""Prophesee recordings: `.dat` and, of the `.raw` encodings, EVT 2.0, EVT 2.1 and EVT 3.0.

Formats: https://docs.prophesee.ai/stable/data/file_formats/dat.html, .../raw.html, and
https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html, .../evt21.html, .../evt3.html. Where these leave it open (what
comes before the first time, rows of other kinds of events), the rules are those of the vendor's own decoder, OpenEB. A counter
that falls by half its range or more has started again (so in OpenEB for EVT 3.0; for EVT 2.0 and 2.1 it asks for most of it).

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

from spikeseg.errors import InputError

from .binary import LINE_BYTES, blocks, cut, opened, text_line, unwrapped, whole
from .prophesee_kernels import LARGEST_VECTOR, START, WIDEST, evt2, evt3, evt21
from .raw import BLOCK_EVENTS, Columns, Stream
from .reader import Reader

Array = np.ndarray

READ_BYTES = 2**20
DAT_EVENTS = {0x00: "generic 2D", 0x0C: "change detection"}
"""Type byte of the records of a .dat that are events of the sensor."""
DAT_RECORD = np.dtype([("t", "<u4"), ("word", "<u4")])
DAT_BITS = {"1": (9, 8), "2": (14, 14)}
"""Version -> bits of x and of y; polarity takes the 4 above."""
EVT_VERSIONS = {"2": "EVT 2.0", "20": "EVT 2.0", "21": "EVT 2.1", "3": "EVT 3.0", "30": "EVT 3.0", "4": "EVT 4.0"}
LEGACY = "legacy"
"""Order of the halves of EVT 2.1's words as the IMX636 sends them: the upper first, each of them little-endian."""


class Header(NamedTuple):
    """The text header of a file.

    Attributes:
        fields: keyword -> value.
        encoding: "EVT 3.0" and so on, or "" where no line names one.
        size: (width, height) in pixels, or None.
        order: of bytes, "little", "legacy" or "" where no line tells it.
        t0_us: time to add to every other (written by faery), else 0.
        start: position of the first byte after the lines.
        end: size of the file, bytes.
    """

    fields: dict[str, str]
    encoding: str
    size: tuple[int, int] | None
    order: str
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
    return _stream_evt(Path(path), "EVT 2.0", "<u4", evt2)


def stream_evt21(path: str | Path) -> Stream:
    """Events of an EVT 2.1 `.raw`, as of EVT 2.0; where the header does not tell the order of the halves of words, the times do.

    Raises InputError: truncated, or encoded otherwise.
    """
    path = Path(path)
    header = read_header(path)
    legacy = header.order == LEGACY or (not header.order and _times_come_first(path, header))
    return _stream_evt(path, "EVT 2.1", "<u8", evt21, legacy)


def _times_come_first(path: Path, header: Header) -> bool:
    """Whether more of the first words are times (type 8, and nothing in the other half) with their halves in the legacy order."""
    with opened(path) as file:
        file.seek(header.start)
        data = file.read(READ_BYTES)
    halves = np.frombuffer(data[: len(data) // 8 * 8], "<u4").reshape(-1, 2)
    first, second = (((halves[:, k] >> 28 == 8) & (halves[:, 1 - k] == 0)).sum() for k in (0, 1))
    return bool(first > second)


def stream_evt3(path: str | Path) -> Stream:
    """Events of an EVT 3.0 `.raw`, t unwrapped where the 24-bit counter starts again (every 16.8 s).

    Left out and counted: as for EVT 2.0, and events before the first row or in rows of another kind than change detection.
    Raises InputError: truncated, or encoded otherwise.
    """
    return _stream_evt(Path(path), "EVT 3.0", "<u2", evt3)


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
    order = options.get("endianness", fields.get("endianness", ""))
    if order == "big":
        raise InputError(f"{path}: big-endian words are not supported; convert the file with Metavision")
    number = (name or fields.get("evt", "")).upper().removeprefix("EVT").replace(".", "")
    encoding = EVT_VERSIONS.get(number, name or fields.get("evt", ""))
    t0 = fields.get("T0", fields.get("t0", "0"))
    if not re.fullmatch(r"[0-9]{1,16}", t0):
        raise InputError(f"{path}: header: T0 {t0!r}; expected a time in µs")
    return Header(fields, encoding, _size(path, fields, options), order, int(t0), start, end)


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


def _stream_evt(path: Path, encoding: str, dtype: str, kernel: Kernel, swapped: bool = False) -> Stream:
    header = read_header(path)
    if not header.encoding and header.start == header.end:
        raise cut(path, header.end, "before its header names an encoding")
    if header.encoding != encoding:
        raise InputError(f"{path}: its header names {header.encoding or 'no encoding'}; expected {encoding}")
    whole(path, header.start, header.end, np.dtype(dtype).itemsize)
    left_out: dict[str, int] = {}
    parts = _evt_parts(path, header, np.dtype(dtype), kernel, swapped, left_out)
    return Stream(parts, header.size, left_out=left_out)


def _evt_parts(
    path: Path, header: Header, dtype: np.dtype, kernel: Kernel, swapped: bool, left_out: dict[str, int]
) -> Iterator[Columns]:
    """``swapped``: whether the halves of a word of 64 bits come upper first."""
    state = np.array(START, np.int64)
    columns, n = _room(BLOCK_EVENTS), 0
    for block in blocks(path, header.start, READ_BYTES, dtype):
        words = block >> np.uint64(32) | block << np.uint64(32) if swapped else block
        i = 0
        while i < len(words):
            i, n = kernel(words, i, n, header.t0_us, state, columns)
            if i < len(words):
                yield Columns(*(column[:n] for column in columns))
                columns, n = _room(BLOCK_EVENTS), 0
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
            i, n = evt3(words, i, n, 0, self._state, columns)
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


def _room(n: int) -> Columns:
    return Columns(np.empty(n, np.int64), np.empty(n, np.uint16), np.empty(n, np.uint16), np.empty(n, np.uint8))


def _has_encoding(encoding: str) -> Callable[[Path, bytes], bool]:
    """Whether the lines that begin with % name this encoding; a .dat names none."""

    def content(path: Path, head: bytes) -> bool:
        if not head.startswith(b"% ") or (not encoding and path.suffix.lower() == ".raw"):
            return False
        return read_header(path).encoding == encoding

    return content


DAT = Reader("Prophesee .dat", stream_dat, content=_has_encoding(""), suffixes=(".dat",))
EVT2 = Reader("Prophesee .raw (EVT 2.0)", stream_evt2, content=_has_encoding("EVT 2.0"))
EVT21 = Reader("Prophesee .raw (EVT 2.1)", stream_evt21, content=_has_encoding("EVT 2.1"))
EVT3 = Reader("Prophesee .raw (EVT 3.0)", stream_evt3, content=_has_encoding("EVT 3.0"))
