"""Thresholds that follow the input: of conv1 the background, of learned layers their drive.

**Background.** theta_eff = theta + b + k sqrt(b), where b is the current that background activity alone would cause at a neuron
in one step: the local background rate of each polarity times the positive mass of its filter. Kirkland's pre-emptive neuron
thresholding (PENT) has the same aim; its equations were not available, so this form is ours.

**Drive.** Homeostasis raises the thresholds of a learned layer until what it is trained on gives few winners; sparser input then
gives none. theta_eff = rest + min(1, d / d_trained) (theta - rest), where rest is the threshold before homeostasis raised it, d
the local density of input spikes and d_trained the density around a spike of training. This control of gain is ours. It is local
because a dense and a sparse object may be seen at once, and because the mean over a window says more about how much of the
picture is empty than about what is in it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.grid import snap, snap_number
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import BlockThreshold

BLOCK = 16
"""Side of the blocks in which input spikes are counted, neurons of the input."""


def adaptive_threshold(
    threshold: Tensor, weight: Tensor, background: Tensor, size: tuple[int, int], sigmas: float
) -> BlockThreshold:
    """Thresholds by position, constant within a sample.

    Args:
        threshold: (C,) base thresholds.
        weight: (C, P, K, K) filters.
        background: (B, P, h, w) background events per pixel and step, in blocks that cover the frame evenly.
        size: (H, W) of the frame.
        sigmas: k.

    Returns:
        (B, C, h, w) on the grid, with the side of a block in pixels.
    """
    height, width = size
    blocks_high, blocks_wide = background.shape[-2:]
    block = max(-(-height // blocks_high), -(-width // blocks_wide))
    mass = snap(weight).clamp(min=0).sum((-2, -1)).cpu().double()
    rates = background.cpu().double()
    drive = torch.zeros(len(rates), len(mass), *rates.shape[-2:], dtype=torch.float64)
    for p in range(mass.shape[1]):  # term by term in float64: the same bits on every machine
        drive += mass[:, p, None, None] * rates[:, p, None]
    theta = snap(threshold.cpu().double()[:, None, None] + drive + sigmas * drive.sqrt())
    return BlockThreshold(theta.float().to(weight.device), block)


def lowered_threshold(threshold: Tensor, rest: float, drive: float, spikes: SpikeLists) -> BlockThreshold:
    """Thresholds of a learned layer, by position, lowered where it is driven less than in training.

    Args:
        threshold: (C,) as trained: the highest.
        rest: the lowest; a threshold that is not above it stays as it is.
        drive: of training, see `typical_drive`.
        spikes: input of B samples.

    Returns:
        (B, C, hb, wb) on the grid, constant within a sample.
    """
    trained = snap(threshold.cpu().double()).numpy()
    lowest = np.minimum(trained, snap_number(rest))[:, None, None]
    gain = np.minimum(1.0, local_drive(spikes) / drive)[:, None]
    theta = torch.from_numpy(lowest + gain * (trained[:, None, None] - lowest))
    return BlockThreshold(snap(theta).float().to(threshold.device), BLOCK)


def local_drive(spikes: SpikeLists) -> np.ndarray:
    """Density of spikes around each block: spikes per neuron and step in it and the blocks next to it.

    -> float64 (N, ceil(H / BLOCK), ceil(W / BLOCK)).
    """
    steps, channels, *size = spikes.shape
    near = _around(_counts(spikes))
    sides = [np.diff(np.append(np.arange(0, side, BLOCK), side)) for side in size]
    density: np.ndarray = near / (_around(np.outer(*sides)[None]) * (channels * steps))
    return density


def typical_drive(parts: Iterable[SpikeLists]) -> float:
    """Local density around a spike: the mean of `local_drive` over all spikes, in whatever order; 0 without any."""
    sums, spikes = [], 0
    for part in parts:
        counts = _counts(part)
        sums += (counts * local_drive(part)).sum((1, 2)).tolist()
        spikes += int(counts.sum())
    return math.fsum(sums) / max(spikes, 1)


def _counts(spikes: SpikeLists) -> np.ndarray:
    """Spikes of each sample in each block: int64 (N, ceil(H / BLOCK), ceil(W / BLOCK))."""
    _, channels, height, width = spikes.shape
    blocks = _block_of_sites(channels, height, width)
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    samples = (spikes.part(n, n + 1).sites for n in range(spikes.samples))
    counts = [np.bincount(blocks[sites], minlength=rows * columns) for sites in samples]
    return np.array(counts, np.int64).reshape(spikes.samples, rows, columns)


@functools.lru_cache(4)
def _block_of_sites(channels: int, height: int, width: int) -> np.ndarray:
    """The block in which each flat address (c*H + y)*W + x lies: int32. Dividing every spike's address takes several times as
    long as to look this up."""
    rows, columns = (np.arange(side, dtype=np.int32) // BLOCK for side in (height, width))
    return np.tile(np.add.outer(rows * -(-width // BLOCK), columns).reshape(-1), channels)


def _around(values: np.ndarray) -> np.ndarray:
    """Sums over the 3 x 3 neighbours, as far as there are any, of whole numbers (N, rows, columns)."""
    wide = np.zeros((len(values), values.shape[1] + 2, values.shape[2] + 2), values.dtype)
    wide[:, 1:-1, 1:-1] = values
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
