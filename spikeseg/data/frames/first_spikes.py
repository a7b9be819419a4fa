"""Event recordings as images are: the first spike of each pixel, in one window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeseg.core.sparse import SpikeLists
from spikeseg.data.recording import Recording


def first_spikes(
    recordings: Sequence[Recording], steps: int, step_us: float, size: tuple[int, int], sensor: tuple[int, int] | None = None
) -> SpikeLists:
    """The first spike of each pixel, of either polarity, within `steps` steps of each recording's beginning.

    Args:
        recordings: at least one.
        steps: T.
        step_us: how long a step is, µs.
        size: (height, width) in pixels; events outside are left out.
        sensor: (width, height) that is brought to this size; None: pixels stay what they are.

    Returns:
        (T, 2, H, W), a sample per recording.
    """
    height, width = size
    dense = np.zeros((len(recordings), steps, 2, height, width), np.bool_)
    for n, recording in enumerate(recordings):
        events = recording.events
        step = ((events["t"] - (events["t"][0] if len(events) else 0)) // step_us).astype(np.int64)
        x, y = events["x"].astype(np.int64), events["y"].astype(np.int64)
        if sensor is not None:
            x, y = x * width // sensor[0], y * height // sensor[1]
        seen = np.flatnonzero((step < steps) & (x < width) & (y < height))
        _, first = np.unique(y[seen] * width + x[seen], return_index=True)
        seen = seen[first]
        dense[n, step[seen], events["p"][seen].astype(np.int64), y[seen], x[seen]] = True
    return SpikeLists.of(dense)
