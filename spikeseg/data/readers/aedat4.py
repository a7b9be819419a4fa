"""AEDAT 4 (iniVation), by the package aedat (extra ``formats``).

Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spikeseg.errors import InputError

from .raw import BLOCK_EVENTS, Columns, Stream, count_left_out
from .reader import Reader

MAGIC = b"#!AER-DAT4.0\r\n"
PLAIN, LZ4 = 0, (1, 2)
"""Values of the header's compression field: none, and those that mean LZ4."""
PACKET_HEADER_BYTES = 8
"""Stream id and size, 32 bits each."""
RUST_PANIC = "PanicException"
"""What aedat raises on some damaged files: a BaseException of a module that cannot be imported."""


def stream_aedat4(path: str | Path, member: str = "") -> Stream:
    """Events of one stream, absolute µs, with the stream's frame size.

    ``member`` is the id of the stream; "": the lowest that has events.

    Raises InputError if the package aedat is missing, the file is truncated, damaged or was never closed by
    its recorder, or holds no stream of events, or not this one.
    """
    try:
        import aedat
    except ImportError as error:
        raise InputError(f"{path}: AEDAT 4 needs the package aedat: pip install 'spikeseg[formats]'") from error
    _complete(Path(path))
    with _panics(path):
        streams: dict[int, dict[str, Any]] = _decoder(path, aedat).id_to_stream()
    ids = sorted(key for key, stream in streams.items() if stream["type"] == "events")
    if not ids:
        kinds = ", ".join(sorted(stream["type"] for stream in streams.values())) or "nothing"
        raise InputError(f"{path}: holds no stream of events (found: {kinds})")
    if member and member not in map(str, ids):
        raise InputError(f"{path}: has no stream of events {member!r}; it has {', '.join(map(str, ids))}")
    chosen = int(member) if member else ids[0] if len(ids) == 1 else _first_with_events(path, aedat, ids)
    size = (int(streams[chosen]["width"]), int(streams[chosen]["height"]))
    left_out: dict[str, int] = {}
    return Stream(_parts(path, aedat, streams, chosen, left_out), size, left_out=left_out)


def _first_with_events(path: str | Path, aedat: ModuleType, ids: list[int]) -> int:
    """The lowest of these streams that has events, or the lowest of all."""
    seen: set[int] = set()
    for packet in _packets(path, aedat):
        if packet["stream_id"] in ids and len(packet["events"]):
            seen.add(packet["stream_id"])
            if ids[0] in seen:
                break
    return min(seen, default=ids[0])


def _decoder(path: str | Path, aedat: ModuleType) -> Any:
    """A decoder of a file. aedat takes names in UTF-8 alone: a file of another name is opened here, and again by its number."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with open(path, "rb") as file:
            return aedat.Decoder(f"/dev/fd/{file.fileno()}")
    return aedat.Decoder(str(path))


def _packets(path: str | Path, aedat: ModuleType) -> Iterator[dict[str, Any]]:
    with _panics(path):
        decoder = _decoder(path, aedat)
    while True:
        with _panics(path):
            packet = next(decoder, None)
        if packet is None:
            return
        yield packet


def _parts(
    path: str | Path, aedat: ModuleType, streams: dict[int, dict[str, Any]], chosen: int, left_out: dict[str, int]
) -> Iterator[Columns]:
    """Packets of the chosen stream, several to a part; of the others, their packets are counted by kind."""
    waiting: list[np.ndarray] = []
    count = 0
    for packet in _packets(path, aedat):
        if packet["stream_id"] != chosen:
            kind = streams[packet["stream_id"]]["type"]
            count_left_out(left_out, f"packets of {kind}, stream {packet['stream_id']}", 1)
            continue
        waiting.append(packet["events"])
        count += len(waiting[-1])
        if count >= BLOCK_EVENTS:
            yield _columns(waiting)
            waiting, count = [], 0
    if waiting:
        yield _columns(waiting)


def _columns(packets: list[np.ndarray]) -> Columns:
    events = np.concatenate(packets)
    return Columns(events["t"], events["x"], events["y"], events["on"])


@contextmanager
def _panics(path: str | Path) -> Iterator[None]:
    """What aedat raises on damaged files, as InputError."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, (RuntimeError, OSError, ValueError)) and type(error).__name__ != RUST_PANIC:
            raise
        raise _damaged(path, " ".join(str(error).split())) from error


