"""Recordings too long for memory: checked part by part, with the outcome of `recording.checked`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import checks
from .readers import AS_USUAL, Layout, Stream, read_stream
from .recording import EVENT_DTYPE
from .sensors import SENSOR_SIZES, Fit
from .times import check_span, whole_us


def iter_events(
    path: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    lenient: bool = False,
    open_stream: Callable[[], Stream] | None = None,
    layout: Layout = AS_USUAL,
) -> LongEvents:
    """The events of a recording of any length, checked, part by part, in bounded memory.

    The file is gone through twice: for its sensor size and its polarities, then for its events. Events are those that
    ``readers.read`` gives, in the same order, and what is refused there is refused here, at the latest after the last part.

    Args:
        path: of any format; those whose `Reader` has a `stream` take bounded memory.
        sensor_size: see ``readers.read``.
        lenient: see ``recording.checked``.
        open_stream: opens the file anew, where ``readers.read_stream(path)`` is not enough.
        layout: see ``readers.read``.

    Raises InputError: see ``readers.read``.
    """
    opened = open_stream or (lambda: read_stream(path, layout=layout))
    return LongEvents(str(path), opened, sensor_size, lenient)


@dataclass
class LongEvents:
    """See `iter_events`; iterating goes through the file.

    Attributes:
        source: the path, as messages name it.
        sensor_size: (width, height), px.
        labels: as the file holds them, unchecked; or None.
        sensor: "DAVIS", "ATIS" or "".
        dropped: what was dropped or mended, as reason -> count; complete after the last part.
        pixels: int64 (H, W), how many events of each pixel came so far.
        span: time of the first and of the last event, µs; known when the last part has been taken, None without any.
    """

    source: str
    opened: Callable[[], Stream]
    sensor_size: tuple[int, int]
    lenient: bool
    labels: Mapping[str, np.ndarray] | None = None
    sensor: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    span: tuple[int, int] | None = None

    def __init__(self, source: str, opened: Callable[[], Stream], sensor_size: tuple[int, int] | None, lenient: bool) -> None:
        self.source, self.opened, self.lenient = source, opened, lenient
        stream = opened()
        given, fit = sensor_size or stream.sensor_size, Fit()
        polarities = np.zeros(0)
        for part in stream.parts:
            columns = checks.columns_of(source, "events", part._asdict())
            p = columns["p"][checks.finite_rows(columns)]
            polarities = np.union1d(polarities, np.unique(p).astype(np.float64))[:8]
            if given is None:
                fit.add(columns["x"], columns["y"])
        self.sensor_size = checks.checked_size(source, given or SENSOR_SIZES[fit.sensor(source)])
        self.labels, self.sensor = stream.labels, stream.sensor
        self._on = checks.on_value(source, polarities)
        self.dropped = {}

    def __iter__(self) -> Iterator[np.ndarray]:
        """EVENT_DTYPE (n,), sorted, also from part to part."""
        width, height = self.sensor_size
        self.pixels, self.span = np.zeros((height, width), np.int64), None
        counts = {"not finite": 0, "outside the sensor": 0}
        total, late, first_late = 0, 0, 0
        latest: int | None = None
        first: int | None = None
        last: int | None = None
        waiting, index_of_waiting = np.zeros(0, EVENT_DTYPE), np.zeros(0, np.int64)
        stream = self.opened()
        for part in stream.parts:
            columns = checks.columns_of(self.source, "events", part._asdict())
            n = len(columns["t"])
            finite = checks.finite_rows(columns)
            inside = checks.inside(columns["x"], columns["y"], self.sensor_size) & finite
            counts["not finite"] += n - int(finite.sum())
            counts["outside the sensor"] += int(finite.sum() - inside.sum())
            index = np.flatnonzero(inside)
            events = np.empty(len(index), EVENT_DTYPE)
            events["t"] = whole_us(self.source, "events.t", columns["t"][index], index + total)
            for name in "xy":
                events[name] = checks.whole_pixels(self.source, name, columns[name][index], index + total)
            events["p"] = columns["p"][index] == self._on
            index += total
            total += n
            back, latest = self._backwards(events["t"], latest, index)
            if not late and (back > 0).any():
                first_late = int(index[np.argmax(back > 0)])
            late += int((back > 0).sum())
            merged, index_of_merged = np.concatenate([waiting, events]), np.concatenate([index_of_waiting, index])
            order = np.argsort(merged["t"], kind="stable")
            merged, index_of_merged = merged[order], index_of_merged[order]
            settled = len(merged) if latest is None else int(np.searchsorted(merged["t"], latest - checks.MAX_BACKWARD_US))
            waiting, index_of_waiting = merged[settled:], index_of_merged[settled:]
            if settled:
                first = int(merged["t"][0]) if first is None else first
                last = self._gap(merged[:settled], index_of_merged[:settled], last)
                yield self._counted(merged[:settled])
        checks.limit(self.source, "events", total, counts, self.lenient)
        kept = total - sum(counts.values())
        checks.limit_late(self.source, late, kept, first_late, self.lenient)
        if len(waiting):
            first = int(waiting["t"][0]) if first is None else first
            last = self._gap(waiting, index_of_waiting, last)
        if first is not None and last is not None:
            check_span(self.source, first, last, kept, self.lenient)
            self.span = first, last
        if len(waiting):
            yield self._counted(waiting)
        counts["out of order, sorted"] = late
        self.dropped = {reason: n for reason, n in {**stream.left_out, **counts}.items() if n}

    def _backwards(self, t: np.ndarray, latest: int | None, index: np.ndarray) -> tuple[np.ndarray, int | None]:
        """How far each time lies behind the latest before it, and the latest of all."""
        if not len(t):
            return np.zeros(0, np.int64), latest
        highest = np.maximum.accumulate(t if latest is None else np.maximum(t, latest))
        back = highest - t
        if int(back.max()) > checks.MAX_BACKWARD_US:
            first = int(np.argmax(back > checks.MAX_BACKWARD_US))
            raise checks.jumps_back(self.source, int(back[first]), int(index[first]))
        return back, int(highest[-1])

    def _gap(self, events: np.ndarray, index: np.ndarray, last: int | None) -> int:
        t = events["t"]
        gaps = np.diff(t, prepend=t[0] if last is None else last)
        if int(gaps.max()) > checks.MAX_GAP_US:
            first = int(np.argmax(gaps > checks.MAX_GAP_US))
            raise checks.jumps_forward(self.source, int(gaps[first]), int(index[first]))
        return int(t[-1])

    def _counted(self, events: np.ndarray) -> np.ndarray:
        height, width = self.pixels.shape
        flat = events["y"].astype(np.int64) * width + events["x"]
        self.pixels += np.bincount(flat, minlength=width * height).reshape(height, width)
        return events
