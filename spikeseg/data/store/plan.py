"""Arrays on disk whose files are written in parallel: what goes into each is settled first, then any process writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spikeseg.core.files import writing

from .arrays import Layout, new_array, new_folder, seal
from .chunks import write_file


class RowSource(Protocol):
    """Rows of an array that are made when they are written, perhaps in another process: can be pickled."""

    def __len__(self) -> int: ...

    def take(self, first: int, last: int) -> np.ndarray:
        """Rows first to last - 1; of 0 rows too, for their shape and dtype."""
        ...

    def parts(self, first: int, last: int) -> Iterator[np.ndarray]:
        """The same rows, a few at a time; the memory of some may be that of the next."""
        yield self.take(first, last)


@dataclass(frozen=True)
class ArrayRows(RowSource):
    """Rows in memory."""

    array: np.ndarray

    def __len__(self) -> int:
        return len(self.array)

    def take(self, first: int, last: int) -> np.ndarray:
        return self.array[first:last]


@dataclass(frozen=True)
class FilePlan:
    """One file of an array and where its rows come from: all that a process needs to write it.

    Attributes:
        array: the array's folder.
        number: of the file, counted along the rows.
        layout: of the array.
        sources: rows, and which of them: first, last + 1.
    """

    array: Path
    number: int
    layout: Layout
    sources: tuple[tuple[RowSource, int, int], ...]

    def write(self) -> None:
        """Write it; may be repeated."""
        row = self.sources[0][0].take(0, 0)
        rows = (part for source, first, last in self.sources for part in source.parts(first, last))
        path = self.array.joinpath("c", str(self.number), *["0"] * (row.ndim - 1))
        write_file(path, rows, np.zeros(row.shape[1:], row.dtype), self.layout)


class PlannedArrays:
    """A new folder of arrays whose rows are named first and written afterwards, file by file, in any order, by any process.

    Equal rows give equal bytes, and those that `ArrayWriter` writes. Raises InputError when the folder exists or cannot be made.
    """

    def __init__(self, path: str | Path, kind: str) -> None:
        self.path, self.kind = Path(path).absolute(), kind
        self._root = new_folder(self.path)
        self._parts: dict[str, list[RowSource]] = {}
        self._rows: dict[str, int] = {}
        self._made: dict[str, tuple[np.ndarray, Layout, str, dict[str, str]]] = {}

    def append(self, name: str, rows: RowSource, layout: Layout, axes: str, **attrs: str) -> None:
        """Append rows to the array ``name``; see `ArrayWriter.append`."""
        empty = rows.take(0, 0)
        if name not in self._made:
            self._made[name] = np.zeros(empty.shape[1:], empty.dtype), layout, axes, attrs
        row = self._made[name][0]
        if (empty.shape[1:], empty.dtype) != (row.shape, row.dtype):
            raise ValueError(f"{name}: rows {empty.dtype} {empty.shape[1:]}, must be {row.dtype} {row.shape} as before")
        self._parts.setdefault(name, []).append(rows)
        self._rows[name] = self.rows(name) + len(rows)

    def rows(self, name: str) -> int:
        """Rows that the array has so far."""
        return self._rows.get(name, 0)

    def files(self) -> list[FilePlan]:
        """What is to be written; makes the empty arrays. Nothing can be appended any more. Raises InputError."""
        plans = []
        for name, (row, layout, axes, attrs) in self._made.items():
            parts = self._parts[name]
            ends = np.cumsum([len(part) for part in parts])
            total, per_file = int(ends[-1]), layout.rows_per_file(row.nbytes)
            with writing(self.path):
                new_array(self._root, name, total, row, layout, attrs, axes)
            for first in range(0, total, per_file):
                last = min(first + per_file, total)
                sources = []
                for k in range(int(np.searchsorted(ends, first, side="right")), len(parts)):
                    begin = int(ends[k]) - len(parts[k])
                    if begin >= last:
                        break
                    if len(parts[k]):
                        sources.append((parts[k], max(first - begin, 0), min(last - begin, len(parts[k]))))
                plans.append(FilePlan(self.path / name, first // per_file, layout, tuple(sources)))
        return plans

    def finish(self, contents: Mapping[str, Any]) -> None:
        """See `ArrayWriter.finish`; every file must be written."""
        seal(self._root, self.path, self.kind, contents)
