"""Event Stream (`.es`, A. Marcireau), version 2: events of a DVS or an ATIS.

Format: https://github.com/neuromorphic-paris/event_stream. A file holds the time between events, not the time: t counts from
where its writer started to count, which is the clock's zero or, with most writers, the first event.

Decoded here: events have no fixed place in the file, so only going through it tells whether its end cuts one; faery 0.7
silently leaves such an event out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.errors import InputError

from .raw import BLOCK_EVENTS, Columns, Stream
from .reader import Reader

Array = np.ndarray

MAGIC = b"Event Stream"
VERSION = 2
"""The first number; the others change nothing in the layout."""
HEADER_BYTES = 20
DVS, ATIS = 1, 2
KINDS = {0: "generic", DVS: "DVS", ATIS: "ATIS", 3: "display", 4: "color"}
EVENT_BYTES = 5
EXPOSURES = "exposure measurements"


def stream_es(path: str | Path) -> Stream:
    """Events, t in µs since the writer's zero, origin top left; of an ATIS the changes, its exposure measurements are counted.

    The specification names no origin, but its author's programs count y from the bottom: es_to_frames draws row 0 there,
    dat_to_es turns the rows of Prophesee files, faery those of any .es. So they are turned here: height - 1 - y.

    Raises InputError: truncated, of another version or kind, or an event outside the sensor that the header gives: there the
    reading has come out of step with the events.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if header[: len(MAGIC)] != MAGIC[: len(header)]:
        raise InputError(f"{path}: is no Event Stream: it does not begin with {MAGIC.decode()!r}")
    if len(header) > 12 and header[12] != VERSION:
        raise InputError(f"{path}: Event Stream of version {header[12]}; readable is {VERSION}: convert it with its own tools")
    if len(header) > 15 and header[15] not in (DVS, ATIS):
        kind = KINDS.get(header[15], f"unknown ({header[15]})")
        raise InputError(f"{path}: Event Stream of kind {kind}; readable are DVS and ATIS")
    if len(header) < HEADER_BYTES:
        raise InputError(f"{path}: truncated: it ends at byte {len(header)}, in its header; get the file again")
    kind, width, height = struct.unpack("<BHH", header[15:])
    left_out: dict[str, int] = {}
    return Stream(_parts(path, kind, width, height, left_out), (width, height), left_out=left_out)


def _parts(path: Path, kind: int, width: int, height: int, left_out: dict[str, int]) -> Iterator[Columns]:
    state = np.zeros(2, np.int64)
    rest, at = b"", HEADER_BYTES
    try:
        with path.open("rb") as file:
            file.seek(HEADER_BYTES)
            while data := file.read(EVENT_BYTES * BLOCK_EVENTS):
                data = rest + data
                room = len(data) // EVENT_BYTES
                columns = Columns(*(np.empty(room, dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint8)))
                used, n = _decode(np.frombuffer(data, np.uint8), kind == ATIS, width, height, state, columns)
                if used < 0:
                    raise InputError(
                        f"{path}: damaged: the event at byte {at - used - 1} is outside the sensor of {width} x {height} pixels; "
                        "get the file again"
                    )
                at += used
                rest = data[used:]
                if n:
                    t, x, y, p = (column[:n] for column in columns)
                    yield Columns(t, x, height - 1 - y, p)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if rest:
        raise InputError(
            f"{path}: truncated: it ends at byte {at + len(rest)}, {len(rest)} bytes into an event of {EVENT_BYTES}; "
            "get the file again"
        )
    if state[1]:
        left_out[EXPOSURES] = int(state[1])


@compiled()
def _decode(data: Array, atis: bool, width: int, height: int, state: Array, columns: Columns) -> tuple[int, int]:
    """Decode whole events into columns: the bytes used and the events found; -1 - its position for an event outside the sensor.

    state: time of the last event and overflows since, exposure measurements.
    """
    t, x, y, p = columns
    now, i, n = state[0], 0, 0
    while i < len(data):
        first = np.int64(data[i])
        if first >= (0xFC if atis else 0xFE):  # overflows, or reset: no time passes
            now += 63 * (first & 3) if atis else 127 * (first & 1)
            i += 1
            continue
        if i + 5 > len(data):
            break
        across = np.int64(data[i + 1]) | np.int64(data[i + 2]) << 8
        down = np.int64(data[i + 3]) | np.int64(data[i + 4]) << 8
        if across >= width or down >= height:
            return -1 - i, n
        now += first >> 2 if atis else first >> 1
        i += 5
        if atis and first & 1:
            state[1] += 1
            continue
        t[n], x[n], y[n] = now, across, down
        p[n] = first >> 1 & 1 if atis else first & 1
        n += 1
    state[0] = now
    return i, n


READER = Reader("event stream (.es)", stream_es, signatures=(b"Event Stream",), suffixes=(".es",))
