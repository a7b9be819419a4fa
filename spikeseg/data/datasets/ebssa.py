"""EBSSA, event recordings of the night sky, and simulated ones in its formats.

Afshar et al. 2020, IEEE Sensors Journal 20(24):15117 (arXiv 1911.08730). Either ``labelled_ebssa.h5`` below
the root, opened by tonic.datasets.EBSSA, or every .mat below it. Of tonic only the opening and the list of
recordings are used: its events begin at 0, wrap where x is 0, and have their polarity cast to bool (which
turns -1 and 2 into ON); its labels are boxes. Here events, labels and truth keep the file's clock, and labels
are points.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from spikeseg.core.digests import sha256_of
from spikeseg.core.regular import require_content
from spikeseg.data.readers import Raw, read_raw
from spikeseg.data.readers.hdf5 import opened
from spikeseg.data.readers.numpy_files import read_npz_arrays
from spikeseg.data.readers.recording_path import RecordingPath, distinct_names
from spikeseg.data.recording import TRUTH_DTYPE, Recording, checked
from spikeseg.data.sensors import EBSSA_SIZES, named_sensor
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import Entry, checked_root, checked_sensor, combined, entry_or_fault, fingerprint, unique_names
from .folders import files_below
from .manifests import Truths

H5_NAME = "labelled_ebssa.h5"
PUBLISHED_BYTES, PUBLISHED_SHA256 = 12_106_528_328, "50a54035"
"""Size of the published labelled_ebssa.h5, and how its SHA-256 begins."""
MATLAB_INTERNAL = "#"
"""#refs# and #subsystem# of MATLAB v7.3 are no recordings."""


