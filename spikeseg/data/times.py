"""What times of one recording can be, and what those that cannot look like."""

from __future__ import annotations

import warnings

import numpy as np

from spikeseg.errors import InputError

LATEST_US = 2**53
"""No clock reads more, µs: 285 years, and as far as float64 holds every whole number."""
LONGEST_US = 31 * 86_400 * 1_000_000
"""No recording is longer, µs."""
MOST_EVENTS_PER_S = 1e10
"""No sensor sends more: ten times what the fastest do."""
FEW_EVENTS = 10_000
"""Of fewer events the rate says nothing."""
COARSE_US = 100.0
"""Where numbers hold times no finer than this, events of different times fall together, µs."""

NOW_US = (0.5e15, 4.2e15)
"""Between these a time may be one since 1970, µs."""
FINER = {1e3: "ns since 1970 taken for µs, or µs for ms", 1e6: "µs since 1970 taken for s", 1e9: "ns since 1970 taken for s"}
"""So many times above NOW_US -> what a time looks like."""
COARSER = {1e-6: ("seconds since 1970", "s"), 1e-3: ("milliseconds since 1970", "ms")}
"""So many times of NOW_US -> what a time looks like, and its unit."""


def whole_us(source: str, what: str, values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Finite times (N,) as int64; ``index`` (N,): where they stand in the file.

    Raises InputError, saying what they look like: a fraction of a µs, or further than LATEST_US from 0.
    """
    if values.dtype.kind == "f":
        _warn_where_coarse(source, what, values)
        fraction = values != np.floor(values)
        if fraction.any():
            first = int(np.argmax(fraction))
            unit = what_unit(values[fraction].astype(np.float64))
            raise InputError(f"{source}: {what}: {values[first]} at index {index[first]}; expected whole µs; {unit}")
    far = values > LATEST_US
    if values.dtype.kind != "u":
        far |= values < -LATEST_US
    if far.any():
        first = int(np.argmax(far))
        value = values[first]
        raise InputError(
            f"{source}: {what}: {value} at index {index[first]}; no clock reads more than 2^53 µs (285 years): "
            f"{what_is_too_far(int(value))}"
        )
    return np.asarray(values, np.int64)


def check_span(source: str, first_us: int, last_us: int, events: int, lenient: bool) -> None:
    """Raise InputError, unless lenient, where this many events between two times cannot be one recording in µs."""
    span = last_us - first_us
    if lenient:
        return
    so = "--time-unit says the unit, --lenient takes them so"
    if span > LONGEST_US:
        days, most = span / 86_400e6, LONGEST_US // 86_400_000_000
        raise InputError(
            f"{source}: events.t: from {first_us} to {last_us} µs, which is {days:.0f} days; one recording lasts at most {most}: "
            f"are they ns, or µs taken for s? {so}"
        )
    if events >= FEW_EVENTS and events > MOST_EVENTS_PER_S * span * 1e-6:
        raise InputError(
            f"{source}: events.t: {events} events within {span} µs, more than any sensor sends: of s or ms, or rounded? {so}"
        )


def in_float64(source: str, t: np.ndarray, unit_us: float) -> np.ndarray:
    """Floating-point times in a unit of so many µs, ready to be multiplied; warns where they are too coarse."""
    _warn_where_coarse(source, "events.t", t, unit_us)
    return t.astype(np.float64)


def _warn_where_coarse(source: str, what: str, t: np.ndarray, unit_us: float = 1.0) -> None:
    if t.dtype.itemsize >= 8 or not len(t):
        return
    furthest = np.abs(t[np.isfinite(t)]).max(initial=0)
    if float(np.spacing(furthest)) * unit_us > COARSE_US:
        warnings.warn(
            f"{source}: {what}: is {t.dtype}, too coarse for these times: it holds them only to more than {COARSE_US:.0f} µs, "
            "so that events of different times fall together; save times as whole µs (int64) or float64",
            stacklevel=3,
        )


def what_unit(t: np.ndarray) -> str:
    """What times with fractions look like, and what to do."""
    top = float(np.abs(t).max())
    for factor, (words, unit) in COARSER.items():
        if NOW_US[0] * factor <= top <= NOW_US[1] * factor:
            return f"it looks like {words} (--time-unit {unit}, or multiply by {1 / factor:.0e})".replace("e+0", "e")
    if top >= NOW_US[0]:
        return "round them"
    thousandths = t * 1e3
    if (np.abs(thousandths - np.rint(thousandths)) > 1e-6 * np.maximum(1, np.abs(t))).any():
        return "it looks like seconds (--time-unit s, or multiply by 1e6)"
    return "it looks like seconds (--time-unit s, or multiply by 1e6) or milliseconds (--time-unit ms)"


def what_is_too_far(t_us: int) -> str:
    """What a time beyond LATEST_US looks like, and what to do."""
    if 2**64 - LATEST_US <= t_us < 2**64:
        return f"it looks like a time below 0 ({t_us - 2**64}) in unsigned numbers; subtract after widening to int64"
    for factor, words in FINER.items():
        if NOW_US[0] * factor <= abs(t_us) <= NOW_US[1] * factor:
            return f"it looks like {words}; --time-unit says the unit"
    return "damaged, or of another unit (--time-unit)"
