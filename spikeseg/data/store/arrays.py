"""Arrays on disk of which every loss is detected; the only file that uses zarr (format 3).

zarr reads a chunk that is not there as zeros, so a copy cut short would pass as silence. Here the root's attributes
list every file with its size, and carry their own SHA-256; opening compares them with the disk, and reading compares again.
The contents of the chunks are guarded by the checksums of zstd and of the shard index.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from spikeseg.core.files import refusal, writing
from spikeseg.errors import InputError

from .chunks import ZSTD_LEVEL, Layout

META = "zarr.json"
_CORRUPT = (ValueError, RuntimeError, KeyError, IndexError, TypeError, OSError)
"""What zarr and its codecs raise on broken files."""


SAMPLES = Layout(chunk=1, per_file=64)
"""Samples of a network, read one at a time."""

SMALL = Layout(chunk=64)
"""Small rows that go with a sample."""

COLUMNS = Layout(chunk=2**16, per_file=16)
"""Columns of long tables of numbers."""


def new_array(
    root: zarr.Group, name: str, rows: int, row: np.ndarray, layout: Layout, attrs: Mapping[str, Any], axes: str
) -> Any:
    """An empty array for so many rows like `row`."""
    per_file = layout.rows_per_file(row.nbytes)
    return root.create_array(
        name,
        shape=(rows, *row.shape),
        chunks=(layout.chunk, *row.shape),
        shards=(per_file, *row.shape) if per_file > layout.chunk else None,
        dtype=row.dtype,
        fill_value=row.dtype.type(0),
        compressors=ZstdCodec(level=ZSTD_LEVEL, checksum=True),
        config={"write_empty_chunks": True},
        attributes=dict(attrs),
        dimension_names=axes.split(),
    )


class _Column:
    """One array under construction: rows are collected until they fill a file."""

    def __init__(self, root: zarr.Group, name: str, row: np.ndarray, layout: Layout, attrs: Mapping[str, Any], axes: str) -> None:
        per_file = layout.rows_per_file(row.nbytes)
        self.array: Any = new_array(root, name, 0, row, layout, attrs, axes)
        self.rows = 0
        self._waiting = np.zeros((per_file, *row.shape), row.dtype)

    def append(self, rows: np.ndarray) -> None:
        if rows.shape[1:] != self._waiting.shape[1:] or rows.dtype != self._waiting.dtype:
            raise ValueError(
                f"{self.array.path}: rows {rows.dtype} {rows.shape[1:]}, must be "
                f"{self._waiting.dtype} {self._waiting.shape[1:]} as before"
            )
        per_file = len(self._waiting)
        while len(rows):
            at = self.rows % per_file
            part, rows = rows[: per_file - at], rows[per_file - at :]
            self._waiting[at : at + len(part)] = part
            self.rows += len(part)
            if self.rows % per_file == 0:
                self._flush(per_file)

    def close(self) -> None:
        self._flush(self.rows % len(self._waiting))

    def _flush(self, count: int) -> None:
        if count:
            self.array.resize((self.rows, *self.array.shape[1:]))
            self.array[self.rows - count :] = self._waiting[:count]


class ArrayWriter:
    """Writes a new folder of arrays, row by row, each file once; without ``finish`` it cannot be opened.

    Equal calls give equal bytes. Raises InputError when the folder exists or cannot be made.
    """

    def __init__(self, path: str | Path, kind: str) -> None:
        self.path, self.kind = Path(path), kind
        self._root = new_folder(self.path)
        self._columns: dict[str, _Column] = {}

    def append(self, name: str, rows: np.ndarray, layout: Layout, axes: str, **attrs: str) -> None:
        """Append rows (n, ...) to the array ``name`` ("group/array"), made at the first call, n = 0 included.

        Args:
            name: of the array.
            rows: (n, ...).
            layout: how they are cut into chunks and files.
            axes: names of the axes, separated by blanks.
            **attrs: attributes of the array, such as its units.

        Raises:
            ValueError: rows of another shape or dtype than the first.
            InputError: they cannot be written.
        """
        with writing(self.path):
            if name not in self._columns:
                self._columns[name] = _Column(self._root, name, np.zeros(rows.shape[1:], rows.dtype), layout, attrs, axes)
            self._columns[name].append(rows)

    def rows(self, name: str) -> int:
        """Rows that the array has so far."""
        return self._columns[name].rows if name in self._columns else 0

    def finish(self, contents: Mapping[str, Any]) -> None:
        """Write what is left, then the contents (JSON) and the list of files: from now on the folder can be opened."""
        with writing(self.path):
            for column in self._columns.values():
                column.close()
        seal(self._root, self.path, self.kind, contents)


def new_folder(path: Path) -> zarr.Group:
    """Raises InputError when the folder exists or cannot be made."""
    if path.exists():
        raise InputError(f"{path}: exists already; remove it, or write elsewhere")
    with writing(path):
        return zarr.open_group(str(path), mode="w-", zarr_format=3)


def seal(root: zarr.Group, path: Path, kind: str, contents: Mapping[str, Any]) -> None:
    """Write the contents (JSON) and the list of files: from now on the folder can be opened. Raises InputError."""
    paths = (p for p in path.rglob("*") if p.is_file() and p != path / META)
    files = {p.relative_to(path).as_posix(): _signature(p) for p in sorted(paths)}
    attrs: dict[str, Any] = {"kind": kind, "contents": dict(contents), "files": files}
    attrs = json.loads(json.dumps(attrs))
    with writing(path):
        root.attrs.put({**attrs, "sha256": _digest(attrs)})


class ArrayReader:
    """Reads what ``ArrayWriter`` wrote.

    Attributes:
        path: the folder.
        kind: of the contents.
        contents: what ``finish`` was given.
        files: every file but the root's metadata, by its path in the folder, with its size or SHA-256 to detect damage.
    """

    def __init__(self, path: str | Path, kind: str) -> None:
        self.path, self.kind = Path(path).absolute(), kind  # for a process elsewhere, too
        if not (self.path / META).is_file():
            raise InputError(f"{path}: no {kind} here ({META} is missing)")
        try:
            self._root = zarr.open_group(str(self.path), mode="r", zarr_format=3)
            attrs: dict[str, Any] = dict(self._root.attrs.asdict())
        except _CORRUPT as error:
            raise self.damaged(META, error) from error
        if "sha256" not in attrs:
            raise InputError(f"{path}: unfinished, writing it was interrupted; make it again")
        claimed = attrs.pop("sha256")
        if claimed != _digest(attrs):
            raise self.damaged(META, "its checksum does not match")
        if attrs["kind"] != kind:
            raise InputError(f"{path}: holds {attrs['kind']}, not {kind}")
        self.contents: dict[str, Any] = attrs["contents"]
        self.files: dict[str, int | str] = attrs["files"]
        for name in self.files:
            self._check(name)
        self._arrays: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return f"{name}/{META}" in self.files

    def read(self, name: str, first: int, last: int) -> np.ndarray:
        """Rows first to last - 1. Raises InputError, naming the file, when one is missing or corrupt."""
        array = self._array(name)
        if not 0 <= first <= last <= array.shape[0]:
            raise IndexError(f"{name}: rows {first} to {last} of {array.shape[0]}")
        per_file = (array.shards or array.chunks)[0]
        if last > first:
            for k in range(first // per_file, (last - 1) // per_file + 1):
                self._check("/".join([name, "c", str(k), *["0"] * (array.ndim - 1)]))
        try:
            rows: np.ndarray = np.asarray(array[first:last])
        except _CORRUPT as error:
            raise self.damaged(name, error) from error
        return rows

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            try:
                self._arrays[name] = self._root[name]
            except _CORRUPT as error:
                raise self.damaged(name, error) from error
        return self._arrays[name]

    def _check(self, name: str) -> None:
        """Raise InputError unless the file is there as it was written (its size, for chunks)."""
        path = self.path / name
        if not path.is_file():
            raise self.damaged(name, "missing")
        if name not in self.files or _signature(path) != self.files[name]:
            raise self.damaged(name, "not as it was written")

    def damaged(self, name: str, reason: Exception | str) -> InputError:
        """The error to raise for a file, or an array, that is not what it was written as."""
        first_line = (str(reason).splitlines() or [type(reason).__name__])[0]
        return InputError(f"{self.path / name}: damaged ({first_line}); remove {self.path} and make it again")


def rewritten(source: ArrayReader, target: str | Path, contents: Mapping[str, Any]) -> None:
    """A new folder with the arrays of another and contents of its own, of the same bytes as if it had been written anew.

    The files of the arrays, which nobody changes once they are written, are shared by hard links where the file system has
    them, else copied. Raises InputError when target exists or cannot be written."""
    path = Path(target)
    if path.exists():
        raise InputError(f"{target}: exists already; remove it, or write elsewhere")
    try:
        for name in source.files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            _share(source.path / name, path / name)
        path.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.path / META, path / META)
        root = zarr.open_group(str(path), mode="r+", zarr_format=3)
        attrs: dict[str, Any] = json.loads(
            json.dumps({"kind": source.kind, "contents": dict(contents), "files": dict(source.files)})
        )
        root.attrs.put({**attrs, "sha256": _digest(attrs)})
    except OSError as error:
        raise refusal(path, error) from error


def _share(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


class Writer:
    """Base of writers used in a ``with`` block: ``_finish`` runs only when the block succeeds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._finish()

    def _finish(self) -> None:
        raise NotImplementedError


def _signature(path: Path) -> int | str:
    """What detects damage of a file: its size, or for metadata, which has no checksum, its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.name == META else path.stat().st_size


def _digest(attrs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(attrs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
