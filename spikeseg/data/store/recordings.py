"""Recordings of the cache, as detectors see them."""

from __future__ import annotations

from spikeseg.core import interrupts
from spikeseg.data.frames.framing import starts
from spikeseg.data.windows import AT_ONCE, WindowedRecording, Windows

from .frames import Frames


def stored(frames: Frames, r: int) -> WindowedRecording:
    """Recording r of the cache; its windows are read in blocks."""
    from spikeseg.ops.cpu.inference_kernels import listed

    info, events, kept = frames.recordings[r], frames.events(r), frames.kept(r)

    def windows() -> Windows:
        for first in range(0, info.n_windows, AT_ONCE):
            interrupts.check()
            start_us, block, rates = frames.read(r, range(first, min(first + AT_ONCE, info.n_windows)))
            yield from zip(start_us.tolist(), listed(block).each(), rates, strict=True)

    start_us = starts(events[kept], frames.spec, info.t_start)
    return WindowedRecording(info.name, events, kept, info.sensor_size, frames.spec, start_us, windows)