def entries(root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """The recordings below ``root``, sorted by name; nothing is downloaded.

    Args:
        root: a folder, or the .h5 or .mat file itself.
        sensor: "all", "ATIS" or "DAVIS": by the names of recordings and folders, or else by the coordinates.

    Raises InputError if there is no such folder, it holds neither labelled_ebssa.h5 nor .mat files, or none
    of the sensor.
    """
    sensor = checked_sensor(sensor)
    root = checked_root(root, "EBSSA")
    files = dict(files_below(root))
    archives = [path for path in files if path.name == H5_NAME or (path == root and path.suffix == ".h5")]
    mats = {path: error for path, error in files.items() if path.suffix.lower() == ".mat" or (error and path.is_dir())}
    if len(archives) > 1:
        raise InputError(f"{root}: holds {len(archives)} files {H5_NAME}; set data.data_root to one of them")
    ignored = sum(not path.is_dir() for path in mats)
    if archives and ignored:
        warnings.warn(
            f"{root}: holds {H5_NAME} and {ignored} .mat files; the .mat files are ignored",
            stacklevel=2,
        )
    with_sensor = _archive_entries(archives[0]) if archives else _mat_entries(root, mats)
    if not with_sensor:
        raise InputError(f"{root}: no recordings: expected {H5_NAME} or .mat files below it; check data.data_root")
    if sensor != "all":
        with_sensor = [(entry, its or _sensor_of(entry)) for entry, its in with_sensor]
        total = len(with_sensor)
        with_sensor = [(entry, its) for entry, its in with_sensor if its == sensor]
        if not with_sensor:
            raise InputError(f"{root}: none of {total} recordings is from {sensor}; set data.sensor to all")
    return sorted((entry for entry, _ in with_sensor), key=lambda entry: entry.name)


def identified(entries: Iterable[Entry]) -> dict[str, str]:
    """Each HDF5 file of some entries, by path: whether it is the published labelled_ebssa.h5, by its size and SHA-256.

    Raises InputError if it cannot be read."""
    return {str(path): _identity(path) for path in sorted({entry.path for entry in entries}) if path.suffix == ".h5"}


def _identity(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size != PUBLISHED_BYTES:
            return f"{size:,} bytes: not the published {H5_NAME}, which has {PUBLISHED_BYTES:,}"
        digest = sha256_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if digest.startswith(PUBLISHED_SHA256):
        return f"the published {H5_NAME} (SHA-256 {digest})"
    wrong = f"its SHA-256 {digest} should begin with {PUBLISHED_SHA256}"
    return f"as large as the published {H5_NAME}, but {wrong}: damaged, get it again"


def load(where: str, name: str, sensor: str, truth: Path | None, lenient: bool) -> Recording:
    """Read one recording (``FILE.mat`` or ``FILE.h5::NAME``) and, if there is one, the truth beside it."""
    raw = read_raw(where, sensor)
    return checked(
        name,
        where,
        raw.columns._asdict(),
        raw.sensor_size or EBSSA_SIZES[raw.sensor],
        raw.labels,
        sensor=raw.sensor,
        truth=None if truth is None else read_truth(truth, raw),
        lenient=lenient,
    )


def read_truth(path: Path, raw: Raw) -> np.ndarray:
    """The per-event truth of a simulated recording, TRUTH_DTYPE (N,).

    Raises InputError if its events (t, x, y, p) are not those of the recording, event for event.
    """
    columns = read_npz_arrays(path, ("t", "x", "y", "p", "source", "object_id"))
    same = all(np.array_equal(columns[field], getattr(raw, field)) for field in "txyp")
    if not same or columns["source"].shape != columns["t"].shape != columns["object_id"].shape:
        raise InputError(f"{path}: events differ from those of the recording beside it; simulate again or remove it")
    truth = np.empty(len(columns["t"]), TRUTH_DTYPE)
    truth["source"], truth["object_id"] = columns["source"], columns["object_id"]
    return truth


def _archive_entries(path: Path) -> list[tuple[Entry, str]]:
    """An entry, and its sensor if the name tells, per recording of the .h5."""
    from tonic.datasets import EBSSA

    class Archive(EBSSA):
        """tonic's dataset, at the path given rather than at <save_to>/EBSSA; never downloads."""

        file_name = path.name

        def _check_exists(self) -> bool:
            self.location_on_system = str(path.parent)
            return True

    require_content(path)
    with opened(path):
        names = [name for name in Archive(str(path.parent)).keys if not name.startswith(MATLAB_INTERNAL)]
    whole, truths, with_sensor = fingerprint(path), Truths(), []
    for own, name in zip(names, distinct_names([RecordingPath(str(path), name) for name in names]), strict=True):
        sensor = named_sensor(own)
        make = partial(_entry, RecordingPath(str(path), own), name, sensor, (whole, own), truths)
        with_sensor.append((entry_or_fault(name, path, make), sensor))
    return with_sensor


def _mat_entries(root: Path, paths: Mapping[Path, str]) -> list[tuple[Entry, str]]:
    """An entry, and its sensor if the path below root tells, per .mat file, or what stands in its place."""
    names, truths, with_sensor = unique_names(root, paths), Truths(), []
    for path, name in names.items():
        sensor = named_sensor(str(path.relative_to(root)) if path != root else name)
        make = partial(_entry, RecordingPath(str(path)), name, sensor, (), truths)
        with_sensor.append((entry_or_fault(name, path, make, paths[path]), sensor))
    return with_sensor


def _entry(where: RecordingPath, name: str, sensor: str, own: tuple[str, ...], truths: Truths) -> Entry:
    """One recording; own: its fingerprint, of several in a file."""
    path = Path(where.file)
    truth = truths.of(path, where.member or path.stem)
    task = partial(load, str(where), name, sensor, truth)
    return Entry(name, path, combined(*(own or (fingerprint(path),)), _fingerprint_of(truth)), task)


def _fingerprint_of(truth: Path | None) -> str:
    return fingerprint(truth) if truth is not None else ""


def _sensor_of(entry: Entry) -> str:
    """The sensor of a recording whose name does not tell; an unreadable one counts as neither."""
    try:
        return entry.load(True).sensor
    except InputError:
        return ""


DATASET = Dataset(entries, identified=identified)
SYNTHETIC = Dataset(entries)
"""What `simulate` writes, which is EBSSA's format with the truth beside it."""
