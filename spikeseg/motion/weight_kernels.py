# mypy: allow-untyped-defs, no-check-untyped-defs
"""Passes over the events of an interval on their way into the maps of `maps`."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def between(values, low, high, chosen):
    """Of values, float64 (n,): how many are finite, how many lie below `low`, and how many from there to `high`; these are filled
    into `chosen`, float64 (n,)."""
    finite = below = n = 0
    for i in range(len(values)):
        value = values[i]
        finite += value < np.inf
        below += value < low
        chosen[n] = value
        n += (value >= low) & (value <= high)
    return finite, below, n


@compiled()
def weighed(t, x, y, on, gain, start, per_second, subslices, unit, weights):
    """Fill in the `EventWeights` of those events whose weight is above 0; -> how many.

    gain: float64 (n,), what each event gains where a receptive field is densest, nat. start: of the interval, s; per_second:
    sub-slices.
    """
    n = 0
    for i in range(len(t)):
        weight = np.uint8(min(max(np.rint(unit * gain[i]), 0.0), 255.0))
        weights.subslice[n] = min(max(int((t[i] - start) * per_second), 0), subslices - 1)
        weights.x[n] = int(x[i])
        weights.y[n] = int(y[i])
        weights.on[n] = on[i]
        weights.weight[n] = weight
        n += weight > 0
    return n
