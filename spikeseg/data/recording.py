"""The Recording: checked events, their sensor and, where known, their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeseg.errors import InputError

EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
"""One event: t in µs, x and y in pixels (0-based, origin top left), p True for ON."""

LABEL_DTYPE = np.dtype([("t", "<i8"), ("x", "<f8"), ("y", "<f8"), ("id", "<i4")])
"""One label point: the position (0-based pixels) of object ``id`` at time t (µs)."""

TRUTH_DTYPE = np.dtype([("source", "<i1"), ("object_id", "<i4")])
"""Per-event truth of a simulated recording: what caused the event, and which object (0: none)."""

SOURCE_NOISE, SOURCE_HOT, SOURCE_STAR, SOURCE_OBJECT = 0, 1, 2, 3


@dataclass(frozen=True)
class Recording:
    """Events of one recording, as they passed the checks.

    Attributes:
        events: structured array of EVENT_DTYPE, sorted by t.
        sensor_size: (width, height) in pixels.
        labels: structured array of LABEL_DTYPE, or None when nobody labelled the recording;
            an empty array says that it was labelled and holds no object.
        truth: structured array of TRUTH_DTYPE, one entry per event, or None (simulated data only).
        name: unique within its dataset.
        source: the file it came from.
        sensor: "DAVIS", "ATIS" or "" when unknown.
        dropped: what the checks dropped or mended, as reason -> count.
    """

    events: np.ndarray
    sensor_size: tuple[int, int]
    labels: np.ndarray | None
    name: str
    source: str
    sensor: str = ""
    truth: np.ndarray | None = None
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)


DROP_LIMIT = 0.01
"""Share of events (or of label points) that may be dropped, or be out of order, unless lenient."""
MAX_BACKWARD_US = 1_000_000
"""Largest step back in time that sorting may mend."""
MAX_GAP_US = 3_600_000_000
"""Longest silence inside a recording; beyond it a timestamp is taken to be corrupt."""
POLARITY_CODINGS = ((0, 1), (-1, 1), (1, 2))
"""(OFF, ON), in the order in which a recording of one polarity only is understood: a lone 1 is ON."""
LABEL_MARGIN_PX = 1.0
"""Labels are placed by hand: this far outside the sensor they are still taken."""


def checked(
    name: str,
    source: str,
    t: npt.ArrayLike,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    sensor_size: tuple[int, int],
    labels: np.ndarray | Mapping[str, npt.ArrayLike] | None = None,
    *,
    sensor: str = "",
    truth: np.ndarray | None = None,
    lenient: bool = False,
) -> Recording:
    """A Recording from raw columns; the one place where data is checked.

    Args:
        name, source: of the recording; ``source`` (a path) opens every message.
        t, x, y, p: one-dimensional, any real dtype, (N,) each. t in whole µs, x and y 0-based whole pixels,
            p in one of POLARITY_CODINGS. N may be 0.
        sensor_size: (width, height) in pixels, at most 32767 each.
        labels: columns t, x, y, id (structured array or mapping) of label points, 0-based pixels; or None.
        sensor: "DAVIS", "ATIS" or "".
        truth: structured array of TRUTH_DTYPE (N,), or None.
        lenient: accept more than DROP_LIMIT dropped or out of order.

    No argument is changed. Dropped and counted in ``Recording.dropped``: events that are not finite or lie
    outside the sensor, label points likewise. Sorted and counted: events that come late. Events of equal
    time keep their order.

    Raises InputError: columns of different lengths or kinds, a fraction where a whole number belongs, a clock
    that jumps back by more than 1 s or forward by more than 1 h (naming the index), a polarity that is not
    two-valued, more than DROP_LIMIT dropped or late unless ``lenient``, nothing left.
    """
    size = _checked_size(source, sensor_size)
    columns = _columns(source, "events", {"t": t, "x": x, "y": y, "p": p})
    n = len(columns["t"])
    if truth is not None and (truth.dtype != TRUTH_DTYPE or truth.shape != (n,)):
        raise InputError(f"{source}: truth: {truth.shape} of {truth.dtype}; expected ({n},) of {TRUTH_DTYPE}")
    finite = _finite(columns)
    inside = _inside(columns["x"], columns["y"], size) & finite
    dropped = {"not finite": n - int(finite.sum()), "outside the sensor": int(finite.sum() - inside.sum())}
    _limit(source, "events", n, dropped, lenient)
    polarity = _polarity(source, columns["p"][finite])[inside[finite]]
    index = np.flatnonzero(inside)
    time = _whole(source, "t", columns["t"][index], index)
    order, late = _time_order(source, time, index, lenient)

    events = np.empty(len(index), EVENT_DTYPE)
    events["t"] = time
    events["x"] = _whole(source, "x", columns["x"][index], index)
    events["y"] = _whole(source, "y", columns["y"][index], index)
    events["p"] = polarity
    points, label_drops = _checked_labels(source, labels, size, lenient)
    counts = dropped | {"out of order, sorted": late} | label_drops
    if order is not None:
        events, index = events[order], index[order]
    return Recording(
        events=events,
        sensor_size=size,
        labels=points,
        name=name,
        source=source,
        sensor=sensor,
        truth=None if truth is None else truth[index],
        dropped={reason: count for reason, count in counts.items() if count},
    )


def _checked_size(source: str, size: tuple[int, int]) -> tuple[int, int]:
    whole = len(size) == 2 and all(isinstance(side, (int, np.integer)) and 0 < side <= 32767 for side in size)
    if not whole:
        raise InputError(f"{source}: sensor_size: {size}; expected (width, height), whole, 1 to 32767 each")
    return int(size[0]), int(size[1])


def _columns(source: str, what: str, raw: Mapping[str, npt.ArrayLike]) -> dict[str, np.ndarray]:
    """The columns as one-dimensional arrays of equal length and real numbers."""
    columns = {field: np.asarray(values) for field, values in raw.items()}
    for field, column in columns.items():
        if column.dtype.kind not in "buif" or column.ndim != 1:
            found = f"{column.ndim}-dimensional array of {column.dtype}"
            raise InputError(f"{source}: {what}.{field}: {found}; expected one column of real numbers")
    if len({len(column) for column in columns.values()}) != 1:
        lengths = ", ".join(f"{field} {len(column)}" for field, column in columns.items())
        raise InputError(f"{source}: {what}: columns differ in length ({lengths})")
    return columns


def _finite(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    finite = np.ones(len(columns["t"]), bool)
    for column in columns.values():
        if column.dtype.kind == "f":
            finite &= np.isfinite(column)
    return finite


def _inside(x: np.ndarray, y: np.ndarray, size: tuple[int, int], margin: float = 0.0) -> np.ndarray:
    """True where 0 <= x < width and 0 <= y < height, with a margin in pixels; False for nan."""
    lo, width, height = -margin, size[0] - 1 + margin, size[1] - 1 + margin
    return np.asarray((x >= lo) & (x <= width) & (y >= lo) & (y <= height))


def _limit(source: str, what: str, n: int, dropped: Mapping[str, int], lenient: bool) -> None:
    """Raise when more of n would be dropped than the limit allows, or all of it."""
    total = sum(dropped.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
    if n and total == n:
        raise InputError(f"{source}: {what}: none of {n} is usable ({reasons}); check format and sensor size")
    if total > DROP_LIMIT * n and not lenient:
        raise InputError(
            f"{source}: {what}: {total} of {n} would be dropped ({reasons}), {DROP_LIMIT:.0%} is allowed; "
            "check the file and its sensor size, or use --lenient"
        )


def _whole(source: str, field: str, values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Finite numbers as int64; far beyond any clock they are clipped, for the time checks to find."""
    bound = 2**61
    if values.dtype.kind == "f":
        fraction = values != np.floor(values)
        if fraction.any():
            first = int(np.argmax(fraction))
            unit = "µs (multiply seconds by 1e6)" if field == "t" else "pixels"
            raise InputError(
                f"{source}: events.{field}: {values[first]} at index {index[first]}; expected whole {unit}"
            )
        values = np.clip(values, -float(bound), float(bound))
    elif values.dtype.itemsize == 8:
        values = np.clip(values, max(-bound, np.iinfo(values.dtype).min), bound)
    return np.asarray(values, np.int64)


