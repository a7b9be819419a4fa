"""Format `mine` of another package: a line that says MINE, then t (µs), x, y, p as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeseg.data.readers import Raw, Reader
from spikeseg.errors import InputError


def read_mine(path: Path) -> Raw:
    """Unchecked columns of a file, of a sensor of 64 x 48. Raises InputError where something is no number."""
    try:
        t, x, y, p = np.loadtxt(path, skiprows=1, ndmin=2).T
    except ValueError as error:
        raise InputError(f"{path}: is damaged ({error})") from error
    return Raw(t, x, y, p, sensor_size=(64, 48))


READER = Reader("events of mine", read=read_mine, signatures=(b"MINE",), suffixes=(".mine",))
