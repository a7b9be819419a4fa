"""The operations on a CPU: event-driven, in integers, compiled by numba; bit for bit what `reference` gives.

Compiled code is kept on disk (beside the package, or in NUMBA_CACHE_DIR), so only the first use compiles.
"""

from .chain import encode
from .cone_links import cones
from .cone_traversal import spread, unite
from .images import final_potentials, fire_once, latency, oriented_latency
from .layers import layer_forward, pool
from .learning import Training, select_winners, stdp_update
from .tracing import trace, trace_sets

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
