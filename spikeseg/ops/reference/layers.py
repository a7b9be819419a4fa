"""Layers of neurons in plain torch: what the other backends must give. Time first, batch second: (T, B, C, H, W).

Everything here is exact on the grid of `spikeseg.core.grid`, so faster backends must agree bit for bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import snap
from spikeseg.core.neurons import LeakMode, step
from spikeseg.core.sizes import pooled_size
from spikeseg.ops.types import LayerRun, PoolRun

from .convolution import convolve


def currents(spikes: Tensor, weight: Tensor) -> Tensor:
    """Synaptic input of every neuron at every step: 'same' convolution with the rounded weights.

    Args:
        spikes: (T, B, C_in, H, W), whole numbers.
        weight: master weights (C_out, C_in, K, K), K odd.

    Returns:
        (T, B, C_out, H, W), multiples of 2**-12 whatever algorithm the convolution used.
    """
    steps, batch = spikes.shape[:2]
    flat = spikes.reshape(steps * batch, *spikes.shape[2:]).to(weight.dtype)
    out = snap(convolve(flat, snap(weight)))
    return out.reshape(steps, batch, *out.shape[1:])


def layer_forward(
    spikes: Tensor, weight: Tensor, threshold: Tensor, mode: LeakMode, leak: float, state: Tensor | None = None
) -> LayerRun:
    """Convolution, then neurons, step by step.

    Args:
        spikes: (T, B, C_in, H, W).
        weight: (C_out, C_in, K, K).
        threshold: (C_out,), or (B, C_out, H, W) where it differs by position; rounded here.
        mode: the membrane's leak, see `spikeseg.core.neurons`.
        leak: how much.
        state: V to go on from, (B, C_out, H, W); rest when None.
    """
    current = currents(spikes, weight)
    theta = snap(threshold.to(current.dtype))
    if theta.dim() == 1:
        theta = theta[:, None, None]
    v = torch.zeros_like(current[0]) if state is None else state
    potentials, fired = torch.empty_like(current), torch.empty_like(current)
    for t in range(current.shape[0]):
        fired[t], potentials[t], v = step(current[t], v, theta, mode, leak)
    return LayerRun(fired, potentials, v)


def first_spike_steps(spikes: Tensor) -> Tensor:
    """Step of each neuron's first spike; T where it never fired. (T, ...) -> (...) int64."""
    steps = spikes.shape[0]
    first = torch.full(spikes.shape[1:], steps, dtype=torch.int64, device=spikes.device)
    for t in range(steps - 1, -1, -1):
        first.masked_fill_(spikes[t] > 0, t)
    return first


def at_first_spike(values: Tensor, first: Tensor) -> Tensor:
    """Values (T, ...) at each neuron's first spike; 0 where it never fired. -> (...)."""
    steps = values.shape[0]
    picked = values.gather(0, first.clamp(max=steps - 1)[None])[0]
    return torch.where(first < steps, picked, torch.zeros_like(picked))


def pool(spikes: Tensor, potentials: Tensor, kernel: int, stride: int) -> PoolRun:
    """Max pooling over spikes at each step; no border row or column is lost.

    The index kept is that of the spiking input with the highest pre-reset potential, then the lowest flat index (row * W +
    column).

    Args:
        spikes: (T, B, C, H, W).
        potentials: pre-reset, same shape.
        kernel: side of a window, pixels.
        stride: pixels, at most kernel.
    """
    height, width = spikes.shape[-2:]
    out_h, out_w = pooled_size(height, kernel, stride), pooled_size(width, kernel, stride)
    right = (out_w - 1) * stride + kernel - width
    below = (out_h - 1) * stride + kernel - height
    rank = potentials.masked_fill(spikes <= 0, -torch.inf).flatten(0, 1)
    rank = F.pad(rank, (0, right, 0, below), value=-torch.inf)
    best, kept = F.max_pool2d(rank, kernel, stride, return_indices=True)  # of equals the lowest index
    fired = torch.isfinite(best)
    padded_width = width + right
    indices = torch.where(fired, kept // padded_width * width + kept % padded_width, -1)
    shape = (*spikes.shape[:3], out_h, out_w)
    return PoolRun(fired.to(spikes.dtype).reshape(shape), indices.reshape(shape))
