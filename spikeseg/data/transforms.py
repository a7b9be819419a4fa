"""tonic's event transforms by name, as the configuration lists them, restricted and made repeatable. They are
tonic's own, but for DropPixel, whose place a faster one takes that gives the same; ``tonic.DropPixel`` is tonic's.

The frames, the labels and the detections share the sensor's pixels and the recording's clock, so a transform may drop events or
change their polarity, but may not move or add any: one that does is refused. What tonic leaves open is fixed
here: random transforms are seeded, none remembers the recording before, the caller's array is never changed, and empty
recordings pass.
"""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeseg.errors import InputError

from .recording import EVENT_DTYPE

HOT_PIXEL_FREQUENCY = 15.0
"""Events/s, on average over a recording, from which a pixel counts as hot where no configuration says otherwise: the demo's and
EBSSA's; objects and stars stay below it."""

Chain = Callable[[np.ndarray], np.ndarray]
"""Events in, events out: structured arrays with the fields of EVENT_DTYPE and the field i."""

_CARRIED = np.dtype([*EVENT_DTYPE.descr, ("i", "<i8")])

_REJECTED = (TypeError, ValueError, AttributeError, IndexError, KeyError, ZeroDivisionError, AssertionError, OverflowError)
"""What tonic's transforms raise when they get what they cannot handle."""

_MOVERS = (
    "CenterCrop", "Downsample", "EventDownsampling", "RandomCrop", "RandomFlipLR", "RandomFlipUD", "RandomTimeReversal",
    "SpatialJitter", "TimeAlignment", "TimeJitter", "TimeSkew", "UniformNoise",
)  # fmt: skip
"""tonic's transforms that move events or add some."""

TRANSFORMS = (
    "CropTime", "Decimation", "Denoise", "DropEvent", "DropEventByArea", "DropEventByTime", "DropPixel", "EventDrop",
    "MergePolarities", "RandomDropPixel", "RandomFlipPolarity", "RefractoryPeriod",
)  # fmt: skip
"""tonic's transforms that the configuration can name: those that drop events or change their polarity."""

_REMEDY = (
    "only transforms that drop events or change their polarity keep them in register with the labels (for frames of "
    "another size see data.input_height, for mirrored samples data.augmentation)"
)


@dataclass(frozen=True)
class DropPixel:
    """tonic's DropPixel, same result, in one pass: tonic (1.7) takes one pass over all events for every pixel it drops, for 100
    pixels of a million events 0.29 s against 0.02 s.

    Attributes:
        coordinates: pixels (x, y) whose events are dropped.
        hot_pixel_frequency: or: drop the pixels that fire more often than this on average, events/s.

    Raises InputError unless one of them is given, and the frequency is positive.
    """

    coordinates: Sequence[Sequence[int]] | None = None
    hot_pixel_frequency: float | None = None

    def __post_init__(self) -> None:
        if (self.coordinates is None) == (self.hot_pixel_frequency is None):
            raise InputError("needs coordinates or hot_pixel_frequency, one of them")
        if self.hot_pixel_frequency is not None and not self.hot_pixel_frequency > 0:
            raise InputError("hot_pixel_frequency must be above 0 (events/s)")

    def __call__(self, events: np.ndarray) -> np.ndarray:
        kept: np.ndarray = events[self.kept(events)]
        return kept

    def kept(self, events: np.ndarray) -> np.ndarray:
        """Which of a recording's events stay: bool (n,)."""
        if not len(events):
            return np.ones(0, bool)
        from . import windows_kernels

        x, y = events["x"], events["y"]
        counts = np.zeros((int(y.max()) + 1, int(x.max()) + 1), np.int64)
        windows_kernels.count(x, y, counts)
        dropped, kept = self.dropped(counts, int(events["t"][-1] - events["t"][0])), np.ones(len(events), bool)
        if dropped.any():
            windows_kernels.leave_out(x, y, dropped, kept)
        return kept

    def dropped(self, counts: np.ndarray, duration_us: int) -> np.ndarray:
        """bool (H, W): pixels whose events are dropped, when each has so many (H, W) in a recording of this length, µs."""
        if self.hot_pixel_frequency is not None:
            return np.asarray(counts > self.hot_pixel_frequency * duration_us * 1e-6)
        height, width = counts.shape
        coordinates = np.asarray(self.coordinates, np.int64).reshape(-1, 2)
        inside = np.all((coordinates >= 0) & (coordinates < (width, height)), axis=1)
        drop = np.zeros(counts.shape, bool)
        drop[coordinates[inside, 1], coordinates[inside, 0]] = True
        return drop


_OURS: dict[str, type] = {"DropPixel": DropPixel}
_TONICS = "tonic."
"""Begins the name of a transform of which tonic's own is meant where ours gives the same: ``tonic.DropPixel``."""


def build(specs: Sequence[Mapping[str, Any]], sensor_size: tuple[int, int]) -> Chain:
    """The chain that the configuration describes.

    Args:
        specs: data.transforms, such as [{"name": "DropPixel", "hot_pixel_frequency": 50}]; the other keys are the
            arguments of tonic's transform, lists standing for tuples. ``sensor_size`` is filled in where it is wanted.
        sensor_size: (width, height) in pixels.

    Returns:
        A tonic.transforms.Compose (or, of DropPixel alone, its like), for ``apply``; an empty list gives one that changes
        nothing.

    Raises:
        InputError: an unknown name, an argument that the transform does not have or cannot use, or a transform that
            moves or adds events. Each is tried on a few events first, so that this shows at once.
    """
    steps = [_step(at, spec, sensor_size) for at, spec in enumerate(specs)]
    for at, (spec, step) in enumerate(zip(specs, steps, strict=True)):
        try:
            apply(_probe(sensor_size), _composed([step]))
        except InputError as error:
            raise InputError(f"{_where(at, spec)}: {error}") from error
    return _composed(steps)


