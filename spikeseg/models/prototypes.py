"""What each map of a network looks for, a class among them: a spike traced back through all layers to the pixels that drive it.

The decoder does it, as in detection, but with every gate open: all neurons below count as having fired, and the pools as having
kept each of their inputs equally often. So it is the weights alone that speak, whatever has been recorded.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from spikeseg.config.layer_spec import LayerSpec, PoolSpec
from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import PooledSpikes

from .encoder import Encoder

LAST = "conv3"
"""The layer whose maps are the classes."""
POLARITIES = ("off", "on")
"""Of the planes of a frame, in order."""
MOST_OFFSETS = 16
"""Places at which the inputs of a pool are taken to have been kept, at most; evenly spread over larger pools."""


class ReceptiveField(NamedTuple):
    """Pixels of the frame that a neuron of a layer sees, along an axis: neuron k those from stride * k + first on.

    Attributes:
        first: pixels.
        stride: from neuron to neuron, pixels.
        size: pixels.
    """

    first: int
    stride: int
    size: int

    @classmethod
    def of(cls, layers: Sequence[LayerSpec]) -> ReceptiveField:
        """That of the last layer's neurons, before its pool."""
        first, last, stride = 0, 0, 1
        for number, spec in enumerate(reversed(layers)):
            if number and spec.pool is not None:
                first, last = first * spec.pool.stride, last * spec.pool.stride + spec.pool.kernel - 1
                stride *= spec.pool.stride
            first, last = first - spec.kernel // 2, last + spec.kernel // 2
        return cls(first, stride, last - first + 1)


def prototypes(encoder: Encoder, layer: str = LAST) -> np.ndarray:
    """How strongly each pixel of its receptive field drives a spike of each map of a layer, by polarity.

    Args:
        encoder: the encoder.
        layer: its name; of the last the maps are the classes.

    Returns:
        float32 (maps, P, size, size) >= 0, the pixels of a `ReceptiveField`; planes are those of the frames, OFF first.
    """
    specs, polarities = encoder.upto(layer), encoder.in_channels
    field = ReceptiveField.of(specs)
    centre = max(-(field.first // field.stride), 0)
    start = field.stride * centre + field.first
    side = start + field.size
    shapes = _shapes(specs, side)
    pools = [spec.pool for spec in specs[:-1] if spec.pool is not None]
    choices = list(itertools.product(*(_offsets(pool) for pool in pools)))
    frames = np.zeros((len(choices), polarities, 1, polarities, side, side), np.uint8)
    for plane in range(polarities):
        frames[:, plane, :, plane] = 1
    frames = frames.reshape(-1, *frames.shape[2:])
    levels = []
    for i, pool in enumerate(pools):
        below = side if i == 0 else shapes[i - 1][-1]
        kept = [_kept(pool, choice[i], shapes[i], below) for choice in choices for _ in range(polarities)]
        levels.append(PooledSpikes(SpikeLists.of(np.ones((len(frames), *shapes[i]), np.uint8)), np.concatenate(kept)))
    chain = encoder.chain(layer)
    ops = ops_backend(encoder.backend, encoder.conv1.weight.device)
    settings, drives = encoder.config, []
    for number in range(specs[-1].channels):
        fired = np.zeros((len(frames), *shapes[-1]), np.uint8)
        fired[:, :, number, centre, centre] = 1
        traced = [*levels, PooledSpikes(SpikeLists.of(fired), None)]
        with torch.no_grad():
            maps = ops.trace(frames, chain, traced, delay_connections=settings.use_delay_connections, decay=settings.delay_decay)
        drive = np.stack([sample.dense() for sample in maps])[:, 0, start:, start:]
        drives.append(drive.reshape(len(choices), polarities, *drive.shape[1:]).mean(0))
    return np.stack(drives)


def _shapes(specs: Sequence[LayerSpec], side: int) -> list[tuple[int, int, int, int]]:
    """(1, C, H, W) of what leaves each layer, after its pool but for the last one, of frames of a side."""
    shapes = []
    for number, spec in enumerate(specs, 1):
        if spec.pool is not None and number < len(specs):
            side = pooled_size(side, spec.pool.kernel, spec.pool.stride)
        shapes.append((1, spec.channels, side, side))
    return shapes


def _offsets(pool: PoolSpec) -> list[tuple[int, int]]:
    """Places within the window of a pool, rows and columns."""
    places = list(itertools.product(range(pool.kernel), repeat=2))
    chosen = np.linspace(0, len(places) - 1, min(len(places), MOST_OFFSETS)).round().astype(int)
    return [places[k] for k in chosen]


def _kept(pool: PoolSpec, offset: tuple[int, int], shape: Sequence[int], below: int) -> np.ndarray:
    """Pooling indices (C * H * W,) where each pool has kept the input at one offset; below: side of the layer before the pool."""
    _, channels, height, width = shape
    row = np.minimum(np.arange(height) * pool.stride + offset[0], below - 1)
    column = np.minimum(np.arange(width) * pool.stride + offset[1], below - 1)
    return np.tile((row[:, None] * below + column).ravel(), channels).astype(np.int32)
