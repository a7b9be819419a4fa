"""What readers of bags share: recordings of ROS messages by topic, in whatever container. Messages of events become a `Stream`.

Read are dvs_msgs/EventArray and prophesee_event_msgs/EventArray (`event_arrays`), and event_camera_msgs/EventPacket, once called
event_array_msgs/EventArray (`event_packets`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from spikeseg.errors import InputError

from .event_arrays import EventArrays
from .event_packets import EventPackets
from .raw import BLOCK_EVENTS, Columns, Stream, count_left_out
from .recording_path import MEMBER
from .unpacking import ZSTD_MAGIC, unzstd

MAX_MESSAGE_BYTES = 2**28
"""A message that unpacks to more is refused: a few bytes can hold gigabytes."""


class Kind(NamedTuple):
    """What a topic's messages are: their type, such as dvs_msgs/msg/EventArray, and whether ROS 2 (CDR) or ROS 1 wrote them."""

    type: str
    cdr: bool


@dataclass(frozen=True)
class Bag:
    """An open bag.

    Attributes:
        kinds: topic -> kind of its messages.
        messages: all of them as (topic, message), in the order in which they were recorded; raises InputError where the bag is
            damaged, or, at the end, where some are missing.
    """

    kinds: dict[str, Kind]
    messages: Callable[[], Iterator[tuple[str, bytes]]]


Opened = Callable[[Path], AbstractContextManager[Bag]]


class Decoder(Protocol):
    """Decodes the messages of one topic, in order.

    Attributes:
        size: (width, height) of the sensor by the last message; None before the first, or where it does not say.
        left_out: what was left out so far, as reason -> count.
    """

    size: tuple[int, int] | None
    left_out: dict[str, int]

    def decoded(self, message: bytes) -> Columns:
        """The events of a message. Raises InputError where it is damaged."""


DECODERS: dict[str, Callable[[str, bool], Decoder]] = {
    "dvs_msgs/msg/EventArray": EventArrays,
    "prophesee_event_msgs/msg/EventArray": EventArrays,
    "event_camera_msgs/msg/EventPacket": EventPackets,
    "event_array_msgs/msg/EventArray": EventPackets,
}
"""Type of message -> what decodes a topic of such, given the words that open its errors, and whether CDR."""


def message_type(name: str) -> str:
    """ROS 1's pkg/Type as ROS 2's pkg/msg/Type."""
    package, _, kind = name.partition("/")
    return f"{package}/msg/{kind}" if kind and "/" not in kind else name


def stream_bag(path: str | Path, opened: Opened, member: str = "") -> Stream:
    """Events of one topic, t in µs of the camera's clock, origin top left.

    Left out and counted: messages of other topics, and what the decoder leaves out.

    Args:
        path: of the bag.
        opened: opens it.
        member: the topic; "": the first, by name, that holds events.

    Raises InputError: the bag is damaged, has no such topic or none of events, or the sensor's size changes.
    """
    path = Path(path)
    with opened(path) as bag:
        topics = sorted(topic for topic, kind in bag.kinds.items() if kind.type in DECODERS)
        if not topics:
            listed = ", ".join(f"{topic} ({kind.type})" for topic, kind in sorted(bag.kinds.items())) or "none"
            *most, last = DECODERS
            raise InputError(f"{path}: holds no topic of {', '.join(most)} or {last}; its topics: {listed}")
        if member and member not in topics:
            raise InputError(f"{path}: has no topic of events {member!r}; it has {', '.join(topics)}")
        chosen, size = _chosen(path, bag, [member] if member else topics)
    left_out: dict[str, int] = {}
    return Stream(_parts(path, opened, chosen, size, left_out), size, left_out=left_out)


def _decoder(path: Path, topic: str, kind: Kind) -> Decoder:
    return DECODERS[kind.type](f"{path}: {topic}", kind.cdr)


def _chosen(path: Path, bag: Bag, topics: list[str]) -> tuple[str, tuple[int, int] | None]:
    """The first of the topics that holds events, or else the first; and the sensor size that its messages tell."""
    decoders = {topic: _decoder(path, topic, bag.kinds[topic]) for topic in topics}
    seen: set[str] = set()
    for topic, message in bag.messages():
        if topic in decoders and topic not in seen and len(_decoded(path, decoders[topic], message).t):
            seen.add(topic)
            if topics[0] in seen:
                break
    chosen = min(seen, default=topics[0])
    return chosen, decoders[chosen].size


def _decoded(path: Path, decoder: Decoder, message: bytes) -> Columns:
    if message.startswith(ZSTD_MAGIC):  # no message of ROS begins so; rosbag2 packs them one by one if asked to
        message = unzstd(path, message, MAX_MESSAGE_BYTES)
    return decoder.decoded(message)


def _parts(path: Path, opened: Opened, chosen: str, size: tuple[int, int] | None, left_out: dict[str, int]) -> Iterator[Columns]:
    waiting: list[Columns] = []
    count = 0
    with opened(path) as bag:
        decoder = _decoder(path, chosen, bag.kinds[chosen])
        for topic, message in bag.messages():
            if topic != chosen:
                count_left_out(left_out, f"messages of {topic}", 1)
                continue
            events = _decoded(path, decoder, message)
            if decoder.size != size:
                sides = " after some of ".join("no size" if s is None else f"{s[0]} x {s[1]}" for s in (decoder.size, size))
                remedy = f"cut the bag there, or record each camera on a topic of its own (FILE{MEMBER}TOPIC)"
                raise InputError(f"{path}: {chosen}: a message of a sensor of {sides} pixels; {remedy}")
            while len(events.t):
                taken, events = _split(events, BLOCK_EVENTS - count)
                waiting.append(taken)
                count += len(taken.t)
                if count == BLOCK_EVENTS:
                    yield _joined(waiting)
                    waiting, count = [], 0
    for reason, number in decoder.left_out.items():
        count_left_out(left_out, reason, number)
    if waiting:
        yield _joined(waiting)


def _split(events: Columns, at: int) -> tuple[Columns, Columns]:
    return Columns(*(column[:at] for column in events)), Columns(*(column[at:] for column in events))


def _joined(parts: list[Columns]) -> Columns:
    return parts[0] if len(parts) == 1 else Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))