def _polarity(source: str, p: np.ndarray) -> np.ndarray:
    """True for ON. p holds finite numbers in one of POLARITY_CODINGS."""
    if p.dtype.kind == "b" or not len(p):
        return p.astype(bool)
    low, high = p.min(), p.max()
    for off, on in POLARITY_CODINGS:
        if {low, high} <= {off, on} and ((p == off) | (p == on)).all():
            return np.asarray(p == on)
    values = [str(value) for value in np.unique(p)]
    few = ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
    allowed = " or ".join(f"{{{off}, {on}}}" for off, on in POLARITY_CODINGS)
    raise InputError(f"{source}: events.p: values {few}; expected {allowed}")


def _time_order(
    source: str, t: np.ndarray, index: np.ndarray, lenient: bool
) -> tuple[np.ndarray | None, int]:
    """The stable order that sorts t (None when it is sorted), and how many events come late."""
    if not len(t):
        return None, 0
    latest = np.maximum.accumulate(t)
    back = latest - t
    late = int((back > 0).sum())
    if late and int(back.max()) > MAX_BACKWARD_US:
        first = int(np.argmax(back > MAX_BACKWARD_US))
        raise InputError(
            f"{source}: events.t: the clock jumps back by {back[first] / 1e6:.3f} s at index {index[first]}; "
            f"{MAX_BACKWARD_US / 1e6:.0f} s can be mended: cut the file there, or undo the wrap-around"
        )
    if late > DROP_LIMIT * len(t) and not lenient:
        first = int(np.argmax(back > 0))
        raise InputError(
            f"{source}: events.t: {late} of {len(t)} are out of order, the first at index {index[first]}, "
            f"{DROP_LIMIT:.0%} is allowed; look for a clock that wraps, sort the file, or use --lenient"
        )
    order = np.argsort(t, kind="stable") if late else None
    gaps = np.diff(t if order is None else t[order])
    if len(gaps) and int(gaps.max()) > MAX_GAP_US:
        first = int(np.argmax(gaps)) + 1
        where = index[first if order is None else order[first]]
        raise InputError(
            f"{source}: events.t: the clock jumps forward by {gaps.max() / 1e6:.0f} s at index {where}; "
            f"{MAX_GAP_US // 1_000_000} s of silence are allowed: cut the file there"
        )
    return order, late


