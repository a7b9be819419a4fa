"""Labels as text, beside a recording of any format."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from spikeseg.core.regular import require_content
from spikeseg.errors import InputError

SUFFIX = ".labels.csv"
"""``walk.aedat4`` is labelled by ``walk.labels.csv``, or, to tell it from ``walk.dat``, by ``walk.aedat4.labels.csv``."""
COLUMNS = {"t": ("t_us", "t"), "x": ("x",), "y": ("y",), "id": ("id", "object_id")}
"""Column of the labels -> the names that it may have in the file."""


def labels_of(path: Path) -> Path | None:
    """The labels beside a recording, None without any; labels that cannot be read are there, too."""
    beside = (path.with_name(path.name + SUFFIX), path.with_name(path.stem + SUFFIX))
    return next((file for file in beside if os.path.lexists(file)), None)


def read_labels(path: str | Path) -> dict[str, np.ndarray]:
    """Label points: columns t (µs), x, y (0-based pixels of the sensor) and id (whole, from 0), float64 (n,) each.

    The first line names the columns, ``t_us,x,y,id``; others are left alone. No further line says that the recording was looked
    at and holds no object.

    Raises InputError, naming the line: columns that are missing, a line of another length, something that is no number.
    """
    require_content(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row and not row[0].startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as labels ({error})") from error
    head = [name.strip().lower() for name in lines[0][1]] if lines else []
    at = {}
    for column, names in COLUMNS.items():
        used = next((name for name in names if name in head), None)
        if used is None:
            raise InputError(f"{path}: labels have no column {names[0]}; the first line must name t_us, x, y, id")
        at[column] = head.index(used)
    table = np.zeros((len(lines) - 1, len(COLUMNS)))
    for k, (number, row) in enumerate(lines[1:]):
        if len(row) != len(head):
            raise InputError(f"{path}: line {number} has {len(row)} columns, the first line has {len(head)}")
        try:
            table[k] = [float(row[column]) for column in at.values()]
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}; expected numbers") from error
    return dict(zip(COLUMNS, table.T, strict=True))
