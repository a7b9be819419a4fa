"""A network as plain Norse modules, for who goes on in Norse: convolution, cell and pool of each layer, with the same spikes.

The cells are Norse's `IAFCell` with what it lacks: a floor at 0, or the factor that a step leaves of the potential. The leak that
a step takes away is the convolution's bias. As in `neurons`, a threshold half a grid step lower makes Norse's ``>`` a ``>=``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from norse.torch import SequentialState
from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters
from norse.torch.module.iaf import IAFCell
from torch import Tensor, nn

from spikeseg.errors import InputError

from .grid import HALF_STEP, snap
from .leak import LeakMode


class RestingIAFCell(IAFCell):
    """Norse's integrate-and-fire cell, at rest at 0 before its first step; without the gradients that Norse asks of the rest."""

    v_th: Tensor
    p: IAFParameters

    def __init__(self, p: IAFParameters) -> None:
        super().__init__(p)
        self.state_fallback = _at_rest
        self.register_buffer("v_th", p.v_th)

    def extra_repr(self) -> str:
        """Thresholds, as ours: reached, not exceeded."""
        return f"maps={len(self.v_th)}, threshold={float(self.v_th.min()):.4g} to {float(self.v_th.max()):.4g}"

    def forward(self, input_tensor: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Input (B, C, H, W) and the state before -> spikes 0/1 and the state after."""
        self.p = self.p._replace(v_th=self.v_th, v_reset=self.v_th.new_zeros(()))  # wherever the module has been moved
        spikes, after = super().forward(input_tensor, state)
        return spikes, after


class FloorIAFCell(RestingIAFCell):
    """The same; no potential stays below 0. A threshold above 0 is reached with the floor at the end of a step as before it."""

    def forward(self, input_tensor: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Input (B, C, H, W) and the state before -> spikes 0/1 and the state after."""
        spikes, after = super().forward(input_tensor, state)
        return spikes, after._replace(v=after.v.clamp(min=0))


class LeakyIAFCell(RestingIAFCell):
    """The same; a step keeps a share of the potential, rounded to the grid.

    Args:
        p: Norse's parameters.
        keep: the share, 0 to 1.
    """

    def __init__(self, p: IAFParameters, keep: float) -> None:
        super().__init__(p)
        self.keep = keep

    def forward(self, input_tensor: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Input (B, C, H, W) and the state before -> spikes 0/1 and the state after."""
        before = self.state_fallback(input_tensor) if state is None else state
        kept = snap(self.keep * before.v.double()).to(before.v.dtype)
        return super().forward(input_tensor, before._replace(v=kept))


def norse_layer(weight: Tensor, threshold: Tensor, mode: LeakMode, leak: float, pool: tuple[int, int] | None) -> list[nn.Module]:
    """A spiking convolution as Norse runs it, one step per call.

    Args:
        weight: (C_out, C_in, K, K), rounded here.
        threshold: (C_out,) above 0, rounded here.
        mode: of the membrane.
        leak: see `neurons.step`.
        pool: (kernel, stride), or None.

    Raises:
        InputError: a threshold of 0, which the floor reaches.
    """
    maps, channels, kernel = weight.shape[:3]
    convolution = nn.Conv2d(channels, maps, kernel, padding=kernel // 2).requires_grad_(False)
    convolution.weight.data = snap(weight.detach()).clone()
    assert convolution.bias is not None
    convolution.bias.data = torch.full((maps,), -leak if mode.has_floor else 0.0, device=weight.device)
    theta = snap(threshold.detach())[:, None, None] - HALF_STEP
    if not bool((theta > 0).all()):
        raise InputError("threshold: 0 on the grid, where a neuron fires without input; train with a threshold above 0")
    parameters = IAFParameters(v_th=theta, v_reset=torch.zeros(()))
    cell: nn.Module
    if mode.has_floor:
        cell = FloorIAFCell(parameters)
    elif mode.loses_share:
        cell = LeakyIAFCell(parameters, leak)
    else:
        cell = RestingIAFCell(parameters)
    return [convolution, cell, *([] if pool is None else [nn.MaxPool2d(*pool, ceil_mode=True)])]


def norse_network(modules: Iterable[nn.Module]) -> nn.Module:
    """Norse's sequence of modules; takes a step (B, P, H, W) and the state before, None at rest, and returns both of the end."""
    network: nn.Module = SequentialState(*modules)
    return network


def _at_rest(input_tensor: Tensor) -> Any:
    return IAFFeedForwardState(v=torch.zeros_like(input_tensor))
