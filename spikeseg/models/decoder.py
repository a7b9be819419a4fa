"""The decoder: classification spikes traced back to the pixels that caused them, through tied weights [Kirkland 2020].

conv3, pool2, conv2, pool1 and conv1 are undone in turn; the meaning is that of `spikeseg.ops.reference.tracing.trace`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from spikeseg.core.sparse import SparseFrames, SparseMap, SpikeLists
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import PooledSpikes

if TYPE_CHECKING:
    from .encoder import Encoder, EncoderOutput

LEVELS = ("pool1", "pool2", "conv3")


def decode(
    encoder: Encoder, frames: np.ndarray, found: Mapping[str, PooledSpikes], classes: Collection[int] | None = None
) -> np.ndarray:
    """Saliency of every pixel at every step: (N, T, H, W) float32, >= 0, and 0 wherever no event fell at that pixel (up to that
    step). The arguments are those of `decode_sparse`."""
    lit = decode_sparse(encoder, frames, found, classes)
    return np.stack([one.dense() for one in lit]) if lit else np.zeros((0, *frames.shape[1:2], *frames.shape[-2:]), np.float32)


def decode_sparse(
    encoder: Encoder,
    frames: np.ndarray | SparseFrames,
    found: Mapping[str, PooledSpikes],
    classes: Collection[int] | None = None,
) -> list[SparseMap]:
    """What is lit at every step, by the settings of the encoder's configuration.

    Args:
        encoder: the encoder that found the spikes.
        frames: (N, T, P, H, W), what it saw, or as lists.
        found: its spikes, by 'pool1', 'pool2', 'conv3', as `Encoder.infer` gives them.
        classes: whose classification spikes are traced; None: all.

    Returns:
        of each sample its saliency.
    """
    said = [found[level] for level in LEVELS]
    if classes is not None:
        said[-1] = PooledSpikes(_only(said[-1].lists, classes), None)
    ops = ops_backend(encoder.backend, encoder.conv1.weight.device)
    settings = encoder.config
    with torch.no_grad():
        lit: list[SparseMap] = ops.trace(
            frames, encoder.chain(), said, delay_connections=settings.use_delay_connections, decay=settings.delay_decay
        )
    return lit


def spikes_of(output: EncoderOutput) -> dict[str, PooledSpikes]:
    """The spikes of a batch of whole samples (T, B, ...), as `Encoder.infer` gives them."""
    found = {}
    for level in LEVELS:
        spikes = output.layer_spikes[level].transpose(0, 1).cpu()
        indices = output.pooling_indices.get(level)
        kept = None if indices is None else indices.transpose(0, 1).cpu()[spikes > 0].to(torch.int32).numpy()
        found[level] = PooledSpikes(SpikeLists.of(spikes.numpy()), kept)
    return found


def _only(lists: SpikeLists, maps: Collection[int]) -> SpikeLists:
    """The spikes of some maps alone."""
    wanted = np.isin(lists.sites // (lists.shape[2] * lists.shape[3]), sorted(maps))
    before = np.concatenate([[0], np.cumsum(wanted)])
    return SpikeLists(before[lists.offsets], lists.sites[wanted], lists.shape)
