"""What a detector may see of a recording, and what it answers. Labels are in neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import EventLists, Sparse
from spikeseg.data.frames.framing import FrameSpec, pixels, starts

if TYPE_CHECKING:
    from spikeseg.data.store.frames import Frames

    from .objects import Slice
    from .tracked import Found

BLOCK = 16
"""Windows read from the cache at a time."""

Windows = Iterator[tuple[int, EventLists, np.ndarray]]
"""Start in µs, frames (one sample) and background rates (2, hb, wb) of one window after the other."""


@dataclass(frozen=True)
class View:
    """A recording as a detector sees it.

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
        from .event_scores_kernels import look_up

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


def stored_view(frames: Frames, r: int) -> View:
    """Recording r of the cache; its windows are read in blocks."""
    from spikeseg.ops.cpu.inference_kernels import listed

    info, events, kept = frames.recordings[r], frames.events(r), frames.kept(r)

    def windows() -> Windows:
        for first in range(0, info.n_windows, BLOCK):
            start_us, block, rates = frames.read(r, range(first, min(first + BLOCK, info.n_windows)))
            yield from zip(start_us.tolist(), listed(block).each(), rates, strict=True)

    start_us = starts(events[kept], frames.spec, info.t_start)
    return View(info.name, events, kept, info.sensor_size, frames.spec, start_us, windows)


@dataclass(frozen=True)
class Response:
    """A detector's answer to one recording.

    Attributes:
        scores: float64 (n,) >= 0, one per event; 0 for those that the detector did not get to see or did not react to.
        maps: one per window, of what lights up by step and pixel of the frame.
        found: its tracked objects, where it tracks; the scores are then theirs.
        saliency: float64 (n,), the maps' value at each event, where the scores are something else.
        slices: per window its objects in slices of time, where they are more than connected blobs of the maps.
        places: per window float64 (m, 2), x, y of its objects in sensor pixels, where the detector lists them itself.
    """

    scores: np.ndarray
    maps: Sequence[Sparse]
    found: Found | None = None
    saliency: np.ndarray | None = None
    slices: Sequence[Sequence[Slice]] | None = None
    places: Sequence[np.ndarray] | None = None


def from_scores(view: View, scores: np.ndarray) -> Response:
    """The response of a detector that scores events: its maps hold the highest score of each step and pixel."""
    maps = []
    for start in view.start_us.tolist():
        events, flat = view.located(start)
        index, inverse = np.unique(flat, return_inverse=True)
        value = np.zeros(len(index), np.float32)
        np.maximum.at(value, inverse, scores[events])
        maps.append(Sparse(view.shape, index, value))
    return Response(scores, maps)


def from_maps(view: View, maps: Sequence[Sparse]) -> Response:
    """The response of a detector that lights up pixels: an event's score is the value at its step and pixel, the highest
    where windows overlap."""
    scores, dense = np.zeros(len(view.events)), np.zeros(int(np.prod(view.shape)), np.float32)
    for start, lit in zip(view.start_us.tolist(), maps, strict=True):
        dense[lit.index] = lit.value
        view.look_up(start, dense, view.kept, scores)
        dense[lit.index] = 0.0
    return Response(scores, maps)
