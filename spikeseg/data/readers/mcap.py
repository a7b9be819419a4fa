"""MCAP files of ROS messages: those of ROS 2, and of ROS 1 converted.

Format: https://mcap.dev/spec. Records are read here one after the other, whether or not an index tells of them. The package mcap
(1.6) takes what is left of a record that is cut off for the record, rosbags (0.11) leaves out chunks that no index names, and
neither limits what a frame of LZ4 may unpack to.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from spikeseg.errors import InputError

from .bags import Bag, Kind, message_type, stream_bag
from .binary import cut, opened
from .raw import Stream
from .reader import Reader
from .unpacking import unlz4, unzstd

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")
"""What a record is, and how many bytes follow."""
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, STATISTICS, DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0B, 0x0F
MESSAGE_HEAD = struct.Struct("<HIQQ")
"""Channel, number, and times of logging and publishing (ns)."""
MAX_CHUNK_BYTES = 2**28
"""A chunk that unpacks to more is refused. Recorders close theirs at about a megabyte."""
MAX_RECORD_BYTES = 2**30
"""Of records that are read whole."""
ENCODINGS = {"cdr": True, "ros1": False}
"""Encoding of a channel's messages -> whether it is CDR."""


@dataclass
class Channels:
    """What the records say about the channels so far.

    Attributes:
        schemas: id -> type of message.
        channels: id -> (topic, id of its schema, encoding of messages).
        counts: id -> number of messages, as the statistics at the file's end tell; None where there are none.
        data_crc: CRC-32 of all before the record DataEnd, 0 where it was not taken.
        data_end: byte where the record DataEnd begins.
    """

    schemas: dict[int, str] = field(default_factory=dict)
    channels: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    counts: dict[int, int] | None = None
    data_crc: int = 0
    data_end: int = 0

    @property
    def kinds(self) -> dict[str, Kind]:
        """Topic -> kind of its messages; topics of other encodings than ROS's have the encoding in their type."""
        kinds = {}
        for topic, schema, encoding in self.channels.values():
            name = message_type(self.schemas.get(schema, "unknown type"))
            kinds[topic] = Kind(name if encoding in ENCODINGS else f"{encoding or 'unknown encoding'} {name}", encoding != "ros1")
        return kinds


def stream_mcap(path: str | Path, member: str = "") -> Stream:
    """Events of a topic; see `bags.stream_bag`.

    Raises InputError: truncated, damaged, compressed by a package that is missing, or as `bags.stream_bag` does.
    """
    return stream_bag(path, _opened, member)


@contextmanager
def _opened(path: Path) -> Iterator[Bag]:
    with opened(path) as file:
        end = _checked_end(path, file)
        found = Channels()
        told = False
        for kind, at, size in _records(path, file, end):
            if kind in (SCHEMA, CHANNEL):
                _take(path, kind, _content(path, file, at, size), found)
            elif kind == STATISTICS:
                _take_statistics(path, _content(path, file, at, size), found)
                told = True
            elif kind == DATA_END:
                found.data_end = at - RECORD.size
                found.data_crc = _unpacked("<I", path, _content(path, file, at, size))[0]
        if not (told and found.channels):  # no summary that repeats the channels: they stand in the chunks
            for _ in _messages(path, file, end, found):
                pass
        yield Bag(found.kinds, lambda: _checked_messages(path, file, end, found))


