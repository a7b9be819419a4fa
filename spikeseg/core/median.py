"""The weighted median."""

from __future__ import annotations

import numpy as np


def weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    """The lowest of values (n,), n > 0, up to which half of the weight (n,) lies."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order])
    return float(values[order[int(np.searchsorted(upto, upto[-1] / 2))]])
