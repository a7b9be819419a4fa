"""npy and npz, never unpickled, headers checked before anything is allocated."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from spikeseg.core.kinds import TORCH, kind_of
from spikeseg.errors import InputError

from .layout import AS_USUAL, Layout
from .raw import BLOCK_EVENTS, FIELD_ALIASES, Columns, Raw, Stream, find_fields
from .reader import Reader

FIELDS_HELP = "; ".join(f"{field}: {', '.join(names)}" for field, names in FIELD_ALIASES.items())


def read_npy(path: str | Path, layout: Layout = AS_USUAL) -> Raw:
    """One structured array (N,) with fields t, x, y, p, or a plain one (N, 4), its columns as the layout says.

    Raises InputError if the file is truncated, is longer than its header says, holds objects, or else.
    """
    path = Path(path)
    with path.open("rb") as file:
        array = _array(file, path.stat().st_size, str(path))
    return _from_array(array, str(path), None, layout)


def stream_npy(path: str | Path, layout: Layout = AS_USUAL) -> Stream:
    """As `read_npy`, part by part; of columns in Fortran order, all at once. Raises InputError as `read_npy` does."""
    path = Path(path)
    with path.open("rb") as file:
        shape, fortran_order, dtype, start, count = _header(file, path.stat().st_size, str(path))
    if not shape or (fortran_order and len(shape) > 1):
        return read_npy(path, layout).stream()
    some = np.broadcast_to(np.zeros(1, dtype), shape)
    empty = _from_array(some, str(path), None, layout._replace(time_unit="us"))  # complains about what is no recording
    rows, width = shape[0], count // max(1, shape[0])

    def parts() -> Iterator[Columns]:
        with path.open("rb") as file:
            file.seek(start)
            for first in range(0, max(rows, 1), BLOCK_EVENTS):
                wanted = min(BLOCK_EVENTS, rows - first)
                data = file.read(wanted * width * dtype.itemsize)
                if len(data) < wanted * width * dtype.itemsize:
                    raise InputError(f"{path}: truncated at byte {file.tell()}; get the file again")
                part = _from_array(np.frombuffer(data, dtype).reshape(wanted, *shape[1:]), str(path), None, layout)
                yield Columns(part.t, part.x, part.y, part.p)

    return Stream(parts(), empty.sensor_size)


def stream_npz(path: str | Path, layout: Layout = AS_USUAL) -> Stream:
    """Arrays t, x, y, p (N,), or one array ``events`` as in read_npy; optional sensor_size (width, height).

    Other names for t, x, y, p: see FIELD_ALIASES. Checksums are verified. Raises InputError as read_npy does.
    """
    where = str(path)
    with _archive(where) as archive:
        members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
    size = None
    if "sensor_size" in members:
        sides = read_npz_arrays(path, ["sensor_size"])["sensor_size"]
        if sides.shape != (2,) or sides.dtype.kind not in "ui":
            raise InputError(f"{where}: sensor_size: {sides.shape} of {sides.dtype}; expected 2 whole numbers")
        size = (int(sides[0]), int(sides[1]))
    fields = find_fields(list(members))
    if fields is not None:
        parts = _npz_columns(where, [fields[field] for field in "txyp"])
        return Stream((part._replace(t=layout.in_us(part.t, where)) for part in parts), size)
    if "events" in members:
        return _from_array(read_npz_arrays(path, ["events"])["events"], where, size, layout).stream()
    if kind_of(path) == TORCH:
        raise InputError(f"{where}: is {TORCH}, as networks are, and no recording; --network takes a network")
    listed = ", ".join(_shown(name) for name in sorted(members)[:8]) or "nothing"
    raise InputError(f"{where}: holds {listed}; expected arrays {FIELDS_HELP}; or one array 'events'")


def _npz_columns(where: str, names: list[str]) -> Iterator[Columns]:
    """Columns of one length, read side by side; of anything else, all at once, for the checks to complain about."""
    with _archive(where) as archive, ExitStack() as stack:
        members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
        streams = [stack.enter_context(archive.open(members[name])) for name in names]
        heads = [
            _header(stream, members[name].file_size, f"{where}: {name}") for stream, name in zip(streams, names, strict=True)
        ]
        shapes = {head[0] for head in heads}
        if len(shapes) > 1 or len(heads[0][0]) != 1:
            arrays = read_npz_arrays(where, names)
            yield Columns(*(arrays[name] for name in names))
            return
        rows = heads[0][0][0]
        for first in range(0, max(rows, 1), BLOCK_EVENTS):
            part = []
            for stream, name, head in zip(streams, names, heads, strict=True):
                wanted = min(BLOCK_EVENTS, rows - first) * head[2].itemsize
                data = stream.read(wanted)
                if len(data) < wanted:
                    raise InputError(f"{where}: {name}: truncated after {first} numbers; get the file again")
                part.append(np.frombuffer(data, head[2]))
            yield Columns(*part)
        for stream in streams:
            stream.read(1)  # the checksum is verified at the end


def _shown(name: str) -> str:
    """A name as a message shows it, on one line."""
    return name if name.isprintable() else repr(name)


@contextmanager
def _archive(where: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(where) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{where}: truncated or damaged npz ({error}); get the file again") from error


def read_npz_arrays(path: str | Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file, all or those named. Raises InputError, also when one named is missing."""
    where = str(path)
    with _archive(where) as archive:
        members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
        missing = [name for name in names or () if name not in members]
        if missing:
            raise InputError(f"{where}: has no array {missing[0]}; it holds {', '.join(map(_shown, members)) or 'nothing'}")
        arrays = {}
        for name in members if names is None else names:
            with archive.open(members[name]) as stream:
                arrays[name] = _array(stream, members[name].file_size, f"{where}: {name}")
    return arrays


