"""OrbitSight: objects in orbit seen by DAVIS346, DVXplorer and EVK4, events labelled one by one and boxes per 40 ms.

``NAME_labeled_events.npy`` holds rows x, y, p, t (µs), label (0: none, else an object's) and perhaps more; beside it lies
``NAME_bb_windows_40ms.txt`` (`spikeseg.data.boxes`). Folders Training_sets and Testing_sets are the parts of its split. The
middle of a box is a label point at the middle of its window; the label of an event is its truth.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from spikeseg.core.regular import require_content
from spikeseg.data.boxes import label_points, read_boxes
from spikeseg.data.recording import SOURCE_NOISE, SOURCE_OBJECT, TRUTH_DTYPE, Recording, checked
from spikeseg.data.sensors import SENSOR_SIZES, fitting_sensor
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import Entry, checked_root, combined, entry_or_fault, fingerprint, unique_names
from .folders import files_below

EVENTS, BOXES = "_labeled_events.npy", "_bb_windows_40ms.txt"
"""How names of files end."""
PARTS = {"Training_sets": "train", "Testing_sets": "test"}
"""Folders of the parts."""
SENSORS = {"DAVIS": "DAVIS346", "DVX": "Gen3", "EVK4": "Gen4"}
"""What names of recordings hold -> sensor of that size."""


def entries(root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """Every recording below ``root``, sorted by path; names as their files, without the ending.

    Raises InputError if there is no such folder, it holds no such file, or ``sensor`` is not "all".
    """
    if sensor != "all":
        raise InputError(f"data.sensor: {sensor!r} with dataset orbitsight; only all is possible here")
    root = checked_root(root, "OrbitSight")
    found = {path: error for path, error in files_below(root) if path.name.endswith(EVENTS) or (error and path.is_dir())}
    if not found:
        raise InputError(f"{root}: no files *{EVENTS}; set data.data_root to OrbitSight's folder (Training_sets, Testing_sets)")
    stems = {path: path.with_name(path.name.removesuffix(EVENTS)) for path in found}
    names = unique_names(root, stems.values())
    return [
        entry_or_fault(names[stems[path]], path, partial(_entry, path, names[stems[path]]), error)
        for path, error in found.items()
    ]


def boxes_beside(events: Path) -> Path:
    """The file of boxes of a file of events."""
    return events.with_name(events.name.removesuffix(EVENTS) + BOXES)


def _entry(path: Path, name: str) -> Entry:
    part = next((PARTS[folder] for folder in reversed(path.parts) if folder in PARTS), "")
    boxes = boxes_beside(path)
    whole = combined(fingerprint(path), fingerprint(boxes) if boxes.is_file() else "")
    return Entry(name, path, whole, partial(load, path, name), part=part)


def load(path: Path, name: str, lenient: bool) -> Recording:
    """One recording, with its boxes as labels, where they are there, and its labels of events as truth.

    Raises InputError: no such array, or it does not pass the checks."""
    require_content(path)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an array ({' '.join(str(error).split())}); get the file again") from error
    if rows.ndim != 2 or rows.shape[1] < 5 or rows.dtype.kind not in "uif":
        raise InputError(f"{path}: {rows.shape} of {rows.dtype}; expected rows x, y, p, t, label")
    columns = {field: np.ascontiguousarray(rows[:, at]) for field, at in (("x", 0), ("y", 1), ("p", 2), ("t", 3))}
    truth = np.zeros(len(rows), TRUTH_DTYPE)
    labelled = np.asarray(rows[:, 4])
    truth["source"] = np.where(labelled > 0, SOURCE_OBJECT, SOURCE_NOISE)
    truth["object_id"] = np.maximum(labelled, 0)
    known = next((own for word, own in SENSORS.items() if word in name.upper()), "")
    size = SENSOR_SIZES[known or fitting_sensor(str(path), columns["x"], columns["y"])]
    boxes = boxes_beside(path)
    labels = label_points(read_boxes(boxes)) if boxes.is_file() else None
    return checked(name, str(path), columns, size, labels, truth=truth, lenient=lenient)


DATASET = Dataset(entries, own_split=True)
