"""AEDAT 3.1, as cAER and libcaer record it: packets of events.

Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from spikeseg.errors import InputError

from .binary import LINE_BYTES, cut, opened, text_line
from .raw import BLOCK_EVENTS, Columns, Stream, count_left_out
from .reader import Reader

VERSION = "#!AER-DAT3.1"
END_OF_HEADER = "#!END-HEADER"
PACKET = struct.Struct("<hhiiiiii")
"""Type, source, bytes per event, position of its time, overflows of the time, room, events, valid ones."""
KINDS = {
    0: "special events",
    2: "frames",
    3: "IMU samples",
    4: "IMU samples",
    5: "analog samples",
    6: "ear events",
    7: "configuration events",
    12: "spike events",
}
POLARITY = 1
LARGEST_KIND = 63
"""Types 0 to 13 are defined; the rest up to here may be a program's own."""
EVENT = np.dtype([("word", "<u4"), ("t", "<u4")])
INVALID = "events marked invalid"
SIZES: dict[str, tuple[int, int]] = {
    "DVS128": (128, 128),
    "DAVIS128": (128, 128),
    "DAVIS208": (208, 192),
    "DAVIS240": (240, 180),
    "DAVIS346": (346, 260),
    "DAVIS640": (640, 480),
    "DVXplorer Lite": (320, 240),
}
"""How the name of a source begins -> (width, height) in pixels."""


class Header(NamedTuple):
    """The text header: names of the sources by number, the first byte after them, the size of the file."""

    sources: dict[int, str]
    start: int
    end: int


class Packet(NamedTuple):
    """What stands before the events of a packet; ``at``: byte where they begin."""

    kind: int
    source: int
    size: int
    overflows: int
    events: int
    valid: int
    at: int


def stream_aedat3(path: str | Path, member: str = "") -> Stream:
    """Polarity events of one source, t in µs since the camera's start, origin top left.

    ``member`` is the number of the source; "": the lowest that has valid events. Left out and counted: events of other kinds and
    sources, and those that the recorder marked invalid.

    Raises InputError: truncated, damaged, of version 3.0, encoded otherwise than RAW, or without this source.
    """
    path = Path(path)
    header = _header(path)
    with opened(path) as file:
        sources: Counter[int] = Counter()
        valid: Counter[int] = Counter()
        for packet in _packets(path, file, header):
            if packet.kind == POLARITY:
                sources[packet.source] += packet.events
                valid[packet.source] += packet.valid
    if member and member not in map(str, sources):
        listed = ", ".join(map(str, sorted(sources))) or "none"
        raise InputError(f"{path}: has no source of events {member!r}; it has {listed}")
    with_events = [source for counts in (valid, sources) for source in sorted(counts) if counts[source]]
    chosen = int(member) if member else [*with_events, *sorted(sources), 0][0]
    name = header.sources.get(chosen, "")
    size = next((size for known, size in SIZES.items() if name.lower().startswith(known.lower())), None)
    left_out: dict[str, int] = {}
    return Stream(_parts(path, header, chosen, left_out), size, left_out=left_out)


def _header(path: Path) -> Header:
    sources: dict[int, str] = {}
    with opened(path) as file:
        end = file.seek(0, 2)
        file.seek(0)
        for number in range(end):
            raw = file.readline(LINE_BYTES)
            line = text_line(raw)
            if not raw.endswith(b"\n") and file.tell() == end:
                raise cut(path, end, "in its header")
            if line is None or not line.startswith("#"):
                where = f"line {number + 1} is no header line, and none before was {END_OF_HEADER}"
                raise InputError(f"{path}: damaged: {where}; get the file again")
            line = line.rstrip("\r\n")
            if number == 0 and line != VERSION:
                raise InputError(f"{path}: {line.strip('#!')}; readable of AEDAT 3 is {VERSION.strip('#!')}: convert it with DV")
            if line == END_OF_HEADER:
                return Header(sources, file.tell(), end)
            if (found := re.match(r"#Format:\s*(.*)", line)) and found[1].strip() != "RAW":
                raise InputError(f"{path}: header: format {found[1].strip()!r}; readable is RAW: convert it with DV")
            if found := re.match(r"#Source (\d{1,5}):\s*(.*)", line):
                sources[int(found[1])] = found[2].strip()
    raise cut(path, end, "in its header")


def _packets(path: Path, file: BinaryIO, header: Header) -> Iterator[Packet]:
    """Every packet's head, in order; raises InputError where it makes no sense or the file ends."""
    at = header.start
    while at < header.end:
        file.seek(at)
        head = file.read(PACKET.size)
        if len(head) < PACKET.size:
            raise cut(path, header.end, "in the head of a packet")
        kind, source, size, position, overflows, room, events, valid = PACKET.unpack(head)
        fits = 0 <= kind <= LARGEST_KIND and source >= 0 and size > 0 and 0 <= position < size and overflows >= 0
        if not (fits and 0 <= valid <= events <= room):
            raise InputError(f"{path}: damaged: no head of a packet at byte {at}; get the file again")
        if kind == POLARITY and (size, position) != (EVENT.itemsize, 4):
            raise InputError(f"{path}: damaged: polarity events of {size} bytes at byte {at}; expected 8; get the file again")
        at += PACKET.size
        if at + size * events > header.end:
            raise cut(path, header.end, f"in a packet that reaches to byte {at + size * events}")
        yield Packet(kind, source, size, overflows, events, valid, at)
        at += size * events


def _parts(path: Path, header: Header, chosen: int, left_out: dict[str, int]) -> Iterator[Columns]:
    waiting: list[Columns] = []
    count = 0
    with opened(path) as file:
        for packet in _packets(path, file, header):
            if packet.kind != POLARITY or packet.source != chosen:
                other = f"events of source {packet.source}" if packet.kind == POLARITY else ""
                reason = other or KINDS.get(packet.kind, f"events of type {packet.kind}")
                count_left_out(left_out, reason, packet.events)
                continue
            for first in range(0, packet.events, BLOCK_EVENTS):
                file.seek(packet.at + first * EVENT.itemsize)
                n = min(BLOCK_EVENTS, packet.events - first)
                part = _decoded(np.frombuffer(file.read(n * EVENT.itemsize), EVENT), packet.overflows)
                count_left_out(left_out, INVALID, n - len(part.t))
                if count + len(part.t) > BLOCK_EVENTS:
                    yield _joined(waiting)
                    waiting, count = [], 0
                if len(part.t):
                    waiting.append(part)
                    count += len(part.t)
    if waiting:
        yield _joined(waiting)


def _decoded(events: np.ndarray, overflows: int) -> Columns:
    events = events[events["word"] & 1 == 1]
    word = events["word"]
    t = (overflows << 31) + events["t"].astype(np.int64)
    return Columns(t, (word >> 17).astype(np.int16), (word >> 2 & 0x7FFF).astype(np.int16), (word >> 1 & 1).astype(np.uint8))


def _joined(parts: list[Columns]) -> Columns:
    return parts[0] if len(parts) == 1 else Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))


READER = Reader("AEDAT 3.1", stream_member=stream_aedat3, signatures=(b"#!AER-DAT3",), members=True)
