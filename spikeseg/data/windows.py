"""From a recording to framed windows, without its labels: the one place in which recordings are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import SparseFrames

from . import transforms
from .frames.background import Background
from .frames.framing import FrameSpec, listed_blocks, pixels, starts

if TYPE_CHECKING:
    from spikeseg.config.sections import DataConfig

    from .recording import Recording
    from .store.frames import Frames

AT_ONCE = 16
"""Windows cut, read from the cache, or encoded together: which changes no result."""

Windows = Iterator[tuple[int, SparseFrames, np.ndarray]]
"""Start in µs, frames (one sample) and background rates (2, hb, wb) of one window after the other."""


@dataclass(frozen=True)
class WindowedRecording:
    """A recording as a detector sees it: its events, and its windows of frames.

    Attributes:
        name: of the recording.
        events: EVENT_DTYPE (n,), all that passed the checks.
        kept: bool (n,), those that passed the transforms and are in the frames.
        sensor_size: (width, height) in pixels.
        spec: how the windows were made.
        start_us: int64 (N,), start of every window.
        windows: iterates over them.
    """

    name: str
    events: np.ndarray
    kept: np.ndarray
    sensor_size: tuple[int, int]
    spec: FrameSpec
    start_us: np.ndarray
    windows: Callable[[], Windows]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W) of a window."""
        return (self.spec.n_timesteps, *self.spec.size(self.sensor_size))

    @property
    def end_us(self) -> np.ndarray:
        """int64 (N,), end of every window; the last one's is that of the recording, where it comes first."""
        last = int(self.events["t"][-1]) + 1 if len(self.events) else 0
        return np.minimum(self.start_us + self.spec.window_us, np.maximum(last, self.start_us + 1))

    def look_up(self, start_us: int, cells: np.ndarray, chosen: np.ndarray, out: np.ndarray) -> None:
        """Raise `out` (n,), at the chosen events of a window (bool (n,)), to what cells (T * H * W,) hold at their steps and
        pixels, where that is higher."""
        from .windows_kernels import look_up

        t, pixel = self._placed
        first, last = np.searchsorted(t, (start_us, start_us + self.spec.window_us))
        look_up(t, pixel, chosen, first, last, start_us, self.spec.timestep_us, cells, len(cells) // self.spec.n_timesteps, out)

    def located(self, start_us: int) -> tuple[np.ndarray, np.ndarray]:
        """The kept events of a window: their indices into `events`, and each one's flat index into its (T, H, W)."""
        t, pixel = self._placed
        first, last = np.searchsorted(t, (start_us, start_us + self.spec.window_us))
        index = first + np.flatnonzero(self.kept[first:last])
        _, height, width = self.shape
        return index, (t[index] - start_us) // self.spec.timestep_us * (height * width) + pixel[index]

    @cached_property
    def _placed(self) -> tuple[np.ndarray, np.ndarray]:
        """Time and pixel of every event: int64 (n,) each."""
        return np.ascontiguousarray(self.events["t"]), pixels(self.events, self.sensor_size, self.spec)


def frame_spec(data: DataConfig) -> FrameSpec:
    """How the configuration cuts events into frames."""
    return FrameSpec(
        n_timesteps=data.n_timesteps,
        timestep_us=round(data.timestep_ms * 1000),
        height=data.input_height,
        width=data.input_width,
        overlap=data.window_overlap,
        normalize=data.normalize,
    )


def windowed(recording: Recording, data: DataConfig) -> WindowedRecording:
    """A recording as the configuration transforms and frames it; its windows can be gone through again and again.

    Windows count from the recording's first event, whether or not the transforms keep it."""
    spec, size = frame_spec(data), recording.sensor_size
    events, kept = transforms.apply(recording.events, transforms.build(list(data.transforms), size))
    origin = int(recording.events["t"][0]) if len(recording.events) else None

    def windows() -> Windows:
        estimator = Background()
        for start_us, part in listed_blocks(events, size, spec, count=AT_ONCE, origin_us=origin):
            yield from zip(start_us.tolist(), part.each(), estimator.update_listed(part), strict=True)

    start_us = starts(events, spec, origin)
    return WindowedRecording(recording.name, recording.events, kept, size, spec, start_us, windows)


def stored(frames: Frames, r: int) -> WindowedRecording:
    """Recording r of the cache; its windows are read in blocks."""
    from spikeseg.ops.cpu.inference_kernels import listed

    info, events, kept = frames.recordings[r], frames.events(r), frames.kept(r)

    def windows() -> Windows:
        for first in range(0, info.n_windows, AT_ONCE):
            start_us, block, rates = frames.read(r, range(first, min(first + AT_ONCE, info.n_windows)))
            yield from zip(start_us.tolist(), listed(block).each(), rates, strict=True)

    start_us = starts(events[kept], frames.spec, info.t_start)
    return WindowedRecording(info.name, events, kept, info.sensor_size, frames.spec, start_us, windows)
