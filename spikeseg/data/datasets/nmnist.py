"""N-MNIST: handwritten digits on a screen, seen by a moving ATIS (34 x 34).

Orchard et al. 2015, Frontiers in Neuroscience 9:437. The layout of the archives Train.zip and Test.zip: a
folder per digit, a .bin per recording. A digit is no moving object, so recordings carry no labels; the digit
stays in the name.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from spikeseg.data.sensors import SENSOR_SIZES
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import Entry, checked_root, entry_or_fault, fingerprint, unique_names
from .files import load
from .folders import files_below

DIGITS = frozenset("0123456789")
PARTS = {"Train": "train", "Test": "test"}
"""Folders of the two archives."""


def entries(root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """Every .bin in a folder named 0 to 9 below ``root``, sorted by path; names as ``Train_7_00012``.

    Raises InputError if there is no such folder, it holds no such file, or ``sensor`` is not "all".
    """
    if sensor != "all":
        raise InputError(f"data.sensor: {sensor!r} with dataset nmnist; only all is possible here")
    root = checked_root(root, "N-MNIST")
    found = {path: error for path, error in files_below(root) if _is_recording(path) or (error and path.is_dir())}
    if not found:
        raise InputError(f"{root}: no .bin files in folders named 0 to 9; unpack N-MNIST's Train.zip or Test.zip")
    names = unique_names(root, found, full=True)
    read = (entry_or_fault(names[path], path, partial(_entry, path, names[path]), error) for path, error in found.items())
    return [replace(entry, class_name=entry.path.parent.name, part=_part(entry.path)) for entry in read]


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() == ".bin" and path.parent.name in DIGITS


def _entry(path: Path, name: str) -> Entry:
    return Entry(name, path, fingerprint(path), partial(load, str(path), name))


def _part(path: Path) -> str:
    """Which archive a file comes from; "" of none."""
    return next((PARTS[folder] for folder in reversed(path.parts) if folder in PARTS), "")


DATASET = Dataset(
    entries, labelled=False, settings="kheradpisheh2018_nmnist", classes=tuple(sorted(DIGITS)), frame=SENSOR_SIZES["N-MNIST"]
)
