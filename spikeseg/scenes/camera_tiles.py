"""How far a scene moves between two stretches of events: correlation of their images in tiles, and one affine motion for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from .tile_kernels import agree_on, cap, count_events, in_noise, peaks, spread_over

CELLS = 45_000
"""Images have about so many cells at most; larger sensors are binned."""
SMALLEST, LARGEST = 8, 32
"""Sides of tiles, cells; powers of two."""
SMOOTH_CELLS, CAP, FLOOR = 9, 3.0, 0.02
"""Counts are divided by the root of their mean over so many cells (and FLOOR); a cell counts for CAP times the mean at most."""
DRIVE = 8.0
"""A tile's correlation, in standard deviations of noise, counts for so much at most: objects outvote nobody."""
AGREES = 4.0
"""A tile agrees with a motion where its correlation reaches so many standard deviations of noise."""
FEWEST = 0.03
"""A tile with fewer events for each cell says nothing."""
PEAK_CELLS = 0.8
"""Correlations are smoothed by a Gaussian of so many cells before their peaks are measured to parts of a cell."""
BLOCKS = 4
"""How far events are spread over a tile is measured in so many blocks a side."""
NEAR = (4, 2, 2)
"""Tiles look for their peak so far from where the motion found so far puts it, cells; one round of fitting each."""
FIRM = 1e-3
"""Weight of a motion without turning, shearing and zooming in the fit, in that of the tiles."""
ROUNDS, LEAST_BEND = 3, 1e-3
"""A fit is made so often, tiles that miss the last one counting for less; the least curvature of a peak."""


class Events(NamedTuple):
    """Of a recording: times float64 (n,), s, rising; x, y (n,), any integer dtype; ON bool (n,), or empty where not known."""

    t_s: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray

    def between(self, first_s: float, last_s: float) -> slice:
        """Which events lie in [first_s, last_s)."""
        return slice(*np.searchsorted(self.t_s, [first_s, last_s]).tolist())


class Image(NamedTuple):
    """Of a stretch of events: complex64 (rows, columns), ON less OFF, and as the imaginary part how many more events than around,
    both in units of their noise; and float64 (tiles,), how many events each tile has, and over how much of it they are spread."""

    values: np.ndarray
    held: np.ndarray
    spread: np.ndarray


class Step(NamedTuple):
    """The motion of a scene from one stretch of events to the next.

    Attributes:
        motion: float64 (2, 3), px: a place (x, y) from the sensor's centre is displaced by motion @ (x, y, 1).
        support: share of the sensor's tiles that agree with it, less that of those that see something standing still instead.
        covered: share of the sensor's area with events that agree better with it than with standing still, less that with
            events that agree better with standing still.
        shift: mean length of the tiles' displacements, cells.
        farthest: the longest of them, in the reach of a tile.
    """

    motion: np.ndarray
    support: float
    covered: float
    shift: float
    farthest: float


