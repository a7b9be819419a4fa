"""Events to frames: windows of binary spikes or counts, one layer per polarity and time step.

The meaning is that of tonic's ToFrame, slice by slice of one time step, without its traps: coordinates outside the sensor
and unsorted events are refused rather than wrapped or lost, counts cannot overflow unseen, the tail is kept, and an
empty recording has no windows.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeseg.errors import InputError

POLARITIES = 2
"""Layers of a frame: 0 is OFF, 1 is ON."""

MAX_WINDOWS = 1_000_000
"""More windows than this (28 h of 100 ms) mean broken timestamps, not a recording."""

_COUNT = np.uint16


@dataclass(frozen=True)
class FrameSpec:
    """How events become frames.

    Attributes:
        n_timesteps: time steps T of a window (data.n_timesteps).
        timestep_us: length of a step, µs (data.timestep_ms).
        height, width: size of a frame in pixels; None keeps that of the sensor (data.input_height, data.input_width).
        overlap: share of a window that the next one sees again, 0 <= overlap < 1 (data.window_overlap).
        normalize: True gives 1 where at least one event fell, False the number of events (data.normalize).

    Raises InputError when a value is impossible.
    """

    n_timesteps: int
    timestep_us: int
    height: int | None = None
    width: int | None = None
    overlap: float = 0.0
    normalize: bool = True

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

    def size(self, sensor_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the frames of a sensor of (width, height)."""
        return self.height or sensor_size[1], self.width or sensor_size[0]


@dataclass(frozen=True)
class Windows:
    """The windows of one recording.

    Attributes:
        start_us: int64 (N,), time at which each window starts, µs.
        frames: (N, T, 2, H, W), uint8 of 0 and 1, or uint16 counts; OFF first.
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
        raise InputError(f"events: t goes back at index {1 + int(np.argmax(t[1:] < t[:-1]))}, must be sorted")
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


def locate(
    events: np.ndarray, start_us: int, sensor_size: tuple[int, int], spec: FrameSpec
) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray]:
    """Which events fall into the window that starts at ``start_us``, and where.

    The one definition, for framing and for scoring: step = floor((t - start) / timestep); a frame of another size
    than the sensor's takes row = floor(y * H / height), column = floor(x * W / width).

    Args:
        events: sorted by t, coordinates inside the sensor (as ``recording.checked`` and ``starts`` assure).
        sensor_size: (width, height) in pixels.

    Returns:
        The slice of ``events`` inside the window, and for each of these its step, row and column, int64 (n,).
    """
    t = events["t"]
    inside = slice(bisect_left(t, start_us), bisect_left(t, start_us + spec.window_us))
    height, width = spec.size(sensor_size)
    step = (t[inside] - start_us) // spec.timestep_us
    row = events["y"][inside].astype(np.int64) * height // sensor_size[1]
    column = events["x"][inside].astype(np.int64) * width // sensor_size[0]
    return inside, step, row, column


def blocks(
    events: np.ndarray,
    sensor_size: tuple[int, int],
    spec: FrameSpec,
    *,
    count: int = 64,
    origin_us: int | None = None,
) -> Iterator[Windows]:
    """The windows of ``frame``, at most ``count`` at a time, for recordings too long for memory."""
    _check_inside(events, sensor_size)
    start_us = starts(events, spec, origin_us)
    for first in range(0, len(start_us), count):
        yield _filled(events, start_us[first : first + count], sensor_size, spec)


def frame(events: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec, *, origin_us: int | None = None) -> Windows:
    """All windows of a recording.

    Args:
        events: structured array with t (µs, sorted), x, y (pixels), p (True: ON).
        sensor_size: (width, height) in pixels.
        origin_us: where the first window starts; the first event unless given.

    Returns:
        Windows; N = 0 without events. The argument is not changed.

    Raises:
        InputError: unsorted events, coordinates outside the sensor, more than 65,535 events in one pixel and step.
    """
    _check_inside(events, sensor_size)
    return _filled(events, starts(events, spec, origin_us), sensor_size, spec)


def _filled(events: np.ndarray, start_us: np.ndarray, sensor_size: tuple[int, int], spec: FrameSpec) -> Windows:
    shape = (spec.n_timesteps, POLARITIES, *spec.size(sensor_size))
    frames = np.zeros((len(start_us), *shape), np.uint8 if spec.normalize else _COUNT)
    for sample, start in zip(frames, start_us.tolist(), strict=True):
        inside, step, row, column = locate(events, start, sensor_size, spec)
        flat = np.ravel_multi_index((step, events["p"][inside].astype(np.int64), row, column), shape)
        if spec.normalize:
            sample.reshape(-1)[flat] = 1
        else:
            counts = np.bincount(flat, minlength=math.prod(shape))
            if counts.max() > np.iinfo(_COUNT).max:
                raise InputError(
                    f"events: {counts.max()} fall into one pixel and step from {start} µs, at most "
                    f"{np.iinfo(_COUNT).max} can be counted; use shorter steps or data.normalize: true"
                )
            sample[...] = counts.reshape(shape)
    return Windows(start_us, frames)


def _check_inside(events: np.ndarray, sensor_size: tuple[int, int]) -> None:
    for name, limit in zip("xy", sensor_size, strict=True):
        values = events[name]
        if len(values) and not 0 <= (low := values.min()) <= (high := values.max()) < limit:
            found = low if low < 0 else high
            raise InputError(f"events: {name} = {found}, the sensor of {sensor_size[0]}x{sensor_size[1]} allows 0 to {limit - 1}")
