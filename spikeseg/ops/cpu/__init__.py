"""The operations on a CPU: event-driven, in integers, compiled by numba."""

from .chain import encode
from .layers import Training, layer_forward, pool, select_winners, stdp_update
from .tracing import trace

__all__ = [
    "Training",
    "encode",
    "layer_forward",
    "pool",
    "select_winners",
    "stdp_update",
    "trace",
]