@dataclass(frozen=True, eq=False)
class Tiles:
    """A sensor cut into tiles.

    Attributes:
        bin_px: side of a cell.
        shape: rows and columns of an image, cells.
        side: of a tile, cells.
        corner: int64 (n, 2), first row and column of each tile.
        place: float64 (n, 3), centre (x, y) of each tile from the sensor's centre, px, and 1.
        sensor_size: (width, height), px.
    """

    bin_px: int
    shape: tuple[int, int]
    side: int
    corner: np.ndarray
    place: np.ndarray
    sensor_size: tuple[int, int]

    @classmethod
    def of(cls, sensor_size: tuple[int, int]) -> Tiles:
        """Of a sensor (width, height); tiles lie at equal distances and may overlap."""
        width, height = sensor_size
        bin_px = max(1, int(np.ceil(np.sqrt(width * height / CELLS))))
        columns, rows = width // bin_px, height // bin_px
        side = int(np.clip(2 ** round(np.log2(max(min(columns, rows), 1) / 4)), SMALLEST, LARGEST))
        side = min(side, columns, rows)
        across, down = (np.round(np.linspace(0, n - side, max(-(-n // side), 1))).astype(int) for n in (columns, rows))
        corner = np.stack(np.meshgrid(down, across, indexing="ij"), -1).reshape(-1, 2)
        place = (corner[:, ::-1] + side / 2) * bin_px - np.array(sensor_size) / 2
        return cls(bin_px, (rows, columns), side, corner, np.column_stack([place, np.ones(len(place))]), sensor_size)

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Row of cells of each row of pixels, and column of each column, int32; -1 beyond the last whole cell."""
        (width, height), (rows, columns) = self.sensor_size, self.shape
        row, column = (np.arange(length, dtype=np.int32) // np.int32(self.bin_px) for length in (height, width))
        return np.where(row < rows, row, np.int32(-1)), np.where(column < columns, column, np.int32(-1))

    @property
    def reach(self) -> int:
        """The longest displacement that a tile sees, cells."""
        return self.side // 2

    def heard(self, events: Events) -> float:
        """Share of the tiles that have events enough to say something: no more agree with any motion of these events."""
        total, (held, spread) = np.zeros(self.shape, np.float32), np.empty((2, len(self.corner)))
        count_events(events.x, events.y, events.on[:0], *self._cells, total, total)
        spread_over(total, self.corner, self.side, max(self.side // BLOCKS, 1), held, spread)
        return float((held >= FEWEST * self.side**2).mean())

    def image(self, events: Events, part: slice) -> Image:
        """The image of some events."""
        signed, total = np.zeros(self.shape, np.float32), np.zeros(self.shape, np.float32)
        on = events.on[part] if len(events.on) else events.on
        count_events(events.x[part], events.y[part], on, *self._cells, signed, total)
        return self.finish(signed, total)

    def finish(self, signed: np.ndarray, total: np.ndarray) -> Image:
        """The image of float32 counts (rows, columns), which are changed: ON less OFF, and all."""
        cap(signed, total, np.float32(max(1.0, CAP * float(total.mean()))))
        mean = ndimage.uniform_filter(total, min(SMOOTH_CELLS, *self.shape), mode="nearest")
        values = np.empty(self.shape, np.complex64)
        in_noise(signed, total, mean, np.float32(FLOOR), values)
        held, spread = np.empty((2, len(self.corner)))
        spread_over(total, self.corner, self.side, max(self.side // BLOCKS, 1), held, spread)
        return Image(values, held, spread)

    def correlation(self, first: Image, second: Image) -> np.ndarray:
        """Float32 (n, 2 reach + 1, 2 reach + 1): of each tile of one image with the other, at displacements (y, x) from -reach to
        reach, in standard deviations of what noise gives; 0 where events are too few."""
        side, half, reach = self.side, self.side // 2, self.reach
        found = np.zeros((len(self.corner), 2 * reach + 1, 2 * reach + 1), np.float32)
        enough = np.flatnonzero(np.minimum(first.held, second.held) >= FEWEST * side**2)
        if not len(enough):
            return found
        padded = np.pad(second.values, half)
        ahead, wide = np.zeros((2, len(enough), 2 * side, 2 * side), np.complex64)
        for k, (i, j) in enumerate(self.corner[enough].tolist()):
            ahead[k, half : half + side, half : half + side] = first.values[i : i + side, j : j + side]
            part = padded[i : i + 2 * side, j : j + 2 * side]
            wide[k, : part.shape[0], : part.shape[1]] = part
        noise = np.sqrt((np.abs(ahead) ** 2).sum((1, 2)) * (np.abs(wide) ** 2).mean((1, 2)) / 2 + 1e-9)
        product = fft.fft2(wide, overwrite_x=True)
        product *= np.conj(fft.fft2(ahead, overwrite_x=True))
        surface = np.fft.fftshift(fft.ifft2(product, overwrite_x=True).real, axes=(1, 2))
        seen = slice(side - reach, side + reach + 1)
        found[enough] = surface[:, seen, seen] / noise[:, None, None]
        return found

    def step(self, first: Image, second: Image) -> Step:
        """The motion from one image to the other that most tiles agree with (at the start, that without turn or zoom)."""
        surface, reach = self.correlation(first, second), self.reach
        voice = np.minimum(1.0, DRIVE / np.maximum(surface.max((1, 2)), 1e-6))
        votes = ndimage.uniform_filter((surface * voice[:, None, None]).sum(0), 3, mode="nearest")
        row, column = np.unravel_index(int(np.argmax(votes)), votes.shape)
        motion = np.array([[0.0, 0.0, column - reach], [0.0, 0.0, row - reach]]) * self.bin_px
        smooth, some = np.zeros_like(surface), surface.any((1, 2))
        smooth[some] = ndimage.gaussian_filter(surface[some], (0, PEAK_CELLS, PEAK_CELLS), mode="nearest", truncate=2.0)
        smooth *= np.float32(2 * np.sqrt(np.pi) * PEAK_CELLS)
        for near in NEAR:
            motion = self._fitted(smooth, voice, motion, near)
        at = np.rint(self._displacement(motion)).astype(int) + reach
        inside = np.all((at >= 0) & (at <= 2 * reach), 1)
        at, tile = np.clip(at, 0, 2 * reach), np.arange(len(at))
        agree = inside & (_around(surface, at, 1).max((1, 2)) >= AGREES)
        there, here = surface[tile, at[:, 1], at[:, 0]], surface[:, reach, reach]
        stands, moves = (here >= AGREES) & (here > there), agree & (there > here)
        length = np.hypot(*self._displacement(motion).T)
        return Step(
            motion=motion,
            support=float(agree.mean() - (stands & ~agree).mean()),
            covered=float(((moves * 1.0 - stands) * np.minimum(first.spread, second.spread)).mean()),
            shift=float(length.mean()),
            farthest=float(length.max() / max(reach, 1)),
        )

    def _displacement(self, motion: np.ndarray) -> np.ndarray:
        """Float64 (n, 2) of the tiles, (x, y), cells."""
        return np.asarray(self.place @ motion.T / self.bin_px)

    def _fitted(self, surface: np.ndarray, voice: np.ndarray, motion: np.ndarray, near: int) -> np.ndarray:
        """The motion of greatest sum of the tiles' correlations, each a paraboloid about its peak near a first guess."""
        reach = self.reach
        guess = np.clip(np.rint(self._displacement(motion)).astype(int) + reach, near, 2 * reach - near)
        if reach < near + 1:
            guess = np.full_like(guess, reach)
        found = np.empty((len(surface), 6))
        peaks(surface, guess, near, LEAST_BEND, found)
        weight = np.where(found[:, 2] >= AGREES, voice, 0.0)
        if not weight.any():
            return motion
        found[:, :2] -= reach
        farthest, solved = np.abs(self.place).max(0).clip(1), np.empty(6)
        agree_on(found, weight, self.place / farthest, self.bin_px, FIRM, ROUNDS, np.empty((6, 7)), solved)
        return solved.reshape(2, 3) / farthest


def _around(surface: np.ndarray, at: np.ndarray, near: int) -> np.ndarray:
    """(n, 2 near + 1, 2 near + 1) of each surface about (x, y), kept inside."""
    offset = np.arange(-near, near + 1)
    last = surface.shape[1] - 1
    rows, columns = np.clip(at[:, 1, None] + offset, 0, last), np.clip(at[:, 0, None] + offset, 0, last)
    return np.asarray(surface[np.arange(len(surface))[:, None, None], rows[:, :, None], columns[:, None, :]])
