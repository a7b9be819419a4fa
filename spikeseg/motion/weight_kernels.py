# mypy: allow-untyped-defs, no-check-untyped-defs
"""Passes over the events of an interval on their way into the maps of `maps`."""

from __future__ import annotations

import functools

import numpy as np

from spikeseg.core.compiled import compiled

from .evidence import UNIT


@compiled()
def left_rates(owner, rate, left):
    """Fill in the background of both polarities, float64 (n,), of events that nothing explains; inf for the others. owner, rate:
    of `Events`."""
    for i in range(len(owner)):
        left[i] = 2 * rate[i] if owner[i] == 0 else np.inf


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


LOWEST, HIGHEST, PARTS = -5, 46, 128
"""An octave of ratios is cut into so many parts; ratios below 2**LOWEST weigh nothing, from 2**HIGHEST on they weigh most."""

SHIFT = 45
"""Bits of a float64 that lie below its part of an octave."""

FIRST = (1023 + LOWEST) * PARTS
"""Number of the first part: the bits above SHIFT."""


@functools.cache
def weights_of_parts() -> np.ndarray:
    """What ratios weigh, units: int16 (parts,); -1 where not all of a part weigh the same."""
    edges = (np.arange(FIRST, FIRST + (HIGHEST - LOWEST) * PARTS + 1, dtype=np.uint64) << np.uint64(SHIFT)).view(np.float64)
    weights = np.minimum(np.rint(UNIT * np.log1p(edges)), 255).astype(np.int16)
    return np.where(weights[:-1] == weights[1:], weights[:-1], np.int16(-1))


@compiled()
def weighed(t, x, y, on, ratio, start, per_second, subslices, of_part, weights):
    """Fill in the `EventWeights` of those events whose weight is above 0; -> how many.

    ratio: float64 (n,), of the signal's density to the background's: log1p of it is what an event gains where a receptive field
    is densest, nat. start: of the interval, s; per_second: sub-slices. of_part: `weights_of_parts`.
    """
    n, bits = 0, ratio.view(np.uint64)
    for i in range(len(t)):
        part = min(max(np.int64(bits[i] >> np.uint64(SHIFT)) - FIRST, 0), of_part.size - 1)
        weight = of_part[part]
        if weight < 0:
            weight = np.int16(np.rint(UNIT * np.log1p(ratio[i])))
        weights.subslice[n] = min(max(int((t[i] - start) * per_second), 0), subslices - 1)
        weights.x[n] = int(x[i])
        weights.y[n] = int(y[i])
        weights.on[n] = on[i]
        weights.weight[n] = weight
        n += weight > 0
    return n
