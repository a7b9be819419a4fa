"""The operations on a GPU, as Triton kernels in integers."""

try:
    import triton  # noqa: F401
except ImportError as error:
    raise ImportError(
        "the cuda backend needs triton, which comes with torch for CUDA on Linux (else: pip install triton); "
        "without it, the backends reference and cpu give the same results"
    ) from error

from spikeseg.ops.reference.tracing import trace

from .chain import encode
from .layers import layer_forward, pool, select_winners, stdp_update
from .training import Training

__all__ = [
    "Training",
    "encode",
    "layer_forward",
    "pool",
    "select_winners",
    "stdp_update",
    "trace",
]
