# mypy: allow-untyped-defs, no-check-untyped-defs
"""Additions and comparisons of potentials and weights as whole vectors.

The line of weights that one spike adds is short and starts at any offset. A compiled loop over a slice spends more time on
checking lengths and overlap than on adding; here neither is checked. Nor does a loop give a comparison as a bit mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from spikeseg.core.compiled import compiled
from spikeseg.core.splat import splat

LANES, NARROW = 32, 8
"""int32 added together, two cache lines, and at the end of a line of weights, which is padded with 0 to a multiple of NARROW."""
DOUBLES, WIDE = 4, 16
"""float64 added together: lines of weights are padded with 0 to a multiple of the first, and mostly short."""
TAPS = 8
"""float64 multiplied and summed together."""
WORD = 64
"""int32 compared together: the bits of a word."""

_INT, _DOUBLE = ir.IntType(32), ir.DoubleType()


def _load(context: Any, builder: Any, array: Any, given: Any, start: Any, kind: Any, lanes: int) -> tuple[Any, Any]:
    """The address of these numbers of a flat array, and the vector that they hold."""
    memory = context.make_array(array)(context, builder, given).data
    address = builder.bitcast(builder.gep(memory, [start]), ir.VectorType(kind, lanes).as_pointer())
    return address, builder.load(address, align=array.dtype.bitwidth // 8)


def _adding(kind: Any, lanes: int) -> Any:
    """v[start : start + lanes] += times * line[at : at + lanes], of flat memory of int32 or float64."""

    def typed(_typing: Any, v: Any, _start: Any, line: Any, _at: Any, _times: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            address, old = _load(context, builder, signature.args[0], given[0], given[1], kind, lanes)
            _, weights = _load(context, builder, signature.args[2], given[2], given[3], kind, lanes)
            times = splat(builder, given[4], lanes)
            if kind is _INT:
                new = builder.add(old, builder.mul(weights, times))
            else:
                new = builder.fadd(old, builder.fmul(weights, times))
            builder.store(new, address, align=v.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(v, types.intp, line, types.intp, v.dtype), generate

    return intrinsic(typed)


_add_lanes, _add_narrow = _adding(_INT, LANES), _adding(_INT, NARROW)
_add_doubles, _add_wide = _adding(_DOUBLE, DOUBLES), _adding(_DOUBLE, WIDE)


@intrinsic
def _add_apart(_typing: Any, v: Any, _start: Any, line: Any, _at: Any, factors: Any, _first: Any) -> Any:
    """v[start + DOUBLES * i :][:DOUBLES] += line[at + i] * factors[first :][:DOUBLES], for i < DOUBLES, of flat memory of
    float64."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, times = _load(context, builder, signature.args[4], given[4], given[5], _DOUBLE, DOUBLES)
        weights = context.make_array(signature.args[2])(context, builder, given[2]).data
        for i in range(DOUBLES):
            offset = ir.Constant(given[1].type, DOUBLES * i)
            address, old = _load(context, builder, signature.args[0], given[0], builder.add(given[1], offset), _DOUBLE, DOUBLES)
            own = builder.load(builder.gep(weights, [builder.add(given[3], ir.Constant(given[3].type, i))]))
            new = builder.fadd(old, builder.fmul(splat(builder, own, DOUBLES), times))
            builder.store(new, address, align=8)
        return context.get_dummy_value()

    size = types.intp
    return types.void(v, size, line, size, factors, size), generate


