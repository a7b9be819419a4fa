"""Boxes per window of time, as OrbitSight's text files hold them (``*_bb_windows_40ms.txt``).

Tab-separated, with a header: window_start_timestamp_us, window_end_timestamp_us, center_x, center_y, width, height and, of
predictions, confidence. Whole µs and px; a box of width w covers w pixels, centred.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from spikeseg.core.files import atomic_write
from spikeseg.core.regular import require_content
from spikeseg.errors import InputError

BOX_DTYPE = np.dtype(
    [("start", "<i8"), ("end", "<i8"), ("x", "<f8"), ("y", "<f8"), ("width", "<f8"), ("height", "<f8"), ("confidence", "<f8")]
)
"""A box: its window from start to end, µs, its centre and size, px, and how sure it is, 1 where nobody says."""
COLUMNS = dict(
    zip(
        BOX_DTYPE.names or (),
        ("window_start_timestamp_us", "window_end_timestamp_us", "center_x", "center_y", "width", "height", "confidence"),
        strict=True,
    )
)
"""Field -> its name in the file."""
LINK_PX, LINK_WINDOWS = 40.0, 3
"""A box belongs to the object of the nearest earlier one that is at most so far away, at most so many windows ago."""


def read_boxes(path: str | Path) -> np.ndarray:
    """The boxes of a file: BOX_DTYPE (n,), sorted by window. Raises InputError, naming the line, where it is no such file."""
    require_content(path)
    try:
        rows = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as boxes ({error})") from error
    head = [name.strip() for name in rows[0]] if rows else []
    at = {field: head.index(name) for field, name in COLUMNS.items() if name in head}
    if missing := [name for field, name in COLUMNS.items() if field not in at and field != "confidence"]:
        raise InputError(f"{path}: boxes have no column {missing[0]}; the first line names {', '.join(COLUMNS.values())}")
    boxes = np.ones(len(rows) - 1, BOX_DTYPE)
    for number, row in enumerate(rows[1:], 2):
        try:
            for field, column in at.items():
                boxes[field][number - 2] = float(row[column])
        except (ValueError, OverflowError, IndexError) as error:
            raise InputError(f"{path}: line {number}: {error}; expected {len(head)} numbers") from error
    values = np.stack([boxes[field] for field in ("width", "height")])
    if not all(np.isfinite(boxes[field]).all() for field in at) or (values <= 0).any() or (boxes["end"] <= boxes["start"]).any():
        raise InputError(f"{path}: boxes and windows must be finite and larger than 0")
    return boxes[np.argsort(boxes["start"], kind="stable")]


def write_boxes(path: str | Path, boxes: np.ndarray) -> None:
    """Write boxes BOX_DTYPE (n,) as such a file, whole px. Raises InputError where it cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS.values())
    for *whole, confidence in boxes.tolist():
        writer.writerow([*(round(value) for value in whole), f"{confidence:.6f}"])
    atomic_write(Path(path), text.getvalue())


def label_points(boxes: np.ndarray) -> dict[str, np.ndarray]:
    """The middles of boxes as columns t, x, y, id of label points; boxes that follow each other closely are one object's."""
    ids = np.zeros(len(boxes), np.int64)
    last: dict[int, tuple[int, float, float]] = {}
    for start in np.unique(boxes["start"]).tolist():
        free = dict(last)
        for row in np.flatnonzero(boxes["start"] == start).tolist():
            x, y, reach = boxes["x"][row], boxes["y"][row], LINK_WINDOWS * (boxes["end"][row] - boxes["start"][row])
            near = {own: np.hypot(x - was_x, y - was_y) for own, (then, was_x, was_y) in free.items() if start - then <= reach}
            own = min(near, key=lambda name: near[name], default=-1)
            if own < 0 or near[own] > LINK_PX:
                own = len(last) + 1
            free.pop(own, None)
            last[own], ids[row] = (start, x, y), own
    middle = (boxes["start"] + boxes["end"]) / 2
    return {"t": np.rint(middle), "x": boxes["x"], "y": boxes["y"], "id": ids}
