# mypy: allow-untyped-defs, no-check-untyped-defs
"""Vectors of bytes as values of compiled loops, which can so be carried on in registers, from row to row."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from spikeseg.core.splat import splat

CELLS = 64
"""Bytes of a vector."""


class Vector(types.Type):
    """So many uint8."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Vector({width})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(8), kind.width))


def _place(context: Any, builder: Any, array: Any, given: Any, width: int) -> Any:
    """Where so many bytes lie: of a flat array, from an index on; given: both."""
    data = context.make_array(array)(context, builder, given[0]).data
    return builder.bitcast(builder.gep(data, [given[1]]), ir.VectorType(ir.IntType(8), width).as_pointer())


def _loading(width: int) -> Any:
    """array[at : at + width], of a flat one of uint8."""

    def typed(_typing: Any, array: Any, _at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.load(_place(context, builder, signature.args[0], given, width), align=1)

        return Vector(width)(array, types.intp), generate

    return intrinsic(typed)


@intrinsic
def store(_typing: Any, array: Any, _at: Any, vector: Any) -> Any:
    """array[at : at + width] = vector, of a flat one of uint8."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.store(given[2], _place(context, builder, signature.args[0], given, vector.width), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def everywhere(_typing: Any, _byte: Any) -> Any:
    """CELLS times this byte."""

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return splat(builder, given[0], CELLS)

    return Vector(CELLS)(types.uint8), generate


def _of_two(name: str) -> Any:
    """An LLVM operation on two vectors, byte by byte."""

    def typed(_typing: Any, a: Any, b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            kind = given[0].type
            signature = ir.FunctionType(kind, [kind, kind])
            return builder.call(get_or_insert_function(builder.module, signature, f"llvm.{name}.v{a.width}i8"), given)

        return a(a, b), generate

    return intrinsic(typed)


load, load_few = _loading(CELLS), _loading(4)
add, subtract = _of_two("uadd.sat"), _of_two("usub.sat")  # stop at 255, and at 0
higher, lower = _of_two("umax"), _of_two("umin")


@intrinsic
def highest(_typing: Any, vector: Any) -> Any:
    """The highest byte."""

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(8), [given[0].type])
        name = f"llvm.vector.reduce.umax.v{vector.width}i8"
        return builder.call(get_or_insert_function(builder.module, kind, name), given)

    return types.uint8(vector), generate


@intrinsic
def prefetch(_typing: Any, array: Any, _at: Any) -> Any:
    """Fetch the line of array[at] into the cache: uint8 (n,)."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.gep(context.make_array(signature.args[0])(context, builder, given[0]).data, [given[1]])
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        builder.call(ask, [place, word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
