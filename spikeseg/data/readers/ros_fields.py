"""Fields of ROS messages, taken one after the other: as ROS 1 packs them, or as ROS 2 does (CDR).

ROS 1: https://wiki.ros.org/msg, little endian, packed. CDR (OMG DDSI-RTPS 10.2): four bytes that tell the order of bytes, and
fields aligned to their size from there.
"""

from __future__ import annotations

import struct

from spikeseg.errors import InputError

CDR_ORDERS = {b"\x00\x00": ">", b"\x00\x01": "<"}
CDR_PADDING = 3
"""Bytes that may follow a message of CDR, which is filled up to a multiple of four."""


class Fields:
    """Takes the fields of a message in their order.

    Attributes:
        at: byte of the next field.
        order: of bytes, "<" or ">".

    Raises InputError, from here and from all methods: the message is damaged.
    """

    def __init__(self, where: str, message: bytes, cdr: bool) -> None:
        """
        Args:
            where: path and topic, which open every error.
            message: as the bag holds it.
            cdr: whether ROS 2 wrote it.
        """
        self._where, self._message, self._cdr = where, message, cdr
        self.at, self.order = 0, "<"
        if cdr:
            order = CDR_ORDERS.get(message[:2])
            if order is None or len(message) < 4:
                raise self.damaged(f"a message that begins with {message[:4].hex() or 'nothing'} is none of CDR")
            self.at, self.order = 4, order

    def numbers(self, codes: str) -> tuple[int, ...]:
        """Numbers by the codes of `struct`."""
        found = []
        for code in codes:
            size = struct.calcsize("<" + code)
            self.align(size)
            found.append(struct.unpack_from(self.order + code, self._taken(size))[0])
        return tuple(found)

    def text(self) -> str:
        """A string; CDR ends it by a zero."""
        (size,) = self.numbers("I")
        data = self._taken(size)
        return data.removesuffix(b"\0").decode("utf-8", "replace")

    def rest(self, size: int) -> bytes:
        """The last field, of ``size`` bytes; nothing may follow it."""
        left = len(self._message) - self.at - size
        if not 0 <= left <= (CDR_PADDING if self._cdr else 0):
            raise self.damaged(f"a message of {len(self._message)} bytes cannot hold {size} bytes of events from byte {self.at}")
        return self._taken(size)

    def align(self, size: int) -> None:
        """Go on to where a field of this size may begin."""
        if self._cdr:
            self.at += -(self.at - 4) % size

    def damaged(self, what: str) -> InputError:
        """The error of this message."""
        return InputError(f"{self._where}: {what}; damaged: get the file again")

    def _taken(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self._message):
            raise self.damaged(f"a message of {len(self._message)} bytes ends within its fields")
        return self._message[self.at - size : self.at]
