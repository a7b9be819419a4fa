"""AEDAT 2.0, as jAER records it: events of a DVS128, of a DVS640 or of a DAVIS.

Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-2.0.html. What an address means is said by
the classes of jAER that recorded it (https://github.com/SensorsINI/jaer): net.sf.jaer.chip.retina DVS128,
ch.unizh.ini.jaer.chip.retina DVS640, eu.seebetter.ini.chips.davis DavisBaseCamera. They draw column width - 1 - x and count rows
from the bottom: so here, origin top left. On a DVS128 their ON is bit 0 cleared; the page of AEDAT 1.0 says the contrary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeseg.errors import InputError

from .binary import blocks, cut, opened, text_line, unwrapped, whole
from .raw import BLOCK_EVENTS, Columns, Stream, count_left_out
from .reader import Reader

MAGIC = b"#!AER-DAT2"
RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
LINE_BYTES = 2**20
"""A header line is shorter; jAER writes settings into them."""
END_OF_HEADER = "End of ASCII Header"
DVS128, DVS640 = "DVS128", "DVS640"
CHIPS: dict[str, tuple[int, int]] = {
    DVS128: (128, 128),
    "Tmpdiff128": (128, 128),
    "Davis128": (128, 128),
    "Davis208": (208, 192),
    "Davis240": (240, 180),
    "DVS240": (240, 180),
    DVS640: (640, 480),
    "Davis346": (346, 260),
    "Davis640": (640, 480),
}
"""How the name of a chip begins -> (width, height) in pixels."""
OLD_CHIPS = (DVS128, "Tmpdiff128")
"""Those with addresses of 16 bits; those of a DVS640 have 21; the others have a DAVIS's."""

EXTERNAL = "external events"
FRAME_SAMPLES = "samples of frames"
IMU_WORDS = "words of IMU samples"


class Header(NamedTuple):
    """The text header: the chip (one of CHIPS; "" if none is named), the first byte after them, the size of the file."""

    chip: str
    start: int
    end: int


def stream_aedat2(path: str | Path) -> Stream:
    """Events, t in µs as the camera counted, unwrapped where its 32 bits start again (every 71.6 min).

    Files from before headers named the chip are read as a DVS128's, whose addresses have 16 bits.
    Left out and counted: external events, samples of frames, words of IMU samples.
    Raises InputError: truncated, a chip that is not known here, or an address that the chip does not have.
    """
    path = Path(path)
    header = _header(path)
    whole(path, header.start, header.end, RECORD.itemsize)
    chip = header.chip or DVS128
    left_out: dict[str, int] = {}
    return Stream(_parts(path, header, chip, left_out), CHIPS[chip], left_out=left_out)


def _header(path: Path) -> Header:
    """The lines that begin with #, down to the one that ends them or the first that is none."""
    chip, named = "", ""
    with opened(path) as file:
        end = file.seek(0, 2)
        file.seek(0)
        first = file.read(len(MAGIC))
        if first != MAGIC[: len(first)]:
            raise InputError(f"{path}: is no AEDAT 2.0: it does not begin with {MAGIC.decode()!r}")
        start = file.seek(0)
        while file.read(1) == b"#" and (line := text_line(file.readline(LINE_BYTES))) is not None:
            if not line.endswith("\n"):
                raise cut(path, end, "in a line of its header")
            start = file.tell()
            if line.strip().lower() == END_OF_HEADER.lower():
                break
            if not named and (found := re.match(r"\s*AEChip:\s*(\S+)", line)):
                named = found[1]
        if not start:
            raise cut(path, end, "in a line of its header")
    if named:
        simple = named.rsplit(".", 1)[-1]
        chip = next((known for known in CHIPS if simple.lower().startswith(known.lower())), "")
        if not chip:
            raise InputError(f"{path}: AEChip: {named}; readable are {', '.join(CHIPS)}: convert it with jAER or DV")
    return Header(chip, start, end)


def _parts(path: Path, header: Header, chip: str, left_out: dict[str, int]) -> Iterator[Columns]:
    width, height = CHIPS[chip]
    last, turns, zero, at = 0, 0, 0, header.start
    for records in blocks(path, header.start, BLOCK_EVENTS * RECORD.itemsize, RECORD):
        address = records["address"].astype(np.uint32)
        if at == header.start and records["t"][0] >= 2**31:  # the counter is signed: it began below zero
            zero = -(2**32)
        t, last, turns = unwrapped(records["t"], last, turns)
        if chip in OLD_CHIPS:
            kept = _dvs128(path, header, address, at, left_out)
            x, y, p = address >> 1 & 0x7F, address >> 8 & 0x7F, ~address & 1
        elif chip == DVS640:
            kept = _dvs640(path, address, at)
            x, y, p = address >> 1 & 0x3FF, address >> 11 & 0x3FF, address & 1
        else:
            kept = _davis(address, left_out)
            x, y, p = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
        at += records.nbytes
        x, y = width - 1 - x[kept].astype(np.int16), height - 1 - y[kept].astype(np.int16)
        yield Columns(t[kept] + zero, x, y, p[kept].astype(np.uint8))


def _dvs128(path: Path, header: Header, address: np.ndarray, at: int, left_out: dict[str, int]) -> np.ndarray:
    """Which addresses are events of a pixel; raises InputError at the first that no DVS128 has."""
    external = address & 0x80008000 != 0
    wrong = np.flatnonzero(~external & (address > 0xFFFF))
    if len(wrong):
        where = f"the address {address[wrong[0]]:#010x} at byte {at + int(wrong[0]) * RECORD.itemsize}"
        if header.chip:
            raise InputError(f"{path}: damaged: {where} is none of a {header.chip}; get the file again")
        raise InputError(f"{path}: names no chip, and {where} is none of a {DVS128}: add a header line '# AEChip: NAME'")
    count_left_out(left_out, EXTERNAL, int(external.sum()))
    return ~external


def _dvs640(path: Path, address: np.ndarray, at: int) -> np.ndarray:
    """All addresses are events of a pixel; raises InputError at the first that no DVS640 has."""
    wrong = np.flatnonzero(address >= 2**21)
    if len(wrong):
        where = f"the address {address[wrong[0]]:#010x} at byte {at + int(wrong[0]) * RECORD.itemsize}"
        raise InputError(f"{path}: damaged: {where} is none of a {DVS640}; get the file again")
    return np.ones(len(address), bool)


def _davis(address: np.ndarray, left_out: dict[str, int]) -> np.ndarray:
    """Which addresses are events of a pixel, by bits 31, 11 and 10."""
    other = address >> 31 == 1
    imu = other & (address & 0xC00 == 0xC00)
    external = ~other & (address & 0x400 != 0)
    count_left_out(left_out, EXTERNAL, int(external.sum()))
    count_left_out(left_out, IMU_WORDS, int(imu.sum()))
    count_left_out(left_out, FRAME_SAMPLES, int((other & ~imu).sum()))
    return ~other & ~external


READER = Reader("AEDAT 2", stream_aedat2, signatures=(b"#!AER-DAT2",), suffixes=(".aedat2",))
