"""The footprint of an object in its own frame: where its events lie around its path, by polarity (ours; see `learning`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

REACH = 6
"""A footprint reaches so far from the path, px."""

SIDE = 2 * REACH + 1

SIGMA_PX = 1.05
"""Spread of a point source's events, px: its image and the pixel."""

BLUR_LEAST = 0.7
"""A footprint is never taken to be narrower than this, px: a pixel alone has 0.3, and the path is not known better."""


GRID = 2.0**-28
"""Shares are whole multiples of this: exp and log differ in their last digit from processor to processor, what is learned by them
does not."""


class FootprintTable(NamedTuple):
    """What the compiled loops read.

    Attributes:
        density: float64 (3, side, side), share of all events per px²: of OFF and of ON, by place across and along the motion
            (middle: the path; along rises ahead), to REACH px from it; last, of either polarity of an object that stands still.
        per_px: places of the density in a pixel's width: 1 where they are the pixels of a footprint.
        on, off: how far ahead of the path events of each polarity lie in the mean, px.
        sigma: spread about there, px.
        width, height: of the sensor, px.
    """

    density: np.ndarray
    per_px: float
    on: float
    off: float
    sigma: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Footprint:
    """Share of an object's events by polarity and place: float64 (2, SIDE, SIDE), >= 0, sum 1; OFF, then ON; rows across, columns
    along the motion, 1 px each, the path in the middle."""

    share: np.ndarray

    def __post_init__(self) -> None:
        if self.share.shape != (2, SIDE, SIDE) or not np.isfinite(self.share).all() or (self.share < 0).any():
            raise ValueError(f"footprint: shape {self.share.shape}, must be (2, {SIDE}, {SIDE}) of finite numbers >= 0")
        if not np.isclose(self.share.sum(), 1, atol=1e-6):
            raise ValueError(f"footprint: shares sum to {self.share.sum():g}, must be 1")

    @classmethod
    def point(cls, displacement_px: float = 0.0, sigma_px: float = SIGMA_PX) -> Footprint:
        """A round source; ON events lie this far ahead of the path, OFF events as far behind."""
        edges = np.arange(SIDE + 1) - REACH - 0.5
        across = np.diff(norm.cdf(edges / sigma_px))
        along = [np.diff(norm.cdf((edges - move) / sigma_px)) for move in (-displacement_px, displacement_px)]
        return cls.normalised(np.stack([across[:, None] * part for part in along]))

    @classmethod
    def box(cls, side_px: int = 4) -> Footprint:
        """The hand-made box: flat over a square about the path, either polarity alike."""
        cover = np.clip(side_px / 2 + 0.5 - np.abs(np.arange(SIDE) - REACH), 0, 1)
        return cls.normalised(np.stack([np.outer(cover, cover)] * 2))

    @classmethod
    def normalised(cls, weights: np.ndarray) -> Footprint:
        """From weights >= 0 of any sum above 0; shares on the grid."""
        return cls(np.rint(weights / weights.sum() / GRID) * GRID)

    def merged(self) -> Footprint:
        """Both polarities alike, with the mean of the two."""
        return Footprint(np.stack([self.share.mean(0)] * 2))

    def displacement(self) -> tuple[float, float]:
        """How far ahead of the path events of ON, and of OFF, lie in the mean, px."""
        place = np.arange(SIDE) - REACH
        off, on = (float((part.sum(0) * place).sum() / part.sum()) if part.sum() > 0 else 0.0 for part in self.share)
        return on, off

    def sigma(self) -> float:
        """Spread of the events about the mean of their polarity, along each axis, px."""
        place, total = np.arange(SIDE) - REACH, 0.0
        for part, mean in zip(self.share, self.displacement()[::-1], strict=True):
            squared = (place[:, None] ** 2 + (place - mean) ** 2) / 2
            total += float((part * squared).sum())
        return max(total**0.5, BLUR_LEAST)

    def table(self, sensor_size: tuple[int, int]) -> FootprintTable:
        """For the compiled loops."""
        on, off = self.displacement()
        share_on = float(self.share[1].sum())
        still = Footprint.point(0.0, self.sigma()).share.sum(0) * max(share_on, 1 - share_on)
        return FootprintTable(np.concatenate([self.share, still[None]]), 1.0, on, off, self.sigma(), *map(float, sensor_size))
