"""Recordings that are added to a cache from memory, as those that `staging` lays down are added from the disk."""

import numpy as np

from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE
from spikeseg.data.store.frames import StagedRecording, columns_of
from spikeseg.data.store.plan import ArrayRows


def in_memory(recording, windows, kept, background):
    """The recording, its windows (`framing.frame`), which of its events are in them, and their background rates."""
    t, binary = recording.events["t"], windows.frames.dtype == np.uint8
    return StagedRecording(
        name=recording.name,
        source=recording.source,
        sensor=recording.sensor,
        sensor_size=recording.sensor_size,
        dropped=recording.dropped,
        t_start=int(t[0]) if len(t) else None,
        t_end=int(t[-1]) if len(t) else None,
        frames=ArrayRows(windows.frames.view(bool) if binary else windows.frames),
        background=ArrayRows(background),
        start_us=ArrayRows(windows.start_us.astype(np.int64)),
        events={**columns_of(recording.events.astype(EVENT_DTYPE)), "kept": ArrayRows(np.asarray(kept, bool))},
        labels=None if recording.labels is None else recording.labels.astype(LABEL_DTYPE),
        truth=None if recording.truth is None else columns_of(recording.truth.astype(TRUTH_DTYPE)),
    )
