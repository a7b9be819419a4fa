"""How far exact arithmetic reaches; imports no torch, so that a configuration can be checked before anything is loaded."""

from __future__ import annotations

GRID_BITS = 12
LIMIT = 4096.0
"""Potentials must stay below this (24 bits of a float32, 12 of them behind the point)."""
THRESHOLD_LIMIT = 2048.0
"""Thresholds must stay below this, so that a threshold less half a grid step is exact too."""


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
    if not (reach < LIMIT and max_threshold < THRESHOLD_LIMIT):
        raise ValueError(
            f"{layer}: potentials could reach {reach:g} ({max_input:g} per input x {fan_in} inputs x weight "
            f"{max_weight:g} + threshold {max_threshold:g}), but exact arithmetic ends at {LIMIT:g} and its "
            f"thresholds at {THRESHOLD_LIMIT:g}; use smaller kernels, fewer maps, binary frames or a lower threshold"
        )