def _checked_labels(
    source: str, labels: np.ndarray | Mapping[str, npt.ArrayLike] | None, size: tuple[int, int], lenient: bool
) -> tuple[np.ndarray | None, dict[str, int]]:
    """Label points as LABEL_DTYPE, sorted by t then id, and what was dropped."""
    if labels is None:
        return None, {}
    columns = _columns(source, "labels", {field: labels[field] for field in ("t", "x", "y", "id")})
    n = len(columns["t"])
    finite = _finite(columns)
    usable = finite & _inside(columns["x"], columns["y"], size, LABEL_MARGIN_PX)
    dropped = {
        "labels not finite": n - int(finite.sum()),
        "labels outside the sensor": int(finite.sum() - usable.sum()),
    }
    _limit(source, "labels", n, dropped, lenient)
    index = np.flatnonzero(usable)
    points = np.empty(len(index), LABEL_DTYPE)
    points["t"] = _whole(source, "t", np.rint(columns["t"][index]), index)
    points["x"], points["y"] = columns["x"][index], columns["y"][index]
    ids = columns["id"][index]
    bad = (ids != np.floor(ids)) | (ids < 0) | (ids > np.iinfo(np.int32).max)
    if bad.any():
        found = f"{ids[bad][0]} at index {index[bad][0]}"
        raise InputError(f"{source}: labels.id: {found}; expected a whole number from 0")
    points["id"] = ids
    return points[np.lexsort((points["id"], points["t"]))], dropped
