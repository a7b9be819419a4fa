"""Local rate of the background activity, estimated from the frames alone: robust and causal.

Ours (the equations of Kirkland's pre-emptive neuron thresholding were not to be had). The sensor is cut into
blocks. In each, pixels that have so far fired far more than their neighbourhood are left out: hot pixels, resting stars, the
cores of objects. The rate of what is left is smoothed over past windows, and the median over 3x3 neighbouring blocks
keeps out what crosses a few of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spikeseg.core.sparse import SparseFrames

BLOCK = 16
"""Side of a block, pixels: large enough for some events of a quiet sky, small beside the noise gradient."""

PAST = 0.5
"""Weight of the past in the smoothed rate of a block."""

_HOT_FACTOR, _HOT_SIGMAS, _HOT_FLOOR = 3.0, 4.0, 2.0
"""A pixel is hot above 3 m + 4 sqrt(m) + 2 events when its neighbours had m: a Poisson pixel of rate m passes this less
than once in 10,000 times, for every m, and few pixels of a sensor have thrice the noise of their neighbours."""

_HALO = 5
"""Side of the square left out around a hot pixel: the edge of an object fires less than its core."""


class Background:
    """Estimator of one recording, fed its windows in order; see ``estimate``."""

    def __init__(self, block: int = BLOCK) -> None:
        self.block = block
        self._total: np.ndarray | None = None
        self._rate = np.zeros(0)

    def update(self, frames: np.ndarray) -> np.ndarray:
        """The next windows (N, T, P, H, W) of the recording to rates float32 (N, P, hb, wb)."""
        from . import background_kernels as loops

        kind = frames.dtype if frames.dtype in (np.uint8, np.uint16) else np.float64
        return self._update(frames.shape, lambda k, fired: loops.count(np.ascontiguousarray(frames[k], kind), fired))

    def update_listed(self, events: SparseFrames) -> np.ndarray:
        """`update` of windows that are given as lists."""
        from . import background_kernels as loops

        def count(k: int, fired: np.ndarray) -> None:
            one = events.part(k, k + 1)
            loops.count_listed(one.lists.sites, one.counts, fired)

        return self._update(events.shape, count)

    def _update(self, shape: tuple[int, ...], count: Callable[[int, np.ndarray], None]) -> np.ndarray:
        """Of windows (N, T, P, H, W); count(k, fired) counts the events of each pixel of window k into (P, H, W)."""
        samples, steps, polarities, height, width = shape
        side = block_side((height, width), (-(-height // self.block), -(-width // self.block)))
        rows, columns = (np.diff(np.append(np.arange(0, length, side), length)) for length in (height, width))
        pixels = rows[:, None] * columns.astype(np.float64)
        rates, fired = np.zeros((samples, polarities, *pixels.shape), np.float32), np.empty((polarities, height, width))
        for k in range(samples):
            count(k, fired)
            rates[k] = self._next(fired, side, pixels, steps)
        return rates

    def _next(self, fired: np.ndarray, side: int, pixels: np.ndarray, steps: int) -> np.ndarray:
        """Rates after a window of so many steps, in which each pixel fired so often; pixels: float64 (hb, wb), of each block."""
        from . import background_kernels as loops

        first = self._total is None
        total = np.zeros_like(fired) if self._total is None else self._total
        total += fired
        rate, smooth = np.empty((2, len(fired), *pixels.shape))
        loops.window_rate(fired, total, side, pixels, steps, (_HOT_FACTOR, _HOT_SIGMAS, _HOT_FLOOR), _HALO, rate)
        self._total, self._rate = total, rate if first else PAST * self._rate + (1.0 - PAST) * rate
        loops.medians(self._rate, smooth)
        return smooth


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
