"""Event recordings as images are: the first spike of each pixel, in one window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeseg.core.sparse import SpikeLists
from spikeseg.data.recording import Recording


def first_spikes(recordings: Sequence[Recording], steps: int, step_us: float, size: tuple[int, int]) -> SpikeLists:
    """The first spike of each pixel, of either polarity, within `steps` steps of each recording's beginning.

    Args:
        recordings: at least one.
        steps: T.
        step_us: how long a step is, µs.
        size: (height, width) in pixels; events outside are left out.

    Returns:
        (T, 2, H, W), a sample per recording.
    """
    height, width = size
    dense = np.zeros((len(recordings), steps, 2, height, width), np.bool_)
    for n, recording in enumerate(recordings):
        events = recording.events
        step = ((events["t"] - (events["t"][0] if len(events) else 0)) // step_us).astype(np.int64)
        inside = (step < steps) & (events["x"] < width) & (events["y"] < height)
        events, step = events[inside], step[inside]
        _, first = np.unique(events["y"].astype(np.int64) * width + events["x"], return_index=True)
        events = events[first]
        dense[n, step[first], events["p"].astype(np.int64), events["y"], events["x"]] = True
    return SpikeLists.of(dense)