@intrinsic
def dot(_typing: Any, a: Any, _start: Any, _step: Any, b: Any, _at: Any, _stride: Any, _lines: Any) -> Any:
    """Sum of the products of `lines` lines of TAPS float64 each, of flat memory: of a from `start` on, `step` apart, and of b
    from `at` on, `stride` apart. Lane by lane, then in pairs."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind, lanes = ir.VectorType(_DOUBLE, TAPS), TAPS
        room = cgutils.alloca_once_value(builder, ir.Constant(kind, [0.0] * TAPS))
        builder.store(ir.Constant(kind, [0.0] * TAPS), room)
        with cgutils.for_range(builder, given[6]) as line:
            starts = (builder.add(given[n], builder.mul(line.index, given[n + 1])) for n in (1, 4))
            _, first = _load(context, builder, signature.args[0], given[0], next(starts), _DOUBLE, TAPS)
            _, second = _load(context, builder, signature.args[3], given[3], next(starts), _DOUBLE, TAPS)
            builder.store(builder.fadd(builder.load(room), builder.fmul(first, second)), room)
        sums = builder.load(room)
        while lanes > 1:
            lanes //= 2
            low, high = (
                builder.shuffle_vector(sums, sums, ir.Constant(ir.VectorType(_INT, lanes), list(range(n, n + lanes))))
                for n in (0, lanes)
            )
            sums = builder.fadd(low, high)
        return builder.extract_element(sums, ir.Constant(_INT, 0))

    size = types.intp
    return types.float64(a, size, size, b, size, size, size), generate


@intrinsic
def _reach_mask(_typing: Any, v: Any, theta: Any, _start: Any, _level: Any) -> Any:
    """Of WORD int32 from `start` on, which are at their thresholds: a bit each."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, potentials = _load(context, builder, signature.args[0], given[0], given[2], _INT, WORD)
        _, thresholds = _load(context, builder, signature.args[1], given[1], given[2], _INT, WORD)
        lifted = builder.sub(potentials, splat(builder, given[3], WORD))
        return builder.bitcast(builder.icmp_signed(">=", lifted, thresholds), ir.IntType(WORD))

    return types.uint64(v, theta, types.intp, types.int32), generate


@compiled()
def reach_mask(v, theta, start, level):
    """Which of the next WORD potentials are at their thresholds, the first in the lowest bit; fewer where v ends.

    Args:
        v: int32 (n,), contiguous, potentials.
        theta: int32 (n,), contiguous, thresholds.
        start: the first of them.
        level: int32, offset of the potentials above their true values.
    """
    if start + WORD <= v.size:
        return _reach_mask(v, theta, start, level)
    mask = np.uint64(0)
    for i in range(start, v.size):
        mask |= np.uint64(np.int32(v[i] - level) >= theta[i]) << np.uint64(i - start)
    return mask


def padded(numbers: int) -> int:
    """The padded length of a line of so many weights."""
    return -(-numbers // NARROW) * NARROW


@compiled()
def add_line(v, start, table, line, wide, times):
    """Add a line of weights, `times` times.

    Args:
        v: int32 (n,), contiguous; v[start : start + wide] changes.
        start: the first number that changes.
        table: int32 (..., wide), contiguous.
        line: the number of its line.
        wide: numbers of a line, see `padded`.
        times: int32.
    """
    i, at = 0, line * wide
    if wide == LANES:  # of most first layers: the loops take half as long as the addition
        _add_lanes(v, start, table, at, times)
        return
    while i + LANES <= wide:
        _add_lanes(v, start + i, table, at + i, times)
        i += LANES
    while i < wide:
        _add_narrow(v, start + i, table, at + i, times)
        i += NARROW


@compiled()
def add_scaled(v, start, table, at, numbers, factor):
    """Add so many numbers of a table from `at` on, times a factor, to those of v from `start` on: float64, flat; a multiple of
    DOUBLES of them."""
    i = 0
    while i + WIDE <= numbers:
        _add_wide(v, start + i, table, at + i, factor)
        i += WIDE
    while i < numbers:
        _add_doubles(v, start + i, table, at + i, factor)
        i += DOUBLES


@compiled()
def add_scaled_apart(v, start, table, at, numbers, factors, first):
    """`add_scaled` by DOUBLES factors at once, from number `first` of them on: of v there are so many numbers for each of the
    table's."""
    for i in range(0, numbers, DOUBLES):
        _add_apart(v, start + i * DOUBLES, table, at + i, factors, first)
