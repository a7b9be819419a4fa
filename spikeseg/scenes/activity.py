"""Coincidence neurons: where more events fall together than the background sends, and which of these places are one (ours).

A neuron for every pixel counts the events of its 5 x 5 neighbourhood within a window of time. Its threshold follows the
background there, as conv1's does. Neurons above it that lie within a few pixels of each other are a component: an instance in the
sense of HULK, a coincidence in one piece of space and time. Counts are whole numbers and change by one per event and neuron, so
that the order of events does not matter.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy import ndimage, stats

from .activity_kernels import RADIUS, active, connect, count, count_blocks, find_blocks, find_places, gathered, hot

CHANCE, FLOOR = 1e-7, 6
"""A neuron is active from so many events that the background gives them with this probability only, but no fewer than FLOOR;
where a track is expected, from fewer:"""

FAVOURED_CHANCE, FAVOURED_FLOOR = 0.3, 3
"""the same there."""

REACH_PX = 4
"""Active neurons at most so far apart are of one component."""

BLOCK_PX = 16
"""The background is known block by block; a power of two."""

QUIET, FEW_STEPS = 0.1, 20
"""The background of a block is what it sends in its quietest windows: this quantile, if there are so many windows; else the
median of all blocks."""

MOST_STEPS = 2_000
"""No more windows than this are looked at for it."""


SMALL_PX, FINER = 64, 2
"""On a sensor whose shorter side is less, px, things are small and near each other: there are so many neurons for each pixel and
axis, which makes all of them smaller. Fine ones tell such things apart, but see fewer of their events; coarse ones add these."""


class Components(NamedTuple):
    """Components of a moment, in the order of their first pixels.

    Attributes:
        pixels: int64 (m,), flat indices of active neurons, component by component.
        begins: int64 (n + 1,), where each component's begin.
        boxes: int64 (n, 4), left, top, right, bottom, px; the latter two are not part of it.
    """

    pixels: np.ndarray
    begins: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def of(self, k: int) -> np.ndarray:
        """The pixels of component k."""
        return self.pixels[self.begins[k] : self.begins[k + 1]]


class Activity:
    """The state of all neurons.

    Args:
        background: float64 (H, W), events per pixel and window; or those of blocks, see `background_of_blocks`.
        sensor_size: (width, height) where blocks are given, px.
    """

    def __init__(self, background: np.ndarray, sensor_size: tuple[int, int] | None = None) -> None:
        height, width = background.shape if sensor_size is None else sensor_size[::-1]
        self._block = 1 if sensor_size is None else BLOCK_PX
        self._counts, self._rows = np.zeros((height, width), np.int32), np.zeros(height, bool)
        self._columns = np.zeros((2, width + 2 * RADIUS), np.int32)
        self._grid = np.full((height, width), -1, np.int32)
        self._pixels = np.zeros(height * width, np.int64)
        self._scratch = np.zeros((2, height * width), np.int64)
        self.favoured = np.zeros((height, width), np.uint8)
        self.rests_on(background)

    def rests_on(self, background: np.ndarray) -> None:
        """Neurons have the thresholds of another background from now on."""
        width = self._counts.shape[1]
        self._thresholds, self._lower = (
            np.ascontiguousarray(np.repeat(thresholds_of(background, favoured=favoured), self._block, 1)[:, :width])
            for favoured in (False, True)
        )

    def add(self, places: np.ndarray) -> None:
        """Events that enter the window, see `places_of`."""
        count(places, 1, self._counts, self._rows)

    def remove(self, places: np.ndarray) -> None:
        """Events that leave it."""
        count(places, -1, self._counts, self._rows)

    def clear(self) -> None:
        """All events leave it."""
        self._counts[self._rows], self._rows[:] = 0, False

    def events_at(self, pixels: np.ndarray) -> int:
        """How many events of the window fall on pixels, flat indices."""
        return int(self._counts.reshape(-1)[pixels].sum())

    def pixels(self) -> np.ndarray:
        """Flat indices of the neurons that are active now, int64 (m,), rising, until the next call; `favoured` says where less is
        enough."""
        thresholds = self._block, self._thresholds, self._lower
        n = active(self._counts, self._rows, self._columns, *thresholds, self.favoured, self._pixels)
        return self._pixels[:n]

    def components(self) -> Components:
        """What is connected of them."""
        pixels = self.pixels()
        parent, part = self._scratch[:, : len(pixels)]
        n = connect(pixels, REACH_PX, self._grid, parent, part)
        order, begins, boxes = gathered(pixels, part, n, self._counts.shape[1])
        return Components(pixels[order], begins, boxes)


def neurons_per_px(sensor_size: tuple[int, int]) -> int:
    """Neurons for each pixel and axis of a sensor (width, height), px."""
    return FINER if min(sensor_size) < SMALL_PX else 1


def thresholds_of(events_in: np.ndarray, *, favoured: bool = False) -> np.ndarray:
    """Thresholds of neurons, or of blocks of them, int32 (H, W), where the background sends float64 (H, W) events per pixel and
    window; favoured: of those where a track is expected."""
    means, least = _least(FAVOURED_CHANCE, FAVOURED_FLOOR) if favoured else _least(CHANCE, FLOOR)
    above = np.searchsorted(means, events_in * (2 * RADIUS + 1) ** 2)
    return np.ascontiguousarray(least[np.minimum(above, len(means) - 1)])


@functools.cache
def _least(chance: float, floor: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of a Poisson count, rising, and the threshold of each: int32."""
    means = np.geomspace(1e-3, 1e5, 2000)
    return means, np.maximum(stats.poisson.isf(chance, means) + 1, floor).astype(np.int32)


