"""What lies below a folder: files that may be recordings, what is none of ours to read, and what stands in the way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from spikeseg.core.names import MANIFEST, MANIFEST_BESIDE
from spikeseg.core.regular import fault_of
from spikeseg.data.readers.labels import SUFFIX
from spikeseg.data.readers.recording_path import BAG_METADATA, RecordingPath, distinct_names, recording_path
from spikeseg.errors import InputError, nearest, together

from .manifests import outputs_of

PICTURE = ".info.png"
"""How the pictures of `spikeseg info` end."""
REVIEW = ".review.json"
"""``night1.review.json`` is what a person said of the objects found in the recording night1."""
BESIDE = (SUFFIX, REVIEW, MANIFEST_BESIDE.format(""), PICTURE, BAG_METADATA, "-wal", "-shm", "-journal")
"""How names end of files that belong to others: labels, reviews, our manifests, our pictures, metadata of ROS 2's bags, what
SQLite has open."""


LISTED_MAX = 10_000
"""Names among which the nearest to a mistyped one is looked for, at most."""


class Found(NamedTuple):
    """A path below a folder.

    Attributes:
        path: of a file; or of what stands in the way.
        error: why it is no file that can be opened, without the path; "" where it is one.
    """

    path: Path
    error: str = ""


class Source(NamedTuple):
    """A recording that somebody named, alone, with others of its file, or by a folder.

    Attributes:
        path: the recording.
        name: no other of the same command has it.
        error: why it cannot be read, as far as that shows without reading it; "" where nothing is known.
    """

    path: RecordingPath
    name: str
    error: str = ""


def files_below(root: Path) -> Iterator[Found]:
    """Files below root, or root itself if it is one, sorted by folder; hidden files and folders left out.

    Links to files count as files. Links to folders are not followed: what lies below root is found anyway; one that leads
    elsewhere is reported. Folders that cannot be read, and what is neither file nor folder, are reported, too, and cost nothing
    else.
    """
    if not os.path.isdir(root):
        yield Found(root, fault_of(root))
        return
    top, unread = os.path.realpath(root), list[OSError]()
    for folder, folders, names in os.walk(root, onerror=unread.append):
        yield from _reported(unread)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(folder) / name for name in folders):
            if path.is_symlink() and os.path.commonpath([top, os.path.realpath(path)]) != top:
                yield Found(path, "is a link to a folder elsewhere, which is not followed; name that folder itself")
        for path in (Path(folder) / name for name in sorted(names) if not name.startswith(".")):
            yield Found(path, fault_of(path))
    yield from _reported(unread)


def _reported(errors: list[OSError]) -> Iterator[Found]:
    while errors:
        error = errors.pop(0)
        yield Found(Path(error.filename), f"cannot be read ({error.strerror or error})")


def without_ours(found: Iterable[Found]) -> Iterator[Found]:
    """Those of `files_below` that may be recordings: not what lies BESIDE them, and not what a manifest of ours lists as made by
    a command other than `simulate`, or as the truth of what that simulated."""
    ours: set[Path] = set()
    known: set[Path] = set()
    for path, error in found:
        if path.parent not in known:
            known.add(path.parent)
            ours |= outputs_of(path.parent)
        if path not in ours and path.name != MANIFEST and not path.name.endswith(BESIDE):
            yield Found(path, error)


def members_of(path: RecordingPath) -> list[RecordingPath]:
    """Each recording of a file that stands for several (`Reader.listed`), where none is named; else the path itself.

    Raises InputError where the file cannot be opened, is in no format known, or damaged."""
    from spikeseg.data.readers.formats import detect
    from spikeseg.registries import READERS

    listed = None if path.member else READERS[detect(path.file)].listed
    names = listed(Path(path.file)) if listed else []
    return [RecordingPath(path.file, name) for name in names] if len(names) > 1 else [path]


def recordings_at(text: str) -> Iterator[tuple[RecordingPath, str]]:
    """The recordings that a path stands for, each with "" or the reason why it cannot be read, which names the path.

    Args:
        text: a file, which stands for all recordings in it; ``FILE::NAME``; a folder, which stands for all files below it
            (`without_ours`).
    """
    found = [(recording_path(text), "")]
    if os.path.isdir(text):
        found = _paths(without_ours(files_below(Path(text))))
    if not found:
        yield RecordingPath(text), f"{text}: holds no files"
    yield from _members(found)


def _members(
    found: Iterable[tuple[RecordingPath, str]], tolerated: type[Exception] = InputError
) -> Iterator[tuple[RecordingPath, str]]:
    """The recordings of files, each with "" or the reason why it, or its file, cannot be read: an error, or a tolerated one."""
    for path, error in found:
        try:
            members = [path] if error else members_of(path)
        except tolerated as why:
            members, error = [path], str(why) if isinstance(why, InputError) else f"{path}: {type(why).__name__}: {why}"
        yield from ((member, error) for member in members)


def sources(texts: Iterable[str]) -> list[Source]:
    """All recordings that paths stand for (`recordings_at`), each once, in their order, under names that differ.

    Raises InputError where paths that are named themselves are not there, which names them all, and where a folder holds no
    files."""
    texts = list(texts)
    faults = {text: "" if os.path.isdir(text) else fault_of(recording_path(text).file) for text in texts}
    if wrong := [InputError(f"{text}: {fault}{_nearest_file(text)}") for text, fault in faults.items() if fault]:
        raise together(wrong)
    found: dict[tuple[str, str], tuple[RecordingPath, str]] = {}
    for text in texts:
        for path, error in recordings_at(text):
            if error and os.path.isdir(text) and Path(path.file) == Path(text):
                raise InputError(error)
            found.setdefault((os.path.abspath(path.file), path.member), (path, error))
    return _named(found.values())


def _nearest_file(text: str) -> str:
    """See `nearest`: of a path that is not there, among what lies in its folder."""
    folder, name = os.path.split(recording_path(text).file)
    try:
        names = [other for other in os.listdir(folder or ".") if not other.startswith(".")]
    except (OSError, ValueError):
        return ""
    return "" if name in names else nearest(name, names[:LISTED_MAX]).replace("nearest: ", f"nearest: {os.path.join(folder, '')}")


def sources_of(files: Iterable[Found]) -> list[Source]:
    """All recordings of some of the files below a folder (`without_ours`), called as if these were all.

    Whatever a file does to its reader, it only cannot be read."""
    return _named(list(_members(_paths(files), Exception)))


def _paths(files: Iterable[Found]) -> list[tuple[RecordingPath, str]]:
    """Of each file the path, with "" or the reason why it cannot be read."""
    return [(RecordingPath(str(file)), error and f"{file}: {error}") for file, error in files]


def _named(found: Collection[tuple[RecordingPath, str]]) -> list[Source]:
    """Recordings under names that differ."""
    names = distinct_names([path for path, _ in found])
    return [Source(path, name, error) for (path, error), name in zip(found, names, strict=True)]
