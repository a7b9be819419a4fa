"""Events in HDF5, in the layouts of DSEC, of E2VID, of Metavision and of v2e.

    DSEC          events/{x,y,t,p}, t in µs; t_offset, added to every t   https://dsec.ifi.uzh.ch/data-format
    E2VID         events/{xs,ys,ts,ps}, ts in seconds; sensor_resolution   https://github.com/TimoStoff/event_cnn_minimal
    Metavision    CD/events, records of x, y, p, t; geometry               https://docs.prophesee.ai/stable/data/file_formats/hdf5.html
    v2e           events (N, 4), rows of t, x, y, p, t in µs               https://github.com/SensorsINI/v2e

Compression by other filters than HDF5's own needs hdf5plugin (extra ``formats``); it does not hold Prophesee's ECF.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeseg.data.sensors import SENSOR_SIZES
from spikeseg.data.times import in_float64
from spikeseg.errors import InputError

from .hdf5 import attributes, child, column, dataset, is_hdf5, opened, whole
from .layout import AS_USUAL, Layout
from .raw import BLOCK_EVENTS, Columns, Stream
from .reader import Reader

DSEC, E2VID, METAVISION, ROWS = "dsec", "e2vid", "metavision", "rows"
FIELDS = {DSEC: ("t", "x", "y", "p"), E2VID: ("ts", "xs", "ys", "ps"), METAVISION: ("t", "x", "y", "p")}
"""Layout -> names of t, x, y and p."""
TOLD_IN = ("geometry", "width", "height", "sensor_resolution")
"""Attributes that may hold the size of the sensor."""
ECF = 36559
US = 1e6
MAX_CHUNK_BYTES = 2**28
"""HDF5 unpacks a chunk as a whole, and again for every part of it that is read; writers make them a thousand times smaller."""


def is_hdf5_events(path: str | Path) -> bool:
    """Whether an HDF5 file has one of the layouts read here. False also for one that cannot be opened."""
    try:
        with opened(path) as file:
            return bool(_layout(file, str(path)))
    except InputError:
        return False


def stream_hdf5_events(path: str | Path, rows: Layout = AS_USUAL) -> Stream:
    """Events, t in µs on the file's clock, origin top left; external triggers of Metavision are counted.

    ``rows`` says what the columns of one dataset (N, 4) are, and in which unit its times.

    Raises InputError: damaged or unfinished, another layout, a filter that is not there, columns of several lengths.
    """
    where = str(path)
    with opened(path) as file:
        layout = _layout(file, where)
        if not layout:
            raise InputError(f"{path}: HDF5 of another layout; expected events/x, y, t, p, events (N, 4) or CD/events")
        if layout == ROWS:
            _rows_of_events(file, rows, where)
            return Stream(_row_parts(where, rows), _size(file, layout, where))
        columns = _columns(file, layout, where)
        lengths = {name: len(item) for name, item in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{path}: events of several lengths ({lengths}); damaged: get the file again")
        size = _size(file, layout, where)
        if size is None and layout == DSEC and child(file, "t_offset", where) is not None:
            size = _if_it_holds(SENSOR_SIZES["Gen3"], columns["x"], columns["y"])
        triggers = _triggers(file, where) if layout == METAVISION else 0
        offset = _offset(file, where) if layout == DSEC else 0
    left_out = {"external triggers": triggers} if triggers else {}
    return Stream(_parts(where, layout, offset), size, left_out=left_out)


def _layout(file: h5py.File, where: str) -> str:
    """One of FIELDS, or ""."""
    groups = {name: child(file, name, where) for name in ("events", "CD")}
    events, cd = groups["events"], groups["CD"]
    if isinstance(events, h5py.Dataset):
        return ROWS
    if isinstance(events, h5py.Group):
        return next((layout for layout in (DSEC, E2VID) if all(name in events for name in FIELDS[layout])), "")
    return METAVISION if isinstance(cd, h5py.Group) and "events" in cd else ""


def _columns(file: h5py.File, layout: str, where: str) -> dict[str, h5py.Dataset]:
    """t, x, y, p; of Metavision one dataset of records."""
    if layout == METAVISION:
        records = _readable(dataset(file["CD"], "events", f"{where}: CD"), where)
        missing = set(FIELDS[layout]) - set(records.dtype.names or ())
        if missing:
            raise InputError(f"{where}: CD/events: has no field {', '.join(sorted(missing))}; expected x, y, p, t")
        fields = {name: records.dtype[name] for name in FIELDS[layout]}
        wrong = [f"{name} of {dtype}" for name, dtype in fields.items() if dtype.kind not in "bui"]
        if wrong:
            raise InputError(f"{where}: CD/events: holds {', '.join(wrong)}; expected whole numbers")
        return {"events": records}
    columns = {}
    for field, name in zip("txyp", FIELDS[layout], strict=True):
        item = _readable(dataset(file["events"], name, f"{where}: events"), where)
        kinds = "f" if layout == E2VID and field == "t" else "bui"
        if item.dtype.kind not in kinds and not (layout == E2VID and field != "t" and item.dtype.kind == "f"):
            wanted = "seconds as floating-point numbers" if kinds == "f" else "whole numbers"
            raise InputError(f"{where}: events/{name}: holds {item.dtype}; expected {wanted}")
        columns[field] = item
    return columns


def _rows_of_events(file: h5py.File, rows: Layout, where: str) -> h5py.Dataset:
    """The dataset events (N, 4), or as many columns as the layout names. Raises InputError where it is another."""
    item = file["events"]
    if item.dtype.kind not in "buif":
        raise InputError(f"{where}: events: holds {item.dtype}; expected numbers")
    if item.external or item.is_virtual:
        raise InputError(f"{where}: events: is stored outside the file; only data inside the file is read")
    if item.shape is None or len(item.shape) != 2 or item.shape[1] != rows.width:
        wanted = f"(N, {rows.width}) with columns {', '.join(rows.columns or FIELDS[DSEC])}"
        raise InputError(f"{where}: events: has shape {item.shape}; expected {wanted} (--columns says otherwise)")
    return _readable(item, where)


def _row_parts(where: str, rows: Layout) -> Iterator[Columns]:
    with opened(where) as file:
        item = _rows_of_events(file, rows, where)
        for first in range(0, item.shape[0], BLOCK_EVENTS):
            part = np.asarray(item[first : first + BLOCK_EVENTS])
            t, x, y, p = (part[:, place] for place in rows.places)
            yield Columns(rows.in_us(t, where), x, y, p)


def _readable(item: h5py.Dataset, where: str) -> h5py.Dataset:
    """The dataset, if all of it was written, in chunks of a size that fits memory, and all its filters are there."""
    unpacked = math.prod(item.chunks or ()) * item.dtype.itemsize
    if unpacked > MAX_CHUNK_BYTES:
        raise InputError(f"{where}: {item.name}: one chunk of it takes {unpacked} bytes; save it in smaller ones (h5repack)")
    filters = item.id.get_create_plist()
    wanted = [filters.get_filter(k)[0] for k in range(filters.get_nfilters())]
    missing = [code for code in wanted if not h5py.h5z.filter_avail(code)]
    if missing and missing != [ECF]:
        try:
            import hdf5plugin  # noqa: F401
        except ImportError as error:
            name = f"filter {missing[0]}"
            raise InputError(f"{where}: {item.name}: {name} needs hdf5plugin: pip install 'spikeseg[formats]'") from error
        missing = [code for code in wanted if not h5py.h5z.filter_avail(code)]
    if ECF in missing:
        raise InputError(
            f"{where}: {item.name}: compressed by Prophesee's ECF (filter {ECF}), which hdf5plugin does not hold: "
            "set HDF5_PLUGIN_PATH to the folder of Prophesee's hdf5_ecf plugin, or convert the file to .raw with Metavision"
        )
    if missing:
        raise InputError(f"{where}: {item.name}: compressed by filter {missing[0]}, which is not known here; save it with gzip")
    return whole(item, where)


def _size(file: h5py.File, layout: str, where: str) -> tuple[int, int] | None:
    """(width, height), if the file or its layout gives it."""
    holder = file["CD" if layout == METAVISION else "events"]
    attrs = attributes(file, TOLD_IN, where) | attributes(holder, TOLD_IN, where)
    geometry = re.fullmatch(r"\s*(\d+)\s*x\s*(\d+)\s*", _text(attrs.get("geometry", "")))
    if geometry:
        return int(geometry[1]), int(geometry[2])
    if "width" in attrs and "height" in attrs:
        return _whole_number(attrs["width"], f"{where}: width"), _whole_number(attrs["height"], f"{where}: height")
    if "sensor_resolution" in attrs:
        sides = np.asarray(attrs["sensor_resolution"]).reshape(-1)
        if len(sides) != 2:
            raise InputError(f"{where}: sensor_resolution: holds {sides.tolist()}; expected height and width")
        height, width = (_whole_number(side, f"{where}: sensor_resolution") for side in sides)
        return width, height
    return None


def _if_it_holds(size: tuple[int, int], x: h5py.Dataset, y: h5py.Dataset) -> tuple[int, int] | None:
    """The size, if all coordinates lie within: other cameras' recordings are written in DSEC's layout too."""
    for item, side in zip((x, y), size, strict=True):
        if any(int(_rows(item, first).max()) >= side for first in range(0, item.size, BLOCK_EVENTS)):
            return None
    return size


def _text(value: Any) -> str:
    """An attribute's only value, which some writers put into an array."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _whole_number(value: Any, where: str) -> int:
    try:
        number = float(_text(value))
    except ValueError as error:
        raise InputError(f"{where}: holds {value!r}; expected a whole number of pixels") from error
    if not (1 <= number < 2**16 and number == int(number)):
        raise InputError(f"{where}: holds {value!r}; expected a whole number of pixels")
    return int(number)


