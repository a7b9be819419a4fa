"""One number in every lane of a vector, as code that compiled loops are made of."""

from __future__ import annotations

from typing import Any

from llvmlite import ir


def splat(builder: Any, number: Any, lanes: int) -> Any:
    """A vector of so many lanes with this number in each: what an LLVM builder makes of its value."""
    word = ir.IntType(32)
    nothing = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = builder.insert_element(nothing, number, word(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(word, lanes), [0] * lanes))
