"""Integrate-and-fire neurons on Norse cells; nothing else uses Norse.

Per neuron and step, state starting at 0 for each sample:

=================  =============================
mode               pre-reset potential
=================  =============================
IF                 u = V + I
LIF subtractive    u = max(V + I - leak, 0)
LIF multiplicative u = snap(leak * V) + I
=================  =============================

A spike if u >= threshold; then V = 0 if it spiked, else u.

Norse 1.1.0 fires on a strict ``>``: on the grid, a threshold half a step lower makes that ``>=``. ``LIFBox`` moves the potential
by ``dt * tau_mem_inv * (input + v_leak - V)``; with ``dt * tau_mem_inv = 1`` an input of ``u - v_leak`` makes it exactly u. Its
cells have no floor at rest, so the subtractive mode's is in u.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .grid import HALF_STEP, snap
from .leak import LeakMode


class NeuronStep(NamedTuple):
    """One step of a population: spikes (0/1), pre-reset potential u, state V after the reset; all of the input's shape."""

    spikes: Tensor
    potential: Tensor
    state: Tensor


@cache
def _norse() -> Any:
    from norse.torch.functional import iaf, lif_box

    return iaf, lif_box


def step(current: Tensor, state: Tensor, threshold: Tensor, mode: LeakMode, leak: float) -> NeuronStep:
    """One step of integrate-and-fire neurons.

    Args:
        current: input I, any shape, multiples of 2**-12.
        state: membrane potential V before the step, same shape.
        threshold: positive, on the grid, broadcastable to the input.
        mode: which of the three membranes.
        leak: on the grid; the potential lost per step (subtractive) or the factor kept (multiplicative).

    Returns:
        NeuronStep; nothing passed in is changed, nothing asks for gradients.
    """
    iaf, lif_box = _norse()
    below = threshold - HALF_STEP
    rest = torch.zeros((), dtype=current.dtype, device=current.device)
    with torch.no_grad():
        if mode is LeakMode.NONE:
            potential = state + current
            p = iaf.IAFParameters(v_th=below, v_reset=rest)
            spikes, after = iaf.iaf_feed_forward_step(current, iaf.IAFFeedForwardState(v=state), p)
            return NeuronStep(spikes, potential, after.v)
        if mode is LeakMode.SUBTRACTIVE:
            potential = (state + current - leak).clamp(min=0)
            driven, v_leak = potential + leak, rest - leak
        else:
            kept = snap(leak * state.double()).to(state.dtype)  # exact in float64, so integers can follow
            driven, v_leak = kept + current, rest
            potential = driven
        one = rest + 1.0
        box = lif_box.LIFBoxParameters(tau_mem_inv=one, v_leak=v_leak, v_th=below, v_reset=rest)
        spikes, after = lif_box.lif_box_feed_forward_step(driven, lif_box.LIFBoxFeedForwardState(v=state), box, dt=1.0)
        return NeuronStep(spikes, potential, after.v)


def plain_step(current: Tensor, state: Tensor, threshold: Tensor, mode: LeakMode, leak: float) -> NeuronStep:
    """`step` written out, without Norse: what kernels are compared with on a GPU machine that has only torch."""
    if mode is LeakMode.SUBTRACTIVE:
        u = (state + current - leak).clamp(min=0)
    elif mode is LeakMode.MULTIPLICATIVE:
        u = snap(leak * state.double()).to(state.dtype) + current
    else:
        u = state + current
    fired = u >= threshold
    return NeuronStep(fired.to(u.dtype), u, torch.where(fired, 0.0, u))
