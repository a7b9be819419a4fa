"""Scales of the motion layer: which velocities a set of maps is tuned to, and how the maps share their sums (ours).

Design: a map of velocity v adds up the events of an interval along v. The interval is cut into 16 sub-slices; sums over 2, 4, 8
and 16 of them are built from each other, as in the fast discrete Radon transform [Brady 1998, SIAM J. Comput. 27(1):107; Press
2006, PNAS 103(51):19249], so that 1,500 maps cost little more than one addition per map and cell.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LEVELS = 4
"""Sums are doubled so often: an interval has 2**LEVELS sub-slices."""

SUBSLICES = 2**LEVELS

SECTORS = 8
"""Directions of motion that are told apart where ON and OFF events lie at different places in front of and behind the object; one
more stands for no motion."""


@dataclass(frozen=True)
class Scale:
    """A set of maps of one interval.

    Attributes:
        interval_s: over which events are added up before the maps compete, s.
        cell_px: side of a map's cell, px: so far apart lie its neurons.
        slowest, fastest: speeds that the maps are tuned to, px/s; velocities lie cell_px / interval_s apart.
        thin: from this speed on every second map is left out, px/s.
    """

    interval_s: float
    cell_px: int
    slowest: float
    fastest: float
    thin: float = math.inf

    @property
    def velocity_step(self) -> float:
        """Between neighbouring maps, px/s."""
        return self.cell_px / self.interval_s


SLOW = Scale(interval_s=4.0, cell_px=2, slowest=0.0, fastest=6.0)
MEDIUM = Scale(interval_s=1.0, cell_px=2, slowest=0.0, fastest=40.0)
MEDIUM_THIN = Scale(interval_s=1.0, cell_px=2, slowest=0.0, fastest=40.0, thin=16.0)
FAST = Scale(interval_s=0.25, cell_px=4, slowest=32.0, fastest=160.0)
PATIENT = Scale(interval_s=2.0, cell_px=2, slowest=0.0, fastest=20.0)

DEFAULT_SCALES = (FAST, MEDIUM_THIN, SLOW)
"""0.25 s for what crosses in two seconds, to 4 s for what hardly moves."""

DEEP_SCALES = (FAST, MEDIUM, PATIENT, SLOW)
"""All velocities, and one more scale between: half of the transitions to pay for on the way of faint, slow objects."""


class Sums(NamedTuple):
    """How the images of a level are sums of two images of the level below.

    Attributes:
        first: int64 (n,), index below of the image that both halves take.
        offset: int64 (n, 2), cells (x, y) by which the second half lies further.
    """

    first: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True, eq=False)
class Wiring:
    """The maps of a scale and how they are wired.

    Attributes:
        scale: that they belong to.
        displacement: int64 (K, 2), cells (x, y) that map k moves by in an interval.
        sums: of every level, from pairs of sub-slices to the whole interval.
    """

    scale: Scale
    displacement: np.ndarray
    sums: tuple[Sums, ...]

    @classmethod
    @functools.lru_cache(maxsize=16)
    def of(cls, scale: Scale) -> Wiring:
        """All maps whose speed lies within the scale's bounds, by rows of vy, then vx."""
        most = int(scale.fastest / scale.velocity_step)
        least = scale.slowest / scale.velocity_step
        span = range(-most, most + 1)
        moves = [(dx, dy) for dy in span for dx in span if least**2 <= dx * dx + dy * dy <= most * most]
        thin = scale.thin / scale.velocity_step
        moves = [(dx, dy) for dx, dy in moves if dx * dx + dy * dy < thin * thin or (dx + dy) % 2 == 0]
        nodes = [(dx, dy, sector(dx, dy)) for dx, dy in moves]
        sums: list[Sums] = []
        for level in range(LEVELS, 0, -1):
            halves = [(dx // 2, dy // 2, k) for dx, dy, k in nodes]
            below = sorted(set(halves))
            index = {half: i for i, half in enumerate(below)}
            first = [index[half] if level > 1 else half[2] for half in halves]  # within a sub-slice nothing moves
            offset = [(dx - hx, dy - hy) for (dx, dy, _), (hx, hy, _) in zip(nodes, halves, strict=True)]
            sums.insert(0, Sums(np.array(first, np.int64), np.array(offset, np.int64)))
            nodes = below
        return cls(scale, np.array(moves, np.int64), tuple(sums))

    @functools.cached_property
    def velocity(self) -> np.ndarray:
        """float64 (K, 2), px/s."""
        return self.displacement * self.scale.velocity_step


def sector(dx: int, dy: int) -> int:
    """Direction of a displacement: 0 to SECTORS - 1, counted from x towards y; SECTORS without motion."""
    if dx == dy == 0:
        return SECTORS
    return round(math.atan2(dy, dx) / (2 * math.pi / SECTORS)) % SECTORS


def directions() -> np.ndarray:
    """Unit vector of every sector, and (0, 0) for no motion: float64 (SECTORS + 1, 2)."""
    angle = np.arange(SECTORS) * 2 * np.pi / SECTORS
    return np.vstack([np.stack([np.cos(angle), np.sin(angle)], 1), np.zeros((1, 2))])