def _from_array(array: np.ndarray, where: str, size: tuple[int, int] | None, layout: Layout) -> Raw:
    if array.dtype.names is not None:
        fields = find_fields(list(array.dtype.names))
        if fields is not None and array.ndim == 1:
            t, x, y, p = (array[fields[field]] for field in "txyp")
            return Raw(layout.in_us(t, where), x, y, p, size)
    elif array.ndim == 2 and array.shape[1] == layout.width:
        t, x, y, p = (array[:, place] for place in layout.places)
        return Raw(layout.in_us(t, where), x, y, p, size)
    columns = ", ".join(layout.columns) or "t, x, y, p"
    raise InputError(
        f"{where}: array {array.shape} of {array.dtype}; expected fields {FIELDS_HELP}; "
        f"or a plain array (N, {layout.width}) with columns {columns} (--columns says otherwise)"
    )


def _array(stream: IO[bytes], size: int, where: str) -> np.ndarray:
    """The array in an npy stream of ``size`` bytes."""
    shape, fortran_order, dtype, start, _ = _header(stream, size, where)
    data = stream.read(size - start)
    if len(data) != size - start:
        raise InputError(f"{where}: truncated after {len(data)} of {size - start} bytes")
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _header(stream: IO[bytes], size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype, int, int]:
    """Shape, order, dtype, where the numbers begin, and how many there are, of an npy stream of ``size`` bytes."""
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{where}: npy version {version}; 1.0 and 2.0 are read")
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran_order, dtype = read_header[version](stream)
        if dtype.hasobject:
            raise InputError(f"{where}: holds pickled objects, which could run code; save plain numbers")
        if not dtype.itemsize:
            raise InputError(f"{where}: holds {dtype}, which takes no room; expected numbers")
        start = stream.tell()
        count = int(np.prod([int(side) for side in shape], dtype=object)) if shape else 1
        declared = start + count * dtype.itemsize
        if declared != size:
            raise InputError(f"{where}: {size} bytes, but its header declares {declared}; truncated or damaged")
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: truncated or damaged npy ({' '.join(str(error).split())})") from error
    return tuple(int(side) for side in shape), bool(fortran_order), dtype, start, count


NPZ = Reader(".npz", stream_npz, signatures=(b"PK\x03\x04", b"PK\x05\x06"), layouts=True)
NPY = Reader(".npy", stream_npy, signatures=(b"\x93NUMPY",), layouts=True)
