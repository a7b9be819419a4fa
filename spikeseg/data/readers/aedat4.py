"""AEDAT 4 (iniVation), by the package aedat (extra ``formats``).

Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.data.readers.raw import Raw
from spikeseg.errors import InputError

MAGIC = b"#!AER-DAT4.0\r\n"


def read_aedat4(path: str | Path) -> Raw:
    """Events of the first event stream (lowest stream id), absolute µs, with the stream's frame size.

    Raises InputError if the package aedat is missing, the file is truncated, damaged or was never closed by
    its recorder, or holds no stream of events.
    """
    try:
        import aedat
    except ImportError as error:
        raise InputError(
            f"{path}: AEDAT 4 needs the package aedat: pip install 'spikeseg[formats]'"
        ) from error
    _complete(Path(path))
    try:
        decoder = aedat.Decoder(str(path))
        streams: dict[int, dict[str, Any]] = decoder.id_to_stream()
        chosen = min((key for key, stream in streams.items() if stream["type"] == "events"), default=None)
        if chosen is None:
            kinds = ", ".join(sorted(stream["type"] for stream in streams.values())) or "nothing"
            raise InputError(f"{path}: holds no stream of events (found: {kinds})")
        packets = [packet["events"] for packet in decoder if packet["stream_id"] == chosen]
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"{path}: truncated or damaged AEDAT 4 file ({error}); get the file again"
        ) from error
    size = (int(streams[chosen]["width"]), int(streams[chosen]["height"]))
    dtype = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
    events = np.concatenate(packets) if packets else np.empty(0, dtype)
    return Raw(events["t"], events["x"], events["y"], events["on"], size)


def _complete(path: Path) -> None:
    """Raise InputError unless the table of packets, the last part that a recorder writes, is there in full.

    The header (a size-prefixed flatbuffer) says where it starts; -1, or no entry, until the file is closed.
    Packets cut off at a boundary would otherwise pass for a shorter recording.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + 4)
        length = struct.unpack("<I", head[len(MAGIC) :])[0] if len(head) == len(MAGIC) + 4 else size
        header = file.read(length) if length < size else b""
        if len(header) < length or length < 16:
            raise InputError(f"{path}: truncated in its header; get the file again")
        try:
            compression, start = _header_fields(header)
        except struct.error as error:
            raise InputError(f"{path}: damaged header ({error}); get the file again") from error
        if start <= 0:
            raise InputError(f"{path}: was never closed by its recorder: its end is missing; repair it in DV")
        file.seek(min(start, size))
        table = file.read()
    whole = _lz4_whole(table) if compression in (1, 2) else len(table) > 0
    if start >= size or not whole:
        raise InputError(
            f"{path}: truncated: its table of packets, from byte {start}, is cut off at byte {size}"
        )


def _header_fields(header: bytes) -> tuple[int, int]:
    """(compression, position of the table) of the IOHeader flatbuffer; defaults 0 and -1."""
    table = struct.unpack_from("<I", header)[0]
    fields = table - struct.unpack_from("<i", header, table)[0]
    length = struct.unpack_from("<H", header, fields)[0]
    values = []
    for slot, (code, default) in enumerate((("<i", 0), ("<q", -1))):
        offset = struct.unpack_from("<H", header, fields + 4 + 2 * slot)[0] if length > 4 + 2 * slot else 0
        values.append(struct.unpack_from(code, header, table + offset)[0] if offset else default)
    return values[0], values[1]


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
