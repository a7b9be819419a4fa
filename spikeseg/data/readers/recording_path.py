"""``FILE::NAME``: a recording's file, or the file of several and the name of the one that is meant; taken apart here alone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

MEMBER = "::"
"""Between the file and the name: ``labelled_ebssa.h5::NAME``, ``night.mcap::/camera/events``."""

BAG_METADATA = "metadata.yaml"
"""Name of the file in which a recorder of ROS 2 describes the bag beside it."""


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
        """Of the recording: its own in the file, or else the file's without suffix; both, if its own is a topic's (/a/b)."""
        if self.member.startswith("/"):
            return "_".join([Path(self.file).stem, *self.member.strip("/").split("/")])
        return self.member or Path(self.file).stem

    def __str__(self) -> str:
        """As `recording_path` takes it apart again, once the file is there."""
        return f"{self.file}{MEMBER}{self.member}" if self.member else self.file


def recording_path(text: str | Path) -> RecordingPath:
    """The recording that a path or text names.

    A text that is a path of something that exists is that file or folder, whatever its name holds. Else it is cut at its last
    ``::`` before which a file is named (so names with ``::`` are found, too); where there is none, the whole is a file that is
    missing, which reading it will say.
    """
    whole = str(text)
    if not Path(whole).exists():
        at = whole.rfind(MEMBER)
        while at > 0:
            if Path(whole[:at]).is_file():
                return RecordingPath(whole[:at], whole[at + len(MEMBER) :])
            at = whole.rfind(MEMBER, 0, at)
    return RecordingPath(whole)
