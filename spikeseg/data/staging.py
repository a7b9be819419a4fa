"""A recording, read and transformed, laid down in a folder from which its rows of the cache can be made by any process.

What is expensive, the compression of its frames, then no longer depends on who read it, and no frames travel between processes.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import background, frames
from .frames import FrameSpec
from .recording import Recording
from .store import Staged
from .store_plan import Rows
from .transforms import Chain, apply


@dataclass(frozen=True)
class FileRows(Rows):
    """Rows of a .npy file, of one field of it if named."""

    path: Path
    count: int
    field: str | None = None

    def __len__(self) -> int:
        return self.count

    def take(self, first: int, last: int) -> np.ndarray:
        array = np.load(self.path, mmap_mode="r", allow_pickle=False)[first:last]
        return np.array(array if self.field is None else array[self.field])


@dataclass(frozen=True)
class StartRows(Rows):
    """Starts of windows, µs: every `stride_us` from `origin_us`."""

    origin_us: int
    stride_us: int
    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, first: int, last: int) -> np.ndarray:
        return self.origin_us + np.arange(first, last, dtype=np.int64) * self.stride_us


@dataclass(frozen=True)
class FrameRows(Rows):
    """Frames of windows, cut from a .npy file of events (EVENT_DTYPE, sorted)."""

    path: Path
    starts: StartRows
    sensor_size: tuple[int, int]
    spec: FrameSpec

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, first: int, last: int) -> np.ndarray:
        start_us = self.starts.take(first, last)
        events = np.load(self.path, mmap_mode="r", allow_pickle=False)
        t = events["t"]
        if len(start_us):
            inside = slice(bisect_left(t, int(start_us[0])), bisect_left(t, int(start_us[-1]) + self.spec.window_us))
        else:
            inside = slice(0, 0)
        filled = frames.fill(np.array(events[inside]), self.sensor_size, self.spec, start_us)
        return filled.view(bool) if self.spec.normalize else filled


def stage(recording: Recording, spec: FrameSpec, chain: Chain, folder: Path) -> tuple[Staged, int]:
    """Lay a recording down in a new folder; -> how its rows are made, and how many of its events passed the chain.

    Windows count from the recording's first event, whether or not the transforms keep it.

    Raises:
        InputError: see `transforms.apply` and `frames.blocks`.
    """
    events = recording.events
    passed, kept = apply(events, chain)
    origin = int(events["t"][0]) if len(events) else 0
    starts = StartRows(origin, spec.stride_us, len(frames.starts(passed, spec, origin)))
    estimator = background.Background()
    empty = np.zeros((0, spec.n_timesteps, 2, *spec.size(recording.sensor_size)), np.uint8)
    cut = frames.blocks(passed, recording.sensor_size, spec, origin_us=origin, reuse=True)
    rates = np.concatenate([estimator.update(empty), *(estimator.update(part.frames) for part in cut)])
    folder.mkdir(parents=True)
    for name, array in {"events": events, "passed": passed, "kept": kept, "background": rates, "truth": recording.truth}.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    n = len(events)
    columns: dict[str, Rows] = {name: FileRows(folder / "events.npy", n, name) for name in events.dtype.names or ()}
    return Staged(
        name=recording.name,
        source=recording.source,
        sensor=recording.sensor,
        sensor_size=(int(recording.sensor_size[0]), int(recording.sensor_size[1])),
        dropped=recording.dropped,
        t_start=origin if n else None,
        t_end=int(events["t"][-1]) if n else None,
        frames=FrameRows(folder / "passed.npy", starts, recording.sensor_size, spec),
        background=FileRows(folder / "background.npy", len(rates)),
        start_us=starts,
        events={**columns, "kept": FileRows(folder / "kept.npy", n)},
        labels=recording.labels,
        truth=None if recording.truth is None else _fields(folder / "truth.npy", recording.truth),
    ), len(passed)


def _fields(path: Path, like: np.ndarray[Any, Any]) -> dict[str, Rows]:
    return {name: FileRows(path, len(like), name) for name in like.dtype.names or ()}
