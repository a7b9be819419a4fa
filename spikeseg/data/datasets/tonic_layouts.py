"""How each dataset of tonic lies on disk, and what of its samples are events and classes."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NO_CAMERA = {
    "SHD": "spoken digits, spikes of a model of the ear",
    "SSC": "spoken words, spikes of a model of the ear",
    "NTIDIGITS18": "spoken digits, spikes of a silicon cochlea",
    "SMNIST": "digits as spike trains of one row of neurons",
}
"""Datasets of tonic that hold no events with x and y, and what they are."""


@dataclass(frozen=True)
class Sample:
    """One recording of a dataset of tonic.

    Attributes:
        path: its file.
        dataset: tonic's, of this recording alone.
        part: "train", "val", "test", or "" where tonic does not split it.
        class_name: "" where it has none.
    """

    path: Path
    dataset: Any
    part: str
    class_name: str


def _first(data: Any) -> np.ndarray:
    """The events of a sample that consists of them alone."""
    events: np.ndarray = data
    return events


def _of_several(data: Any) -> np.ndarray:
    """The events of a sample of events, motion and pictures: DAVISDATA, VPR; of the left camera: MVSEC."""
    return _first(data[0])


def _left_of_dsec(data: Any) -> np.ndarray:
    return _first(data[0]["events_left"])


def _left_of_tum(data: Any) -> np.ndarray:
    return _first(data["events_left"])


Known = tuple[str, str, Mapping[str, Any]]
"""Part, file below the dataset's folder, attributes that make tonic's dataset one of this recording alone."""


@dataclass(frozen=True)
class Layout:
    """How tonic lays a dataset out.

    Attributes:
        expected: files below its folder, for messages.
        parts: parts of its split, each with the arguments of tonic's class that choose it.
        classes: whether the targets of its recordings are classes.
        frame: (width, height) that holds its recordings, where they differ in size.
        events: of a sample's data the events.
        known: of tonic's class, the recordings that it lists by name, instead of looking what is there.
        fetch: arguments of the class beside the folder that make tonic fetch it.
        event_bytes: of files that hold nothing but events of one length: tonic passes over a last one that is cut off.
        nested: whether tonic looks in a folder of the dataset's name below the one that it is given.
    """

    expected: str
    parts: Mapping[str, Mapping[str, Any]] | None = None
    classes: bool = True
    frame: tuple[int, int] | None = None
    events: Callable[[Any], np.ndarray] = _first
    known: Callable[[Any], Iterator[Known]] | None = None
    fetch: str = ""
    event_bytes: int = 1
    nested: bool = True

    def fetched(self, name: str, root: str) -> str:
        """The call that lets tonic fetch the dataset itself."""
        return f"tonic.datasets.{name}({root!r}{self.fetch})"

    def samples(self, kind: Any, location: Path) -> Iterator[Sample]:
        """The recordings that tonic's class finds in the dataset's folder; a part that is not there has none.

        Raises whatever the class raises where what is there is not as it expects."""
        if self.known is not None:
            yield from self._listed(kind, location)
            return
        parts = self.parts or (_BY_TRAIN if "train" in inspect.signature(kind).parameters else {"": {}})
        for part, arguments in parts.items():
            try:
                dataset = _found(kind, location, arguments, self.nested)
            except FileNotFoundError:
                continue
            names = _names(kind)
            for at, path in enumerate(_paths(dataset)):
                yield Sample(path, _alone(dataset, at), part, names(dataset.targets[at]) if self.classes else "")

    def _listed(self, kind: Any, location: Path) -> Iterator[Sample]:
        """Those of the recordings that it knows by name whose file is there."""
        assert self.known is not None
        for part, file, attributes in self.known(kind):
            if (location / file).is_file():
                yield Sample(location / file, _opened(kind, location, attributes), part, "")


def _found(kind: Any, location: Path, arguments: Mapping[str, Any], nested: bool) -> Any:
    """tonic's dataset, at the folder given and with what is there: it neither downloads nor unpacks."""
    dataset = kind.__new__(kind)

    def there() -> bool:
        dataset.location_on_system = str(location)
        return True

    names = ("_check_exists", "_check_extracted")
    for name in names:
        setattr(dataset, name, there)
    kind.__init__(dataset, str(location.parent if nested else location), **arguments)
    for name in names:
        delattr(dataset, name)
    return dataset


def _opened(kind: Any, location: Path, attributes: Mapping[str, Any]) -> Any:
    """tonic's dataset of one recording that it knows by name, without its constructor, which would download."""
    from tonic.dataset import Dataset

    dataset = kind.__new__(kind)
    Dataset.__init__(dataset, str(location.parent))
    vars(dataset).update(attributes, location_on_system=str(location))
    return dataset


