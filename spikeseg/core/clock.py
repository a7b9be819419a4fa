"""Times of a recording as people read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

FAR_US = 10**10
"""Of clocks that stand beyond it (some three hours), times are counted from the first event."""


class Clock(NamedTuple):
    """How times are written, in seconds: from which on (µs), and with how many decimals."""

    zero_us: int
    decimals: int

    @classmethod
    def of(cls, first_us: int, last_us: int) -> Clock:
        """Of a recording: times of its first and its last event, µs."""
        span_s = max(last_us - first_us, 1) / 1e6
        zero = first_us if abs(last_us) > FAR_US or first_us < 0 else 0
        return cls(zero, int(np.clip(np.ceil(2.5 - np.log10(span_s)), 1, 6)))

    @classmethod
    def of_events(cls, t_us: np.ndarray) -> Clock:
        """Of a recording with events at these times, rising, µs; of one without any, from 0 on."""
        return cls.of(int(t_us[0]), int(t_us[-1])) if len(t_us) else cls.of(0, 0)

    def seconds(self, t_us: Any) -> Any:
        """A time, or an array of times, in seconds."""
        return (t_us - self.zero_us) / 1e6

    def text(self, *times_us: float) -> str:
        """A time with its unit, or the times from one to another, such as 0.25–1.50 s."""
        return "–".join(f"{self.seconds(t):.{self.decimals}f}" for t in times_us) + " s"

    @property
    def name(self) -> str:
        """What an axis of these times is called."""
        return "time from the first event (s)" if self.zero_us else "time (s)"
