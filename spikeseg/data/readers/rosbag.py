"""Bags of ROS 1 with messages of events, by the package rosbags (extra ``formats``).

Messages are dvs_msgs/EventArray (https://github.com/uzh-rpg/rpg_dvs_ros) and prophesee_event_msgs/EventArray, which has the same
layout: header (seq, stamp, frame_id), height, width, and events of 13 bytes: x, y, seconds, nanoseconds, polarity. rosbags finds
and unpacks the messages; their events are decoded here, all of a message at once.
"""

from __future__ import annotations

import bz2
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spikeseg.errors import InputError

from .raw import BLOCK_EVENTS, Columns, Stream, count_left_out
from .reader import Reader

TYPES = ("dvs_msgs/msg/EventArray", "prophesee_event_msgs/msg/EventArray")
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("secs", "<u4"), ("nsecs", "<u4"), ("p", "u1")])
STAMP = struct.Struct("<IIII")
"""seq, seconds and nanoseconds of the header, and the length of frame_id."""
SHAPE = struct.Struct("<III")
"""height, width, and how many events."""
MAX_CHUNK_BYTES = 2**28
"""A chunk that bzip2 unpacks to more is refused: a few bytes can hold gigabytes. Recorders close theirs at about a megabyte."""


def stream_rosbag(path: str | Path) -> Stream:
    """Events of the first topic (by name) that has any, t in µs of the camera's clock, origin top left.

    Left out and counted: events of other topics, and messages of other types, by topic.
    Raises InputError: rosbags is missing, the bag is truncated or damaged, it holds no messages of events, or its size changes.
    """
    path = Path(path)
    with _opened(path) as reader:
        kinds = sorted({c.topic: c.msgtype for c in reader.connections}.items())
        topics = [topic for topic, kind in kinds if kind in TYPES]
        if not topics:
            listed = ", ".join(f"{topic} ({kind})" for topic, kind in kinds) or "none"
            raise InputError(f"{path}: holds no topic of {TYPES[0]} or {TYPES[1]}; its topics: {listed}")
        chosen, size = _chosen(path, reader, topics)
    left_out: dict[str, int] = {}
    return Stream(_parts(path, chosen, size, left_out), size, left_out=left_out)


def _chosen(path: Path, reader: Any, topics: list[str]) -> tuple[str, tuple[int, int] | None]:
    """The first topic with a message that holds events, and the sensor size it tells."""
    first: tuple[str, tuple[int, int] | None] | None = None
    for topic in topics:
        for raw in _messages(path, reader, [topic]):
            size, events = _decoded(path, topic, raw[1])
            if len(events):
                return topic, size
            first = first or (topic, size)
    return first or (topics[0], None)


def _parts(path: Path, chosen: str, size: tuple[int, int] | None, left_out: dict[str, int]) -> Iterator[Columns]:
    waiting: list[np.ndarray] = []
    count = 0
    messages: Counter[int] = Counter()
    with _opened(path) as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections}
        for connection, raw in _messages(path, reader, list(kinds)):
            topic = connection.topic
            messages[connection.id] += 1
            if kinds[topic] not in TYPES:
                count_left_out(left_out, f"messages of {topic}", 1)
                continue
            message_size, events = _decoded(path, topic, raw)
            if topic != chosen:
                count_left_out(left_out, f"events of {topic}", len(events))
                continue
            if message_size != size:
                raise InputError(f"{path}: {topic}: a message of {message_size} pixels after some of {size}; split the bag")
            while len(events):
                taken, events = np.split(events, [BLOCK_EVENTS - count])
                waiting.append(taken)
                count += len(taken)
                if count == BLOCK_EVENTS:
                    yield _columns(waiting)
                    waiting, count = [], 0
        _all_there(path, reader, messages)
    if waiting:
        yield _columns(waiting)


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


def _columns(messages: list[np.ndarray]) -> Columns:
    events = np.concatenate(messages)
    t = events["secs"].astype(np.int64) * 1_000_000 + events["nsecs"] // 1000
    return Columns(t, events["x"], events["y"], events["p"])


def _decoded(path: Path, topic: str, raw: bytes) -> tuple[tuple[int, int], np.ndarray]:
    """Sensor size and events of one message."""
    try:
        at = STAMP.size + STAMP.unpack_from(raw)[3]
        height, width, count = SHAPE.unpack_from(raw, at)
    except struct.error as error:
        raise InputError(f"{path}: {topic}: a message ends within its head ({error}); damaged: get the file again") from error
    at += SHAPE.size
    if at + count * EVENT.itemsize != len(raw):
        damage = f"a message of {len(raw)} bytes cannot hold {count} events"
        raise InputError(f"{path}: {topic}: {damage}; damaged: get the file again")
    events = np.frombuffer(raw, EVENT, count, at)
    if (events["nsecs"] >= 10**9).any() or (events["p"] > 1).any():
        damage = "an event with a second of nanoseconds or a polarity above 1"
        raise InputError(f"{path}: {topic}: {damage}; damaged: get the file again")
    return (int(width), int(height)), events


def _messages(path: Path, reader: Any, topics: list[str]) -> Iterator[tuple[Any, bytes]]:
    """(connection, raw message), in order of time."""
    with _damage(path):
        messages = reader.messages([c for c in reader.connections if c.topic in topics])
    while True:
        with _damage(path):
            message = next(messages, None)
        if message is None:
            return
        yield message[0], bytes(message[2])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
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


READER = Reader("ROS bag", stream_rosbag, signatures=(b"#ROSBAG",), suffixes=(".bag",))
