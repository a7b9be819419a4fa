"""Files of old AEDAT versions, written byte by byte from the formats' descriptions."""

import struct

AEDAT2 = (
    b"#!AER-DAT2.0\r\n"
    b"# This is a raw AE data file - do not edit\r\n"
    b"# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n"
    b"# Timestamps tick is 1 us\r\n"
)
AEDAT3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: 2026-11-23 10:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"


def chip(name):
    return b"# AEChip: eu.seebetter.ini.chips.davis." + name.encode() + b"\r\n"


def record2(address, t):
    """Address and time of AEDAT 2, big endian."""
    return struct.pack(">II", address & 0xFFFFFFFF, t & 0xFFFFFFFF)


def davis2(t, x, y, p, width=240, height=180):
    """An event of a DAVIS at (x, y) from the top left."""
    return record2((height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11, t)


def dvs2(t, x, y, p):
    """An event of a DVS128 at (x, y) from the top left."""
    return record2((127 - y) << 8 | (127 - x) << 1 | (1 - p), t)


def event3(t, x, y, p, valid=1):
    """A polarity event of AEDAT 3.1, little endian; t below 2^31."""
    return struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t)


def packet3(events, kind=1, source=1, overflows=0, valid=None, size=8):
    """Events of ``size`` bytes each behind their packet's head."""
    n = len(events)
    head = struct.pack("<hhiiiiii", kind, source, size, size - 4, overflows, n, n, n if valid is None else valid)
    return head + b"".join(events)
