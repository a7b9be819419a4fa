"""The cache of frames: every recording's windows, events, labels and truth in one zarr (format 3) folder.

    frames_{H}x{W}/frames       bool (uint16 for counts) (N, T, P, H, W): one sample per chunk, OFF first
    frames_{H}x{W}/background   float32 (N, P, hb, wb): background events per pixel and step
    frames_{H}x{W}/recording    int32 (N,): index into the recordings of the root's attributes
    frames_{H}x{W}/start_us     int64 (N,): start of the window, µs
    events/{t,x,y,p,kept}       every event that passed the checks; kept: passed the transforms, is in the frames
    labels/{t,x,y,id}           label points
    truth/{source,object_id}    per event, simulated recordings only

The attribute "contents" of the root names the recordings in order, with the rows [first, last + 1] of each table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.config.keys import section_dict
from spikeseg.data.frames.framing import FrameSpec
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE
from spikeseg.errors import InputError

from .arrays import COLUMNS, SAMPLES, SMALL, ArrayReader, Writer, rewritten
from .plan import ArrayRows, FilePlan, PlannedArrays, RowSource

KIND = "spikeseg frames, version 1"
SPLITS = ("train", "val", "test")

_UNITS = {"t": "µs", "x": "px", "y": "px"}


@dataclass(frozen=True)
class RecordingInfo:
    """A recording of the cache, without its events.

    Attributes:
        name: unique in the cache.
        sensor: "DAVIS", "ATIS" or "".
        sensor_size: (width, height) in pixels.
        split: "train", "val" or "test".
        dropped: what the checks dropped or mended, as reason -> count.
        n_windows: windows of the recording.
        t_start, t_end: first and last event, µs; None without events.
        events, windows: rows [first, last + 1) of the tables.
        labels, truth: the same, or None when the recording has none.
    """

    name: str
    sensor: str
    sensor_size: tuple[int, int]
    split: str
    dropped: dict[str, int]
    n_windows: int
    t_start: int | None
    t_end: int | None
    events: tuple[int, int]
    windows: tuple[int, int]
    labels: tuple[int, int] | None
    truth: tuple[int, int] | None

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> RecordingInfo:
        """The inverse of ``dataclasses.asdict`` after a trip through JSON."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        return cls(**fields)


def group_of(spec: FrameSpec, sensor_size: tuple[int, int]) -> str:
    """Name of the group that holds the frames of a sensor of (width, height)."""
    return "frames_{}x{}".format(*spec.size(sensor_size))