def _paths(dataset: Any) -> list[Path]:
    """The file of each recording of a dataset, in tonic's order."""
    if all(isinstance(one, np.ndarray) for one in dataset.data):  # POKERDVS reads them at once, in this order
        top = os.path.join(dataset.location_on_system, dataset.folder_name)
        paths = [Path(folder, name) for folder, _, names in os.walk(top) for name in sorted(names) if name.endswith(".npy")]
        if len(paths) != len(dataset.data):
            raise RuntimeError(f"{len(paths)} files .npy below {top} changed while they were read")
        return paths
    return [Path(one[0] if isinstance(one, tuple) else one) for one in dataset.data]


def _alone(dataset: Any, at: int) -> Any:
    """A dataset of its recording number `at` alone, so that it can be handed to a process without all others."""
    alone, count = copy.copy(dataset), len(dataset.data)
    for name, value in vars(dataset).items():
        if isinstance(value, list) and len(value) == count:
            setattr(alone, name, value[at : at + 1])
    return alone


def _names(kind: Any) -> Callable[[Any], str]:
    """Target -> name of the class."""
    classes = getattr(kind, "classes", None)
    known = {number: name for name, number in classes.items()} if isinstance(classes, Mapping) else dict(enumerate(classes or ()))
    return lambda target: str(known.get(target, target)) if isinstance(target, (int, str, np.integer)) else ""


def _davis(kind: Any) -> Iterator[Known]:
    for name in kind.recordings:
        yield "", f"{name}.bag", {"selection": [name]}


def _dsec(kind: Any) -> Iterator[Known]:
    for part, names in kind.recordings.items():
        for name in names:
            chosen = {"recording_selection": [name], "data_selection": ["events_left"], "target_selection": []}
            yield part, f"{name}/events_left/events.h5", chosen


def _mvsec(kind: Any) -> Iterator[Known]:
    for scene, files in kind.resources.items():
        for first in range(0, len(files), 2):
            yield "", f"{scene}/{files[first][0]}", {"scene": scene, "resources": {scene: files[first : first + 2]}}


def _tum(kind: Any) -> Iterator[Known]:
    for name in kind.recordings:
        yield "", f"{name}/{name}-events_left.h5", {"selection": [name]}


def _vpr(kind: Any) -> Iterator[Known]:
    for files in kind.recordings:
        yield "", files[0][0], {"recordings": [files]}


_BY_TRAIN = {"train": {"train": True}, "test": {"train": False}}

LAYOUTS = {
    "ASLDVS": Layout("folders a to y with .mat files"),
    "CIFAR10DVS": Layout("airplane/*.aedat4, automobile/*.aedat4, ..."),
    "DAVISDATA": Layout("boxes_6dof.bag, ...", classes=False, events=_of_several, known=_davis, fetch=", 'all'"),
    "DSEC": Layout(
        "interlaken_00_c/events_left/events.h5, ...",
        classes=False, events=_left_of_dsec, known=_dsec, fetch=", 'train', 'events_left'",
    ),
    "DVSGesture": Layout("ibmGestureTrain/user01_led/0.npy, ..., ibmGestureTest/user24_led/0.npy, ...", _BY_TRAIN),
    "DVSLip": Layout("DVS-Lip/train/accused/0.npy, ..., DVS-Lip/test/accused/0.npy, ...", _BY_TRAIN),
    "MVSEC": Layout(
        "indoor_flying/indoor_flying1_data.bag and _gt.bag, ...",
        classes=False, events=_of_several, known=_mvsec, fetch=", 'indoor_flying'",
    ),
    "NCALTECH101": Layout("Caltech101/airplanes/image_0001.bin, ...", frame=(240, 180), event_bytes=5),
    "NERDD": Layout("DATA/archive_1/1/Event/output_events.npz, ...", classes=False, nested=False),
    "NMNIST": Layout("Train/0/00002.bin, ..., Test/0/00004.bin, ...", _BY_TRAIN, event_bytes=5),
    "POKERDVS": Layout("pips_train/cl/0.npy, ..., pips_test/cl/0.npy, ...", _BY_TRAIN),
    "ThreeET_Eyetracking": Layout(
        "train_files.txt, val_files.txt, data/*.h5 and labels/*.txt",
        {"train": {"split": "train"}, "val": {"split": "val"}}, classes=False,
    ),
    "TUMVIE": Layout(
        "mocap-desk/mocap-desk-events_left.h5, ...", classes=False, events=_left_of_tum, known=_tum, fetch=", 'all'"
    ),
    "VPR": Layout("dvs_vpr_2020-04-21-17-03-03.bag, ...", classes=False, events=_of_several, known=_vpr),
}  # fmt: skip
"""Class of `tonic.datasets` -> how its files lie. Of stereo cameras the left one is read: the same scene twice would be in
training and test at once. Classes that are not listed are read as if their samples were events and a class."""
