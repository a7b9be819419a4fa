"""The exact grid: every potential is a multiple of 2**-12, so every backend gets the same bits.

Weights, thresholds and subtractive leaks are used rounded to the grid. A float32 holds multiples of
2**-12 exactly below 4096, so sums come out equal in whatever order they are taken.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .exact_range import GRID_BITS, LIMIT, THRESHOLD_LIMIT, check_range

__all__ = [
    "GRID_BITS", "HALF_STEP", "LIMIT", "SCALE", "SCALE32", "THRESHOLD_LIMIT", "check_range", "snap", "snap_number",
]  # fmt: skip

SCALE = float(2**GRID_BITS)
SCALE32 = np.float32(SCALE)
"""The same, for float32 in compiled code, which would widen it beside a Python number."""
HALF_STEP = 0.5 / SCALE


def snap(value: Tensor) -> Tensor:
    """Round to the nearest multiple of 2**-12, ties to even. Any shape; float32 or float64."""
    return torch.round(value * SCALE) / SCALE


def snap_number(value: float) -> float:
    """`snap` for one Python number."""
    return round(value * SCALE) / SCALE
