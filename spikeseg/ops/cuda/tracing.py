"""Spikes traced back on a GPU: the reference's sums, in float64 on the device, in one pass and for some samples at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from spikeseg.core.sparse import SparseFrames, SparseMap
from spikeseg.ops import reference
from spikeseg.ops.reference import tracing
from spikeseg.ops.types import Layer, PooledSpikes

ROOM = 2**30
"""Bytes of a layer's activity, float64, that a group of samples may take."""


def trace(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> list[SparseMap]:
    """See `reference.trace`. Activity is weakened on its way; a sample for which that leaves two float32 to choose from is traced
    again as the reference does it (`reference.tracing.rounding_error`): sums of a GPU come in an order of its own."""
    samples, steps, polarities = frames.shape[:3]
    sites = max(
        int(np.prod(frames.shape[2:])), *(len(layer.weight) * _pixels(frames, spikes, i) for i, layer in enumerate(layers))
    )
    at_once = max(1, ROOM // (8 * steps * sites))
    one_pass = delay_connections and not tracing.exact(tracing.reach_of(steps, decay, delay_connections=True))
    error = tracing.rounding_error(layers, steps, polarities)
    maps: list[SparseMap] = []
    for first in range(0, samples, at_once):
        last = min(first + at_once, samples)
        part = frames.part(first, last) if isinstance(frames, SparseFrames) else frames[first:last]
        fired = [pooled.part(first, last) for pooled in spikes]
        if one_pass:
            maps += _in_one_pass(part, layers, fired, decay, error)
        else:
            maps += reference.trace(part, layers, fired, delay_connections=delay_connections, decay=decay)
    return maps


def _pixels(frames: np.ndarray | SparseFrames, spikes: Sequence[PooledSpikes], i: int) -> int:
    """Neurons of a map of layer i, before its pool."""
    height, width = frames.shape[-2:] if i == 0 else spikes[i - 1].lists.shape[-2:]
    return int(height) * int(width)


def _in_one_pass(
    frames: np.ndarray | SparseFrames, layers: Sequence[Layer], spikes: Sequence[PooledSpikes], decay: float, error: float
) -> list[SparseMap]:
    """Saliency of each sample, weakened on its way where rounding to float32 is beyond doubt."""
    whole = frames.dense() if isinstance(frames, SparseFrames) else frames
    given = torch.from_numpy(spikes[-1].lists.dense()).to(layers[0].weight.device).transpose(0, 1).double()
    saliency = tracing.over_polarities(tracing.arrived(whole, layers, spikes, given, decay))
    doubtful = ((saliency * (1 - error)).float() != (saliency * (1 + error)).float()).flatten(1).any(1).cpu().numpy()
    maps = []
    for n, sample in enumerate(saliency.float().cpu().numpy()):
        if doubtful[n]:
            fired = [pooled.part(n, n + 1) for pooled in spikes]
            maps += reference.trace(whole[n : n + 1], layers, fired, delay_connections=True, decay=decay)
        else:
            maps.append(SparseMap.of(sample))
    return maps