def _checked_end(path: Path, file: BinaryIO) -> int:
    """Byte behind the last record, which the magic follows; the checksum of the summary compared."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise InputError(f"{path}: is no MCAP file: it does not begin with {MAGIC!r}")
    footer = RECORD.size + 20
    end = size - len(MAGIC)
    file.seek(max(end - footer, len(MAGIC)))
    tail = file.read()
    if len(tail) != footer + len(MAGIC) or not tail.endswith(MAGIC) or RECORD.unpack_from(tail) != (FOOTER, 20):
        where = "without its footer: its recorder did not close it, or it is cut off"
        raise InputError(f"{path}: truncated: it ends at byte {size}, {where}; try `mcap recover`, or get the file again")
    start, _, crc = struct.unpack_from("<QQI", tail, RECORD.size)
    if start and crc:
        if not len(MAGIC) <= start <= end - footer:
            raise _damaged(path, f"its summary should begin at byte {start}")
        file.seek(start)
        if zlib.crc32(file.read(end - 4 - start)) != crc:
            raise _damaged(path, "its summary does not match its checksum")
    return end


def _records(path: Path, file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """(what it is, byte where its content begins, bytes of content) of every record, in order."""
    at = len(MAGIC)
    while at < end:
        file.seek(at)
        head = file.read(RECORD.size)
        kind, size = RECORD.unpack(head) if len(head) == RECORD.size else (0, 0)
        at += RECORD.size
        if not kind or at + size > end:
            raise _damaged(path, f"no record begins at byte {at - RECORD.size}")
        yield kind, at, size
        at += size


def _content(path: Path, file: BinaryIO, at: int, size: int) -> bytes:
    if size > MAX_RECORD_BYTES:
        raise _damaged(path, f"a record of {size} bytes at byte {at}")
    file.seek(at)
    content = file.read(size)
    if len(content) != size:
        raise cut(path, at + len(content), "in a record")
    return content


def _checked_messages(path: Path, file: BinaryIO, end: int, found: Channels) -> Iterator[tuple[str, bytes]]:
    """(topic, message) of all; at the end, raise InputError unless there are as many as the statistics tell."""
    counts: Counter[int] = Counter()
    for channel, message in _messages(path, file, end, found):
        counts[channel] += 1
        yield found.channels[channel][0], message
    told = {channel: count for channel, count in (found.counts or {}).items() if count}
    if found.counts is not None and counts != told:
        raise _damaged(path, f"it holds {counts.total()} messages, its statistics tell of {sum(told.values())}")
    if found.data_crc and _crc(file, found.data_end) != found.data_crc:
        raise _damaged(path, "its data do not match their checksum")


def _messages(path: Path, file: BinaryIO, end: int, found: Channels) -> Iterator[tuple[int, bytes]]:
    """(channel, message) of all, in chunks or not."""
    for kind, at, size in _records(path, file, end):
        if kind == MESSAGE:
            yield _message(path, _content(path, file, at, size), found)
        elif kind == CHUNK:
            chunk = _unchunked(path, _content(path, file, at, size))
            place = 0
            while place < len(chunk):
                inner, length = _unpacked("<BQ", path, chunk[place : place + RECORD.size])
                place += RECORD.size
                content = chunk[place : place + length]
                if len(content) != length:
                    raise _damaged(path, f"a record that reaches beyond its chunk at byte {at}")
                place += length
                if inner == MESSAGE:
                    yield _message(path, content, found)
                elif inner in (SCHEMA, CHANNEL):
                    _take(path, inner, content, found)


def _message(path: Path, content: bytes, found: Channels) -> tuple[int, bytes]:
    channel = _unpacked("<HIQQ", path, content)[0]
    if channel not in found.channels:
        raise _damaged(path, f"a message of channel {channel}, which is not defined")
    return channel, content[MESSAGE_HEAD.size :]


def _unchunked(path: Path, content: bytes) -> bytes:
    """The records of a chunk."""
    _, _, size, crc = _unpacked("<QQQI", path, content)
    compression, at = _text(path, content, 28)
    (length,) = _unpacked("<Q", path, content[at:])
    data = content[at + 8 :]
    if len(data) != length:
        raise _damaged(path, f"a chunk of {length} bytes of which {len(data)} are there")
    if size > MAX_CHUNK_BYTES:
        raise _damaged(path, f"a chunk that unpacks to {size} bytes; {MAX_CHUNK_BYTES} are allowed here")
    if compression not in ("", "lz4", "zstd"):
        raise InputError(f"{path}: a chunk is compressed by {compression!r}; readable are lz4 and zstd: try `mcap compress`")
    if compression:
        data = (unzstd if compression == "zstd" else unlz4)(path, data, size)
    if len(data) != size:
        raise _damaged(path, f"a chunk that unpacks to {len(data)} bytes, not to {size}")
    if crc and zlib.crc32(data) != crc:
        raise _damaged(path, "a chunk does not match its checksum")
    return data


def _take(path: Path, kind: int, content: bytes, found: Channels) -> None:
    """Take in a record Schema or Channel."""
    if kind == SCHEMA:
        found.schemas[_unpacked("<H", path, content)[0]] = _text(path, content, 2)[0]
        return
    number, schema = _unpacked("<HH", path, content)
    topic, at = _text(path, content, 4)
    channel = (topic, schema, _text(path, content, at)[0])
    if found.channels.setdefault(number, channel) != channel:
        raise _damaged(path, f"channel {number} is defined twice, as {channel} and {found.channels[number]}")


def _take_statistics(path: Path, content: bytes, found: Channels) -> None:
    (size,) = _unpacked("<I", path, content[42:])
    if size % 10 or len(content) != 46 + size:
        raise _damaged(path, "its statistics are of another length than they say")
    found.counts = dict(struct.iter_unpack("<HQ", content[46:]))


def _text(path: Path, content: bytes, at: int) -> tuple[str, int]:
    """A string, and the byte behind it."""
    (size,) = _unpacked("<I", path, content[at:])
    data = content[at + 4 : at + 4 + size]
    if len(data) != size:
        raise _damaged(path, "a record ends within a text")
    return data.decode("utf-8", "replace"), at + 4 + size


def _unpacked(layout: str, path: Path, content: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, content)
    except struct.error as error:
        raise _damaged(path, "a record ends within its fields") from error


def _crc(file: BinaryIO, end: int) -> int:
    file.seek(0)
    crc, left = 0, end
    while left > 0 and (data := file.read(min(left, 2**20))):
        crc = zlib.crc32(data, crc)
        left -= len(data)
    return crc


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path}: damaged: {what}; try `mcap recover`, or get the file again")


READER = Reader("MCAP with ROS messages", stream_member=stream_mcap, signatures=(MAGIC,), suffixes=(".mcap",), members=True)
