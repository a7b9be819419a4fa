"""EBSSA's MATLAB recordings: structs TD (events) and Obj (labels), v5 and v7.3.

Source: Afshar et al. 2020, IEEE Sensors J. 20(24):15117. TD.{ts,x,y,p} and Obj.{ts,x,y,id}, ts in µs, x and y
counted from 1: here they count from 0, subtracted after widening, since 0 - 1 wraps in unsigned arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

import h5py
import numpy as np

from spikeseg.data.sensors import EBSSA_SIZES, fitting_sensor, named_sensor
from spikeseg.errors import InputError

from .hdf5 import child, column, is_hdf5, is_matlab_empty, opened
from .hdf5_events import is_hdf5_events
from .mat5 import Value, load_mat5
from .raw import Raw
from .reader import Reader
from .recording_path import RecordingPath

LABEL_FIELDS = ("ts", "x", "y", "id")
EVENT_FIELDS = ("ts", "x", "y", "p")


def read_mat5(path: str | Path, sensor: str = "") -> Raw:
    """A MATLAB v5 file with the struct TD and, if labelled, Obj; nObj = 0 without Obj: labelled, no object.

    Args:
        path: of the file.
        sensor: "DAVIS" or "ATIS" if known; "": the smaller one that holds the coordinates.

    Raises InputError if the file is damaged or truncated, or has no TD.
    """
    content = load_mat5(path)
    if "TD" not in content:
        held = ", ".join(sorted(content)[:8]) or "nothing"
        raise InputError(f"{path}: has no variable TD (it holds {held}), so it is no EBSSA recording; expected TD.ts, .x, .y, .p")
    events = _mat5_columns(content["TD"], EVENT_FIELDS, f"{path}: TD")
    obj, count = content.get("Obj"), content.get("nObj")
    labels = None
    if isinstance(obj, np.ndarray) and not obj.size:
        labels = {name: obj.reshape(-1) for name in LABEL_FIELDS}
    elif obj is not None:
        labels = _mat5_columns(obj, LABEL_FIELDS, f"{path}: Obj")
    elif isinstance(count, np.ndarray) and _says_none(count):
        labels = {name: np.empty(0) for name in LABEL_FIELDS}
    return zero_based(str(path), events, labels, sensor)


def read_hdf5(path: str | Path, member: str = "", sensor: str = "") -> Raw:
    """One recording of an HDF5 file: of MATLAB v7.3 (TD at the top), or a group of EBSSA's labelled_ebssa.h5.

    Args:
        path: of the file.
        member: name of the group; "" when the file holds a single recording.
        sensor: as in read_mat5.

    Raises InputError if the file is damaged, is of another kind, or holds several recordings and none is
    named.
    """
    with opened(path) as file:
        if not member and child(file, "TD", str(path)) is not None:
            return read_group(file, str(path), sensor)
        names = recording_names(file)
        if not names:
            raise InputError(
                f"{path}: HDF5 without TD (EBSSA), events (DSEC, E2VID, v2e) or CD (Metavision): no layout known here"
            )
        if not member and len(names) > 1:
            raise InputError(f"{path}: holds {len(names)} recordings; name one, as in {RecordingPath(Path(path).name, names[0])}")
        member = member or names[0]
        if member not in names:
            near = get_close_matches(member, names, n=3) or names[:3]
            raise InputError(f"{path}: holds no recording {member!r}; did you mean {', '.join(near)}?")
        return read_group(file[member], str(RecordingPath(str(path), member)), sensor or named_sensor(member))


def listed(path: str | Path) -> list[str]:
    """Names of the recordings of a file that holds them in groups; [] where TD is at the top. Raises InputError if damaged."""
    with opened(path) as file:
        return [] if child(file, "TD", str(path)) is not None else recording_names(file)


def recording_names(file: h5py.File) -> list[str]:
    """Names of the groups that hold a TD, sorted. Links to elsewhere are refused."""
    groups = {name: child(file, name, file.filename) for name in sorted(map(str, file))}
    return [name for name, group in groups.items() if isinstance(group, h5py.Group) and group.id.links.exists(b"TD")]


def read_group(group: h5py.Group, where: str, sensor: str = "") -> Raw:
    """One recording of an open HDF5 file: TD/{ts,x,y,p} and, if labelled, Obj/{ts,x,y,id}.

    Obj of length 0, or nObj = 0 without Obj, says labelled, and no object. ``where`` opens every message.
    """
    td = child(group, "TD", where)
    if not isinstance(td, h5py.Group):
        raise InputError(f"{where}: has no group TD, so it is no EBSSA recording; expected TD/ts, x, y, p")
    events = {name: column(td, name, f"{where}: TD") for name in EVENT_FIELDS}
    obj = child(group, "Obj", where)
    labels = None
    if isinstance(obj, h5py.Group):
        labels = {name: column(obj, name, f"{where}: Obj") for name in LABEL_FIELDS}
    elif obj is not None and not is_matlab_empty(obj):
        raise InputError(f"{where}: Obj: is not a group of ts, x, y, id")
    elif obj is not None or (child(group, "nObj", where) and _says_none(column(group, "nObj", where))):
        labels = {name: np.empty(0) for name in LABEL_FIELDS}
    return zero_based(where, events, labels, sensor)


def zero_based(where: str, events: dict[str, np.ndarray], labels: dict[str, np.ndarray] | None, sensor: str = "") -> Raw:
    """Columns with 1-based x and y as Raw; the sensor from ``sensor`` or from the coordinates."""
    x, y = _minus_one(events["x"]), _minus_one(events["y"])
    name = sensor or fitting_sensor(where, x, y, EBSSA_SIZES)
    points = None
    if labels is not None:
        shift: dict[str, Callable[[np.ndarray], np.ndarray]] = {"x": _minus_one, "y": _minus_one}
        points = {"t" if field == "ts" else field: shift.get(field, np.asarray)(values) for field, values in labels.items()}
    return Raw(events["ts"], x, y, events["p"], EBSSA_SIZES[name], points, name)


def _minus_one(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        return values - 1.0
    if values.dtype == np.uint64:
        values = np.minimum(values, np.uint64(np.iinfo(np.int64).max))
    return values.astype(np.int64) - 1


def _says_none(count: np.ndarray) -> bool:
    """True if nObj is a number, and 0."""
    return count.size > 0 and not count.any()


def _mat5_columns(struct: Value, names: Sequence[str], where: str) -> dict[str, np.ndarray]:
    """Fields of a struct as columns (N,)."""
    if not isinstance(struct, dict):
        kind = struct if isinstance(struct, str) else f"array {struct.shape} of {struct.dtype}"
        raise InputError(f"{where}: is no struct but {kind}; expected one with fields {', '.join(names)}")
    columns = {}
    for name in names:
        values = struct.get(name, "nothing")
        if isinstance(values, str):
            raise InputError(f"{where}.{name}: holds {values}; expected numbers")
        if values.size and values.size != max(values.shape):
            raise InputError(f"{where}.{name}: has shape {values.shape}; expected one column")
        columns[name] = values.reshape(-1)
    return columns


MAT5 = Reader(
    "EBSSA .mat (v5)",
    read_member=lambda path, _member, sensor: read_mat5(path, sensor),
    signatures=(b"MATLAB 5.0 MAT-file",),
)
HDF5 = Reader(
    "EBSSA HDF5",
    read_member=read_hdf5,
    content=lambda path, head: is_hdf5(path, head) and not is_hdf5_events(path),
    members=True,
    listed=listed,
)
