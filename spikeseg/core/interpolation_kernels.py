# mypy: allow-untyped-defs, no-check-untyped-defs
"""Linear interpolation at times that rise, knot by knot: what np.interp gives, to the last bit."""

from __future__ import annotations

from .compiled import compiled


@compiled(inlined=True)
def knot_before(t, times, k):
    """The last knot at or before a time, from knot k on; k where there is none. times: (n,), rising."""
    while k + 1 < len(times) and times[k + 1] <= t:
        k += 1
    return k


@compiled(inlined=True)
def linear(t, times, values, k):
    """The value (n,) at a time behind knot k, that before it: the first and the last one hold beyond them."""
    if k + 1 == len(times) or t <= times[k]:
        return values[k]
    return (values[k + 1] - values[k]) / (times[k + 1] - times[k]) * (t - times[k]) + values[k]
