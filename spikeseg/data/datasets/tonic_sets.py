"""The datasets of tonic by name: ``tonic:NMNIST``, ``tonic:DVSGesture``, ...

tonic's own class finds the recordings in the user's folder and decodes them; `spikeseg.data.recording.checked` guards what it
gives; its classes and its split into training and test are kept. Nothing is downloaded or unpacked: tonic does that when it is
called by itself, and the error for a folder without the dataset says how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from spikeseg.core.regular import require_content
from spikeseg.data.recording import Recording, checked
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import Entry, checked_root, combined, entry_or_fault, fingerprint, unique_names
from .tonic_layouts import LAYOUTS, NO_CAMERA, Layout, Sample

SETTINGS = "kheradpisheh2018_nmnist"
"""Built-in configuration for `classify`: first spikes of 105 ms."""


class TonicDatasets(Mapping[str, Dataset]):
    """Name of a class of `tonic.datasets` -> what is registered for it, made when it is asked for."""

    def __getitem__(self, name: str) -> Dataset:
        """Raises KeyError where tonic has no such dataset, InputError where it is none of a camera."""
        if name in NO_CAMERA:
            raise InputError(f"data.dataset: tonic:{name}: {NO_CAMERA[name]}, not of a camera; there are: {', '.join(self)}")
        if name not in self:
            raise KeyError(name)
        if name == "EBSSA":
            from .ebssa import DATASET

            return DATASET
        layout = _layout(name)
        return Dataset(
            partial(entries, name),
            labelled=False,
            settings=SETTINGS if layout.classes else None,
            frame=layout.frame,
            own_split=True,
        )

    def __iter__(self) -> Iterator[str]:
        yield from sorted([*LAYOUTS, "EBSSA"], key=str.lower)

    def __len__(self) -> int:
        return len(LAYOUTS) + 1

    def __contains__(self, name: object) -> bool:
        return name in LAYOUTS or name == "EBSSA" or name in NO_CAMERA or _newer(name)


def _newer(name: object) -> bool:
    """Whether an installed tonic has a dataset that is not listed here."""
    import tonic.datasets

    return isinstance(name, str) and name in tonic.datasets.__all__


def _layout(name: str) -> Layout:
    return LAYOUTS.get(name, Layout("its files"))


def entries(name: str, root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """The recordings of a dataset of tonic, sorted by path; names as ``Train_7_00012``.

    Args:
        name: of the class.
        root: the folder that tonic calls ``save_to``, or the dataset's own in it.
        sensor: "all".

    Raises InputError: there is no such folder, it does not hold the dataset as tonic lays it out, or ``sensor`` is not "all".
    """
    import tonic.datasets

    if sensor != "all":
        raise InputError(f"data.sensor: {sensor!r} with dataset tonic:{name}; only all is possible here")
    root = checked_root(root, f"tonic's {name}")
    location = root / name if (root / name).is_dir() else root
    layout, kind = _layout(name), getattr(tonic.datasets, name)
    expected = (
        f"tonic's {name} is expected in {root / name}, as {layout.expected}; "
        f'`python -c "import tonic; {layout.fetched(name, str(root))}"` lets tonic fetch or unpack it where it can'
    )
    try:
        samples = list(layout.samples(kind, location))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # tonic's classes raise errors of any kind where a folder is not as they expect
        raise InputError(f"{location}: tonic cannot list {name} ({_said(error)}); {expected}") from error
    if not samples:
        raise InputError(f"{root}: holds no recordings of {name}; {expected}")
    samples.sort(key=lambda sample: sample.path)
    names = unique_names(location, [sample.path for sample in samples], full=True)
    decoder = f"tonic {version('tonic')} {name}"
    return [
        entry_or_fault(names[sample.path], sample.path, partial(_entry, sample, names[sample.path], layout, decoder))
        for sample in samples
    ]


def _entry(sample: Sample, name: str, layout: Layout, decoder: str) -> Entry:
    require_content(sample.path)
    whole = combined(fingerprint(sample.path), decoder, sample.part, sample.class_name)
    task = partial(load, sample, name, layout)
    return Entry(name, sample.path, whole, task, class_name=sample.class_name, part=sample.part)


def load(sample: Sample, name: str, layout: Layout, lenient: bool) -> Recording:
    """Let tonic decode one recording, and check what it gives.

    The sensor is tonic's; of datasets whose recordings differ in size, as large as the largest coordinates say.

    Raises InputError: it is cut off, tonic cannot decode it, or it does not pass the checks."""
    if (length := sample.path.stat().st_size) % layout.event_bytes:
        raise InputError(
            f"{sample.path}: {length} bytes is no whole number of {layout.event_bytes}-byte events; get the file again"
        )
    try:
        data, _ = sample.dataset[0]
        events = layout.events(data)
        columns = {field: np.ravel(events[field]) for field in "txyp"}
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of any kind where a file is damaged
        raise InputError(f"{sample.path}: tonic cannot decode it ({_said(error)}); get the file again") from error
    size = getattr(sample.dataset, "sensor_size", None)
    if size is not None:
        width, height = int(size[0]), int(size[1])
    else:
        width, height = (int(columns[axis].max(initial=0)) + 1 for axis in "xy")
    return checked(name, str(sample.path), columns, (width, height), lenient=lenient)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


DATASETS = TonicDatasets()
