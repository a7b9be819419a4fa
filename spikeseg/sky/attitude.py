"""How a telescope turns: from where a pixel looks at one time to where it looks at another.

A pointing holds at one time, t0. At time t a pixel looks at Q(t) u, where u is its direction at t0 and Q(t) a rotation of the
celestial sphere: none for a mount that follows the stars, one about the celestial pole for one that stands still, and what the
stars' tracks tell for any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

SIDEREAL_RAD_S = 2 * np.pi * 1.00273781191135448 / 86_400
"""The Earth's rotation, rad/s of UT1 (the Earth rotation angle of IAU 2000)."""

DAYS_TO_TT = 69.2 / 86_400
"""From Unix time to terrestrial time, days; a second more or less turns the pole by nothing that counts."""


BEYOND = 3
"""Intervals between knots by which a turn is carried on."""


class Attitude(Protocol):
    """How a telescope turns."""

    def turned(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Q(t) u: of directions (n, 3) of pixels at t0 those at times (n,), µs of the recording: float64 (n, 3)."""

    def back(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """The inverse of `turned`."""


@dataclass(frozen=True)
class Still:
    """A mount that follows the stars: Q is the identity."""

    def turned(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """See `Attitude`."""
        return np.broadcast_to(directions, (len(t_us), 3))

    def back(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """See `Attitude`."""
        return self.turned(t_us, directions)


@dataclass(frozen=True, eq=False)
class Turning:
    """A mount that stands on the Earth: Q turns about the pole of date at the sidereal rate.

    Attributes:
        pole: float64 (3,), the celestial intermediate pole, of ICRS.
        t0_us: when the pointing holds, µs of the recording.
    """

    pole: np.ndarray
    t0_us: float

    @classmethod
    def at(cls, unix_days: float, t0_us: float) -> Turning:
        """The pole by precession and nutation of IAU 2006/2000A. unix_days: UTC, days since 1970."""
        import erfa

        return cls(np.asarray(erfa.pnm06a(2_440_587.5, unix_days + DAYS_TO_TT))[2], t0_us)

    def turned(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """See `Attitude`."""
        return self._rotation(t_us).apply(directions)

    def back(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """See `Attitude`."""
        return self._rotation(t_us).inv().apply(directions)

    def _rotation(self, t_us: np.ndarray) -> Rotation:
        from scipy.spatial.transform import Rotation

        angle = SIDEREAL_RAD_S * 1e-6 * (np.asarray(t_us, np.float64) - self.t0_us)
        return Rotation.from_rotvec(angle[:, None] * self.pole)


@dataclass(frozen=True, eq=False)
class Followed:
    """A mount of which the stars' tracks tell how it turned: between knots, Q turns evenly.

    Attributes:
        knots_s: float64 (k,), s of the recording's clock, rising, at equal distances; 2 or more.
        turns: Q at the knots.
    """

    knots_s: np.ndarray
    turns: Rotation

    def turned(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """See `Attitude`."""
        return self.at(np.asarray(t_us, np.float64) * 1e-6).apply(directions)

    def back(self, t_us: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """See `Attitude`."""
        return self.at(np.asarray(t_us, np.float64) * 1e-6).inv().apply(directions)

    def at(self, t_s: np.ndarray) -> Rotation:
        """Q at times (n,), s; beyond the knots it turns on as over the nearest BEYOND intervals: the nearest one alone holds the
        mount's sway."""
        from scipy.spatial.transform import Rotation

        last, far = len(self.knots_s) - 1, min(BEYOND, len(self.knots_s) - 1)
        k = np.clip(np.searchsorted(self.knots_s, t_s, side="right") - 1, 0, last - 1)
        start, end = k, k + 1
        before, after = t_s < self.knots_s[0], t_s > self.knots_s[-1]
        start, end = np.where(after, last, np.where(before, 0, start)), np.where(after, last - far, np.where(before, far, end))
        share = (t_s - self.knots_s[start]) / (self.knots_s[end] - self.knots_s[start])
        step = (self.turns[end] * self.turns[start].inv()).as_rotvec()
        return Rotation.from_rotvec(share[:, None] * step) * self.turns[start]

    def since(self, t_s: float) -> Followed:
        """The same with t0 at another time, s."""
        return Followed(self.knots_s, self.at(np.array([t_s]))[0].inv() * self.turns)
