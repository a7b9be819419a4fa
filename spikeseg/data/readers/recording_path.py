"""``FILE::NAME``: a recording's file, or the file of several and the name of the one that is meant; taken apart here alone.

And what recordings are called: names begin the names of files and stand in tables, so they hold only what both can hold.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from spikeseg.errors import UNSHOWN

MEMBER = "::"
"""Between the file and the name: ``labelled_ebssa.h5::NAME``, ``night.mcap::/camera/events``."""

BAG_METADATA = "metadata.yaml"
"""Name of the file in which a recorder of ROS 2 describes the bag beside it."""

NAME_BYTES = 160
"""Names are this long at most, so that what is put before and behind them still fits into the 255 bytes of a file's name."""


class RecordingPath(NamedTuple):
    """Where a recording lies.

    Attributes:
        file: the path of the file.
        member: name of a recording in it, or topic of a bag; "" where the file holds one alone, or all of them are meant.
    """

    file: str
    member: str = ""

    @property
    def name(self) -> str:
        """Of the recording: its own in the file, or else the file's without suffix; both, if its own is a topic's (/a/b).
        See `usable_name`."""
        if self.member.startswith("/"):
            return usable_name("_".join([Path(self.file).stem, *self.member.strip("/").split("/")]))
        return usable_name(self.member or Path(self.file).stem)

    def __str__(self) -> str:
        """As `recording_path` takes it apart again, once the file is there."""
        return f"{self.file}{MEMBER}{self.member}" if self.member else self.file


def recording_path(text: str | Path) -> RecordingPath:
    """The recording that a path or text names.

    A text that is a path of something that exists is that file or folder, whatever its name holds; a link to nothing exists, too.
    Else it is cut at its last ``::`` before which a file is named (so names with ``::`` are found, too); where there is none, the
    whole is a file that is missing, which reading it will say.
    """
    whole = str(text)
    if not os.path.lexists(whole):
        at = whole.rfind(MEMBER)
        while at > 0:
            if os.path.isfile(whole[:at]):
                return RecordingPath(whole[:at], whole[at + len(MEMBER) :])
            at = whole.rfind(MEMBER, 0, at)
    return RecordingPath(whole)


def usable_name(text: str) -> str:
    """A name that can begin a file's and stand in a table: bytes that are no UTF-8 and control characters as ``%FF``, ``_`` for a
    slash; of one longer than NAME_BYTES the beginning, ``~`` and 8 digits of its SHA-256."""
    name = UNSHOWN.sub(_percent, re.sub(r"[/\0]", "_", text))
    if len(name.encode()) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: NAME_BYTES - 9].decode(errors='ignore')}~{digest}"


def distinct_names(paths: list[RecordingPath]) -> list[str]:
    """A name for each of several recordings, none twice, in their order.

    A recording is called as `RecordingPath.name` says. Where several are called the same, they get as many of the names above
    theirs (of the HDF5 file, of folders) as tell them apart, joined by ``_``; where none does, such as ``walk.csv`` beside
    ``walk.dat``, the ending of the file; and what is left, a number.
    """
    names = [path.name for path in paths]
    of_name: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        of_name.setdefault(name, []).append(index)
    for group in of_name.values():
        if len(group) > 1:
            for index, longer in zip(group, _longer([paths[index] for index in group]), strict=True):
                names[index] = usable_name(longer)
    taken: set[str] = set()
    for index, name in enumerate(names):
        number = 1
        while names[index] in taken:
            number += 1
            names[index] = f"{name}_{number}"
        taken.add(names[index])
    return names


def _longer(paths: list[RecordingPath]) -> list[str]:
    """Names that tell paths of one name apart, as far as folders and endings do."""
    longer: list[str] = []
    for whole in (False, True):
        parts = [_parts(path, whole) for path in paths]
        for count in range(1, max(map(len, parts)) + 1):
            longer = ["_".join(names[-count:]) for names in parts]
            if len(set(longer)) == len(paths):
                return longer
    return longer


def _parts(path: RecordingPath, whole: bool) -> list[str]:
    """The names of a recording's folders, file and member; whole: with the ending of the file."""
    file = Path(os.path.abspath(path.file))
    return [*file.parts[1:-1], file.name if whole else file.stem, *filter(None, path.member.split("/"))]


def _percent(found: re.Match[str]) -> str:
    try:
        code = found[0].encode(errors="surrogateescape")
    except UnicodeEncodeError:
        code = found[0].encode(errors="surrogatepass")
    return "".join(f"%{byte:02X}" for byte in code)