def _damaged(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path}: truncated or damaged AEDAT 4 file ({reason}); get the file again")


def _complete(path: Path) -> None:
    """Raise InputError unless header, packets and table of packets are all there and fit together.

    The header (a size-prefixed flatbuffer) says where the table starts, the last part that a recorder writes;
    -1, or no entry, until the file is closed. Without this, packets cut off at a boundary would pass for a
    shorter recording, and some damage makes aedat abort the process.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = len(MAGIC) + 4
        prefix = file.read(start)[len(MAGIC) :]
        length = struct.unpack("<I", prefix)[0] if len(prefix) == 4 else size
        if length >= size - start:
            raise _damaged(path, "its header is cut off")
        try:
            compression, end, information = _header_fields(file.read(length))
            information.decode("utf-8")
        except (struct.error, UnicodeDecodeError) as error:
            raise _damaged(path, f"header: {error}") from error
        if end <= 0:
            raise InputError(f"{path}: was never closed by its recorder: its end is missing; repair it in DV")
        if end >= size:
            raise _damaged(path, f"{end - size} bytes of its packets and the table after them are missing")
        at = start + length
        while at < end:
            file.seek(at)
            head = file.read(PACKET_HEADER_BYTES)
            if len(head) < PACKET_HEADER_BYTES:
                raise _damaged(path, f"its packets end at byte {size}, not at {end}")
            at += PACKET_HEADER_BYTES + struct.unpack_from("<I", head, 4)[0]
        if at != end:
            raise _damaged(path, f"its packets end at byte {at}, not at {end}")
        file.seek(end)
        table = file.read()
    if (compression in LZ4 and not _lz4_whole(table)) or (compression == PLAIN and not _prefixed_whole(table)):
        raise _damaged(path, f"its table of packets, from byte {end}, is cut off at byte {size}")


def _header_fields(header: bytes) -> tuple[int, int, bytes]:
    """Compression (default 0), position of the table (-1) and information node of the IOHeader flatbuffer."""
    table = struct.unpack_from("<I", header)[0]
    fields = table - struct.unpack_from("<i", header, table)[0]
    length = struct.unpack_from("<H", header, fields)[0]
    offsets = [struct.unpack_from("<H", header, fields + at)[0] if length > at else 0 for at in (4, 6, 8)]
    compression = struct.unpack_from("<i", header, table + offsets[0])[0] if offsets[0] else 0
    position = struct.unpack_from("<q", header, table + offsets[1])[0] if offsets[1] else -1
    text = table + offsets[2] + struct.unpack_from("<I", header, table + offsets[2])[0] if offsets[2] else 0
    count = struct.unpack_from("<I", header, text)[0] if text else 0
    return compression, position, header[text + 4 : text + 4 + count]


def _prefixed_whole(table: bytes) -> bool:
    """True if a size-prefixed flatbuffer is there down to its end."""
    return len(table) >= 4 and len(table) - 4 >= struct.unpack_from("<I", table)[0]


def _lz4_whole(frame: bytes) -> bool:
    """True if an LZ4 frame is there down to its end mark (lz4_Frame_format.md, 1.6.2)."""
    if len(frame) < 7 or frame[:4] != b"\x04\x22\x4d\x18":
        return False
    flags = frame[4]
    at = 7 + 8 * bool(flags & 8) + 4 * bool(flags & 1)
    while at + 4 <= len(frame):
        block = struct.unpack_from("<I", frame, at)[0]
        if block == 0:
            return at + 4 + 4 * bool(flags & 4) <= len(frame)
        at += 4 + (block & 0x7FFFFFFF) + 4 * bool(flags & 16)
    return False


READER = Reader("AEDAT 4", stream_member=stream_aedat4, signatures=(b"#!AER-DAT4",), members=True)