class FramesWriter(Writer):
    """Writes the cache: recordings are added one by one, and written at the end, file by file.

        with FramesWriter(path, spec, attrs) as writer:
            writer.add(staged, "train")

    The folder can be opened once the block has ended without an exception. Equal input gives equal bytes.

    Args:
        path: a folder that does not exist yet.
        spec: how the windows were made.
        attrs: anything else that JSON can hold, given back by ``Frames.attrs``.
        write: has every file written, in any order, perhaps by other processes; by default here, one after the other.

    Raises InputError when the folder exists or cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        spec: FrameSpec,
        attrs: Mapping[str, Any] | None = None,
        write: Callable[[Sequence[FilePlan]], None] | None = None,
    ) -> None:
        self.spec, self.attrs = spec, dict(attrs or {})
        self._out = PlannedArrays(path, KIND)
        self._write = write or _write_here
        self._recordings: list[RecordingInfo] = []
        self._names: set[str] = set()

    def add(self, staged: StagedRecording, split: str) -> None:
        """Append a recording whose rows are made when they are written.

        Raises:
            InputError: a name that is already there, or a split that does not exist.
            ValueError: rows of another shape or dtype than those before.
        """
        if split not in SPLITS:
            raise InputError(f"{staged.name}: split {split!r}, must be one of {', '.join(SPLITS)}")
        if staged.name in self._names:
            raise InputError(f"{staged.name}: a second recording of this name ({staged.source}); rename one")
        group = group_of(self.spec, staged.sensor_size)
        first, count = self._out.rows(f"{group}/start_us"), len(staged.start_us)
        put, index = self._out.append, np.full(count, len(self._recordings), np.int32)
        put(f"{group}/background", staged.background, SMALL, "sample polarity block_y block_x",
            units="events per pixel and step")  # fmt: skip
        put(f"{group}/frames", staged.frames, SAMPLES, "sample step polarity y x",
            units="1" if self.spec.normalize else "events")  # fmt: skip
        put(f"{group}/recording", ArrayRows(index), COLUMNS, "sample")
        put(f"{group}/start_us", staged.start_us, COLUMNS, "sample", units="µs")
        self._names.add(staged.name)
        self._recordings.append(
            RecordingInfo(
                name=staged.name,
                sensor=staged.sensor,
                sensor_size=staged.sensor_size,
                split=split,
                dropped={reason: int(count) for reason, count in staged.dropped.items()},
                n_windows=count,
                t_start=staged.t_start,
                t_end=staged.t_end,
                events=self._add_table("events", staged.events),
                windows=(first, first + count),
                labels=None if staged.labels is None else self._add_table("labels", columns_of(staged.labels)),
                truth=None if staged.truth is None else self._add_table("truth", staged.truth),
            )
        )

    def _add_table(self, table: str, columns: Mapping[str, RowSource]) -> tuple[int, int]:
        """Append columns to a table; rows [first, last + 1)."""
        first = self._out.rows(f"{table}/{next(iter(columns))}")
        for name, values in columns.items():
            self._out.append(f"{table}/{name}", values, COLUMNS, "row", **({"units": _UNITS[name]} if name in _UNITS else {}))
        return first, self._out.rows(f"{table}/{next(iter(columns))}")

    def _finish(self) -> None:
        self._write(self._out.files())
        self._out.finish(
            {"spec": section_dict(self.spec), "attrs": self.attrs, "recordings": [asdict(info) for info in self._recordings]}
        )


@dataclass(frozen=True)
class StagedRecording:
    """A recording ready to be written.

    Attributes:
        name, source, sensor, sensor_size, dropped: see ``Recording``.
        t_start, t_end: first and last event, µs; None without events.
        frames, background, start_us: of every window, as in the cache.
        events: columns t, x, y, p, kept.
        labels: LABEL_DTYPE, or None.
        truth: columns of TRUTH_DTYPE, or None.
    """

    name: str
    source: str
    sensor: str
    sensor_size: tuple[int, int]
    dropped: Mapping[str, int]
    t_start: int | None
    t_end: int | None
    frames: RowSource
    background: RowSource
    start_us: RowSource
    events: Mapping[str, RowSource]
    labels: np.ndarray | None
    truth: Mapping[str, RowSource] | None


def columns_of(table: np.ndarray) -> dict[str, RowSource]:
    """The columns of a structured array."""
    return {name: ArrayRows(np.ascontiguousarray(table[name])) for name in table.dtype.names or ()}


def _write_here(files: Sequence[FilePlan]) -> None:
    for file in files:
        file.write()


class Frames:
    """Reads the cache. Recordings are named by their index r in ``recordings``, windows by their index k in r.

    Attributes:
        spec: how the windows were made.
        attrs: what the writer was given.
        recordings: what is known of each recording, in order.

    Every method raises InputError, naming the file, when one is missing or damaged; nothing reads as zeros.
    """

    def __init__(self, arrays: ArrayReader) -> None:
        self._in = arrays
        self.spec = FrameSpec(**arrays.contents["spec"])
        self.attrs: dict[str, Any] = arrays.contents["attrs"]
        self.recordings = [RecordingInfo.from_json(entry) for entry in arrays.contents["recordings"]]

    @classmethod
    def open(cls, path: str | Path) -> Frames:
        """Open a cache, after checking that every file is there. Raises InputError otherwise."""
        return cls(ArrayReader(path, KIND))

    def windows(self, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All windows of a recording: (start_us int64 (N,), frames uint8 or uint16 (N, T, P, H, W),
        background float32 (N, P, hb, wb))."""
        return self._rows(r, 0, self.recordings[r].n_windows)

    def read(self, r: int, ks: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The windows ks of a recording, in the order asked for: as ``windows``. Raises IndexError for others."""
        wanted = np.asarray(ks, np.int64).reshape(-1)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.recordings[r].n_windows:
            raise IndexError(f"{self.recordings[r].name}: windows {ks} of {self.recordings[r].n_windows}")
        runs = np.split(wanted, 1 + np.flatnonzero(np.diff(wanted) != 1))
        parts = [self._rows(r, int(run[0]), int(run[-1]) + 1) for run in runs if len(run)] or [self._rows(r, 0, 0)]
        start_us, frames, background = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return start_us, frames, background

    def _rows(self, r: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        info = self.recordings[r]
        group = group_of(self.spec, info.sensor_size)
        if f"{group}/frames" not in self._in:
            shape = (0, self.spec.n_timesteps, self.spec.polarities, *self.spec.size(info.sensor_size))
            empty = np.zeros(shape, np.uint8 if self.spec.normalize else np.uint16)
            return np.zeros(0, np.int64), empty, np.zeros((0, self.spec.polarities, 1, 1), np.float32)
        rows = info.windows[0] + first, info.windows[0] + last
        start_us, frames, background = (self._in.read(f"{group}/{name}", *rows) for name in ("start_us", "frames", "background"))
        return start_us, frames.view(np.uint8) if self.spec.normalize else frames, background

    def events(self, r: int) -> np.ndarray:
        """Every event of a recording that passed the checks: EVENT_DTYPE (n,)."""
        return self._table("events", EVENT_DTYPE, self.recordings[r].events)

    def kept(self, r: int) -> np.ndarray:
        """Which of ``events(r)`` passed the transforms and are in the frames: bool (n,)."""
        return self._in.read("events/kept", *self.recordings[r].events)

    def labels(self, r: int) -> np.ndarray | None:
        """Label points: LABEL_DTYPE, or None when nobody labelled the recording."""
        rows = self.recordings[r].labels
        return None if rows is None else self._table("labels", LABEL_DTYPE, rows)

    def truth(self, r: int) -> np.ndarray | None:
        """Truth per event: TRUTH_DTYPE, or None."""
        rows = self.recordings[r].truth
        return None if rows is None else self._table("truth", TRUTH_DTYPE, rows)

    def _table(self, table: str, dtype: np.dtype[Any], rows: tuple[int, int]) -> np.ndarray:
        result = np.zeros(rows[1] - rows[0], dtype)
        for name in dtype.names or ():
            result[name] = self._in.read(f"{table}/{name}", *rows)
        return result

    def samples(self, split: str | None = None) -> list[tuple[int, int]]:
        """Every window of a split (of all, by default) as (r, k), in the order of the recordings.

        Raises InputError for a split that does not exist; one without recordings gives an empty list."""
        if split is not None and split not in SPLITS:
            raise InputError(f"split: {split!r}, must be one of {', '.join(SPLITS)}")
        chosen = ((r, info) for r, info in enumerate(self.recordings) if split in (None, info.split))
        return [(r, k) for r, info in chosen for k in range(info.n_windows)]


def resplit(source: str | Path, target: str | Path, splits: Mapping[str, str]) -> None:
    """The same cache under other splits, as a new folder that shares its large files with the first (see `rewritten`).

    Args:
        source: a finished cache.
        target: a folder that does not exist yet.
        splits: recording -> one of ``SPLITS``, for every one.

    Raises InputError: source is damaged, target exists or cannot be written, a recording or its split is not known.
    """
    arrays = ArrayReader(source, KIND)
    entries = []
    for entry in arrays.contents["recordings"]:
        part = splits.get(entry["name"])
        if part not in SPLITS:
            raise InputError(f"{entry['name']}: split {part!r}, must be one of {', '.join(SPLITS)}")
        entries.append({**entry, "split": part})
    rewritten(arrays, target, {**arrays.contents, "recordings": entries})
