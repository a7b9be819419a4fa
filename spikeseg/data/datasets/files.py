"""Recordings of any readable format in a folder or matching a pattern, with the labels that lie beside them."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from spikeseg.core.regular import fault_of
from spikeseg.data.long import LongEvents, iter_events
from spikeseg.data.readers import AS_USUAL, Layout, read
from spikeseg.data.readers.labels import labels_of, read_labels
from spikeseg.data.readers.recording_path import RecordingPath, recording_path, usable_name
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import Entry, checked_root, combined, entry_or_fault, fingerprint, unique_names, unused
from .folders import Found, files_below, members_of, without_ours


def entries(root: str | Path, *, sensor: str = "all", layout: Layout = AS_USUAL) -> list[Entry]:
    """Every recording of every file below ``root`` (or of root itself), or that a pattern finds, such as ``~/nights/**/*.raw``;
    sorted by path, without hidden files and what others own (`without_ours`). Or the one recording that root names, as
    ``FILE.mcap::TOPIC``.

    Whether a file is a recording shows when it is loaded: one that is not raises InputError then, for the
    caller to count and report. Raises InputError if there is no such folder, it holds no file, or ``sensor``
    is not "all": only EBSSA's recordings know their sensor.
    """
    if sensor != "all":
        raise InputError(f"data.sensor: {sensor!r} with dataset files; only all is possible here")
    named = recording_path(Path(root).expanduser())
    if named.member:
        return [_entry(named, named.name, layout, fingerprint)]
    top, found = _files(Path(root).expanduser())
    if not found:
        raise InputError(f"{root}: holds no files; check data.data_root")
    entries: dict[str, Entry] = {}
    for path, name in unique_names(top, found).items():
        content = functools.cache(fingerprint)
        for member in _recordings(path, found[path]):
            own = unused(usable_name(f"{name}_{member.member}") if member.member else name, entries)
            entries[own] = entry_or_fault(own, path, partial(_entry, member, own, layout, content), found[path])
    return list(entries.values())


def _files(root: Path) -> tuple[Path, dict[Path, str]]:
    """The folder above all files, and the files, with the reason why one cannot be opened."""
    if os.path.exists(root) or not glob.has_magic(str(root)):
        root = checked_root(root, "event")
        return root, dict(without_ours(files_below(root)) if root.is_dir() else files_below(root))
    fixed = next(folder for folder in root.parents if not glob.has_magic(str(folder)))
    paths = sorted({*_matches(fixed, root.parts[len(fixed.parts) :])})
    return fixed, dict(without_ours(Found(path, fault_of(path)) for path in paths if not path.is_dir()))


def _matches(folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
    """What the parts of a pattern find in a folder. As glob does it, but ``**`` goes through no link, which may lead back."""
    if "**" not in pattern:
        yield from (folder / name for name in glob.glob(os.path.join(*pattern), root_dir=folder))
        return
    at = pattern.index("**")
    for top in _matches(folder, pattern[:at]) if at else [folder]:
        for below, folders, names in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if pattern[at + 1 :]:
                yield from _matches(Path(below), pattern[at + 1 :])
            else:
                yield from (Path(below) / name for name in names if not name.startswith("."))


def _recordings(path: Path, error: str) -> list[RecordingPath]:
    """The recordings of a file; the file itself, if it cannot be read, which loading it says again."""
    try:
        return [RecordingPath(str(path))] if error else members_of(RecordingPath(str(path)))
    except InputError:
        return [RecordingPath(str(path))]


def _entry(where: RecordingPath, name: str, layout: Layout, content: Callable[[Path], str]) -> Entry:
    """One recording; content: gives the fingerprint of a file."""
    path, source = Path(where.file), str(where)
    labels, whole = labels_of(path), content(path)
    if labels is not None:
        whole = combined(whole, fingerprint(labels))
    beside = None if labels is None else str(labels)
    whole_at_once = partial(load, source, name, labels=beside, layout=layout)
    return Entry(name, path, whole, whole_at_once, partial(long, source, labels=beside, layout=layout))


def long(path: str, lenient: bool, labels: str | None = None, layout: Layout = AS_USUAL) -> LongEvents:
    """The same for a file too long for memory."""
    events = iter_events(path, lenient=lenient, layout=layout)
    if labels is not None:
        events.labels = read_labels(labels)
    return events


def load(path: str, name: str, lenient: bool, labels: str | None = None, layout: Layout = AS_USUAL) -> Recording:
    """Read one file, under the name its dataset gave it, with its labels."""
    known = None if labels is None else read_labels(labels)
    return replace(read(path, labels=known, lenient=lenient, layout=layout), name=name)


DATASET = Dataset(entries, labelled=False, layouts=True)
