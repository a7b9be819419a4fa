"""The operations on a CPU: event-driven, in integers, compiled by numba; bit for bit what `reference` gives.

Compiled code is kept on disk (beside the package, or in NUMBA_CACHE_DIR), so only the first use compiles.
"""

from .chain import encode
from .layers import layer_forward, pool
from .learning import Training, select_winners, stdp_update
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
