"""The decoder: classification spikes traced back to the pixels that caused them, through tied weights [Kirkland 2020].

conv3, pool2, conv2, pool1 and conv1 are undone in turn; `spikeseg.ops.reference.trace` defines how.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.sections import ModelConfig
from spikeseg.core.sparse import SparseFrames, SparseMap, SpikeLists
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import PooledSpikes

if TYPE_CHECKING:
    from .encoder import Encoder, EncoderOutput

LEVELS = tuple(spec.output for spec in ModelConfig().layers())
"""The outputs that the decoder goes back through, from the input to the classes."""


def decode(
    encoder: Encoder, frames: np.ndarray, spikes: Mapping[str, PooledSpikes], classes: Collection[int] | None = None
) -> np.ndarray:
    """Saliency of every pixel at every step.

    Args:
        encoder: see `decode_sparse`.
        frames: (N, T, P, H, W).
        spikes: see `decode_sparse`.
        classes: see `decode_sparse`.

    Returns:
        (N, T, H, W) float32, >= 0, and 0 wherever no event fell at that pixel (up to that step).
    """
    maps = decode_sparse(encoder, frames, spikes, classes)
    return (
        np.stack([sample.dense() for sample in maps]) if maps else np.zeros((0, frames.shape[1], *frames.shape[-2:]), np.float32)
    )


def decode_sparse(
    encoder: Encoder,
    frames: np.ndarray | SparseFrames,
    spikes: Mapping[str, PooledSpikes],
    classes: Collection[int] | None = None,
) -> list[SparseMap]:
    """Saliency of every pixel at every step, by the settings of the encoder's configuration.

    Args:
        encoder: the encoder that gave the spikes.
        frames: (N, T, P, H, W), its input, or as lists.
        spikes: its spikes, by 'pool1', 'pool2', 'conv3', as `Encoder.infer` gives them.
        classes: whose classification spikes are traced; None: all.

    Returns:
        a map (T, H, W) of each sample.
    """
    return decode_sets(encoder, frames, spikes, [classes])[0]


def decode_sets(
    encoder: Encoder,
    frames: np.ndarray | SparseFrames,
    spikes: Mapping[str, PooledSpikes],
    sets: Sequence[Collection[int] | None],
) -> list[list[SparseMap]]:
    """`decode_sparse` for each of several sets of classes."""
    levels = [spikes[level] for level in LEVELS]
    ops = ops_backend(encoder.backend, encoder.conv1.weight.device)
    settings = encoder.config
    delay, decay = settings.use_delay_connections, settings.delay_decay
    with torch.no_grad():
        maps: list[list[SparseMap]] = ops.trace_sets(frames, encoder.chain(), levels, sets, delay_connections=delay, decay=decay)
    return maps


def decode_output(encoder: Encoder, output: EncoderOutput) -> Tensor:
    """See `SpikeSEG.decode`."""
    if LEVELS[-1] not in output.layer_spikes:
        raise ValueError(f"the output ends at {list(output.layer_spikes)[-1]}; encode up to {LEVELS[-1]} to decode")
    lead = output.classification_spikes.dim() - 3
    whole = output if lead == 2 else output.map(lambda v: v[:, None] if lead else v[None, None], lambda v: v[None])
    samples = whole.layer_spikes["input"].transpose(0, 1).cpu().numpy()
    traced = torch.from_numpy(decode(encoder, samples, spikes_of(whole))).transpose(0, 1)
    traced = traced.to(output.classification_spikes.device)
    return traced if lead == 2 else traced[:, 0] if lead else traced[0, 0]


def spikes_of(output: EncoderOutput) -> dict[str, PooledSpikes]:
    """The spikes of a batch of whole samples (T, B, ...), as `Encoder.infer` gives them."""
    by_level = {}
    for level in LEVELS:
        spikes = output.layer_spikes[level].transpose(0, 1).cpu()
        indices = output.pooling_indices.get(level)
        kept = None if indices is None else indices.transpose(0, 1).cpu()[spikes > 0].to(torch.int32).numpy()
        by_level[level] = PooledSpikes(SpikeLists.of(spikes.numpy()), kept)
    return by_level
