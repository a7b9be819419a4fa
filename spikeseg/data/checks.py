"""What columns of events must satisfy; used by `recording.checked` and `long.iter_events`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeseg.errors import InputError

DROP_LIMIT = 0.01
"""Share of events (or of label points) that may be dropped, or be out of order, unless lenient."""
MAX_BACKWARD_US = 1_000_000
"""Largest step back in time that sorting may mend."""
MAX_GAP_US = 3_600_000_000
"""Longest silence inside a recording; beyond it a timestamp is taken to be corrupt."""
MAX_SIDE_PX = 32767
"""Width and height of a sensor, at most: coordinates are 16-bit."""
MAX_PIXELS = 2**24
"""Pixels of a sensor, at most: a dozen times those of the largest event camera; a count per pixel must fit in memory."""
REMEDIES = {
    "events": ("check format and sensor size", "check the file and its sensor size, or use --lenient"),
    "labels": (
        "labels are in pixels of the sensor, from 0: are they of another recording?",
        "labels are in pixels of the sensor, from 0, and µs of its clock: mend them, or use --lenient",
    ),
}
"""What is checked -> what to do if nothing is left; and if too much would be dropped."""
POLARITY_CODINGS = ((0, 1), (-1, 1), (1, 2))
"""(OFF, ON), in the order in which a recording of one polarity only is understood: a lone 1 is ON."""


def checked_size(source: str, size: tuple[int, int]) -> tuple[int, int]:
    whole = len(size) == 2 and all(isinstance(side, (int, np.integer)) and 0 < side <= MAX_SIDE_PX for side in size)
    if not whole:
        raise InputError(f"{source}: sensor_size: {size}; expected (width, height), whole, 1 to {MAX_SIDE_PX} each")
    if int(size[0]) * int(size[1]) > MAX_PIXELS:
        raise InputError(f"{source}: sensor_size: {size[0]} x {size[1]}; no sensor has more than {MAX_PIXELS} pixels; damaged?")
    return int(size[0]), int(size[1])


def columns_of(source: str, what: str, raw: Mapping[str, npt.ArrayLike]) -> dict[str, np.ndarray]:
    """The columns as one-dimensional arrays of equal length and real numbers."""
    columns = {field: np.asarray(values) for field, values in raw.items()}
    for field, column in columns.items():
        if column.dtype.kind not in "buif" or column.ndim != 1:
            kind = f"{column.ndim}-dimensional array of {column.dtype}"
            raise InputError(f"{source}: {what}.{field}: {kind}; expected one column of real numbers")
    if len({len(column) for column in columns.values()}) != 1:
        lengths = ", ".join(f"{field} {len(column)}" for field, column in columns.items())
        raise InputError(f"{source}: {what}: columns differ in length ({lengths})")
    return columns


def finite_rows(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    finite = np.ones(len(columns["t"]), bool)
    for column in columns.values():
        if column.dtype.kind == "f":
            finite &= np.isfinite(column)
    return finite


def inside(x: np.ndarray, y: np.ndarray, size: tuple[int, int], margin: float = 0) -> np.ndarray:
    """True where 0 <= x < width and 0 <= y < height, with a margin in pixels; False for nan."""
    lo, width, height = -margin, size[0] - 1 + margin, size[1] - 1 + margin
    return np.asarray((x >= lo) & (x <= width) & (y >= lo) & (y <= height))


def limit(source: str, what: str, n: int, dropped: Mapping[str, int], lenient: bool) -> None:
    """Raise when more of n would be dropped than the limit allows, or all of it."""
    total = sum(dropped.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
    if n and total == n:
        raise InputError(f"{source}: {what}: none of {n} is usable ({reasons}); {REMEDIES[what][0]}")
    if total > DROP_LIMIT * n and not lenient:
        raise InputError(
            f"{source}: {what}: {total} of {n} would be dropped ({reasons}), {DROP_LIMIT:.0%} is allowed; {REMEDIES[what][1]}"
        )


def whole_pixels(source: str, field: str, values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Coordinates on the sensor as int64. Raises InputError for a fraction."""
    if values.dtype.kind == "f":
        fraction = values != np.floor(values)
        if fraction.any():
            first = int(np.argmax(fraction))
            raise InputError(f"{source}: events.{field}: {values[first]} at index {index[first]}; expected whole pixels")
    return np.asarray(values, np.int64)


def polarity(source: str, p: np.ndarray) -> np.ndarray:
    """True for ON. p holds finite numbers in one of POLARITY_CODINGS."""
    if p.dtype.kind == "b" or not len(p):
        return p.astype(bool)
    low, high = p.min(), p.max()
    values = np.array([low, high])
    if not ((p == low) | (p == high)).all():
        values = np.unique(p)
    return np.asarray(p == on_value(source, values))


def on_value(source: str, values: np.ndarray) -> float:
    """What ON is written as, where these values occur. Raises InputError unless they are in one of POLARITY_CODINGS."""
    for off, on in POLARITY_CODINGS:
        if set(values.tolist()) <= {off, on}:
            return on
    texts = [str(value) for value in values]
    few = ", ".join(texts[:4]) + (", ..." if len(texts) > 4 else "")
    allowed = " or ".join(f"{{{off}, {on}}}" for off, on in POLARITY_CODINGS)
    raise InputError(f"{source}: events.p: values {few}; expected {allowed}")


def time_order(source: str, t: np.ndarray, index: np.ndarray, lenient: bool) -> tuple[np.ndarray | None, int]:
    """The stable order that sorts t (None when it is sorted), and how many events come late."""
    if not len(t):
        return None, 0
    order, late, gaps = None, 0, np.diff(t)
    if len(gaps) and int(gaps.min()) < 0:
        back = np.maximum.accumulate(t) - t
        late = int((back > 0).sum())
        if int(back.max()) > MAX_BACKWARD_US:
            first = int(np.argmax(back > MAX_BACKWARD_US))
            raise jumps_back(source, int(back[first]), int(index[first]))
        limit_late(source, late, len(t), int(index[np.argmax(back > 0)]), lenient)
        order = np.argsort(t, kind="stable")
        gaps = np.diff(t[order])
    if len(gaps) and int(gaps.max()) > MAX_GAP_US:
        first = int(np.argmax(gaps)) + 1
        raise jumps_forward(source, int(gaps.max()), int(index[first if order is None else order[first]]))
    return order, late


def limit_late(source: str, late: int, n: int, first: int, lenient: bool) -> None:
    """Raise when more of n events come late than the limit allows; first: the index of the first that does."""
    if late > DROP_LIMIT * n and not lenient:
        raise InputError(
            f"{source}: events.t: {late} of {n} are out of order, the first at index {first}, "
            f"{DROP_LIMIT:.0%} is allowed; look for a clock that wraps, sort the file, or use --lenient"
        )


def jumps_back(source: str, by_us: int, index: int) -> InputError:
    """A clock that jumps back further than can be mended."""
    return InputError(
        f"{source}: events.t: the clock jumps back by {by_us / 1e6:.3f} s at index {index}; "
        f"{MAX_BACKWARD_US / 1e6:.0f} s can be mended: cut the file there, or undo the wrap-around"
    )


def jumps_forward(source: str, by_us: int, index: int) -> InputError:
    """A clock that jumps forward further than a silence can be long."""
    return InputError(
        f"{source}: events.t: the clock jumps forward by {by_us / 1e6:.0f} s at index {index}; "
        f"{MAX_GAP_US // 1_000_000} s of silence are allowed: cut the file there, "
        "or, if times are not in µs, say their unit (--time-unit)"
    )
