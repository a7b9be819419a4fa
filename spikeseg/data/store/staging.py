"""A recording, read and transformed, laid down in a folder from which its rows of the cache can be made by any process.

What is expensive, the compression of its frames, then no longer depends on who read it, and no frames travel between processes.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.data.frames import background
from spikeseg.data.frames import framing as frames
from spikeseg.data.frames.framing import FrameSpec
from spikeseg.data.long import LongEvents
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording, checked_labels
from spikeseg.data.transforms import Chain, DropPixel, apply, drops_pixels_alone

from .frames import StagedRecording
from .plan import RowSource

BLOCK = 2**20
"""Events that are passed on at a time."""


@dataclass(frozen=True)
class FileRows(RowSource):
    """Rows of a file of nothing else; `like`, empty, tells what they are; of one field if named."""

    path: Path
    like: np.ndarray[Any, Any]
    count: int
    field: str | None = None

    def __len__(self) -> int:
        return self.count

    def take(self, first: int, last: int) -> np.ndarray:
        array = self.mapped()[first:last]
        return np.array(array if self.field is None else array[self.field])

    def mapped(self) -> np.ndarray[Any, Any]:
        """All of them, on the disk."""
        if not self.count:
            return self.like
        return np.memmap(self.path, self.like.dtype, "r", shape=(self.count, *self.like.shape[1:]))


@dataclass(frozen=True)
class StartRows(RowSource):
    """Starts of windows, µs: every `stride_us` from `origin_us`."""

    origin_us: int
    stride_us: int
    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, first: int, last: int) -> np.ndarray:
        return self.origin_us + np.arange(first, last, dtype=np.int64) * self.stride_us


@dataclass(frozen=True)
class FrameRows(RowSource):
    """Frames of windows, cut from events (EVENT_DTYPE, sorted)."""

    events: FileRows
    starts: StartRows
    sensor_size: tuple[int, int]
    spec: FrameSpec

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, first: int, last: int) -> np.ndarray:
        filled = self.counted(first, last)
        return filled.view(bool) if self.spec.normalize else filled

    def counted(self, first: int, last: int) -> np.ndarray:
        """As `frames.frame` gives them."""
        start_us = self.starts.take(first, last)
        events = self.events.mapped()
        t, inside = events["t"], slice(0, 0)
        if len(start_us):
            inside = slice(bisect_left(t, int(start_us[0])), bisect_left(t, int(start_us[-1]) + self.spec.window_us))
        return frames.fill(np.array(events[inside]), self.sensor_size, self.spec, start_us)


def stage(recording: Recording, spec: FrameSpec, chain: Chain, folder: Path) -> tuple[StagedRecording, int]:
    """Lay a recording down in a new folder; -> how its rows are made, and how many of its events passed the chain.

    Windows count from the recording's first event, whether or not the transforms keep it.

    Raises:
        InputError: see `transforms.apply` and `frames.fill`.
    """
    passed, kept = apply(recording.events, chain)
    folder.mkdir(parents=True)
    truth = None
    if recording.truth is not None:
        (rows,) = _written(folder / "truth.bin", [(recording.truth,)])
        truth = _fields(rows)
    written = _written(folder / "events.bin", [(recording.events, passed, kept)], folder / "passed.bin", folder / "kept.bin")
    origin = int(recording.events["t"][0]) if len(recording.events) else None
    windows = frames.blocks(passed, recording.sensor_size, spec, origin_us=origin, reuse=True)
    return _staged(recording, spec, folder, written, truth, (part.frames for part in windows))


def stage_long(
    events: LongEvents, name: str, spec: FrameSpec, chain: Chain, folder: Path, *, lenient: bool = False
) -> tuple[StagedRecording, int]:
    """`stage` in bounded memory, of a recording too long for it; the chain must be one that `streams`.

    Raises:
        InputError: see `iter_events`.
    """
    folder.mkdir(parents=True)
    (rows,) = _written(folder / "events.bin", ((part,) for part in events))
    mapped = rows.mapped()
    duration = int(mapped["t"][-1] - mapped["t"][0]) if len(rows) else 0
    drop = np.zeros(events.pixels.shape, bool)
    for step in _steps(chain):
        drop = step.dropped(events.pixels, duration)

    def passed() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, len(rows), BLOCK):
            part = rows.take(first, first + BLOCK)
            kept = ~drop[part["y"], part["x"]]
            yield part[kept], kept

    others = _written(folder / "passed.bin", passed(), folder / "kept.bin", like=(np.zeros(0, EVENT_DTYPE), np.zeros(0, bool)))
    labels, dropped = checked_labels(events.source, events.labels, events.sensor_size, lenient)
    counts = events.dropped | {reason: count for reason, count in dropped.items() if count}
    known = Recording(np.zeros(0, EVENT_DTYPE), events.sensor_size, labels, name, events.source, events.sensor, None, counts)
    return _staged(known, spec, folder, [rows, *others], None)


def streams(chain: Chain) -> bool:
    """Whether `stage_long` can do without the whole recording: for no transform, or DropPixel alone."""
    return drops_pixels_alone(chain) and len(_steps(chain)) <= 1


def _steps(chain: Chain) -> list[DropPixel]:
    return list(getattr(chain, "transforms", []))


def _staged(
    recording: Recording,
    spec: FrameSpec,
    folder: Path,
    written: list[FileRows],
    truth: dict[str, RowSource] | None,
    windows: Iterable[np.ndarray] | None = None,
) -> tuple[StagedRecording, int]:
    """written: events, those that passed, and which did; windows: all of them, where they are at hand. The recording's own events
    are left alone."""
    events, passed, kept = written
    ends = {name: rows.mapped()[[0, -1]] if len(rows) else rows.mapped() for name, rows in (("all", events), ("passed", passed))}
    origin = int(ends["all"]["t"][0]) if len(events) else 0
    starts = StartRows(origin, spec.stride_us, len(frames.starts(ends["passed"], spec, origin)))
    cut = FrameRows(passed, starts, recording.sensor_size, spec)
    return StagedRecording(
        name=recording.name,
        source=recording.source,
        sensor=recording.sensor,
        sensor_size=(int(recording.sensor_size[0]), int(recording.sensor_size[1])),
        dropped=recording.dropped,
        t_start=origin if len(events) else None,
        t_end=int(ends["all"]["t"][1]) if len(events) else None,
        frames=cut,
        background=_background(cut, windows or _windows(cut), folder / "background.bin"),
        start_us=starts,
        events={**_fields(events), "kept": kept},
        labels=None if recording.labels is None else recording.labels.astype(LABEL_DTYPE),
        truth=truth,
    ), len(passed)


def _windows(cut: FrameRows) -> Iterator[np.ndarray]:
    """All windows, a few at a time."""
    at_once = max(1, frames.BLOCK_BYTES // max(1, cut.spec.n_timesteps * 4 * int(np.prod(cut.spec.size(cut.sensor_size)))))
    for first in range(0, len(cut), at_once):
        yield cut.counted(first, min(first + at_once, len(cut)))


def _background(cut: FrameRows, windows: Iterable[np.ndarray], path: Path) -> FileRows:
    """Background rates of all windows: every one depends on those before."""
    estimator = background.Background()
    none = estimator.update(cut.counted(0, 0))
    (rows,) = _written(path, ((estimator.update(part),) for part in windows), like=(none,))
    return rows


def _written(
    path: Path, parts: Iterable[tuple[np.ndarray, ...]], *more: Path, like: tuple[np.ndarray, ...] = (np.zeros(0, EVENT_DTYPE),)
) -> list[FileRows]:
    """Arrays that come part by part, into a file each; like: what they are, when none comes."""
    paths, counts = (path, *more), [0] * (1 + len(more))
    files = [open(one, "wb") for one in paths]
    try:
        for arrays in parts:
            like = tuple(array[:0].copy() for array in arrays)
            for k, array in enumerate(arrays):
                np.ascontiguousarray(array).tofile(files[k])
                counts[k] += len(array)
    finally:
        for file in files:
            file.close()
    return [FileRows(one, empty, count) for one, empty, count in zip(paths, like, counts, strict=True)]


def _fields(rows: FileRows) -> dict[str, RowSource]:
    return {name: dataclasses.replace(rows, field=name) for name in rows.like.dtype.names or ()}
