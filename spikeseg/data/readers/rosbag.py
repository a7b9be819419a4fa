"""Bags of ROS 1, by the package rosbags (extra ``formats``), which finds and unpacks the messages."""

from __future__ import annotations

import bz2
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from spikeseg.errors import InputError

from .bags import Bag, Kind, stream_bag
from .raw import Stream
from .reader import Reader

MAX_CHUNK_BYTES = 2**28
"""A chunk that bzip2 unpacks to more is refused: a few bytes can hold gigabytes. Recorders close theirs at about a megabyte."""


def stream_rosbag(path: str | Path, member: str = "") -> Stream:
    """Events of a topic; see `bags.stream_bag`.

    Raises InputError: rosbags is missing, the bag is truncated or damaged, or as `bags.stream_bag` does.
    """
    return stream_bag(path, _opened, member)


@contextmanager
def _opened(path: Path) -> Iterator[Bag]:
    with _reader(path) as reader:
        kinds = {c.topic: Kind(c.msgtype, False) for c in reader.connections}
        yield Bag(kinds, lambda: _messages(path, reader))


def _messages(path: Path, reader: Any) -> Iterator[tuple[str, bytes]]:
    """(topic, message) of all, in order of time; raises InputError at the end if some are missing."""
    counts: Counter[int] = Counter()
    with _damage(path):
        messages = reader.messages(reader.connections)
    while True:
        with _damage(path):
            message = next(messages, None)
        if message is None:
            break
        connection, _, raw = message
        counts[connection.id] += 1
        yield connection.topic, bytes(raw)
    _all_there(path, reader, counts)


def _all_there(path: Path, reader: Any, messages: Counter[int]) -> None:
    """Raise InputError unless as many messages of every connection were read as the chunks' infos tell.

    Where the index of a chunk is damaged, rosbags leaves messages out; where two infos tell of one chunk, it reads it twice.
    """
    declared: Counter[int] = Counter()
    for info in reader.chunk_infos:
        declared.update(info.connection_counts)
    if messages != declared:
        counts = f"{messages.total()} messages were found where its chunks tell of {declared.total()}, by connection"
        counts += f" {dict(sorted(messages.items()))} and {dict(sorted(declared.items()))}"
    elif len(reader.chunks) != len(reader.chunk_infos):
        counts = f"its index tells of {len(reader.chunk_infos)} chunks at {len(reader.chunks)} places"
    else:
        return
    raise InputError(f"{path}: damaged bag ({counts}); try `rosbag reindex`, or get the file again")


@contextmanager
def _reader(path: Path) -> Iterator[Any]:
    """The bag's reader, open."""
    try:
        from rosbags.rosbag1 import Reader
    except ImportError as error:
        raise InputError(f"{path}: ROS bags need the package rosbags: pip install 'spikeseg[formats]'") from error
    with _damage(path):
        _complete(path)
        reader = Reader(path)
        reader.open()
        for at, chunk in reader.chunks.items():
            if chunk.decompressor is bz2.decompress:
                reader.chunks[at] = chunk._replace(decompressor=_unpacked)
    try:
        yield reader
    finally:
        reader.close()


def _unpacked(data: bytes) -> bytes:
    """A chunk of bzip2."""
    unpacker = bz2.BZ2Decompressor()
    content = unpacker.decompress(data, MAX_CHUNK_BYTES)
    if not unpacker.eof:
        raise ValueError(f"a chunk of bzip2 is cut off, or unpacks to more than {MAX_CHUNK_BYTES} bytes")
    return content


MAGIC = b"#ROSBAG V2.0\n"
CONNECTION, CHUNK_INFO = 7, 6
"""Kinds of records in a bag's index, which reaches to its end."""


def _complete(path: Path) -> None:
    """Raise unless the index holds as many connections and chunks as the head of the bag says: rosbags leaves the rest out.

    Format: https://wiki.ros.org/Bags/Format/2.0
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("is no bag of version 2.0")
        head = _record(file, end)
        declared = [int.from_bytes(head[name], "little") for name in (b"conn_count", b"chunk_count")]
        start = int.from_bytes(head[b"index_pos"], "little")
        if not file.tell() <= start <= end:
            raise ValueError("its recorder did not write its index" if not start else f"its index should begin at byte {start}")
        file.seek(start)
        records = {CONNECTION: 0, CHUNK_INFO: 0}
        while file.tell() < end:
            records[_record(file, end)[b"op"][0]] += 1
    if list(records.values()) != declared:
        counts = f"{records[CONNECTION]} connections and {records[CHUNK_INFO]} chunks"
        raise ValueError(f"its index holds {counts}, its head says {declared}")


def _record(file: BinaryIO, end: int) -> dict[bytes, bytes]:
    """The fields of a record's head; the file is moved past its data."""
    fields = {}
    (size,) = struct.unpack("<I", file.read(4))
    head = file.read(min(size, end))
    while head:
        (size,) = struct.unpack_from("<I", head)
        name, _, value = head[4 : 4 + size].partition(b"=")
        fields[name] = value
        head = head[4 + size :]
    (size,) = struct.unpack("<I", file.read(4))
    file.seek(size, 1)
    return fields


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What rosbags raises on damaged bags, which is of nearly every kind, as InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: truncated or damaged bag ({reason}); try `rosbag reindex`, or get the file again") from error


READER = Reader("ROS 1 bag", stream_member=stream_rosbag, signatures=(b"#ROSBAG",), suffixes=(".bag",), members=True)
