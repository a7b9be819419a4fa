"""Local rate of the background activity, estimated from the frames alone: robust and causal.

Ours (the equations of Kirkland's pre-emptive neuron thresholding were not to be had). The sensor is cut into
blocks. In each, pixels that have so far fired far more than their neighbourhood are left out: hot pixels, resting stars, the
cores of objects. The rate of what is left is smoothed over past windows, and the median over 3x3 neighbouring blocks
keeps out what crosses a few of them.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, median_filter

BLOCK = 16
"""Side of a block, pixels: large enough for some events of a quiet sky, small beside the noise gradient."""

PAST = 0.5
"""Weight of the past in the smoothed rate of a block."""

_NEIGHBOURS = (1, 3, 3)
_HOT_FACTOR, _HOT_SIGMAS, _HOT_FLOOR = 3.0, 4.0, 2.0
"""A pixel is hot above 3 m + 4 sqrt(m) + 2 events when its neighbours had m: a Poisson pixel of rate m passes this less
than once in 10,000 times, for every m, and few pixels of a sensor have thrice the noise of their neighbours."""

_HALO = 5
"""Side of the square left out around a hot pixel: the edge of an object fires less than its core."""


class Background:
    """Estimator of one recording, fed its windows in order; see ``estimate``."""

    def __init__(self, block: int = BLOCK) -> None:
        self.block = block
        self._fired: np.ndarray | None = None
        self._rate = np.zeros(0)

    def update(self, frames: np.ndarray) -> np.ndarray:
        """The next windows (N, T, P, H, W) of the recording to rates float32 (N, P, hb, wb)."""
        height, width = frames.shape[-2:]
        grid = -(-height // self.block), -(-width // self.block)
        rates = np.zeros((len(frames), frames.shape[2], *grid), np.float32)
        for window, rate in zip(frames, rates, strict=True):
            rate[...] = self._next(window)
        return rates

    def _next(self, window: np.ndarray) -> np.ndarray:
        steps, _, height, width = window.shape
        side = block_side((height, width), (-(-height // self.block), -(-width // self.block)))
        fired = window.sum(axis=0, dtype=np.float64)
        first = self._fired is None
        self._fired = fired.copy() if self._fired is None else self._fired + fired
        quiet = ~maximum_filter(_unusual(fired, side) | _unusual(self._fired, side), size=(1, _HALO, _HALO))
        share = _means(quiet, side)
        typical = _typical(_means(fired, side))
        rate = np.where(share > 0, _means(fired * quiet, side) / np.where(share > 0, share, 1.0), typical) / steps
        self._rate = rate if first else PAST * self._rate + (1.0 - PAST) * rate
        return _typical(self._rate)


def estimate(frames: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Events per pixel and step that background activity alone causes.

    Args:
        frames: (N, T, P, H, W), the windows of one recording in order, binary or counts.
        block: largest side of a block in pixels. The blocks are squares of ``block_side`` pixels from the top left;
            those at the right and lower border may be cut off.

    Returns:
        float32 (N, P, ceil(H / block), ceil(W / block)). Entry k depends on the windows up to k only: the first is the
        first window's own estimate, later ones are half new, half past. Silence gives 0; no window gives N = 0.
    """
    return Background(block).update(frames)


def block_side(size: tuple[int, int], grid: tuple[int, int]) -> int:
    """Side in pixels of the square blocks when (rows, columns) of them cover a frame of (height, width)."""
    return max(-(-size[0] // grid[0]), -(-size[1] // grid[1]))


def _unusual(fired: np.ndarray, side: int) -> np.ndarray:
    """Pixels that fired far more than their neighbourhood in either polarity: events (P, H, W) to bool (1, H, W)."""
    usual = _typical(_means(fired, side))
    limit = _HOT_FACTOR * usual + _HOT_SIGMAS * np.sqrt(usual) + _HOT_FLOOR
    over: np.ndarray = np.any(fired > _spread(limit, side, fired.shape[-2:]), axis=0, keepdims=True)
    return over


def _typical(blocks: np.ndarray) -> np.ndarray:
    """Median of each block (P, hb, wb) and its neighbours; the border repeats itself."""
    middle: np.ndarray = median_filter(blocks, size=_NEIGHBOURS, mode="nearest")
    return middle


def _means(values: np.ndarray, side: int) -> np.ndarray:
    """Mean over each block: (P, H, W) to (P, hb, wb); blocks cut off by the border count the pixels they have."""
    height, width = values.shape[-2:]
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64, copy=False), rows, axis=-2), columns, axis=-1)
    pixels = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))
    means: np.ndarray = sums / pixels
    return means


def _spread(blocks: np.ndarray, side: int, size: tuple[int, int]) -> np.ndarray:
    """Value of each pixel's block: (P, hb, wb) to (P, H, W)."""
    full: np.ndarray = np.repeat(np.repeat(blocks, side, axis=-2), side, axis=-1)[..., : size[0], : size[1]]
    return full
