"""Events to frames: windows of binary spikes or counts, one layer per polarity and time step.

The meaning is that of tonic's ToFrame, slice by slice of one time step, but: coordinates outside the sensor and
unsorted events are refused rather than wrapped or lost, an overflow of counts is an error, the tail is kept, and an empty
recording has no windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.config.estimate import require_frames_memory
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.errors import InputError

if TYPE_CHECKING:
    from spikeseg.core.sparse import SparseFrames

POLARITIES = 2
"""Layers of a frame: 0 is OFF, 1 is ON; unless they are merged."""

MAX_WINDOWS = 1_000_000
"""More windows than this (28 h of 100 ms) mean broken timestamps, not a recording."""

MAX_CELLS = 2**39
"""Pixels and steps of all windows of a recording, at most: half an hour's work of one core."""

_COUNT = np.uint16

BLOCK_BYTES = 4 * 2**20
"""Frames made at a time: what stays in the cache of one core is filled, read and cleared several times faster."""


@dataclass(frozen=True)
class FrameSpec:
    """How events become frames.

    Attributes:
        n_timesteps: time steps T of a window (data.n_timesteps).
        timestep_us: length of a step, µs (data.timestep_ms).
        height, width: size of a frame in pixels; None keeps that of the sensor (data.input_height, data.input_width).
        overlap: share of a window that the next one sees again, 0 <= overlap < 1 (data.window_overlap).
        normalize: True gives 1 where at least one event fell, False the number of events (data.normalize).
        polarities: P, layers of a frame: POLARITIES, or 1, both merged (data.input_channels).

    Raises InputError when a value is impossible.
    """

    n_timesteps: int
    timestep_us: int
    height: int | None = None
    width: int | None = None
    overlap: float = 0.0
    normalize: bool = True
    polarities: int = field(default=POLARITIES, metadata={"omit_default": True})

    def __post_init__(self) -> None:
        for key, value in (
            ("data.n_timesteps", self.n_timesteps),
            ("data.timestep_ms (in µs)", self.timestep_us),
            ("data.input_height", self.height),
            ("data.input_width", self.width),
        ):
            if value is None and key.startswith("data.input"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"{key}: {value!r}, must be a whole number of at least 1")
        if not 0.0 <= self.overlap < 1.0 or self.stride_us < 1:
            raise InputError(f"data.window_overlap: {self.overlap!r}, must be at least 0 and below 1")

    @property
    def window_us(self) -> int:
        """Length of a window, µs."""
        return self.n_timesteps * self.timestep_us

    @property
    def stride_us(self) -> int:
        """Time from the start of a window to that of the next, µs."""
        return round((1.0 - self.overlap) * self.window_us)

    def check_work(self, sensor_size: tuple[int, int], windows: int) -> None:
        """Raise InputError where a recording's frames are too many to be written, or one window is too large for the memory."""
        shape = (self.n_timesteps, self.polarities, *self.size(sensor_size))
        if windows * math.prod(shape) > MAX_CELLS:
            raise InputError(
                f"events: make {windows} windows of {shape[0]} steps of {shape[3]}x{shape[2]} pixels, "
                f"{windows * math.prod(shape):.2g} numbers in all, at most {MAX_CELLS:.2g} allowed; use longer steps "
                "(data.timestep_ms), smaller frames (data.input_height, data.input_width) or less data.window_overlap"
            )
        require_frames_memory(shape, 1 if self.normalize else np.dtype(_COUNT).itemsize)

    def size(self, sensor_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the frames of a sensor of (width, height)."""
        return self.height or sensor_size[1], self.width or sensor_size[0]


@dataclass(frozen=True)
class Windows:
    """The windows of one recording.

    Attributes:
        start_us: int64 (N,), time at which each window starts, µs.
        frames: (N, T, P, H, W), uint8 of 0 and 1, or uint16 counts; OFF first.
    """

    start_us: np.ndarray
    frames: np.ndarray


def starts(events: np.ndarray, spec: FrameSpec, origin_us: int | None = None) -> np.ndarray:
    """Start of every window, µs: int64 (N,), N = 0 without events.

    Windows follow each other every ``spec.stride_us`` from ``origin_us`` (default: the first event) until one holds
    the last event, so a window may be empty and the last one partly filled. Raises InputError when events are not
    sorted by time, when the first comes before ``origin_us``, or when the recording is impossibly long.
    """
    t = events["t"]
    if not len(t):
        return np.zeros(0, np.int64)
    if np.any(t[1:] < t[:-1]):
        raise _unsorted(1 + int(np.argmax(t[1:] < t[:-1])))
    return _starts(t, spec, origin_us)


def _starts(t: np.ndarray, spec: FrameSpec, origin_us: int | None) -> np.ndarray:
    """``starts`` of times that are known to be sorted."""
    if not len(t):
        return np.zeros(0, np.int64)
    origin = int(t[0]) if origin_us is None else origin_us
    if origin > int(t[0]):
        raise InputError(f"events: the first comes at {int(t[0])} µs, before the windows start at {origin} µs")
    beyond = int(t[-1]) - origin - spec.window_us
    count = 1 if beyond < 0 else 2 + beyond // spec.stride_us
    if count > MAX_WINDOWS:
        raise InputError(
            f"events: {int(t[-1]) - origin} µs from first to last make {count} windows of {spec.window_us} µs, "
            f"at most {MAX_WINDOWS} allowed; check the timestamps, or use longer windows"
        )
    return origin + np.arange(count, dtype=np.int64) * spec.stride_us


def pixels(events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec) -> np.ndarray:
    """Where events fall in a frame, row * W + column, int64 (n,): row = floor(y * H / height), column = floor(x * W / width)."""
    from . import framing_kernels

    flat = np.empty(len(events), np.int64)
    framing_kernels.pixels(events["x"], events["y"], *_tables(sensor_size, spec), flat)
    return flat


def to_sensor(position: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Positions on the sensor, from those in a frame; a pixel's centre is a whole number on both.

    Args:
        position: pixels of the frame, along an axis, or (..., 2) x and y.
        scale: sensor pixels per pixel of the frame, likewise.
    """
    return (position + 0.5) * scale - 0.5


def to_frame(position: np.ndarray, sensor_length: int, length: int) -> np.ndarray:
    """The inverse of `to_sensor`, along an axis on which the sensor and the frame have so many pixels."""
    return (position + 0.5) * length / sensor_length - 0.5


def _tables(sensor_size: tuple[int, int], spec: FrameSpec) -> tuple[np.ndarray, np.ndarray]:
    """row * W of every y of the sensor, and the column of every x: int64."""
    height, width = spec.size(sensor_size)
    rows = np.arange(sensor_size[1]) * height // sensor_size[1] * width
    return rows, np.arange(sensor_size[0]) * width // sensor_size[0]


def frame(events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, *, origin_us: int | None = None) -> Windows:
    """All windows of a recording.

    Args:
        events: structured array with t (µs, sorted), x, y (pixels), p (True: ON).
        sensor_size: (width, height) in pixels.
        spec: how they are cut.
        origin_us: where the first window starts; the first event unless given.

    Returns:
        Windows; N = 0 without events. The argument is not changed.

    Raises:
        InputError: unsorted events, coordinates outside the sensor, more than 65,535 events in one pixel and step.
    """
    start_us = starts(events, spec, origin_us)
    return Windows(start_us, fill(events, sensor_size, spec, start_us))


def fill(events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, start_us: np.ndarray) -> np.ndarray:
    """The windows that start at these times, int64 (N,), rising: (N, T, P, H, W). Raises as ``frame`` does."""
    filler = _Filler(events, sensor_size, spec)
    frames = filler.empty(len(start_us))
    for first in range(0, len(start_us), filler.at_once):
        part = slice(first, first + filler.at_once)
        filler.fill(start_us[part], frames[part])
    return frames


def filled(
    events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, start_us: np.ndarray, count: int | None = None
) -> Iterator[np.ndarray]:
    """``fill`` part by part in one buffer: the frames of a part are overwritten when the next one is asked for. Several times
    faster where events are few, because new memory costs more than the events.

    Args:
        events: see ``frame``.
        sensor_size: (width, height) in pixels.
        spec: how they are cut.
        start_us: int64 (N,), rising.
        count: windows at a time, at most; as many as fit ``BLOCK_BYTES`` (at least one) unless given.
    """
    filler = _Filler(events, sensor_size, spec)
    count = count or filler.at_once
    frames = filler.empty(min(count, len(start_us)))
    for first in range(0, len(start_us), count):
        part = start_us[first : first + count]
        block = frames[: len(part)]
        positions = filler.fill(part, block)
        yield block
        filler.clear(block, positions)


def listed(events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, start_us: np.ndarray) -> SparseFrames:
    """``fill`` as lists, without making dense frames."""
    return _Filler(events, sensor_size, spec).listed(start_us)


class _Filler:
    """Puts events, checked once, into windows.

    An event's step is floor((t - start) / timestep), its row floor(y * H / height), its column floor(x * W / width).

    Attributes:
        t: times of all events.
        at_once: windows that fit ``BLOCK_BYTES``, at least 1.
    """

    def __init__(self, events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec) -> None:
        from . import framing_kernels

        self._kernels, self._spec = framing_kernels, spec
        self._columns = _columns(events, sensor_size)
        self.t, x, y, _ = self._columns
        if len(self.t):
            back, left, right, top, bottom = self._kernels.scan(self.t, x, y)
            _check_inside("x", left, right, sensor_size)
            _check_inside("y", top, bottom, sensor_size)
            if back:
                raise _unsorted(back)
        height, width = spec.size(sensor_size)
        rows, columns = _tables(sensor_size, spec)
        self._tables = rows.astype(np.uint64), columns.astype(np.uint64), height * width
        self._shape = (spec.n_timesteps, spec.polarities, height, width)
        if spec.polarities == 1:
            self._columns = (*self._columns[:3], np.zeros(len(self.t), np.bool_))
        self.at_once = max(1, BLOCK_BYTES // self.empty(1).nbytes)

    def empty(self, count: int) -> np.ndarray:
        """Zero frames for so many windows."""
        return np.zeros((count, *self._shape), np.uint8 if self._spec.normalize else _COUNT)

    def fill(self, start_us: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Put the events of the windows into zero frames. Returns where they fell, for ``clear``.

        Raises InputError when there are too many to count."""
        positions = self._positions(start_us)
        if self._spec.normalize:
            self._kernels.write(frames.reshape(-1), positions, np.uint8(1))
        elif (full := self._kernels.count(frames.reshape(-1), positions)) >= 0:
            raise self._too_many(start_us, positions, full)
        return positions

    def listed(self, start_us: np.ndarray) -> SparseFrames:
        """The windows as lists. Raises InputError when there are too many events to count."""
        from spikeseg.core.sparse import SparseFrames, SpikeLists

        positions = self._positions(start_us)
        rows, cells = len(start_us) * self._shape[0], math.prod(self._shape[1:])
        offsets, tally, touched = np.zeros(rows + 1, np.int64), np.zeros(cells, np.int32), np.zeros(cells // 64 + 1, np.uint64)
        sites, counts = (np.empty(len(positions), np.int32) for _ in range(2))
        most = np.iinfo(np.int32).max if self._spec.normalize else np.iinfo(_COUNT).max
        full = self._kernels.listed(positions, most, tally, touched, offsets, sites, counts)
        if full >= 0:
            raise self._too_many(start_us, positions, full)
        lists = SpikeLists(offsets, sites[: offsets[-1]], self._shape)
        return SparseFrames(lists, np.ones_like(lists.sites) if self._spec.normalize else counts[: offsets[-1]])

    def _positions(self, start_us: np.ndarray) -> np.ndarray:
        """Where the events of the windows fall, as flat indices, window by window and step by step."""
        positions = np.empty(self._kernels.inside(self.t, start_us, self._spec.window_us), np.uint64)
        steps, step_us = self._spec.n_timesteps, self._spec.timestep_us
        self._kernels.place(*self._columns, start_us, steps, step_us, *self._tables, positions)
        if self._spec.polarities == 1:  # these are places among frames of two layers, of which the second is empty
            area = np.uint64(self._tables[-1])
            positions -= positions // (np.uint64(POLARITIES) * area) * area
        return positions

    def _too_many(self, start_us: np.ndarray, positions: np.ndarray, full: int) -> InputError:
        start = int(start_us[full // math.prod(self._shape)])
        return InputError(
            f"events: {np.count_nonzero(positions == full)} fall into one pixel and step from {start} µs, at most "
            f"{np.iinfo(_COUNT).max} can be counted; use shorter steps or data.normalize: true"
        )

    def clear(self, frames: np.ndarray, positions: np.ndarray) -> None:
        """Set what ``fill`` wrote back to zero."""
        self._kernels.write(frames.reshape(-1), positions, frames.dtype.type(0))


def _columns(events: np.ndarray, sensor_size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """t, x, y, p in the types of EVENT_DTYPE. Raises InputError for values that these do not hold."""
    columns = []
    for name, limit in zip("txyp", (None, *sensor_size, None), strict=True):
        given, kind = events[name], EVENT_DTYPE[name]
        column = given.astype(kind, copy=False)
        if given.dtype != kind and not np.array_equal(column, given):
            if limit is not None:
                _check_inside(name, int(given.min()), int(given.max()), sensor_size)
            wrong = given[np.argmax(column != given)]
            raise InputError(f"events: {name} = {wrong}, must be {'0 or 1' if name == 'p' else 'a whole number'}")
        columns.append(column)
    return tuple(columns)


def _check_inside(name: str, low: int, high: int, sensor_size: tuple[int, int]) -> None:
    limit = sensor_size["xy".index(name)]
    if not 0 <= low <= high < limit:
        outside = low if low < 0 else high
        raise InputError(f"events: {name} = {outside}, the sensor of {sensor_size[0]}x{sensor_size[1]} allows 0 to {limit - 1}")


def _unsorted(index: int) -> InputError:
    return InputError(f"events: t goes back at index {index}, must be sorted")
