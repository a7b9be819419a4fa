"""A recording, read and transformed, written to a folder from which any process can make its rows of the cache.

What is expensive, the compression of its frames, then no longer depends on who read it, and no frames travel between processes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.core import interrupts
from spikeseg.core.files import make_folder, new_file
from spikeseg.data.frames.background import Background
from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.long import LongEvents
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording, checked_labels
from spikeseg.data.transforms import Chain, DropPixel, drops_pixels_alone
from spikeseg.data.windows import cut_frames, cut_lists, origin, transformed

from .frames import StagedRecording
from .plan import RowSource

BLOCK = 2**20
"""Events that are passed on at a time."""
MAPPED_WINDOWS = 64
"""Windows for which the events' file is mapped into memory, which then holds what was read of it, until it is mapped anew."""


@dataclass(frozen=True)
class FileRows(RowSource):
    """Rows of a raw binary file, or one field of them; `like`: an empty array of their shape and dtype."""

    path: Path
    like: np.ndarray[Any, Any]
    count: int
    field: str | None = None

    def __len__(self) -> int:
        return self.count

    def take(self, first: int, last: int) -> np.ndarray:
        array = self.mapped()[first:last] if first < last else self.like
        return np.array(array if self.field is None else array[self.field])

    def mapped(self) -> np.ndarray[Any, Any]:
        """All of them, on the disk. (numpy's memmap takes 0.3 ms to resolve the path.)"""
        if not self.count:
            return self.like
        with open(self.path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(content, self.like.dtype).reshape(self.count, *self.like.shape[1:])


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
    """Frames of windows, cut from events (EVENT_DTYPE, sorted) when they are written, and only then."""

    events: FileRows
    starts: StartRows
    sensor_size: tuple[int, int]
    spec: FrameSpec

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, first: int, last: int) -> np.ndarray:
        shape = (last - first, self.spec.n_timesteps, self.spec.polarities, *self.spec.size(self.sensor_size))
        rows, filled = np.empty(shape, bool if self.spec.normalize else np.uint16), 0
        for part in self.parts(first, last):
            rows[filled : filled + len(part)] = part
            filled += len(part)
        return rows

    def parts(self, first: int, last: int) -> Iterator[np.ndarray]:
        for frames in cut_frames(self.events.mapped(), self.sensor_size, self.spec, self.starts.take(first, last)):
            yield frames.view(bool) if self.spec.normalize else frames

    def background(self) -> Iterator[np.ndarray]:
        """Background rates of all windows, (n, P, hb, wb) at a time: every one depends on those before. No frame is made."""
        estimator, spec = Background(), self.spec
        yield estimator.update(np.zeros((0, spec.n_timesteps, spec.polarities, *spec.size(self.sensor_size)), np.uint8))
        for first in range(0, len(self), MAPPED_WINDOWS):
            start_us = self.starts.take(first, min(first + MAPPED_WINDOWS, len(self)))
            for _, events in cut_lists(self.events.mapped(), self.sensor_size, self.spec, start_us):
                yield estimator.update_listed(events)


def stage(recording: Recording, spec: FrameSpec, chain: Chain, folder: Path) -> tuple[StagedRecording, int]:
    """Write a recording to a new folder; -> its rows of the cache, and how many of its events passed the chain.

    Raises:
        InputError: see `transforms.apply` and `framing.fill`.
    """
    passed, kept = transformed(recording, chain)
    make_folder(folder)
    truth = None
    if recording.truth is not None:
        (rows,) = _written(folder / "truth.bin", [(recording.truth,)])
        truth = _fields(rows)
    written = _written(folder / "events.bin", [(recording.events, passed, kept)], folder / "passed.bin", folder / "kept.bin")
    return _staged(recording, spec, folder, written, truth)


def stage_long(
    events: LongEvents, name: str, spec: FrameSpec, chain: Chain, folder: Path, *, lenient: bool = False
) -> tuple[StagedRecording, int]:
    """`stage` in bounded memory, of a recording too long for it; the chain must be one that `streams`.

    Raises:
        InputError: see `iter_events`.
    """
    make_folder(folder)
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
    labels, dropped = checked_labels(events.source, events.labels, events.sensor_size, events.span, lenient)
    counts = events.dropped | {reason: count for reason, count in dropped.items() if count}
    known = Recording(np.zeros(0, EVENT_DTYPE), events.sensor_size, labels, name, events.source, events.sensor, None, counts)
    return _staged(known, spec, folder, [rows, *others], None)


def streams(chain: Chain) -> bool:
    """Whether `stage_long` can do without the whole recording: for no transform, or DropPixel alone."""
    return drops_pixels_alone(chain) and len(_steps(chain)) <= 1


def _steps(chain: Chain) -> list[DropPixel]:
    return list(getattr(chain, "transforms", []))


def _staged(
    recording: Recording, spec: FrameSpec, folder: Path, written: list[FileRows], truth: dict[str, RowSource] | None
) -> tuple[StagedRecording, int]:
    """written: events, those that passed, and which did. The recording's own events are left alone."""
    events, passed, kept = written
    ends, passed_ends = (rows.mapped()[[0, -1]] if len(rows) else rows.mapped() for rows in (events, passed))
    first_us = origin(ends)
    start_us = StartRows(first_us or 0, spec.stride_us, len(starts(passed_ends, spec, first_us)))
    spec.check_work(recording.sensor_size, len(start_us))
    frames = FrameRows(passed, start_us, recording.sensor_size, spec)
    (background,) = _written(folder / "background.bin", ((rates,) for rates in frames.background()))
    return StagedRecording(
        name=recording.name,
        source=recording.source,
        sensor=recording.sensor,
        sensor_size=(int(recording.sensor_size[0]), int(recording.sensor_size[1])),
        dropped=recording.dropped,
        t_start=first_us,
        t_end=int(ends["t"][1]) if len(events) else None,
        frames=frames,
        background=background,
        start_us=start_us,
        events={**_fields(events), "kept": kept},
        labels=None if recording.labels is None else recording.labels.astype(LABEL_DTYPE),
        truth=truth,
    ), len(passed)


def _written(
    path: Path, parts: Iterable[tuple[np.ndarray, ...]], *more: Path, like: tuple[np.ndarray, ...] = (np.zeros(0, EVENT_DTYPE),)
) -> list[FileRows]:
    """Arrays that come part by part, into a file each; like: what they are, when none comes."""
    paths, counts = (path, *more), [0] * (1 + len(more))
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(new_file(target)) for target in paths]
        for arrays in parts:
            interrupts.check()
            like = tuple(array[:0].copy() for array in arrays)
            for k, array in enumerate(arrays):
                files[k].write(np.ascontiguousarray(array).ravel().view(np.uint8))
                counts[k] += len(array)
    return [FileRows(target, empty, count) for target, empty, count in zip(paths, like, counts, strict=True)]


def _fields(rows: FileRows) -> dict[str, RowSource]:
    return {name: dataclasses.replace(rows, field=name) for name in rows.like.dtype.names or ()}
