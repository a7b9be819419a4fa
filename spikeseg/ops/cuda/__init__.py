"""The operations on a GPU: Triton kernels in integers; cones and the latency code by the reference's torch."""

try:
    import triton  # noqa: F401
except ImportError as error:
    raise ImportError(
        "the cuda backend needs triton, which comes with torch for CUDA on Linux (else: pip install triton); "
        "without it, the backends reference and cpu give the same results"
    ) from error

from spikeseg.ops.reference.cone_links import cones, spread, unite
from spikeseg.ops.reference.images import latency, oriented_latency

from .chain import encode
from .images import final_potentials, fire_once
from .layers import layer_forward, pool, stdp_update
from .tracing import trace, trace_sets
from .training import Training
from .winners import select_winners

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
