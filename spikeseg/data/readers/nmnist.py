"""Binary events of N-MNIST and N-Caltech101 (Orchard et al. 2015, Frontiers in Neuroscience 9:437), 40 bits each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeseg.data.sensors import FIT_SHARE, SENSOR_SIZES
from spikeseg.errors import InputError

from .raw import Raw
from .reader import Reader

EVENT_BYTES = 5
OVERFLOW_Y = 240
"""An event with this y is no event: it says that the clock has moved on by OVERFLOW_US."""
OVERFLOW_US = 2**13


def read_nmnist(path: str | Path) -> Raw:
    """x (8 bits), y (8), polarity (1), t in µs (23), big-endian.

    The sensor is N-MNIST's, 34 x 34, if that holds FIT_SHARE of the events; else, as in N-Caltech101, whose images differ in
    size, as large as the largest coordinates say.

    The meaning is tonic.io.read_mnist_file's; t stays as in the file. The format has no signature, so the
    checks have to notice a file of another kind. Raises InputError if the size is no multiple of 5 bytes.
    """
    path = Path(path)
    size = path.stat().st_size
    if size % EVENT_BYTES:
        raise InputError(f"{path}: {size} bytes is no whole number of {EVENT_BYTES}-byte events of N-MNIST; truncated?")
    data = np.fromfile(path, np.uint8).reshape(-1, EVENT_BYTES).astype(np.int64)
    x, y, high = data[:, 0], data[:, 1], data[:, 2]
    overflow = y == OVERFLOW_Y
    t = ((high & 127) << 16 | data[:, 3] << 8 | data[:, 4]) + OVERFLOW_US * np.cumsum(overflow)
    real = ~overflow
    x, y = x[real], y[real]
    sensor = SENSOR_SIZES["N-MNIST"]
    if ((x < sensor[0]) & (y < sensor[1])).sum() < FIT_SHARE * len(x):
        sensor = (int(x.max()) + 1, int(y.max()) + 1)
    return Raw(t[real], x, y, (high >> 7)[real], sensor)


READER = Reader("N-MNIST and N-Caltech101 .bin", read=read_nmnist, suffixes=(".bin",))
