"""Messages event_camera_msgs/EventPacket (https://github.com/ros-event-camera/event_camera_msgs), in every encoding of theirs.

header, height, width, seq, time_base (ns), encoding, is_bigendian, and bytes of events. By its README and the decoders of
https://github.com/ros-event-camera/event_camera_codecs:

    evt3          words of Prophesee's EVT 3.0, time in µs by the camera's clock; time_base means nothing
    libcaer_cmp   words of 16 bits much like them (`event_packets_kernels`), time from time_base on
    libcaer       8 bytes: valid (1 bit), polarity (1), y (15), x (15); µs from time_base on (31)
    mono          8 bytes: ns from time_base on (32 bits), x (16), y (15), polarity (1)
    trigger       8 bytes as of mono, none of them an event of a pixel

Times are those of the sensor, in µs; the stamp in a header, when its first bytes arrived, is not used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .event_packets_kernels import libcaer_cmp
from .prophesee import Evt3Decoder
from .raw import Columns, count_left_out
from .ros_fields import Fields

INVALID = "events marked invalid"
TRIGGERS = "external triggers"
MISSING = "messages that are missing by their numbers"
LARGEST_GAP = 2**32
"""A step of the numbers that is larger comes of damage, or of a camera that was started again."""


class EventPackets:
    """Decodes the messages of a topic; see `bags.Decoder`."""

    def __init__(self, where: str, cdr: bool) -> None:
        self._where, self._cdr = where, cdr
        self.size: tuple[int, int] | None = None
        self.left_out: dict[str, int] = {}
        self._last: int | None = None
        self._evt3 = Evt3Decoder()
        self._encodings: dict[str, tuple[int, Callable[[bytes, int, Fields], Columns]]] = dict(
            evt3=(2, self._of_evt3),
            libcaer_cmp=(2, self._of_libcaer_cmp),
            libcaer=(8, self._of_libcaer),
            mono=(8, self._of_mono),
            trigger=(8, self._of_trigger),
        )

    def decoded(self, message: bytes) -> Columns:
        """The events of a message. Raises InputError: damaged, or of an encoding that is not known here."""
        fields = Fields(self._where, message, self._cdr)
        fields.numbers("II" if self._cdr else "III")
        fields.text()
        height, width, number, base = fields.numbers("IIQQ")
        encoding = fields.text()
        (big,) = fields.numbers("B")
        (size,) = fields.numbers("I")
        data = fields.rest(size)
        if encoding not in self._encodings or big > 1:
            what = f"encoding {encoding!r}, is_bigendian {big}; readable are {', '.join(self._encodings)}, and 0 or 1"
            raise fields.damaged(f"a message of {what}")
        unit, decode = self._encodings[encoding]
        if size % unit:
            raise fields.damaged(f"{size} bytes of {encoding} are no whole number of {unit}")
        if big and encoding == "libcaer_cmp":
            raise fields.damaged("libcaer_cmp written by a big-endian machine, whose order of bits is not defined,")
        self._missed(number)
        self.size = (width, height) if width and height else None
        fields.order = ">" if big else "<"
        return decode(data, base, fields)

    def _missed(self, number: int) -> None:
        gap = 0 if self._last is None else number - self._last - 1
        if 0 < gap < LARGEST_GAP:
            count_left_out(self.left_out, MISSING, gap)
            self._evt3.forget_place()
        self._last = number

    def _of_evt3(self, data: bytes, base: int, fields: Fields) -> Columns:  # noqa: ARG002
        events = self._evt3.decoded(np.frombuffer(data, "<u2"))
        self.left_out.update(self._evt3.left_out)
        return events

    def _of_libcaer_cmp(self, data: bytes, base: int, fields: Fields) -> Columns:  # noqa: ARG002
        words = np.frombuffer(data, "<u2")
        columns = Columns(*(np.empty(8 * len(words), kind) for kind in (np.int64, np.uint16, np.uint16, np.uint8)))
        n, lost, unknown = libcaer_cmp(words, base // 1000, columns)
        count_left_out(self.left_out, "events without time or place", lost)
        count_left_out(self.left_out, "words of unknown meaning", unknown)
        return Columns(*(column[:n].copy() for column in columns))

    def _of_libcaer(self, data: bytes, base: int, fields: Fields) -> Columns:
        events = np.frombuffer(data, [("word", "<u4"), ("t", "<i4")])
        ticks = events["t"].astype(np.int64)
        if (ticks < 0).any():
            raise fields.damaged(f"an event at {ticks.min()} µs")
        ticks += np.cumsum(np.diff(ticks, prepend=ticks[:1]) < -(2**30)) << 31
        valid = events["word"] & 1 == 1
        count_left_out(self.left_out, INVALID, len(events) - int(valid.sum()))
        word = events["word"][valid]
        t = base // 1000 + ticks[valid]
        return Columns(
            t, (word >> 17).astype(np.uint16), (word >> 2 & 0x7FFF).astype(np.uint16), (word >> 1 & 1).astype(np.uint8)
        )

    @staticmethod
    def _of_mono(data: bytes, base: int, fields: Fields) -> Columns:
        word = np.frombuffer(data, fields.order + "u8")
        ns = (word & 0xFFFFFFFF).astype(np.int64) + base % 1000
        x, y = (word >> 32 & 0xFFFF).astype(np.uint16), (word >> 48 & 0x7FFF).astype(np.uint16)
        return Columns(base // 1000 + ns // 1000, x, y, (word >> 63).astype(np.uint8))

    def _of_trigger(self, data: bytes, base: int, fields: Fields) -> Columns:  # noqa: ARG002
        count_left_out(self.left_out, TRIGGERS, len(data) // 8)
        return Columns(np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint16), np.zeros(0, np.uint8))
