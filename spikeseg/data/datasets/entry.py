"""An entry of a dataset: where a recording lies, what its file's fingerprint is, how it is loaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spikeseg.core.digests import sha256_of
from spikeseg.core.regular import require_regular
from spikeseg.data.long import LongEvents
from spikeseg.data.readers.recording_path import usable_name
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError

SENSORS = ("all", "ATIS", "DAVIS")


@dataclass(frozen=True)
class Entry:
    """One recording of a dataset, not yet read.

    Attributes:
        name: unique within the dataset, usable as a file name.
        path: the file; several entries may share it.
        fingerprint: hexadecimal, of everything that load reads.
        load: ``load(lenient)`` reads and checks the recording; raises InputError. Can be pickled.
        long: ``long(lenient)`` does so part by part, for recordings too long for memory; None where it cannot be done.
        class_name: what the dataset says it shows; "" where it says nothing.
        part: "train", "val" or "test", where the dataset has a split of its own; else "".
    """

    name: str
    path: Path
    fingerprint: str
    load: Callable[[bool], Recording]
    long: Callable[[bool], LongEvents] | None = None
    class_name: str = ""
    part: str = ""


def entry_or_fault(name: str, path: Path, make: Callable[[], Entry], error: str = "") -> Entry:
    """An entry; of what cannot be read, one whose load raises the reason, so that it costs no other.

    Args:
        name: of the entry.
        path: of the entry.
        make: gives it; raises InputError where something that it reads cannot be.
        error: what is known to stand in the way already, without the path.
    """
    if not error:
        try:
            return make()
        except InputError as why:
            error = str(why).removeprefix(f"{path}: ")
    return Entry(name, path, combined("cannot be read", error), partial(_refuse, f"{path}: {error}"))


def _refuse(message: str, lenient: bool) -> Recording:
    del lenient
    raise InputError(message)


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a file's content, taken again when the file has changed (see `digests`). InputError if it cannot be read."""
    require_regular(path)
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def combined(*parts: str) -> str:
    """One fingerprint of several."""
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()


def checked_root(root: str | Path, dataset: str) -> Path:
    """The root as a Path. Raises InputError if there is no such folder or file."""
    path = Path(root).expanduser()
    if not os.path.lexists(path):
        raise InputError(f"{path}: not found; set data.data_root (--data-root) to the folder of {dataset} recordings")
    if not path.is_dir():
        require_regular(path)
    return path


def checked_sensor(sensor: str) -> str:
    """The sensor, one of SENSORS. Raises InputError otherwise."""
    if sensor not in SENSORS:
        raise InputError(f"data.sensor: {sensor!r}; allowed: {', '.join(SENSORS)}")
    return sensor


def unique_names(root: Path, paths: Iterable[Path], full: bool = False) -> dict[Path, str]:
    """A name per path: its stem where all differ, else its path below root ("_" for "/"), else with suffix; see `usable_name`.

    ``full``: begin with the path below root. Paths that share a name even then get a number.
    """
    paths = list(paths)
    below = {path: path.relative_to(root) if path != root else Path(path.name) for path in paths}
    forms: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: "_".join(below[path].with_suffix("").parts),
        lambda path: "_".join(below[path].parts),
    ]
    names: dict[Path, str] = {}
    for form in forms[1:] if full else forms:
        names = {path: usable_name(form(path)) for path in paths}
        if len(set(names.values())) == len(paths):
            return names
    taken: set[str] = set()
    for path, name in names.items():
        names[path] = unused(name, taken)
        taken.add(names[path])
    return names


def unused(name: str, taken: Container[str]) -> str:
    """The name, with a number where it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
