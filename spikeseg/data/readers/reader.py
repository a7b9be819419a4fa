"""What is registered for a format of files: how it is recognised, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout
from .raw import Raw, Stream


@dataclass(frozen=True)
class Reader:
    """A format. It is registered in `spikeseg.registries.READERS`, or by an entry point of the group ``spikeseg.readers``.

    One of `stream`, `stream_member`, `read` and `read_member` is given. They raise InputError, naming the file, where it is
    damaged.

    Attributes:
        title: the format, as messages name it.
        stream: reads files of any length, part by part, in bounded memory.
        stream_member: the same of files of which one may hold several recordings: the file, and the name of one ("": the one to
            take where none is named).
        read: reads whole files.
        read_member: reads whole files, of which one may hold several recordings: the file, the name of one ("": the only one),
            and its sensor ("DAVIS", "ATIS" or "" if unknown).
        signatures: first bytes, any of which tells the format.
        content: tells it from the file and its first bytes (`core.regular.HEAD_BYTES`), where signatures do not suffice.
        suffixes: of file names, in small letters with the dot; asked when no format is told by its content.
        guess: tells it from the first bytes when suffixes say nothing either.
        members: whether one file may hold several recordings.
        listed: names of the recordings of a file, all of which it stands for where none is named; [] where it is one itself. Of
            formats without it, a file stands for the one recording that is read where none is named.
        layouts: whether its files leave the order of columns and the unit of times open; `stream` then takes a Layout, too.
    """

    title: str
    stream: Callable[..., Stream] | None = None
    stream_member: Callable[[Path, str], Stream] | None = None
    read: Callable[[Path], Raw] | None = None
    read_member: Callable[[Path, str, str], Raw] | None = None
    signatures: tuple[bytes, ...] = ()
    content: Callable[[Path, bytes], bool] | None = None
    suffixes: tuple[str, ...] = ()
    guess: Callable[[bytes], bool] | None = None
    members: bool = False
    listed: Callable[[Path], list[str]] | None = None
    layouts: bool = False

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.stream, self.stream_member, self.read, self.read_member)) != 1:
            raise ValueError(f"{self.title}: a reader has one of stream, stream_member, read and read_member")

    @property
    def bounded(self) -> bool:
        """Whether it reads files of any length in bounded memory."""
        return self.stream is not None or self.stream_member is not None

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file's content tells that it has this format; head: its first bytes."""
        return head.startswith(self.signatures) or (self.content is not None and self.content(path, head))

    def opened(self, path: Path, member: str, sensor: str, layout: Layout) -> Stream:
        """The recording, part by part; in bounded memory where that is what the reader does."""
        if self.stream is not None:
            return self.stream(path, layout) if self.layouts else self.stream(path)
        if self.stream_member is not None:
            return self.stream_member(path, member)
        if self.read is not None:
            return self.read(path).stream()
        assert self.read_member is not None
        return self.read_member(path, member, sensor).stream()
