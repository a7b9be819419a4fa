"""The hand-made box of `footprint.py` with edges as sharp as they are drawn."""

from __future__ import annotations

import numpy as np

from spikeseg.motion.footprint import REACH, Footprint, FootprintTable

SIDE_PX = 4.0
PER_PX = 20
"""Places of its density in a pixel's width: between one and the next of them it falls from all to half, and to nothing."""


class FlatBox(Footprint):
    """`Footprint.box`, flat up to its edges: of other footprints the search takes densities linear between pixels."""

    @classmethod
    def drawn(cls) -> FlatBox:
        """A square of SIDE_PX."""
        return cls(Footprint.box(int(SIDE_PX)).share)

    def sigma(self) -> float:
        """See `Footprint`."""
        return SIDE_PX / 12**0.5

    def table(self, sensor_size: tuple[int, int]) -> FootprintTable:
        """See `Footprint`."""
        place = np.arange(-REACH * PER_PX, REACH * PER_PX + 1)
        inside = np.clip(SIDE_PX / 2 * PER_PX + 0.5 - np.abs(place), 0, 1)
        density = np.stack([np.outer(inside, inside) / (2 * SIDE_PX**2)] * 3)
        return super().table(sensor_size)._replace(density=density, per_px=float(PER_PX))
