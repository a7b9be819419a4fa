"""The operations in plain torch and Norse cells: what the other backends must give."""

from .chain import encode
from .cone_links import cones, spread, unite
from .images import final_potentials, fire_once, latency, oriented_latency
from .layers import layer_forward, pool
from .tracing import trace, trace_sets
from .training import Training, select_winners, stdp_update

__all__ = [
    "Training",
    "cones",
    "encode",
    "final_potentials",
    "fire_once",
    "latency",
    "layer_forward",
    "oriented_latency",
    "pool",
    "select_winners",
    "spread",
    "stdp_update",
    "trace",
    "trace_sets",
    "unite",
]
