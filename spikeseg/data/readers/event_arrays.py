"""Messages dvs_msgs/EventArray (https://github.com/uzh-rpg/rpg_dvs_ros) and prophesee_event_msgs/EventArray, which is the same.

header, height, width, and events: x, y (16 bits each), seconds, nanoseconds (32 bits), polarity (8 bits). They are decoded here,
all of a message at once.
"""

from __future__ import annotations

import numpy as np

from .raw import Columns
from .ros_fields import Fields

PACKED = [("x", "u2"), ("y", "u2"), ("secs", "u4"), ("nsecs", "u4"), ("p", "u1")]
"""As ROS 1 writes events: 13 bytes each."""
ALIGNED = [("x", 0), ("y", 2), ("secs", 6), ("nsecs", 10), ("p", 14)]
"""Where CDR puts fields of an event that begins two bytes after a multiple of four, as all but the first do: 16 bytes each."""


class EventArrays:
    """Decodes the messages of a topic; see `bags.Decoder`."""

    def __init__(self, where: str, cdr: bool) -> None:
        self._where, self._cdr = where, cdr
        self.size: tuple[int, int] | None = None
        self.left_out: dict[str, int] = {}

    def decoded(self, message: bytes) -> Columns:
        """The events of a message. Raises InputError where it is damaged."""
        fields = Fields(self._where, message, self._cdr)
        fields.numbers("II" if self._cdr else "III")
        fields.text()
        height, width, count = fields.numbers("III")
        events = self._aligned(fields, count) if self._cdr else self._packed(fields, count)
        if (events["nsecs"] >= 10**9).any() or (events["p"] > 1).any():
            raise fields.damaged("an event with a second of nanoseconds or a polarity above 1")
        self.size = (width, height)
        t = events["secs"].astype(np.int64) * 1_000_000 + events["nsecs"] // 1000
        return Columns(t, events["x"].astype(np.uint16), events["y"].astype(np.uint16), events["p"])

    @staticmethod
    def _packed(fields: Fields, count: int) -> np.ndarray:
        kind = np.dtype([(name, "<" + code) for name, code in PACKED])
        return np.frombuffer(fields.rest(count * kind.itemsize), kind)

    @staticmethod
    def _aligned(fields: Fields, count: int) -> np.ndarray:
        """Of CDR: every event but the first begins two bytes after a multiple of four, and two bytes are left before its time."""
        packed = np.dtype([(name, fields.order + code) for name, code in PACKED])
        names, places = zip(*ALIGNED, strict=True)
        formats = [packed[name] for name in names]
        aligned = np.dtype({"names": names, "formats": formats, "offsets": places, "itemsize": 16})
        events = np.zeros(count, packed)
        if count:
            data = fields.rest(packed.itemsize + (1 + 16 * (count - 1) - 1 if count > 1 else 0))
            events[:1] = np.frombuffer(data, packed, 1)
            later = np.frombuffer(data[packed.itemsize + 1 :].ljust(16 * (count - 1), b"\0"), aligned)
            for name in names:
                events[name][1:] = later[name]
        else:
            fields.rest(0)
        return events