def background_per_window(
    t: np.ndarray, x: np.ndarray, y: np.ndarray, sensor_size: tuple[int, int], window_us: int
) -> np.ndarray:
    """What the background sends, pixel by pixel: float64 (H, W); see `background_of_blocks`."""
    width, height = sensor_size
    blocks = background_of_blocks(t, blocks_of(places_of(x, y), sensor_size), sensor_size, window_us)
    return np.repeat(np.repeat(blocks, BLOCK_PX, 0), BLOCK_PX, 1)[:height, :width]


def places_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The pixels of events, int64 (n,) each, px, as neurons take them: uint32 (n,)."""
    places = np.empty(len(x), np.uint32)
    find_places(x, y, places)
    return places


def coarser(places: np.ndarray, by: int) -> np.ndarray:
    """The same where pixels are `by` times the size."""
    return places // np.uint32(by) & np.uint32(0xFFFF0000) | (places & np.uint32(0xFFFF)) // np.uint32(by)


def blocks_of(places: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """The block of each event, row by row: int32 (n,).

    Args:
        places: see `places_of`.
        sensor_size: (width, height), px.
    """
    blocks = np.empty(len(places), np.int32)
    find_blocks(places, BLOCK_PX.bit_length() - 1, -(-sensor_size[0] // BLOCK_PX), blocks)
    return blocks


def background_of_blocks(t: np.ndarray, block: np.ndarray, sensor_size: tuple[int, int], window_us: int) -> np.ndarray:
    """What the background sends: of each block, float64 (rows, columns), events per pixel and window.

    Args:
        t: int64 (n,), rising, µs.
        block: int32 (n,), see `blocks_of`.
        sensor_size: (width, height), px.
        window_us: length of the window.
    """
    width, height = sensor_size
    columns, rows = -(-width // BLOCK_PX), -(-height // BLOCK_PX)
    if not len(t):
        return np.zeros((rows, columns))
    duration = max(int(t[-1] - t[0]) + 1, 1)
    steps = max(1, duration // window_us)
    every = -(-steps // MOST_STEPS)  # of a long recording some windows tell enough
    counted = np.zeros((-(-steps // every), rows, columns), np.int64)
    looked_at = np.arange(0, steps, every)
    begins, ends = (np.searchsorted(t, t[0] - (-k * duration // steps)) for k in (looked_at, looked_at + 1))
    count_blocks(block, begins, ends, counted.reshape(len(counted), -1))
    counts = counted.astype(np.float64)
    tall = np.minimum(BLOCK_PX, height - np.arange(rows) * BLOCK_PX)
    wide = np.minimum(BLOCK_PX, width - np.arange(columns) * BLOCK_PX)
    counts *= window_us / (duration / steps) / (tall[:, None] * wide)
    usual = float(np.median(counts))
    quiet = np.quantile(counts, QUIET, axis=0) if steps >= FEW_STEPS else np.full((rows, columns), usual)
    quiet = np.maximum(quiet, usual)
    return np.asarray(0.5 * (ndimage.maximum_filter(quiet, 3) + ndimage.uniform_filter(quiet, 3)))


HOT_TIMES, HOT_EVENTS = 6, 15
"""A hot pixel sends so many times what its neighbours send, and HOT_EVENTS more."""


def hot_pixels(x: np.ndarray, y: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """Pixels that send far more events than their neighbours: bool (H, W)."""
    return np.asarray(hot(x, y, HOT_TIMES, HOT_EVENTS, sensor_size[::-1]))
