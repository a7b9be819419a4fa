"""Spiking layers: a convolution into integrate-and-fire neurons, and max pooling over spikes."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from spikeseg.config.sections import STDPConfig
from spikeseg.core.grid import snap_number
from spikeseg.core.neurons import LeakMode
from spikeseg.ops import reference
from spikeseg.ops.types import LayerRun, PoolRun


def initial_weights(shape: Sequence[int], stdp: STDPConfig, seed: int) -> Tensor:
    """Weights from N(weight_init_mean, weight_init_std), clamped to the bounds: float32, drawn on the CPU."""
    drawn = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
    return (drawn * stdp.weight_init_std + stdp.weight_init_mean).clamp(stdp.weight_min, stdp.weight_max)


class SpikingConv2d(nn.Module):
    """'Same' convolution into integrate-and-fire neurons.

    Attributes:
        weight: master weights (C_out, C_in, K, K) float32; STDP changes them, their rounded copy convolves.
        threshold: (C_out,) float32.
        mode, leak: the membrane (`spikeseg.core.neurons`); leak is on the grid. The constructor takes what a step loses:
            a potential (subtractive) or a share (multiplicative); 0 makes the neurons IF in every mode.
        frozen: whether training refuses the layer; no part of checkpoints.
    """

    weight: Tensor
    threshold: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, mode: LeakMode, leak: float) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel size {kernel} is even; 'same' padding needs an odd one")
        self.frozen = False
        self.mode = mode if leak else LeakMode.NONE
        self.leak = snap_number(self.mode.parameter(leak))
        self.register_buffer("weight", torch.zeros(out_channels, in_channels, kernel, kernel))
        self.register_buffer("threshold", torch.ones(out_channels))

    def forward(
        self, spikes: Tensor, state: Tensor | None = None, threshold: Tensor | None = None, ops: ModuleType = reference
    ) -> LayerRun:
        """(T, B, C_in, H, W) -> LayerRun; `threshold` (B, C_out, H, W) replaces the layer's own where given. ops: a backend."""
        theta = self.threshold if threshold is None else threshold
        return ops.layer_forward(spikes, self.weight, theta, self.mode, self.leak, state)

    def extra_repr(self) -> str:
        return f"weight={tuple(self.weight.shape)}, mode={self.mode.value}, leak={self.leak:g}"


class SpikePool2d(nn.Module):
    """Max pooling over spikes at each step, keeping the index of the strongest spiking input."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= kernel:
            raise ValueError(f"pool stride {stride} must lie between 1 and the kernel size {kernel}, or inputs are lost")
        self.kernel, self.stride = kernel, stride

    def forward(self, spikes: Tensor, potentials: Tensor, ops: ModuleType = reference) -> PoolRun:
        """(T, B, C, H, W) twice -> PoolRun. ops: a backend."""
        return ops.pool(spikes, potentials, self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"
