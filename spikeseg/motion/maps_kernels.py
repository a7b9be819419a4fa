# mypy: allow-untyped-defs, no-check-untyped-defs
"""Loops of `maps_compiled`: additions and comparisons of bytes that stop at 0 and 255, which compile to vector instructions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from spikeseg.core.compiled import compiled


class Layout(NamedTuple):
    """width, height: in cells; stride: bytes from row to row; margin: before the first; cells: stride * height."""

    width: int
    height: int
    stride: int
    margin: int
    cells: int


class Last(NamedTuple):
    """Of every map: the image that both halves of the interval take, int64 (K,); where the second half lies, and what the map
    moves by, in bytes, int64 (K,) each."""

    first: np.ndarray
    offset: np.ndarray
    move: np.ndarray


class Potentials(NamedTuple):
    """Of all maps, uint8 (K, room), changed; room for one map, uint8 (room,); the highest of each map, uint8 (K,)."""

    maps: np.ndarray
    row: np.ndarray
    top: np.ndarray


class Costs(NamedTuple):
    """uint8, units: of a step aside, and of an interval."""

    side: Any
    leak: Any


def _bytewise(name: str) -> Any:
    """An LLVM intrinsic of two bytes."""

    @intrinsic
    def operation(_typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
        def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            byte = ir.IntType(8)
            return builder.call(builder.module.declare_intrinsic(name, [byte], ir.FunctionType(byte, [byte, byte])), given)

        return types.uint8(types.uint8, types.uint8), generate

    return operation


_add, _subtract = _bytewise("llvm.uadd.sat"), _bytewise("llvm.usub.sat")
_higher, _lower = _bytewise("llvm.umax"), _bytewise("llvm.umin")


@compiled()
def pack(events, width, height, room, packed):
    """Fill in, int32 (3, n): where each event's pixel is in the columns and the rows of `fill`, and its sub-slice in the counts."""
    for i in range(len(events.weight)):
        polarity = np.int64(events.on[i])
        packed[0, i] = polarity * width + events.x[i]
        packed[1, i] = polarity * height + events.y[i]
        packed[2, i] = events.subslice[i] * room


@compiled()
def fill(counts, packed, weight, columns, rows):
    """Weights of events in single cells of one direction, flat (SUBSLICES * room,).

    columns, rows: int32 (2 * side,), by polarity and pixel where in an image its column, and its row, lies; far below 0: nowhere.
    """
    counts[:] = 0
    for i in range(len(weight)):
        at = columns[packed[0, i]] + rows[packed[1, i]]
        if at >= 0:
            at += packed[2, i]
            counts[at] = _add(counts[at], weight[i])


@compiled()
def _box(out, a, b, c, d, mask, n):
    for i in range(n):
        out[i] = _lower(_add(_add(a[i], b[i]), _add(c[i], d[i])), mask[i])


@compiled()
def boxes(images, counts, mask, layout):
    """Sums over boxes of 2 x 2 cells that begin at each cell."""
    at, stride = layout.margin, layout.stride
    for part in range(len(counts)):
        own = counts[part]
        _box(images[part, at:], own[at:], own[at + 1 :], own[at + stride :], own[at + stride + 1 :], mask, layout.cells)


@compiled()
def _sum_of_two(out, a, b, mask, n):
    for i in range(n):
        out[i] = _lower(_add(a[i], b[i]), mask[i])


@compiled()
def _beside(out, here, left, right, side, n):
    for i in range(n):
        out[i] = _higher(here[i], _subtract(_higher(left[i], right[i]), side))


@compiled()
def _after(out, here, above, below, first, second, mask, costs, n):
    top = np.uint8(0)
    for i in range(n):
        best = _higher(here[i], _subtract(_higher(above[i], below[i]), costs.side))
        potential = _lower(_subtract(_add(_add(best, first[i]), second[i]), costs.leak), mask[i])
        out[i] = potential
        top = _higher(top, potential)
    return top


@compiled()
def update(state, first, second, offset, k, move, mask, layout, costs):
    """One interval of map k."""
    stride, n = layout.stride, layout.cells
    at, before, row = layout.margin - move, state.maps[k], state.row  # where the cells come from
    start = at - stride
    _beside(row[start:], before[start:], before[start - 1 :], before[start + 1 :], costs.side, (n + 2 * stride + 255) // 256 * 256)
    out, above, below = state.maps[k, layout.margin :], row[at - stride :], row[at + stride :]
    state.top[k] = _after(out, row[at:], above, below, first[at:], second[at + offset :], mask, costs, n)


@compiled()
def step(state, images, counts, packed, weight, columns, rows, program, differ, mask, layout, costs):
    """One interval of all maps."""
    held, total = -1, len(images)
    levels = 4
    for n in range(len(program)):
        level, direction, offset, k, move = program[n]
        if level == 1:
            if not differ: direction = 0
            if direction != held:
                fill(counts.reshape(-1), packed, weight, columns[direction], rows[direction])
                boxes(images, counts, mask, layout)
                held = direction
        below = total + 2 - (total+2 >> level - 1)
        if level == levels:
            update(state, images[below], images[below + 1], offset, k, move, mask, layout, costs)
            continue
        here = total + 2 - (total+2 >> level)
        for span in range(here - below >> 1):
            second = images[below + 2 * span + 1, layout.margin + offset:]
            _sum_of_two(images[here + span, layout.margin:], images[below + 2 * span, layout.margin:], second, mask, layout.cells)


@compiled()
def _reaching(row, least, n):
    total = 0
    for i in range(n):
        total += row[i] >= least
    return total


@compiled()
def count(maps, top, least, layout):
    """How many neurons reach a potential > 0."""
    total = 0
    for k in range(len(maps)):
        if top[k] >= least:
            total += _reaching(maps[k, layout.margin :], least, layout.cells)
    return total


@compiled()
def spikes(maps, top, least, layout, found):
    """The neurons that reach a potential > 0, int64 (4, n), filled: map, column, row, potential."""
    n = 0
    for k in range(len(maps)):
        if top[k] < least:
            continue
        for y in range(layout.height):
            row = maps[k, layout.margin + y * layout.stride :]
            if _reaching(row, least, layout.width) == 0:
                continue
            for x in range(layout.width):
                if row[x] >= least:
                    found[0, n], found[1, n], found[2, n], found[3, n] = k, x, y, row[x]
                    n += 1


@compiled()
def clear(potential, boxes, stride, margin):
    """Set boxes (n, 4) of all maps to 0."""
    for k in range(len(potential)):
        for i in range(len(boxes)):
            for y in range(boxes[i, 2], boxes[i, 3] + 1):
                at = margin + y * stride
                potential[k, at + boxes[i, 0] : at + boxes[i, 1] + 1] = 0
