"""Local rate of the background activity, estimated from the frames alone: robust and causal.

Ours (the equations of Kirkland's pre-emptive neuron thresholding were not available). The sensor is cut into
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

    from .background_kernels import Blocks, Past

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
    """Events per pixel and step that background activity alone causes, of one recording whose windows come in order.

    Rates depend on the windows so far only: the first are the first window's own estimate, later ones are half new, half past.
    Silence gives 0.

    Args:
        block: largest side of a block in pixels. The blocks are squares of ``block_side`` pixels from the top left; those at the
            right and lower border may be cut off.
    """

    def __init__(self, block: int = BLOCK) -> None:
        self.block = block
        self._blocks: Blocks | None = None
        self._past: Past | None = None
        self._rate: np.ndarray | None = None

    def update(self, frames: np.ndarray) -> np.ndarray:
        """The next windows (N, T, P, H, W), binary or counts, to rates float32 (N, P, ceil(H / block), ceil(W / block))."""
        from . import background_kernels as kernels

        kind = frames.dtype if frames.dtype in (np.uint8, np.uint16) else np.float64
        fired = np.empty(frames.shape[2:])

        def listed(k: int) -> tuple[np.ndarray, np.ndarray]:
            kernels.count(np.ascontiguousarray(frames[k], kind), fired)
            sites = np.flatnonzero(fired)
            return sites.astype(np.int32), fired.reshape(-1)[sites]

        return self._update(frames.shape, listed)

    def update_listed(self, events: SparseFrames) -> np.ndarray:
        """`update` of windows that are given as lists."""

        def listed(k: int) -> tuple[np.ndarray, np.ndarray]:
            window = events.part(k, k + 1)
            return window.lists.sites, window.counts

        return self._update(events.shape, listed)

    def _update(self, shape: tuple[int, ...], listed: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Of windows (N, T, P, H, W); listed(k): the events of window k, as indices into (P, H, W) and counts."""
        samples, steps, polarities, height, width = shape
        rates = np.zeros((samples, polarities, -(-height // self.block), -(-width // self.block)), np.float32)
        for k in range(samples):
            rates[k] = self._next(*listed(k), (polarities, height, width), steps)
        return rates

    def _next(self, sites: np.ndarray, counts: np.ndarray, shape: tuple[int, int, int], steps: int) -> np.ndarray:
        """Rates after a window of so many steps, with these events in (P, H, W)."""
        from . import background_kernels as kernels

        if self._past is None or self._blocks is None:
            blocks = self._blocks = _blocks(shape, self.block)
            past = self._past = kernels.Past(np.zeros(shape), np.zeros(shape), np.zeros((shape[0], *blocks.pixels.shape)))
        else:
            blocks, past = self._blocks, self._past
        rate, smooth = np.empty((2, *past.sums.shape))
        kernels.window_rate(sites, counts, past, blocks, steps, (_HOT_FACTOR, _HOT_SIGMAS, _HOT_FLOOR), _HALO, rate)
        self._rate = rate if self._rate is None else PAST * self._rate + (1.0 - PAST) * rate
        kernels.medians(self._rate, smooth)
        return smooth


def _blocks(shape: tuple[int, int, int], block: int) -> Blocks:
    """Of frames of (polarities, height, width): as few as cover them with at most `block` pixels a side."""
    from .background_kernels import Blocks

    polarities, size = shape[0], shape[1:]
    side = block_side(size, (-(-size[0] // block), -(-size[1] // block)))
    rows, columns = (np.diff(np.append(np.arange(0, length, side), length)) for length in size)
    number = np.arange(polarities * len(rows) * len(columns), dtype=np.int32).reshape(polarities, len(rows), len(columns))
    of_site = number.repeat(rows, 1).repeat(columns, 2).reshape(-1)
    return Blocks(side, of_site, rows[:, None] * columns.astype(np.float64))


def block_side(size: tuple[int, int], grid: tuple[int, int]) -> int:
    """Side in pixels of the square blocks when (rows, columns) of them cover a frame of (height, width)."""
    return max(-(-size[0] // grid[0]), -(-size[1] // grid[1]))
