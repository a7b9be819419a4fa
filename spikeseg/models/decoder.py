"""The decoder: classification spikes traced back to the pixels that caused them, through tied weights [Kirkland 2020].

conv3, pool2, conv2, pool1 and conv1 are undone in turn: each convolution by its transpose (the same rounded weights), each
pool by
the index it kept at the same step. Every level is gated by the encoder's own spikes, so only input that took part can light up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikeseg.core.grid import snap
from spikeseg.ops.reference import convolve

if TYPE_CHECKING:
    from .encoder import Encoder, EncoderOutput


def decode(encoder: Encoder, output: EncoderOutput, *, delay_connections: bool, decay: float) -> Tensor:
    """Saliency of every pixel at every step.

    With delay connections the activity traced at a step reaches the encoder's spikes of that and of earlier steps of the same
    sample, weakened by `decay` per step; it lands at exactly the steps and pixels at which events fell. Without them, what is
    traced at a step stays at that step, and gates and pooling indices are those of the last spike up to it.

    Args:
        encoder: the encoder that made the output.
        output: of a batch of whole samples, (T, B, ...).
        delay_connections: see above.
        decay: factor per step, 0 to 1.

    Returns:
        (T, B, H, W) float32, >= 0, and 0 wherever no event fell at that pixel (up to that step). Inhibiting synapses (the
        negative
        surround of a filter) did not cause a spike, so nothing is traced through them.
    """
    traced = output.classification_spikes
    spikes = output.layer_spikes
    for name, below, pool in (("conv3", "pool2", "conv2"), ("conv2", "pool1", "conv1"), ("conv1", "input", None)):
        gate, indices = spikes[below], output.pooling_indices.get(below)
        traced = _transpose(traced, encoder.layer(name).weight)
        if delay_connections:
            traced = _reach_back(traced, decay)
        else:
            gate, indices = _so_far(gate, indices)
        traced = traced * (gate > 0)
        if pool is not None and indices is not None:
            traced = _unpool(traced, indices, spikes[pool].shape[-2:])
    return traced.sum(2)


def _transpose(values: Tensor, weight: Tensor) -> Tensor:
    """Transposed 'same' convolution, (T, B, C_out, H, W) -> (T, B, C_in, H, W); silent frames are skipped."""
    steps, batch, _, height, width = values.shape
    flat = values.flatten(0, 1)
    out = flat.new_zeros((steps * batch, weight.shape[1], height, width))
    busy = flat.flatten(1).any(1).nonzero()[:, 0]
    if len(busy):
        turned = (
            snap(weight).clamp(min=0).flip(-2, -1).transpose(0, 1)
        )  # a transposed 'same' convolution is one with turned kernels
        out[busy] = convolve(flat[busy], turned)
    return out.reshape(steps, batch, *out.shape[1:])


def _reach_back(values: Tensor, decay: float) -> Tensor:
    """What each step receives from itself and all later steps: out[s] = sum over t >= s of decay**(t - s) * values[t]."""
    out = values.clone()
    for t in range(len(out) - 2, -1, -1):
        out[t] += decay * out[t + 1]
    return out


def _so_far(gate: Tensor, indices: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Gates of all spikes up to each step, and the pooling index of the last of them."""
    reached = gate.cummax(0).values
    if indices is None:
        return reached, None
    kept = indices.clone()
    for t in range(1, len(kept)):
        kept[t] = torch.where(kept[t] < 0, kept[t - 1], kept[t])
    return reached, kept


def _unpool(values: Tensor, indices: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Put every pooled value back where it came from; (T, B, C, H', W') -> (T, B, C, *size)."""
    out = values.new_zeros((*values.shape[:3], size[0] * size[1]))
    out.scatter_add_(3, indices.clamp(min=0).flatten(3), values.flatten(3))
    return out.unflatten(3, (size[0], size[1]))
