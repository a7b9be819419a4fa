"""Potentials and weights as whole vectors.

What one spike adds is short, and begins at any number. A loop over a slice spends more time on finding out where the slice ends,
and whether the two overlap, than on adding; here neither is asked. Nor does a loop give the bits of a comparison.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from spikeseg.compiled import compiled

LANES = 32
"""int32 added together: two cache lines. Lines of weights are padded to a multiple of it with 0."""


WORD = 64
"""int32 compared together: the bits of a word."""


def _everywhere(builder: Any, number: Any, lanes: int) -> Any:
    """A vector that holds this int32 in every place."""
    nothing = ir.Constant(ir.VectorType(ir.IntType(32), lanes), ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


@intrinsic
def _add_product(typing: Any, v: Any, start: Any, line: Any, at: Any, times: Any) -> Any:
    """v[start : start + LANES] += times * line[at : at + LANES], of flat int32 memory."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), LANES)

        def place(number: int) -> Any:
            array = context.make_array(signature.args[number])(context, builder, given[number])
            return builder.bitcast(builder.gep(array.data, [given[number + 1]]), vector.as_pointer())

        added = builder.mul(builder.load(place(2), align=4), _everywhere(builder, given[4], LANES))
        builder.store(builder.add(builder.load(place(0), align=4), added), place(0), align=4)
        return context.get_dummy_value()

    return types.void(v, types.intp, line, types.intp, types.int32), generate


@intrinsic
def _reach_mask(typing: Any, v: Any, theta: Any, start: Any, level: Any) -> Any:
    """Of WORD int32 from `start` on, which are at their thresholds: a bit each."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), WORD)

        def load(number: int) -> Any:
            array = context.make_array(signature.args[number])(context, builder, given[number])
            return builder.load(builder.bitcast(builder.gep(array.data, [given[2]]), vector.as_pointer()), align=4)

        lifted = builder.sub(load(0), _everywhere(builder, given[3], WORD))
        return builder.bitcast(builder.icmp_signed(">=", lifted, load(1)), ir.IntType(WORD))

    return types.uint64(v, theta, types.intp, types.int32), generate


@compiled()
def reach_mask(v, theta, start, level):
    """Which of the next WORD potentials are at their thresholds, the first in the lowest bit; fewer where v ends.

    Args:
        v, theta: int32 (n,), contiguous; potentials and thresholds are `level` apart.
    """
    if start + WORD <= v.size:
        return _reach_mask(v, theta, start, level)
    mask = np.uint64(0)
    for i in range(start, v.size):
        mask |= np.uint64(np.int32(v[i] - level) >= theta[i]) << np.uint64(i - start)
    return mask


@compiled()
def add_line(v, start, table, line, wide, times):
    """Add `times` as often what one spike brings.

    Args:
        v: int32 (n,), contiguous; v[start : start + wide] changes.
        table: int32 (..., wide), contiguous, and the number of its line; wide: a multiple of LANES.
        times: int32.
    """
    i, at = 0, line * wide
    while i < wide:
        _add_product(v, start + i, table, at + i, times)
        i += LANES
