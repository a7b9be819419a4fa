"""Whole samples through a chain of layers, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.core.sparse import dense as as_dense
from spikeseg.ops.types import BlockThreshold, Layer, PooledSpikes

from .layers import layer_forward, pool


def encode(
    frames: np.ndarray | SparseFrames, layers: Sequence[Layer], first_threshold: BlockThreshold | None = None, *, threads: int = 1
) -> list[PooledSpikes]:
    """Whole samples through a chain of layers, from rest.

    Args:
        frames: (N, T, P, H, W) whole numbers, as the cache of frames holds them, or as lists.
        layers: conv1 and what follows.
        first_threshold: thresholds of the first layer by position, in place of its own.
        threads: samples run side by side (the `cpu` backend; here without effect).

    Returns:
        the output spikes of every layer, in order.
    """
    del threads
    device = layers[0].weight.device
    spikes = torch.from_numpy(as_dense(frames).astype(np.float32)).to(layers[0].weight).transpose(0, 1)
    outputs = []
    for i, layer in enumerate(layers):
        threshold = layer.threshold
        if i == 0 and first_threshold is not None:
            threshold = first_threshold.expand((spikes.shape[-2], spikes.shape[-1])).to(device)
        run = layer_forward(spikes, layer.weight, threshold, layer.mode, layer.leak)
        spikes, kept = run.spikes, None
        if layer.pool is not None:
            spikes, indices = pool(run.spikes, run.potentials, *layer.pool)
            kept = indices.transpose(0, 1)[spikes.transpose(0, 1) > 0].to(torch.int32).cpu().numpy()
        lists = SpikeLists.of(spikes.transpose(0, 1).to(torch.uint8).cpu().numpy())
        outputs.append(PooledSpikes(lists, kept))
    return outputs
