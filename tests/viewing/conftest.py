"""A recording with three objects and a star, as `detect` would have found them."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.detection.readout import Readout
from spikeseg.detection.result import Detections
from spikeseg.detection.schema import DETECTION_COLUMNS, EVENT_COLUMNS, TRACK_COLUMNS, WINDOW_DTYPE, table_dtype
from spikeseg.detection.tables import object_table

WAYS = {1: (2.0, 5.0, 20.0, 0.0), 2: (30.0, 2.0, -10.0, 8.0), 3: (5.0, 25.0, 0.0, -15.0), 4: (35.0, 20.0, 3.0, 0.0)}
"""Of each track x, y at the start, px, and velocity, px/s; 3 is the star."""
OBJECTS = (1, 2, 4)


def found(name="night", start_us=0, seconds=1.0, sensor_size=(40, 30)) -> Detections:
    """Tracks of ten rows each over the recording, and some two hundred events: noise and those of the tracks."""
    times = start_us + np.rint(np.linspace(0.05, 0.95, 10) * seconds * 1e6).astype(np.int64)
    tracks = np.zeros(len(WAYS) * len(times), table_dtype(TRACK_COLUMNS, name))
    tracks["recording"], tracks["track_id"], tracks["t_us"] = name, np.repeat(list(WAYS), len(times)), np.tile(times, len(WAYS))
    for k, (x, y, vx, vy) in enumerate(WAYS.values()):
        part, since = slice(10 * k, 10 * k + 10), (times - start_us) / 1e6 / seconds
        tracks["x"][part], tracks["y"][part] = np.round(x + vx * since, 4), np.round(y + vy * since, 4)
        tracks["vx"][part], tracks["vy"][part] = vx, vy
    tracks["width"], tracks["height"] = 3, 2
    tracks["is_object"] = np.isin(tracks["track_id"], OBJECTS)
    tracks["object_score"] = np.where(tracks["is_object"], 0.9, 0.0)
    rng = np.random.default_rng(5)
    n = 120
    columns = {"t": rng.integers(0, int(seconds * 1e6), n), "x": rng.integers(0, 40, n), "y": rng.integers(0, 30, n)}
    owners = np.concatenate([np.zeros(n, np.int64), tracks["track_id"]])
    parts = {"t": tracks["t_us"] - start_us, "x": np.rint(tracks["x"]), "y": np.rint(tracks["y"])}
    columns = {axis: np.concatenate([columns[axis], parts[axis]]) for axis in columns}
    order = np.argsort(columns["t"], kind="stable")
    events = {key: np.zeros(len(order), column.dtype) for key, column in EVENT_COLUMNS.items()}
    events["t"][:] = columns["t"][order] + start_us
    events["x"][:], events["y"][:] = columns["x"][order], columns["y"][order]
    events["p"][:], events["object_id"][:] = order % 2 == 0, owners[order]
    windows = np.array([(start_us, start_us + int(seconds * 5e5)), (start_us + int(seconds * 5e5), times[-1])], WINDOW_DTYPE)
    seen = np.zeros(0, table_dtype(DETECTION_COLUMNS, name))
    objects = object_table(tracks, events["object_id"])
    return Detections(name, sensor_size, Readout(0.5, 0.25), (0.0, -15.0), windows, seen, tracks, objects, events)


def nothing(name="dark") -> Detections:
    """A recording without events."""
    full = found(name)
    none = {key: column[:0] for key, column in full.event_columns.items()}
    return replace(full, tracks=full.tracks[:0], objects=full.objects[:0], windows=full.windows[:0], event_columns=none)


@pytest.fixture
def night() -> Detections:
    """See `found`."""
    return found()


@pytest.fixture
def makers():
    """found, nothing."""
    return found, nothing
