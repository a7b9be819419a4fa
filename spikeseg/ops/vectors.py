"""Adding a line of weights as whole vectors.

What one spike adds is short, and begins at any number. A loop over a slice spends more time on finding out where the slice ends,
and whether the two overlap, than on adding; here neither is asked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from spikeseg.compiled import compiled

LANES = 32
"""int32 added together: two cache lines. Lines of weights are padded to a multiple of it with 0."""


@intrinsic
def _add_product(typing: Any, v: Any, start: Any, line: Any, at: Any, times: Any) -> Any:
    """v[start : start + LANES] += times * line[at : at + LANES], of flat int32 memory."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), LANES)

        def place(number: int) -> Any:
            array = context.make_array(signature.args[number])(context, builder, given[number])
            return builder.bitcast(builder.gep(array.data, [given[number + 1]]), vector.as_pointer())

        first = builder.insert_element(ir.Constant(vector, ir.Undefined), given[4], ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        factor = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), everywhere)
        added = builder.mul(builder.load(place(2), align=4), factor)
        builder.store(builder.add(builder.load(place(0), align=4), added), place(0), align=4)
        return context.get_dummy_value()

    return types.void(v, types.intp, line, types.intp, types.int32), generate


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
