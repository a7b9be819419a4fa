"""From a recording to framed windows, without its labels: the one place in which recordings are cut.

Windows count from a recording's first event, whether or not the transforms keep it. `prepare` writes them to the cache
(`cut_frames`, `cut_lists`), `detect` iterates over them (`windowed`; those of the cache:
`spikeseg.data.store.recordings.stored`), `detect --follow` cuts each when its time has passed (`window_at`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core import interrupts
from spikeseg.core.sparse import SparseFrames

from . import transforms
from .frames.background import Background
from .frames.framing import FrameSpec, fill, filled, listed, pixels, starts

if TYPE_CHECKING:
    from spikeseg.config.sections import DataConfig

    from .recording import Recording

AT_ONCE = 16
"""Windows cut, read from the cache, or encoded together: which changes no result."""

EVENTS_AT_ONCE = 2**20
"""Windows that hold more events are cut one by one, so that memory does not grow with the event rate times AT_ONCE."""

Windows = Iterator[tuple[int, SparseFrames, np.ndarray]]
"""Start in µs, frames (one sample) and background rates (P, hb, wb) of one window after the other."""


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
        return self.times, pixels(self.events, self.sensor_size, self.spec)

    @cached_property
    def times(self) -> np.ndarray:
        """Time of every event, int64 (n,), contiguous."""
        return np.ascontiguousarray(self.events["t"])


def frame_spec(data: DataConfig) -> FrameSpec:
    """How the configuration cuts events into frames."""
    return FrameSpec(
        n_timesteps=data.n_timesteps,
        timestep_us=round(data.timestep_ms * 1000),
        height=data.input_height,
        width=data.input_width,
        overlap=data.window_overlap,
        normalize=data.normalize,
        polarities=data.input_channels,
    )


def origin(events: np.ndarray) -> int | None:
    """Where the first window starts, µs: at the recording's first event; None without events."""
    return int(events["t"][0]) if len(events) else None


def transformed(recording: Recording, chain: transforms.Chain) -> tuple[np.ndarray, np.ndarray]:
    """The events of a recording that pass the transforms, EVENT_DTYPE (m,), and which of all did: bool (n,).

    Raises InputError: see `transforms.apply`."""
    return transforms.apply(recording.events, chain)


def cut_lists(
    events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, start_us: np.ndarray
) -> Iterator[tuple[np.ndarray, SparseFrames]]:
    """Windows as lists, at most AT_ONCE at a time: their starts, and what is in them.

    Args:
        events: EVENT_DTYPE (n,), sorted; may lie on the disk (a memory map), of which a part at a time is copied.
        sensor_size: (width, height) in pixels.
        spec: how they are cut.
        start_us: int64 (N,), rising.

    Raises InputError: see `framing.frame`.
    """
    for part, inside in _groups(events, spec, start_us):
        yield part, listed(inside, sensor_size, spec, part)


def cut_frames(events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, start_us: np.ndarray) -> Iterator[np.ndarray]:
    """Windows as frames (n, T, P, H, W), a few at a time, overwritten when the next are asked for; else as `cut_lists`."""
    for part, inside in _groups(events, spec, start_us):
        yield from filled(inside, sensor_size, spec, part)


def window_at(events: np.ndarray, start_us: int, sensor_size: tuple[int, int], spec: FrameSpec) -> np.ndarray:
    """The one window that starts at this time, (1, T, P, H, W), 0 where no event falls; see `framing.fill`."""
    return fill(events, sensor_size, spec, np.array([start_us], np.int64))


def _groups(events: np.ndarray, spec: FrameSpec, start_us: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Starts of windows, and the events in them; copied where they can only be read, as on the disk."""
    t = events["t"]

    def inside(part: np.ndarray) -> slice:
        return slice(bisect_left(t, int(part[0])), bisect_left(t, int(part[-1]) + spec.window_us))

    def held(rows: slice) -> np.ndarray:
        return events[rows] if events.flags.writeable else np.array(events[rows])

    for first in range(0, len(start_us), AT_ONCE):
        interrupts.check()
        part = start_us[first : first + AT_ONCE]
        rows = inside(part)
        if rows.stop - rows.start <= EVENTS_AT_ONCE:
            yield part, held(rows)
        else:
            yield from ((alone, held(inside(alone))) for alone in part.reshape(-1, 1))


def windowed(recording: Recording, data: DataConfig, *, background: bool = True) -> WindowedRecording:
    """A recording as the configuration transforms and frames it; its windows can be gone through again and again.

    background: whether its rates are estimated; if not, windows come with those of no blocks, (P, 0, 0).
    """
    spec, size = frame_spec(data), recording.sensor_size
    events, kept = transformed(recording, transforms.build(list(data.transforms), size))
    start_us = starts(events, spec, origin(recording.events))

    def windows() -> Windows:
        estimator = Background()
        for part_us, frames in cut_lists(events, size, spec, start_us):
            rates = estimator.update_listed(frames) if background else np.zeros((*frames.shape[::2][:2], 0, 0), np.float32)
            yield from zip(part_us.tolist(), frames.each(), rates, strict=True)

    return WindowedRecording(recording.name, recording.events, kept, size, spec, start_us, windows)