def _offset(file: h5py.File, where: str) -> int:
    """What DSEC adds to every t."""
    if child(file, "t_offset", where) is None:
        return 0
    value = column(file, "t_offset", where)
    if len(value) != 1 or value.dtype.kind not in "ui" or abs(int(value[0])) > 2**62:
        raise InputError(f"{where}: t_offset: holds {value[:3].tolist()}; expected one time in µs")
    return int(value[0])


def _triggers(file: h5py.File, where: str) -> int:
    group = child(file, "EXT_TRIGGER", where)
    events = child(group, "events", where) if isinstance(group, h5py.Group) else None
    return len(events) if isinstance(events, h5py.Dataset) and events.shape else 0


def _parts(where: str, layout: str, offset: int) -> Iterator[Columns]:
    with opened(where) as file:
        columns = _columns(file, layout, where)
        rows = min(item.size for item in columns.values())
        for first in range(0, rows, BLOCK_EVENTS):
            part = {name: _rows(item, first) for name, item in columns.items()}
            if layout == METAVISION:
                part = {name: part["events"][name] for name in "txyp"}
            t = np.rint(in_float64(where, part["t"], US) * US) if layout == E2VID else _shifted(part["t"], offset, where)
            yield Columns(t, part["x"], part["y"], part["p"])


def _shifted(t: np.ndarray, offset: int, where: str) -> np.ndarray:
    if not len(t):
        return t
    if not -(2**62) < int(t.min()) <= int(t.max()) < 2**62:
        raise InputError(f"{where}: events/t: reaches {int(t.max())} µs; damaged: get the file again")
    return t.astype(np.int64) + offset


def _rows(item: h5py.Dataset, first: int) -> np.ndarray:
    """Some of a column, which may lie in any one dimension of several."""
    axis = int(np.argmax(item.shape))
    where = tuple(slice(first, first + BLOCK_EVENTS) if k == axis else slice(None) for k in range(len(item.shape)))
    return np.asarray(item[where]).reshape(-1)


READER = Reader(
    "HDF5 (DSEC, E2VID, Metavision, v2e)",
    stream_hdf5_events,
    content=lambda path, head: is_hdf5(path, head) and is_hdf5_events(path),
    layouts=True,
)
