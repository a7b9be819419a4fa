"""The exact grid: every potential is a multiple of 2**-12, so every backend gets the same bits.

Weights, thresholds and subtractive leaks are used rounded to the grid. A float32 holds multiples of
2**-12 exactly below 4096, so sums come out equal in whatever order they are taken.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

GRID_BITS = 12
SCALE = float(2**GRID_BITS)
SCALE32 = np.float32(SCALE)
"""The same, for float32 in compiled code, which would widen it beside a Python number."""
HALF_STEP = 0.5 / SCALE
LIMIT = 4096.0
"""Potentials must stay below this (24 bits of a float32, 12 of them behind the point)."""
THRESHOLD_LIMIT = 2048.0
"""Thresholds must stay below this, so that a threshold less half a grid step is exact too."""


def snap(value: Tensor) -> Tensor:
    """Round to the nearest multiple of 2**-12, ties to even. Any shape; float32 or float64."""
    return torch.round(value * SCALE) / SCALE


def snap_number(value: float) -> float:
    """`snap` for one Python number."""
    return round(value * SCALE) / SCALE


def check_range(layer: str, *, fan_in: int, max_weight: float, max_threshold: float, max_input: float = 1.0) -> None:
    """Refuse a layer whose potentials could leave the exact range.

    A potential is largest when a neuron just below its threshold receives every input at once:
    ``max_input * fan_in * max_weight + max_threshold``.

    Args:
        layer: its name, for the message.
        fan_in: synapses of one neuron.
        max_weight: largest absolute weight.
        max_threshold: largest threshold that the layer can reach.
        max_input: largest input of one synapse in one step (1 for spikes, else the largest count).

    Raises:
        ValueError: naming the numbers.
    """
    reach = max_input * fan_in * max_weight + max_threshold
    if reach >= LIMIT or max_threshold >= THRESHOLD_LIMIT:
        raise ValueError(
            f"{layer}: potentials could reach {reach:g} ({max_input:g} per input x {fan_in} inputs x weight "
            f"{max_weight:g} + threshold {max_threshold:g}), but exact arithmetic ends at {LIMIT:g} and its "
            f"thresholds at {THRESHOLD_LIMIT:g}; use smaller kernels, fewer maps, binary frames or a lower threshold"
        )
