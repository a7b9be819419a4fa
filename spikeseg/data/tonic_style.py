"""Ours where tonic's users expect theirs: spikes as a transform, recordings as a dataset.

>>> import numpy as np
>>> from tonic.transforms import Compose
>>> from spikeseg.data import DropPixel, ToSpikes
>>> events = np.array([(3, 4, 10, 1), (3, 4, 20, 0)], [("x", int), ("y", int), ("t", int), ("p", int)])
>>> chain = Compose([DropPixel(coordinates=[[9, 9]]), ToSpikes((32, 24, 2), n_timesteps=5, timestep_ms=1.0)])
>>> chain(events).shape
(5, 2, 24, 32)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.errors import InputError

from .frames.framing import FrameSpec, fill
from .recording import LABEL_DTYPE, Recording, checked

Transform = Callable[[Any], Any]


@dataclass(frozen=True)
class ToSpikes:
    """A transform of tonic's kind: events to the frames that our networks take.

    The same as `prepare` makes of a recording's first window: checked events, steps counted from the first of them, one layer
    per polarity. What comes after the last step is left out.

    Attributes:
        sensor_size: (width, height) in pixels, or tonic's (width, height, 2).
        n_timesteps: time steps T; None: as many as the events last.
        timestep_ms: length of a step, ms.
        height, width: of a frame in pixels; None: the sensor's.
        normalize: True gives 1 where at least one event fell (uint8), False the number of events (uint16).
        lenient: accept events of which more than 1 % must be dropped.

    Raises InputError where a value is impossible.
    """

    sensor_size: Sequence[int]
    n_timesteps: int | None = 10
    timestep_ms: float = 10.0
    height: int | None = None
    width: int | None = None
    normalize: bool = True
    lenient: bool = False

    def __post_init__(self) -> None:
        if len(self.sensor_size) not in (2, 3) or (len(self.sensor_size) == 3 and self.sensor_size[2] not in (1, 2)):
            raise InputError(f"sensor_size: {self.sensor_size!r}, must be (width, height) or (width, height, 2)")
        if not math.isfinite(self.timestep_ms):
            raise InputError(f"timestep_ms: {self.timestep_ms!r}, must be finite")
        self._spec(1 if self.n_timesteps is None else self.n_timesteps)

    def _spec(self, steps: int) -> FrameSpec:
        return FrameSpec(steps, round(1000 * self.timestep_ms), self.height, self.width, normalize=self.normalize)

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """Frames (T, 2, H, W), OFF first; without events, of zeros.

        Args:
            events: structured, with fields t (µs), x, y and p, of any type and in any order; not changed.

        Raises InputError where they do not pass the checks of `spikeseg.data.recording.checked`."""
        if not isinstance(events, np.ndarray) or not {*"txyp"} <= {*(events.dtype.names or ())}:
            raise InputError(f"ToSpikes: found {_kind(events)}; expected events, a structured array with t, x, y and p")
        size = (int(self.sensor_size[0]), int(self.sensor_size[1]))
        known = checked("events", "ToSpikes", events, size, lenient=self.lenient).events
        first, last = (int(known["t"][0]), int(known["t"][-1])) if len(known) else (0, -1)
        steps = self.n_timesteps
        if steps is None:
            steps = max(1, 1 + (last - first) // self._spec(1).timestep_us)
        spec = self._spec(steps)
        spec.check_work(size, 1)
        frames: np.ndarray = fill(known, size, spec, np.array([first], np.int64))[0]
        return frames


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


class Recordings:
    """Recordings as a dataset of tonic's kind, which its caching and slicing datasets and torch's DataLoader take.

    A sample is (events, target): events are checked, EVENT_DTYPE (n,). The target is the number of the class where the dataset
    says what a recording shows, else its labelled positions, LABEL_DTYPE (m,), which are none where nobody labelled it.

    Args:
        root: the folder, file or pattern that the dataset lies in.
        dataset: a value of ``data.dataset`` that holds recordings, such as "files", "ebssa" or "tonic:NMNIST".
        part: only those of this part of the dataset's own split: "train", "val" or "test"; None: all.
        lenient: accept recordings of which more than 1 % must be dropped.
        transform, target_transform: applied to the events and to the target.
        transforms: applied to both, after these.

    Attributes:
        classes: names of the classes, by their number; () where the dataset names none.
        names: of the recordings.

    Raises InputError: an unknown dataset or one of images, a root without its recordings, or a part that it does not have.
    """

    def __init__(
        self,
        root: str | Path,
        dataset: str = "files",
        *,
        part: str | None = None,
        lenient: bool = False,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        from spikeseg.registries import DATASETS

        kind = DATASETS[dataset]
        if kind.entries is None:
            raise InputError(f"dataset {dataset!r}: holds images, no recordings")
        entries = kind.entries(root)
        named = {entry.class_name for entry in entries if entry.class_name}
        self.classes: tuple[str, ...] = kind.classes or tuple(sorted(named))
        self.entries = [entry for entry in entries if part in (None, entry.part)]
        if not self.entries:
            parts = ", ".join(sorted({entry.part for entry in entries} - {""})) or "none"
            raise InputError(f"{root}: part {part!r}: no recordings; the parts of dataset {dataset} here: {parts}")
        self.names = [entry.name for entry in self.entries]
        self.lenient, self.transform, self.target_transform, self.transforms = lenient, transform, target_transform, transforms

    def __len__(self) -> int:
        return len(self.entries)

    def recording(self, index: int) -> Recording:
        """Recording number `index`, with its sensor and what the checks dropped. Raises IndexError beyond the last, InputError
        where it cannot be read."""
        return self.entries[index].load(self.lenient)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Events and target. Raises as `recording` does."""
        recording, shows = self.recording(index), self.entries[index].class_name
        events: Any = recording.events
        target: Any = self.classes.index(shows) if shows else recording.labels
        if target is None:
            target = np.zeros(0, LABEL_DTYPE)
        if self.transform is not None:
            events = self.transform(events)
        if self.target_transform is not None:
            target = self.target_transform(target)
        if self.transforms is not None:
            events, target = self.transforms(events, target)
        return events, target
