"""What a reader hands over: columns as the file holds them, not yet checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Raw:
    """Unchecked columns of one recording.

    Attributes:
        t, x, y, p: one-dimensional arrays of any real dtype; t in µs, x and y 0-based pixels.
        sensor_size: (width, height) if the file or its format says, else None.
        labels: columns t (µs), x, y (0-based pixels), id; None when the file is not labelled.
        sensor: "DAVIS", "ATIS" or "".
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    sensor_size: tuple[int, int] | None = None
    labels: Mapping[str, np.ndarray] | None = None
    sensor: str = ""


FIELD_ALIASES: dict[str, tuple[str, ...]] = {
    "t": ("t", "ts", "time", "timestamp", "timestamps", "t_us"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "pol", "polarity", "polarities", "on"),
}
"""Names under which files of named columns (npz, npy, csv) hold t, x, y and p; case does not matter."""


def find_fields(names: list[str]) -> dict[str, str] | None:
    """Field -> the name in ``names`` that holds it, or None when one of the four is missing."""
    by_lower = {name.strip().lower(): name for name in names}
    found = {}
    for field, aliases in FIELD_ALIASES.items():
        name = next((by_lower[alias] for alias in aliases if alias in by_lower), None)
        if name is None:
            return None
        found[field] = name
    return found
