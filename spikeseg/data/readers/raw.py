"""The output of a reader: columns as the file holds them, not yet checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

BLOCK_EVENTS = 2**20
"""Events in a part of a recording that is read part by part, about."""


@dataclass(frozen=True)
class Raw:
    """Unchecked columns of one recording.

    Attributes:
        t, x, y, p: one-dimensional arrays of any real dtype; t in µs, x and y 0-based pixels.
        sensor_size: (width, height) if the file or its format gives it, else None.
        labels: columns t (µs), x, y (0-based pixels), id; None when the file is not labelled.
        sensor: "DAVIS", "ATIS" or "".
        left_out: what the reader left out of the file, as reason -> count.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    sensor_size: tuple[int, int] | None = None
    labels: Mapping[str, np.ndarray] | None = None
    sensor: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def columns(self) -> Columns:
        """t, x, y, p."""
        return Columns(self.t, self.x, self.y, self.p)

    def stream(self) -> Stream:
        """The same, as one part."""
        return Stream(iter([self.columns]), self.sensor_size, self.labels, self.sensor, dict(self.left_out))


class Columns(NamedTuple):
    """Unchecked events, one after the other: t, x, y, p as `Raw` holds them."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class Stream:
    """Unchecked events of a recording of any length, read part by part.

    Attributes:
        parts: goes through the file once; raises InputError where it is damaged. A part holds about BLOCK_EVENTS events or
            fewer; columns keep their dtypes from part to part.
        sensor_size, labels, sensor: see `Raw`.
        left_out: see `Raw`; it is complete when the last part has been taken.
    """

    parts: Iterator[Columns]
    sensor_size: tuple[int, int] | None = None
    labels: Mapping[str, np.ndarray] | None = None
    sensor: str = ""
    left_out: dict[str, int] = field(default_factory=dict)

    def whole(self) -> Raw:
        """All of it at once."""
        parts = list(self.parts) or [Columns(*(np.zeros(0, np.int64) for _ in range(4)))]
        t, x, y, p = parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts, strict=True))
        return Raw(t, x, y, p, self.sensor_size, self.labels, self.sensor, self.left_out)


def count_left_out(left_out: dict[str, int], reason: str, count: int) -> None:
    """Add to what a reader left out, if there is anything to add."""
    if count:
        left_out[reason] = left_out.get(reason, 0) + count


FIELD_ALIASES: dict[str, tuple[str, ...]] = {
    "t": ("t", "ts", "time", "timestamp", "timestamps", "t_us"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "pol", "polarity", "polarities", "on"),
}
"""Names under which files of named columns (npz, npy, csv) hold t, x, y and p; case does not matter."""


def find_fields(names: list[str]) -> dict[str, str] | None:
    """Field -> the name in ``names`` that holds it, or None when one of the four is missing."""
    fields = known_fields(names)
    return fields if len(fields) == len(FIELD_ALIASES) else None


def known_fields(names: list[str]) -> dict[str, str]:
    """Field -> the name in ``names`` that holds it, of those of t, x, y and p that are there."""
    by_lower = {name.strip().lower(): name for name in names}
    found = {
        field: next((by_lower[alias] for alias in aliases if alias in by_lower), None) for field, aliases in FIELD_ALIASES.items()
    }
    return {field: name for field, name in found.items() if name is not None}
