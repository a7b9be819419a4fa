"""Whether labels belong to a recording: their times compared with its own."""

from __future__ import annotations

import numpy as np

from spikeseg.errors import InputError

MARGIN_US = 1_000_000
"""Labels are placed by hand: so long before the first event or after the last they are still taken, µs."""
UNITS = {"seconds": 1e6, "milliseconds": 1e3, "nanoseconds": 1e-3}
"""What times may be in by mistake -> µs."""
SHORT = 0.01
"""What times look like is told only if they then spread over this share of the recording: a short passage would fit anywhere."""
ALMOST_ALL = 0.99


def within(source: str, t: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    """True where a label lies within a recording, or MARGIN_US from it.

    Args:
        source: opens every message.
        t: finite times of labels (N,), µs.
        span: first and last event, µs.

    Raises InputError, saying what they look like: none lies within, or all do but are of another unit.
    """
    t = t.astype(np.float64)
    inside = _inside(t, span)
    if len(t) and not inside.any():
        raise InputError(f"{source}: labels.t: none of {len(t)} lies within the recording; {_told(t, span)}; {_meaning(t, span)}")
    unit = _other_unit(t, span)
    if unit:
        raise InputError(f"{source}: labels.t: look like {unit}; {_told(t, span)}; {_remedy(unit)}")
    return inside


def _inside(t: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    return np.asarray((t >= span[0] - MARGIN_US) & (t <= span[1] + MARGIN_US))


def _told(t: np.ndarray, span: tuple[int, int]) -> str:
    return f"they reach from {t.min():.16g} to {t.max():.16g} and its events from {span[0]} to {span[1]} µs"


def _remedy(unit: str) -> str:
    return f"save them in µs (times {UNITS[unit]:g})".replace("e+06", "e6")


def _meaning(t: np.ndarray, span: tuple[int, int]) -> str:
    """What times outside of a recording look like, and what to do."""
    best, widest = "labels of another recording?", SHORT * (span[1] - span[0])
    for origin in (0, span[0]):
        for unit, factor in {"": 1.0, **UNITS}.items():
            spread = factor * float(t.max() - t.min())
            if spread > widest and _inside(t * factor + origin, span).mean() >= ALMOST_ALL:
                said = [_remedy(unit)] if unit else []
                counted = [f"add the first event's time, {origin}"] if origin else []
                since = " counted from the recording's start" if origin else ""
                best, widest = f"they look like {unit or 'µs'}{since}: {' and '.join(said + counted)}", spread
    return best


def _other_unit(t: np.ndarray, span: tuple[int, int]) -> str:
    """The unit of times that lie within a recording only because they are near 0; "" if they seem to be µs.

    Points of objects are milliseconds apart, not microseconds.
    """
    distinct = np.unique(t)
    if len(distinct) < 2 or (distinct[-1] - distinct[0]) / (len(distinct) - 1) >= 1000:
        return ""
    length = span[1] - span[0]
    for unit, least in (("seconds", 0.0), ("milliseconds", SHORT * length)):
        scaled = distinct * UNITS[unit]
        fits = scaled[0] >= span[0] - MARGIN_US and scaled[-1] <= span[1]
        if fits and scaled[-1] - scaled[0] >= least and length >= MARGIN_US:
            return unit
    return ""
