"""What a person said of the objects of a recording: right, wrong or unsure; as a file, and found again in another result.

Objects are numbered anew in every result, so a mark goes with the way of its object, not with its number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from spikeseg.core.kinds import kind_of
from spikeseg.core.regular import require_content
from spikeseg.data.datasets.folders import REVIEW
from spikeseg.errors import InputError

VERSION = 1
EXPECTED = f"expected the file <recording>{REVIEW} that a page of --view saves"
MARKS = ("right", "wrong", "unsure")
CLOSE_PX = 4.0
"""Median distance up to which two ways are the same, px; of a larger object half of its larger side."""
SHARED = 0.5
"""Share of the shorter life that the two have in common, at least."""


@dataclass(frozen=True, eq=False)
class Mark:
    """What a person said of one object.

    Attributes:
        object_id: its number in the result that was looked at.
        mark: one of MARKS.
        t_us: (n,) times of its positions, rising, µs; n > 0.
        x: (n,) px.
        y: (n,) px.
    """

    object_id: int
    mark: str
    t_us: np.ndarray
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Review:
    """The marks of one recording."""

    recording: str
    marks: Sequence[Mark]


def read_review(path: Path) -> Review:
    """A review that the page of a recording wrote.

    Raises InputError, naming the field: no such file, no review, one of another version, values that do not hold."""
    require_content(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what = f"it is {kind_of(path)}; {EXPECTED}; {error}"
        raise InputError(f"{path}: cannot be read as a review ({what})") from None
    if not isinstance(content, dict) or not {"version", "recording", "marks"} <= content.keys():
        raise InputError(f"{path}: is no review; {EXPECTED}")
    if content["version"] != VERSION:
        raise InputError(f"{path}: version: found {content['version']!r}, can read {VERSION}")
    if not isinstance(content["recording"], str) or not isinstance(content["marks"], list):
        raise InputError(f"{path}: recording must be a name, marks a list")
    return Review(content["recording"], [_mark(f"{path}: marks[{k}]", entry) for k, entry in enumerate(content["marks"])])


def _mark(source: str, entry: Any) -> Mark:
    names = ("object_id", "mark", "t_us", "x", "y")
    if not isinstance(entry, dict) or not set(names) <= entry.keys():
        raise InputError(f"{source}: must have {', '.join(names)}")
    if entry["mark"] not in MARKS:
        raise InputError(f"{source}.mark: found {entry['mark']!r}, must be one of {', '.join(MARKS)}")
    if type(entry["object_id"]) is not int or not 0 < entry["object_id"] < 2**31:
        raise InputError(f"{source}.object_id: found {entry['object_id']!r}, must be a whole number from 1")
    columns = []
    for name in names[2:]:
        values = entry[name]
        if not isinstance(values, list) or not all(type(v) in (int, float) and abs(v) < 2**62 for v in values):
            raise InputError(f"{source}.{name}: must be a list of finite numbers")
        columns.append(np.array(values, np.int64 if name == "t_us" else np.float64))
    t_us, x, y = columns
    if not len(t_us) == len(x) == len(y) > 0 or np.any(np.diff(t_us) <= 0):
        raise InputError(f"{source}: t_us, x and y must be equally many, at least one, and t_us must rise")
    return Mark(entry["object_id"], entry["mark"], t_us, x, y)


def matched(marks: Sequence[Mark], tracks: Mapping[int, np.ndarray]) -> tuple[dict[int, Mark], list[Mark]]:
    """The marks of a review that belong to objects of a result: those that went the same way at the same time, each at most one,
    the closest ones first where several could.

    Args:
        marks: of the review.
        tracks: object_id -> its rows of TRACK_COLUMNS.

    Returns:
        object_id -> its mark, and the marks of what is no object of the result.
    """
    ids = list(tracks)
    distances = np.array([[_distance(mark, tracks[number]) for number in ids] for mark in marks]).reshape(len(marks), len(ids))
    far = 1.0 + len(marks)  # more than all close ones together, so that as many as possible are matched
    rows, columns = linear_sum_assignment(np.where(distances <= 1, distances, far))
    found = {int(row): ids[column] for row, column in zip(rows, columns, strict=True) if distances[row, column] <= 1}
    return {number: marks[row] for row, number in found.items()}, [mark for k, mark in enumerate(marks) if k not in found]


def _distance(mark: Mark, rows: np.ndarray) -> float:
    """The median distance of two ways, in that up to which they are the same; infinite where they share too little time."""
    first, last = max(mark.t_us[0], rows["t_us"][0]), min(mark.t_us[-1], rows["t_us"][-1])
    lives = min(mark.t_us[-1] - mark.t_us[0], rows["t_us"][-1] - rows["t_us"][0])
    if first > last or last - first < SHARED * lives:
        return np.inf
    t = np.union1d(mark.t_us, rows["t_us"])
    t = t[(t >= first) & (t <= last)]
    dx, dy = (np.interp(t, rows["t_us"], rows[axis]) - np.interp(t, mark.t_us, getattr(mark, axis)) for axis in ("x", "y"))
    close = max(CLOSE_PX, 0.5 * float(np.median(np.maximum(rows["width"], rows["height"]))))
    return float(np.median(np.hypot(dx, dy))) / close