@dataclass(frozen=True)
class OurCompose:
    """tonic's Compose for transforms of ours: tonic brings torch along, whose import takes a worker longer than a recording."""

    transforms: Sequence[Chain]

    def __call__(self, events: np.ndarray) -> np.ndarray:
        for step in self.transforms:
            events = step(events)
        return events


def _composed(steps: Sequence[Chain]) -> Chain:
    if all(type(step) in _OURS.values() for step in steps):
        return OurCompose(steps)
    from tonic.transforms import Compose

    chain: Chain = Compose(list(steps))
    return chain


def apply(events: np.ndarray, chain: Chain, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pass events through a chain.

    Args:
        events: EVENT_DTYPE (n,), sorted by t; not changed.
        chain: from ``build``.
        seed: of the random transforms; equal seeds give equal results. numpy's global state is left as it was.

    Returns:
        The events that passed, EVENT_DTYPE (m,), in order, with the polarity that the chain gave them; and bool (n,):
        which of the input passed.

    Raises:
        InputError: the chain fails, or moves, adds or doubles events.
    """
    kept = np.ones(len(events), bool)
    try:
        if drops_pixels_alone(chain):
            passed = events
            for step in chain.transforms:  # type: ignore[attr-defined]
                own = step.kept(passed)
                if not own.all():
                    kept[kept] = own
                    passed = np.compress(own, passed)
            return passed, kept
        carried = np.zeros(len(events), _CARRIED)
        for name in EVENT_DTYPE.names or ():
            carried[name] = events[name]
        carried["i"] = np.arange(len(events))
        with _seeded(seed):
            passed = copy.deepcopy(chain)(carried) if len(carried) else carried  # CropTime remembers its first recording
    except _REJECTED as error:
        raise InputError(f"tonic cannot apply it: {type(error).__name__}: {' '.join(str(error).split())}") from error
    kept[:] = False
    if not len(passed):
        return events[:0].copy(), kept
    if passed.dtype.names is None or "i" not in passed.dtype.names:
        raise InputError("it does not give events")
    index = passed["i"]
    if index.min() >= 0 and index.max() < len(events):
        kept[index] = True
    if np.count_nonzero(kept) < len(index):
        raise InputError(f"it adds events; {_REMEDY}")
    if np.any(index[1:] < index[:-1]):
        passed = passed[np.argsort(index, kind="stable")]
        index = passed["i"]
    for name in "txy":
        if np.any(passed[name] != events[name][index]):
            raise InputError(f"it changes {name} of events; {_REMEDY}")
    result = np.zeros(len(passed), EVENT_DTYPE)
    for name in EVENT_DTYPE.names or ():
        result[name] = passed[name]
    return result, kept


def drops_pixels_alone(chain: Chain) -> bool:
    """Whether every transform of it is DropPixel, which needs no more than a count per pixel."""
    return all(isinstance(step, DropPixel) for step in getattr(chain, "transforms", [None]))


def _step(at: int, spec: Mapping[str, Any], sensor_size: tuple[int, int]) -> Chain:
    """One transform of the list, made but not tried."""
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise InputError(f"data.transforms[{at}]: {spec!r}, must be a mapping with a name, such as name: DropPixel")
    ours, name = not spec["name"].startswith(_TONICS), spec["name"].removeprefix(_TONICS)
    if name in _MOVERS:
        raise InputError(f"data.transforms[{at}].name: {name} moves or adds events; {_REMEDY}")
    if name not in TRANSFORMS:
        near = difflib.get_close_matches(name, TRANSFORMS, n=3, cutoff=0.6)
        choices = f"nearest: {', '.join(near)}" if near else f"there are: {', '.join(TRANSFORMS)}"
        raise InputError(f"data.transforms[{at}].name: unknown transform {name!r}; {choices}")
    kind = (_OURS.get(name) if ours else None) or _of_tonic(name)
    known = [arg for arg in inspect.signature(kind).parameters]
    given = {key: _tuples(value) for key, value in spec.items() if key != "name"}
    if unknown := [key for key in given if key not in known]:
        raise InputError(f"{_where(at, spec)}: no argument {unknown[0]!r}; there are: {', '.join(known) or 'none'}")
    if "sensor_size" in known:
        given.setdefault("sensor_size", (*sensor_size, 2))
    try:
        made: Chain = kind(**given)
    except InputError as error:
        raise InputError(f"{_where(at, spec)}: {error}") from error
    except _REJECTED as error:
        needed = ", ".join(known)
        raise InputError(f"{_where(at, spec)}: {' '.join(str(error).split()) or 'not allowed'}; takes: {needed}") from error
    return made


def _of_tonic(name: str) -> type:
    import tonic.transforms

    kind: type = getattr(tonic.transforms, name)
    return kind


def _where(at: int, spec: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{key}={value!r}" for key, value in spec.items() if key != "name")
    return f"data.transforms[{at}] {spec['name']}({arguments})"


def _tuples(value: Any) -> Any:
    """YAML has no tuples; tonic tells ranges from numbers by them."""
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def _probe(sensor_size: tuple[int, int]) -> np.ndarray:
    """A few events spread over the sensor and a second."""
    events = np.zeros(64, EVENT_DTYPE)
    spread = np.random.default_rng(0)
    events["t"] = 1_000 + np.sort(spread.integers(0, 1_000_000, len(events)))
    events["x"], events["y"] = (spread.integers(0, limit, len(events)) for limit in sensor_size)
    events["p"] = spread.integers(0, 2, len(events))
    return events


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """tonic draws from numpy's global generator; lend it one of ours."""
    before = np.random.get_state()  # noqa: NPY002 (tonic's generator)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
