"""The operations in plain torch and Norse cells: what the other backends must give."""

from .layers import (
    SILENT,
    Training,
    at_first_spike,
    competition_homeostasis,
    currents,
    encode,
    first_spike_steps,
    layer_forward,
    map_homeostasis,
    pool,
    pooled_size,
    receptive_field,
    select_winners,
    stdp_update,
)
from .tracing import trace

__all__ = [
    "SILENT",
    "Training",
    "at_first_spike",
    "competition_homeostasis",
    "currents",
    "encode",
    "first_spike_steps",
    "layer_forward",
    "map_homeostasis",
    "pool",
    "pooled_size",
    "receptive_field",
    "select_winners",
    "stdp_update",
    "trace",
]
