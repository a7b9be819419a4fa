"""Recordings of any readable format in a folder or matching a pattern, with the labels that lie beside them."""

from __future__ import annotations

import glob
from dataclasses import replace
from functools import partial
from pathlib import Path

from spikeseg.core.names import MANIFEST_BESIDE
from spikeseg.data.long import LongEvents, iter_events
from spikeseg.data.readers import AS_USUAL, Layout, read
from spikeseg.data.readers.labels import SUFFIX, labels_of, read_labels
from spikeseg.data.readers.recording_path import BAG_METADATA, recording_path
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import Entry, checked_root, combined, files_below, fingerprint, unique_names

BESIDE = (SUFFIX, MANIFEST_BESIDE.format(""), BAG_METADATA, "-wal", "-shm", "-journal")
"""How names end of files that belong to others: labels, our manifests, metadata of ROS 2's bags, what SQLite has open."""


def entries(root: str | Path, *, sensor: str = "all", layout: Layout = AS_USUAL) -> list[Entry]:
    """Every file below ``root`` (or root itself), or that a pattern finds, such as ``~/nights/**/*.raw``; sorted by path, without
    hidden ones and what lies BESIDE recordings. Or the one recording that root names, as ``FILE.mcap::TOPIC``.

    Whether a file is a recording shows when it is loaded: one that is not raises InputError then, for the
    caller to count and report. Raises InputError if there is no such folder, it holds no file, or ``sensor``
    is not "all": only EBSSA's recordings know their sensor.
    """
    if sensor != "all":
        raise InputError(f"data.sensor: {sensor!r} with dataset files; only all is possible here")
    named = recording_path(Path(root).expanduser())
    if named.member:
        return [_entry(Path(named.file), named.name, layout, str(named))]
    top, paths = _files(Path(root).expanduser())
    paths = [path for path in paths if not path.name.endswith(BESIDE)]
    if not paths:
        raise InputError(f"{root}: holds no files; check data.data_root")
    names = unique_names(top, paths)
    return [_entry(path, names[path], layout) for path in paths]


def _files(root: Path) -> tuple[Path, list[Path]]:
    """The folder above all files, and the files."""
    if root.exists() or not glob.has_magic(str(root)):
        root = checked_root(root, "event")
        return root, list(files_below(root))
    fixed = next(folder for folder in root.parents if not glob.has_magic(str(folder)))
    paths = (Path(name) for name in sorted(glob.glob(str(root), recursive=True)))
    return fixed, [path for path in paths if path.is_file()]


def _entry(path: Path, name: str, layout: Layout, source: str = "") -> Entry:
    """One recording of a file; ``source`` names which, if the file holds several."""
    labels = labels_of(path)
    whole = fingerprint(path) if labels is None else combined(fingerprint(path), fingerprint(labels))
    source = source or str(path)
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
