"""Recordings as files in EBSSA's two formats, with the truth beside them, or as .npz, which holds it.

Same recordings, same bytes: nothing written depends on the clock, the host or the folder.
"""

from __future__ import annotations

import functools
import io
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
import scipy.io

from spikeseg.core.files import make_folder, partial_folder, remove_partials, write_new, writing
from spikeseg.data.readers.labels import SUFFIX
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError

from .scenes import SceneRecording

EBSSA_FORMATS = ("h5", "mat")
FORMATS = (*EBSSA_FORMATS, "npz")
H5_PATH = Path("EBSSA") / "labelled_ebssa.h5"
"""Where tonic.datasets.EBSSA(out) looks."""
TRUTH_FOLDER = "truth"
MAT_HEADER = b"MATLAB 5.0 MAT-file, Platform: any, Created by: spikeseg simulate"
"""Stands in for scipy's, which names the host and the time of writing."""
MAT_HEADER_BYTES = 116


def write(out: str | Path, recordings: Iterable[Recording], format: str = "h5", force: bool = False) -> list[Path]:
    """Write recordings below ``out`` and return the paths of the event files.

    h5: ``EBSSA/labelled_ebssa.h5``, a group per recording with TD/{ts,x,y,p} and, where labelled,
    Obj/{ts,x,y,id}, arrays of shape (1, n) as MATLAB v7.3 stores columns. mat: ``<name>.mat`` (v5) with the
    structs TD and Obj and the number of objects nObj. In both, x and y count from 1, ts is in µs, p is 0 or
    1; a recording that was labelled and holds no object has an Obj of length 0. Truth, where known:
    ``truth/<name>.npz`` with t, x, y (from 0), p, source, object_id, event for event. npz: ``<name>.npz`` with the
    same arrays and sensor_size (width, height), for sensors of any size, and, where labelled, ``<name>.labels.csv``
    (t_us, x, y, id; from 0); of a scene also box_t (µs), box_id, box_x, box_y (middle), box_w, box_h.

    Recordings are taken one at a time. Files appear once all of them are written, or not at all.

    Raises InputError if the format is unknown, a file to write exists already (unless ``force``), or the
    folder cannot be written to.
    """
    if format not in FORMATS:
        raise InputError(f"simulate --format: {format!r}; allowed: {', '.join(FORMATS)}")
    out = make_folder(Path(out))
    remove_partials(out)
    with partial_folder(out, "simulate") as partial:
        made = {"h5": _write_h5, "mat": _write_mat, "npz": _write_npz}[format](partial, recordings)
        _publish(partial, out, made, force)
    return [out / path for path in made if path.parts[0] != TRUTH_FOLDER and path.suffix != ".csv"]


def _write_h5(folder: Path, recordings: Iterable[Recording]) -> list[Path]:
    """In memory, and then as any file: HDF5 ends the process when it closes a file that the disk has no room for."""
    made = []
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        for recording in recordings:
            group = file.create_group(recording.name)
            for struct, columns in _structs(recording).items():
                for name, column in columns.items():
                    group.create_dataset(
                        f"{struct}/{name}",
                        data=column[None],
                        track_times=False,
                        **({"compression": "gzip", "compression_opts": 1, "shuffle": True} if len(column) else {}),
                    )
            made += _write_truth(folder, recording)
        file.flush()
        image = file.id.get_file_image()
    make_folder((folder / H5_PATH).parent)
    write_new(folder / H5_PATH, image)
    return [*made, H5_PATH]


def _write_mat(folder: Path, recordings: Iterable[Recording]) -> list[Path]:
    made = []
    for recording in recordings:
        content: dict[str, object] = {
            struct: {name: column[:, None] for name, column in columns.items()} for struct, columns in _structs(recording).items()
        }
        if recording.labels is not None:
            content["nObj"] = float(len(np.unique(recording.labels["id"])))
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, content)
        path = Path(f"{recording.name}.mat")
        body = buffer.getvalue()[MAT_HEADER_BYTES:]
        write_new(folder / path, MAT_HEADER.ljust(MAT_HEADER_BYTES) + body)
        made += [*_write_truth(folder, recording), path]
    return made


def _write_npz(folder: Path, recordings: Iterable[Recording]) -> list[Path]:
    made = []
    for recording in recordings:
        columns = {name: recording.events[name] for name in ("t", "x", "y", "p")}
        columns["sensor_size"] = np.array(recording.sensor_size, np.int64)
        if recording.truth is not None:
            columns |= {name: recording.truth[name] for name in ("source", "object_id")}
        if isinstance(recording, SceneRecording):
            columns |= {f"box_{name}": recording.boxes[name] for name in recording.boxes.dtype.names or ()}
        path = Path(f"{recording.name}.npz")
        write_new(folder / path, functools.partial(_save, columns=columns))
        if recording.labels is not None:
            beside = Path(recording.name + SUFFIX)
            rows = [f"{t},{x:.17g},{y:.17g},{number}\n" for t, x, y, number in recording.labels.tolist()]
            write_new(folder / beside, "".join(["t_us,x,y,id\n", *rows]))
            made.append(beside)
        made.append(path)
    return made


def _structs(recording: Recording) -> dict[str, dict[str, np.ndarray]]:
    """The structs TD and Obj of one recording, as 1-D columns; x and y from 1."""
    events, labels = recording.events, recording.labels
    structs = {
        "TD": {
            "ts": events["t"],
            "x": events["x"].astype(np.uint16) + np.uint16(1),
            "y": events["y"].astype(np.uint16) + np.uint16(1),
            "p": events["p"].astype(np.uint8),
        }
    }
    if labels is not None:
        structs["Obj"] = {"ts": labels["t"], "x": labels["x"] + 1, "y": labels["y"] + 1, "id": labels["id"]}
    return structs


def _write_truth(folder: Path, recording: Recording) -> list[Path]:
    if recording.truth is None:
        return []
    path = Path(TRUTH_FOLDER) / f"{recording.name}.npz"
    make_folder((folder / path).parent)
    columns = {name: recording.events[name] for name in ("t", "x", "y", "p")}
    columns |= {name: recording.truth[name] for name in ("source", "object_id")}
    write_new(folder / path, functools.partial(_save, columns=columns))
    return [path]


def _save(file: BinaryIO, columns: dict[str, np.ndarray]) -> None:
    """An npz of fixed bytes: no dates, light compression."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, column in columns.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(column), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=1)


def _publish(partial: Path, out: Path, made: list[Path], force: bool) -> None:
    """Move finished files into place, events after truth; refuse to replace what is not ours to replace."""
    for path in made:
        same_truth = path.parts[0] == TRUTH_FOLDER and (out / path).is_file()
        if same_truth and (out / path).read_bytes() == (partial / path).read_bytes():
            continue
        if (out / path).exists() and not force:
            raise InputError(f"{out / path} exists already; give another folder, or force to replace it")
    with writing(out):
        for path in made:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial / path, out / path)
