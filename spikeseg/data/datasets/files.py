"""Any recordings in a folder, of any format that can be read."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from spikeseg.data.datasets.entry import Entry, checked_root, files_below, fingerprint, unique_names
from spikeseg.data.readers import read
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError


def entries(root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """Every file below ``root`` (or root itself), sorted by path, except hidden ones.

    Whether a file is a recording shows when it is loaded: one that is not raises InputError then, for the
    caller to count and report. Raises InputError if there is no such folder, it holds no file, or ``sensor``
    is not "all": only EBSSA's recordings know their sensor.
    """
    if sensor != "all":
        raise InputError(f"data.sensor: {sensor!r} with dataset files; only all is possible here")
    root = checked_root(root, "event")
    paths = list(files_below(root))
    if not paths:
        raise InputError(f"{root}: holds no files; check data.data_root")
    names = unique_names(root, paths)
    return [
        Entry(names[path], path, fingerprint(path), partial(load, str(path), names[path])) for path in paths
    ]


def load(path: str, name: str, lenient: bool) -> Recording:
    """Read one file, under the name its dataset gave it."""
    return replace(read(path, lenient=lenient), name=name)
