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


@compiled(allocates=True)
def fill(images, counts, events, columns, rows, layout):
    """Weights of events in boxes of 2 x 2 cells: uint8 (SUBSLICES, SECTORS + 1, room).

    counts: uint8 (SUBSLICES, SECTORS + 1, room), used: of single cells. columns, rows: int64 (2, SECTORS + 1, side), by polarity
    and direction the cell in which each pixel's events fall.
    """
    differ = not (np.all(columns[:, 1:] == columns[:, :1]) and np.all(rows[:, 1:] == rows[:, :1]))
    directions = images.shape[1] if differ else 1
    for part in range(images.shape[0]):
        for k in range(directions):
            counts[part, k] = 0
    for k in range(directions):
        for i in range(len(events.weight)):
            polarity = np.int64(events.on[i])
            column, row = columns[polarity, k, events.x[i]], rows[polarity, k, events.y[i]]
            if 0 <= column <= layout.width and 0 <= row <= layout.height:
                at = layout.margin + row * layout.stride + column
                counts[events.subslice[i], k, at] = _add(counts[events.subslice[i], k, at], events.weight[i])
    return directions


@compiled()
def _box(out, a, b, c, d, mask, n):
    for i in range(n):
        out[i] = _lower(_add(_add(a[i], b[i]), _add(c[i], d[i])), mask[i])


@compiled()
def boxes(images, counts, directions, mask, layout):
    """Sums over boxes of 2 x 2 cells that begin at each cell; the same for all directions where only one is given."""
    at, stride = layout.margin, layout.stride
    for part in range(images.shape[0]):
        for k in range(images.shape[1]):
            own = counts[part, k if k < directions else 0]
            _box(images[part, k, at:], own[at:], own[at + 1 :], own[at + stride :], own[at + stride + 1 :], mask, layout.cells)


@compiled()
def _sum_of_two(out, a, b, mask, n):
    for i in range(n):
        out[i] = _lower(_add(a[i], b[i]), mask[i])


@compiled()
def build(images, below, first, offset, mask, layout):
    """The sums of a level, uint8 (spans, n, room), from those below, uint8 (2 * spans, m, room)."""
    at = layout.margin
    for span in range(images.shape[0]):
        for k in range(len(first)):
            second = below[2 * span + 1, first[k], at + offset[k] :]
            _sum_of_two(images[span, k, at:], below[2 * span, first[k], at:], second, mask, layout.cells)


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
def update(state, images, last, mask, layout, costs):
    """One interval of all maps. images: uint8 (2, m, room), of the halves of the interval."""
    stride, n = layout.stride, layout.cells
    for k in range(len(last.first)):
        at, before, row = layout.margin - last.move[k], state.maps[k], state.row  # where the cells come from
        start = at - stride
        _beside(row[start:], before[start:], before[start - 1 :], before[start + 1 :], costs.side, n + 2 * stride)
        first, second = images[0, last.first[k], at:], images[1, last.first[k], at + last.offset[k] :]
        out, above, below = state.maps[k, layout.margin :], row[at - stride :], row[at + stride :]
        state.top[k] = _after(out, row[at:], above, below, first, second, mask, costs, n)


@compiled()
def clear(potential, boxes, stride, margin):
    """Set boxes (n, 4) of all maps to 0."""
    for k in range(len(potential)):
        for i in range(len(boxes)):
            for y in range(boxes[i, 2], boxes[i, 3] + 1):
                at = margin + y * stride
                potential[k, at + boxes[i, 0] : at + boxes[i, 1] + 1] = 0
