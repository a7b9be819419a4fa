"""The Recording: checked events, their sensor and, where known, their labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
"""One event: t in µs, x and y in pixels (0-based, origin top left), p True for ON."""

LABEL_DTYPE = np.dtype([("t", "<i8"), ("x", "<f8"), ("y", "<f8"), ("id", "<i4")])
"""One label point: the position (0-based pixels) of object ``id`` at time t (µs)."""

TRUTH_DTYPE = np.dtype([("source", "<i1"), ("object_id", "<i4")])
"""Per-event truth of a simulated recording: what caused the event, and which object (0: none)."""

SOURCE_NOISE, SOURCE_HOT, SOURCE_STAR, SOURCE_OBJECT = 0, 1, 2, 3


@dataclass(frozen=True)
class Recording:
    """Events of one recording, as they passed the checks.

    Attributes:
        events: structured array of EVENT_DTYPE, sorted by t.
        sensor_size: (width, height) in pixels.
        labels: structured array of LABEL_DTYPE, or None when nobody labelled the recording;
            an empty array says that it was labelled and holds no object.
        truth: structured array of TRUTH_DTYPE, one entry per event, or None (simulated data only).
        name: unique within its dataset.
        source: the file it came from.
        sensor: "DAVIS", "ATIS" or "" when unknown.
        dropped: what the checks dropped or mended, as reason -> count.
    """

    events: np.ndarray
    sensor_size: tuple[int, int]
    labels: np.ndarray | None
    name: str
    source: str
    sensor: str = ""
    truth: np.ndarray | None = None
    dropped: dict[str, int] = field(default_factory=dict)
