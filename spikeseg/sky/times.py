"""Universal time of a recording: told by the user, or by a clock that counts µs since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from spikeseg.data.times import NOW_US
from spikeseg.errors import InputError


class UtcClock(NamedTuple):
    """How far UTC is ahead of a recording's clock: `ahead_us`, µs. Without leap seconds, as of Unix time."""

    ahead_us: int

    def since_1970(self, t_us: np.ndarray) -> np.ndarray:
        """Times (n,) of the recording's clock, µs, as µs since 1970: int64 (n,)."""
        return np.asarray(t_us, np.int64) + self.ahead_us

    def texts(self, t_us: np.ndarray) -> np.ndarray:
        """Times (n,) of the recording's clock, µs, as ISO 8601 to the µs: str (n,), such as 2026-03-01T21:04:05.250000Z."""
        iso = np.datetime_as_string(self.since_1970(t_us).astype("datetime64[us]"), unit="us")
        return np.char.add(iso, "Z")

    def text(self, t_us: float) -> str:
        """The same of one time."""
        return str(self.texts(np.array([round(t_us)]))[0])


def parsed_utc(text: str, what: str) -> int:
    """A time such as 2026-03-01T21:04:05.25Z, as µs since 1970; with an offset such as +01:00 it is taken to UTC.

    Raises InputError, opened by `what`: no time, or of no known zone."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError(f"{what}: {text!r}; expected a date and time of UTC, such as 2026-03-01T21:04:05.25Z")
    since = time.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def utc_clock(t_us: np.ndarray, start_utc_us: int | None) -> UtcClock | None:
    """The UTC of a recording; None where it is not known.

    Args:
        t_us: its times (n,), µs, rising.
        start_utc_us: µs since 1970 of its first event, where the user says so; None: its own clock tells, if it counts µs since
            1970, as that of AEDAT 4 and most ROS bags does. No clock that counts from a camera's start comes so far.
    """
    if not len(t_us):
        return None
    first, last = int(t_us[0]), int(t_us[-1])
    if start_utc_us is not None:
        return UtcClock(start_utc_us - first)
    return UtcClock(0) if NOW_US[0] <= first and last <= NOW_US[1] else None
