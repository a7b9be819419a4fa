"""HDF5 opened defensively: a small file can declare terabytes, or point outside itself."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeseg.errors import InputError

MAX_RATIO = 1100
"""No filter in use here (deflate: 1032) shrinks data further; a dataset that claims more holds nothing."""


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """The file, open for reading. Raises InputError if it is damaged, also where the block finds out."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError) or (type(error) in (TypeError, ValueError) and not _of_h5py(error)):
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: truncated or damaged HDF5 ({reason}); get the file again") from error


def _of_h5py(error: BaseException) -> bool:
    """Whether h5py raised it, which has no errors of its own for damage: a type it does not know is a TypeError."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "h5py" in frames[-1].filename


def child(group: h5py.Group, name: str, where: str) -> h5py.Group | h5py.Dataset | None:
    """The member ``name`` of a group, None if there is none; links that leave the tree are refused.

    Asks for the link itself: h5py's ``in`` and ``get`` would follow it, and open another file.
    """
    links = group.id.links
    if not links.exists(name.encode()):
        return None
    if links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise InputError(f"{where}: {name}: is a link to elsewhere; only data inside the file is read")
    return group[name]


READ_TEXT = """
import json, sys, h5py
try:
    import resource
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]) if most < 0 else min(int(sys.argv[3]), most), most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
except ImportError:
    pass
with h5py.File(sys.argv[1], "r") as file:
    found = {name: file[sys.argv[2]].attrs[name] for name in sys.argv[4:]}
json.dump({name: text.decode() if isinstance(text, bytes) else str(text) for name, text in found.items()}, sys.stdout)
"""
CPU_S = 60
"""Time of the processor, not by the clock, after which text is taken to be damaged: a hundred times what reading takes."""
KILLED = -9
"""Return code of a process that the system ended for want of memory; by itself none ends so."""


def attributes(group: h5py.Group | h5py.Dataset, names: Sequence[str], where: str) -> dict[str, Any]:
    """Those of a group's attributes ``names`` that are there.

    Text of variable length is read by another process: HDF5 lets it crash, or run for ever, where such text is damaged.
    Raises InputError then; a machine that is busy or has no room for another process never makes a sound file a damaged one.
    """
    present = [name for name in names if name in group.attrs]
    text = [name for name in present if group.attrs.get_id(name).dtype.kind == "O"]
    values = {name: group.attrs[name] for name in present if name not in text}
    if text:
        # -P: no module of the working directory takes the place of Python's
        command = [sys.executable, "-P", "-c", READ_TEXT, group.file.filename, group.name, str(CPU_S), *text]
        what = f"{where}: attributes {', '.join(text)}"
        try:
            done = subprocess.run(command, capture_output=True, check=True)
            values |= json.loads(done.stdout)
        except OSError as error:
            raise InputError(
                f"{what}: no process could be started to read them ({error.strerror or error}); try again"
            ) from error
        except (subprocess.SubprocessError, ValueError) as error:
            if isinstance(error, subprocess.CalledProcessError) and error.returncode == KILLED:
                raise InputError(f"{what}: the process that reads them was killed (out of memory?); try again") from error
            raise InputError(f"{what}: damaged; get the file again") from error
    return values


def is_matlab_empty(item: h5py.Group | h5py.Dataset) -> bool:
    """True for MATLAB's way to write an empty array: its dimensions as data, and a mark."""
    return bool(item.attrs.get("MATLAB_empty", 0))


def dataset(group: h5py.Group, name: str, where: str) -> h5py.Dataset:
    """The dataset ``name`` of a group, not yet read: a column of numbers or of records.

    Raises InputError if it is missing, is no column, or is stored outside the file.
    """
    item = child(group, name, where)
    if not isinstance(item, h5py.Dataset):
        raise InputError(f"{where}: {name}: missing; expected a dataset of numbers")
    if item.dtype.kind not in "buifV":
        raise InputError(f"{where}: {name}: holds {item.dtype}; expected numbers")
    if item.shape is None or (item.size and item.size != max(item.shape, default=1)):
        shape = item.shape and item.shape[:: -1 if "MATLAB_class" in item.attrs else 1]  # MATLAB counts dimensions the other way
        raise InputError(f"{where}: {name}: has shape {shape}; expected one column")
    if item.external or item.is_virtual:
        raise InputError(f"{where}: {name}: is stored outside the file; only data inside the file is read")
    return item


def column(group: h5py.Group, name: str, where: str) -> np.ndarray:
    """The dataset ``name`` of a group as one column (N,), its dtype kept; one dimension may exceed 1.

    Raises InputError as `dataset` does, and if it is not numeric, or declared larger than what is stored.
    """
    item = child(group, name, where)
    if isinstance(item, h5py.Dataset) and is_matlab_empty(item):
        return np.empty(0)
    item = dataset(group, name, where)
    if item.dtype.kind == "V":
        raise InputError(f"{where}: {name}: holds {item.dtype}; expected numbers")
    if item.nbytes > MAX_RATIO * item.id.get_storage_size():
        stored = item.id.get_storage_size()
        raise InputError(f"{where}: {name}: declares {item.nbytes} bytes but stores {stored}; damaged or unfinished")
    return np.asarray(item[()]).reshape(-1)


def whole(item: h5py.Dataset, where: str) -> h5py.Dataset:
    """The dataset, if everything that it declares was written: what was not would read as zeros. Raises InputError otherwise."""
    if item.chunks is None:
        wanted, stored = item.nbytes, item.id.get_storage_size()
    else:
        wanted = math.prod(-(-side // chunk) for side, chunk in zip(item.shape, item.chunks, strict=True))
        stored = item.id.get_num_chunks()
    if stored != wanted:
        unit = "bytes" if item.chunks is None else "chunks"
        raise InputError(f"{where}: {item.name}: declares {wanted} {unit} but stores {stored}; damaged or unfinished")
    return item


def is_hdf5(path: Path, head: bytes) -> bool:
    """Whether a file that begins so is an HDF5 file; MATLAB v7.3's begins with a header of its own."""
    return head.startswith(b"MATLAB 7.3 MAT-file") or bool(h5py.is_hdf5(path))
