"""The Recording: checked events, their sensor and, where known, their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeseg.errors import InputError

from . import checks, label_times
from .times import check_span, whole_us

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


LABEL_MARGIN_PX = 1.0
"""Labels are placed by hand: this far outside the sensor they are still taken."""


def checked(
    name: str,
    source: str,
    columns: np.ndarray | Mapping[str, npt.ArrayLike],
    sensor_size: tuple[int, int],
    labels: np.ndarray | Mapping[str, npt.ArrayLike] | None = None,
    *,
    sensor: str = "",
    truth: np.ndarray | None = None,
    lenient: bool = False,
) -> Recording:
    """A Recording from raw columns; the one place where data is checked.

    Args:
        name: of the recording.
        source: where it came from (a path), which opens every message.
        columns: t, x, y, p of its events (structured array or mapping), any real dtype, (N,) each. t in whole µs, x and y
            0-based whole pixels, p in one of POLARITY_CODINGS. N may be 0.
        sensor_size: (width, height) in pixels, at most 32767 each.
        labels: columns t, x, y, id (structured array or mapping) of label points, 0-based pixels; or None.
        sensor: "DAVIS", "ATIS" or "".
        truth: structured array of TRUTH_DTYPE (N,), or None.
        lenient: accept more than DROP_LIMIT dropped or out of order.

    No argument is changed. Dropped and counted in ``Recording.dropped``: events that are not finite or lie
    outside the sensor, label points likewise, and those outside of the recording's time. Sorted and counted: events that
    come late. Events of equal time keep their order.

    Raises InputError: columns of different lengths or kinds, a fraction where a whole number belongs, a clock
    that jumps back by more than 1 s or forward by more than 1 h (naming the index), times that cannot be µs of one recording
    (saying what they look like), labels of another time or unit, a polarity that is not two-valued, more than DROP_LIMIT dropped
    or late unless ``lenient``, nothing left.
    """
    size = checks.checked_size(source, sensor_size)
    given = checks.columns_of(source, "events", {field: columns[field] for field in "txyp"})
    n = len(given["t"])
    if truth is not None and (truth.dtype != TRUTH_DTYPE or truth.shape != (n,)):
        raise InputError(f"{source}: truth: {truth.shape} of {truth.dtype}; expected ({n},) of {TRUTH_DTYPE}")
    finite = checks.finite_rows(given)
    inside = checks.inside(given["x"], given["y"], size) & finite
    dropped = {"not finite": n - int(finite.sum()), "outside the sensor": int(finite.sum() - inside.sum())}
    checks.limit(source, "events", n, dropped, lenient)
    some = any(dropped.values())
    polarity = checks.polarity(source, given["p"][finite] if some else given["p"])
    polarity = polarity[inside[finite]] if some else polarity
    index = np.flatnonzero(inside) if some else np.arange(n)
    given = {field: column[index] if some else column for field, column in given.items()}
    time = whole_us(source, "events.t", given["t"], index)
    order, late = checks.time_order(source, time, index, lenient)
    span = (int(time.min()), int(time.max())) if len(time) else None
    if span is not None:
        check_span(source, *span, len(time), lenient)

    events = np.empty(len(index), EVENT_DTYPE)
    events["t"] = time
    events["x"] = checks.whole_pixels(source, "x", given["x"], index)
    events["y"] = checks.whole_pixels(source, "y", given["y"], index)
    events["p"] = polarity
    points, label_drops = checked_labels(source, labels, size, span, lenient)
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


def checked_labels(
    source: str,
    labels: np.ndarray | Mapping[str, npt.ArrayLike] | None,
    size: tuple[int, int],
    span: tuple[int, int] | None,
    lenient: bool,
) -> tuple[np.ndarray | None, dict[str, int]]:
    """Label points as LABEL_DTYPE, sorted by t then id, and what was dropped; compared with the recording's size and with its
    first and last event (µs; None without any).

    Raises InputError: see `checked`.
    """
    if labels is None:
        return None, {}
    columns = checks.columns_of(source, "labels", {field: labels[field] for field in ("t", "x", "y", "id")})
    n = len(columns["t"])
    finite = checks.finite_rows(columns)
    on_sensor = finite & checks.inside(columns["x"], columns["y"], size, LABEL_MARGIN_PX)
    usable = on_sensor.copy()
    if span is not None:
        usable[on_sensor] = label_times.within(source, columns["t"][on_sensor], span)
    dropped = {
        "labels not finite": n - int(finite.sum()),
        "labels outside the sensor": int(finite.sum() - on_sensor.sum()),
        "labels outside the recording's time": int(on_sensor.sum() - usable.sum()),
    }
    checks.limit(source, "labels", n, dropped, lenient)
    index = np.flatnonzero(usable)
    points = np.empty(len(index), LABEL_DTYPE)
    points["t"] = whole_us(source, "labels.t", np.rint(columns["t"][index]), index)
    points["x"], points["y"] = columns["x"][index], columns["y"][index]
    ids = columns["id"][index]
    bad = (ids != np.floor(ids)) | (ids < 0) | (ids > np.iinfo(np.int32).max)
    if bad.any():
        wrong = f"{ids[bad][0]} at index {index[bad][0]}"
        raise InputError(f"{source}: labels.id: {wrong}; expected a whole number from 0")
    points["id"] = ids
    return points[np.lexsort((points["id"], points["t"]))], dropped
