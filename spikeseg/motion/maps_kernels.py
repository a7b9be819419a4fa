# mypy: allow-untyped-defs, no-check-untyped-defs
"""Loops of `maps_compiled`: additions and comparisons of bytes that stop at 0 and 255, which compile to vector instructions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from spikeseg.core.compiled import compiled

from .receptive_field import REACH, WIDE
from .scales import LEVELS, SUBSLICES


class Layout(NamedTuple):
    """width, height: in cells; stride: bytes from row to row; margin: before the first; cells: of all rows, and on to a multiple
    of WHOLE; around: how far before the first and behind the last of these bytes events add to."""

    width: int
    height: int
    stride: int
    margin: int
    cells: int
    around: int


class Sources(NamedTuple):
    """The events of an interval, and what they add to which neurons.

    Attributes:
        at: int32 (n,), where the event's cell lies in the images of sub-slices.
        kind: int32 (n,), its polarity and place in its cell, see `ReceptiveField.weights`.
        weight: uint8 (n,), units.
        first: int64 (SECTORS + 1, kinds), by how many bytes from its cell the first of the neurons that see the event lies.
        added: uint8 (m,), `ReceptiveField.weights`, flat.
    """

    at: np.ndarray
    kind: np.ndarray
    weight: np.ndarray
    first: np.ndarray
    added: np.ndarray


class Sums(NamedTuple):
    """What is added up.

    Attributes:
        order: int64 (n, 5), of every sum its level, direction, the offset of its second half (bytes), its map, or the first one
            that is made of it, and what its map moves by (bytes; on the last level): depth first, so that it follows the sum
            below that it is made of.
        images: uint8 (2 * SUBSLICES - 2, room), used: of the spans of time of all levels but the last, for one branch at a time.
        counts: uint8 (SUBSLICES, room), used: of single cells, where receptive fields are boxes; else (0, room).
        mask: uint8 (cells,), 255 on the sensor, else 0.
    """

    order: np.ndarray
    images: np.ndarray
    counts: np.ndarray
    mask: np.ndarray


class Potentials(NamedTuple):
    """Of all maps, uint8 (K, room), changed; room for one map, uint8 (room,); the highest of each map, uint8 (K,)."""

    maps: np.ndarray
    row: np.ndarray
    top: np.ndarray


class Costs(NamedTuple):
    """uint8, units: of a step aside, and of an interval."""

    side: Any
    leak: Any


WHOLE = 256
"""Bytes that a loop takes at once."""

LINE = 64
"""Bytes of a line of the cache."""


def _bytewise(name: str) -> Any:
    """An LLVM intrinsic of two bytes."""

    @intrinsic
    def operation(_typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
        def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            byte = ir.IntType(8)
            return builder.call(builder.module.declare_intrinsic(name, [byte], ir.FunctionType(byte, [byte, byte])), given)

        return types.uint8(types.uint8, types.uint8), generate

    return operation


@intrinsic
def _add_row(_typing: Any, image: Any, at: Any, added: Any, first: Any) -> Any:  # noqa: ARG001
    """image[at : at + WIDE] += added[first : first + WIDE], up to 255: uint8 (n,) each."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        row = ir.VectorType(ir.IntType(8), WIDE)
        places = []
        for kind, array, index in ((signature.args[0], given[0], given[1]), (signature.args[2], given[2], given[3])):
            data = context.make_array(kind)(context, builder, array).data
            places.append(builder.bitcast(builder.gep(data, [index]), row.as_pointer()))
        rows = [builder.load(place, align=1) for place in places]
        add = get_or_insert_function(builder.module, ir.FunctionType(row, [row, row]), f"llvm.uadd.sat.v{WIDE}i8")
        builder.store(builder.call(add, rows), places[0], align=1)
        return context.get_dummy_value()

    return types.void(image, types.int64, added, types.int64), generate


@intrinsic
def _prefetch(_typing: Any, array: Any, at: Any) -> Any:  # noqa: ARG001
    """Fetch the line of array[at] into the cache: uint8 (n,)."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.gep(context.make_array(signature.args[0])(context, builder, given[0]).data, [given[1]])
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        builder.call(ask, [place, word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


_add, _subtract = _bytewise("llvm.uadd.sat"), _bytewise("llvm.usub.sat")
_higher, _lower = _bytewise("llvm.umax"), _bytewise("llvm.umin")


@compiled()
def pack(events, cell, layout, room, at, kind):
    """Fill in `Sources.at` and `Sources.kind`, int32 (n,). cell: px; room: of an image, bytes."""
    cells = 1 / cell  # a multiplication and a conversion take a tenth of a division's time; half a pixel, and no rounding matters
    for i in range(len(events.weight)):
        column, row = np.int64((events.x[i] + 0.5) * cells), np.int64((events.y[i] + 0.5) * cells)
        at[i] = events.subslice[i] * room + layout.margin + row * layout.stride + column
        kind[i] = (np.int64(events.on[i]) * cell + events.y[i] - row * cell) * cell + events.x[i] - column * cell


@compiled()
def _fill(images, sources, direction, stride):
    """What events add to the neurons around them, sub-slice by sub-slice, in one direction; beyond the sensor, too."""
    image, kinds = images.reshape(-1), sources.first.shape[1]
    for i in range(len(sources.weight)):
        kind = np.int64(sources.kind[i])
        at = sources.at[i] + sources.first[direction, kind]
        own = ((direction * 256 + sources.weight[i]) * kinds + kind) * WIDE * WIDE
        for row in range(WIDE):
            _add_row(image, at + row * stride, sources.added, own + row * WIDE)


@compiled()
def _zeroed(image, n):
    for i in range(n):
        image[i] = 0


@compiled()
def _masked(image, mask, n):
    for i in range(n):
        image[i] = _lower(image[i], mask[i])


@compiled()
def _count(counts, sources, direction, stride):
    """Weights of events, uint8 (SUBSLICES, room), of one direction: in the last cell of the neurons that count them."""
    count, first, last = counts.reshape(-1), sources.first[direction], REACH * (stride + 1)
    count[:] = 0
    for i in range(len(sources.weight)):
        at = np.uint64(sources.at[i] + first[np.uint32(sources.kind[i])] + last)
        count[at] = _add(count[at], sources.weight[i])


@compiled()
def _box(out, a, b, c, d, mask, n):
    for i in range(n):
        out[i] = _lower(_add(_add(a[i], b[i]), _add(c[i], d[i])), mask[i])


@compiled()
def _boxes(images, counts, mask, layout):
    """Sums over boxes of 2 x 2 cells that begin at each cell: what `_images` gives of flat fields, sooner."""
    at, stride = layout.margin, layout.stride
    for part in range(len(counts)):
        own = counts[part, at:]
        _box(images[part, at:], own, own[1:], own[stride:], own[stride + 1 :], mask, layout.cells)


@compiled()
def _images(images, sources, direction, mask, layout):
    """What the events of a direction add, sub-slice by sub-slice; nothing beyond the sensor."""
    for part in range(SUBSLICES):
        _zeroed(images[part, layout.margin :], layout.cells)
    _fill(images, sources, direction, layout.stride)
    for part in range(SUBSLICES):
        image = images[part, layout.margin - layout.around :]
        _zeroed(image, layout.around)
        _masked(image[layout.around :], mask, layout.cells)
        _zeroed(image[layout.around + layout.cells :], layout.around)


@compiled()
def _sum_of_two(out, a, b, mask, n):
    for i in range(n):
        out[i] = _lower(_add(a[i], b[i]), mask[i])


@compiled()
def _beside(out, here, left, right, side, n):
    for i in range(n):
        out[i] = _higher(here[i], _subtract(_higher(left[i], right[i]), side))


@compiled()
def _after(out, here, above, under, first, second, mask, costs, n):
    top = np.uint8(0)
    for i in range(n):
        best = _higher(here[i], _subtract(_higher(above[i], under[i]), costs.side))
        potential = _lower(_subtract(_add(_add(best, first[i]), second[i]), costs.leak), mask[i])
        out[i] = potential
        top = _higher(top, potential)
    return top


@compiled()
def _update(state, sums, below, n, layout, costs):
    """One interval of the map of sum n, of which `below` is the first half."""
    _, _, offset, k, move = sums.order[n]
    stride = layout.stride
    at, before, row = layout.margin - move, state.maps[k], state.row  # where the cells come from
    start, around = at - stride, (layout.cells + 2 * stride + WHOLE - 1) // WHOLE * WHOLE
    _beside(row, before[start:], before[start - 1 :], before[start + 1 :], costs.side, around)
    following = state.maps[sums.order[(n + 1) % len(sums.order), 3]]  # too many maps for the cache: the next one comes meanwhile
    for i in range(layout.margin, layout.margin + layout.cells, LINE):
        _prefetch(following, i)
    first, second = sums.images[below, at:], sums.images[below + 1, at + offset :]
    out, here, under = before[layout.margin :], row[stride:], row[2 * stride :]
    state.top[k] = _after(out, here, row, under, first, second, sums.mask, costs, layout.cells)


@compiled()
def step(state, sums, sources, differ, layout, costs):
    """One interval of all maps. differ: whether the directions do, in where events fall."""
    filled, margin, images = -1, layout.margin, sums.images
    for n in range(len(sums.order)):
        level, direction, offset = sums.order[n, :3]
        if level == 1 and (filled < 0 or (differ and direction != filled)):
            if len(sums.counts):
                _count(sums.counts, sources, direction, layout.stride)
                _boxes(images, sums.counts, sums.mask, layout)
            else:
                _images(images, sources, direction, sums.mask, layout)
            filled = direction
        below, here = 2 * SUBSLICES - (2 * SUBSLICES >> level - 1), 2 * SUBSLICES - (2 * SUBSLICES >> level)
        if level == LEVELS:
            _update(state, sums, below, n, layout, costs)
            continue
        for span in range(SUBSLICES >> level):
            second = images[below + 2 * span + 1, margin + offset :]
            _sum_of_two(images[here + span, margin:], images[below + 2 * span, margin:], second, sums.mask, layout.cells)


@compiled()
def _reaching(row, least, n):
    total = 0
    for i in range(n):
        total += row[i] >= least
    return total


@compiled()
def count(state, least, layout):
    """How many neurons reach a potential > 0."""
    total = 0
    for k in range(len(state.maps)):
        if state.top[k] >= least:
            total += _reaching(state.maps[k, layout.margin :], least, layout.cells)
    return total


@compiled()
def spikes(state, least, layout, found):
    """The neurons that reach a potential > 0, int64 (4, n), filled: map, column, row, potential."""
    n = 0
    for k in range(len(state.maps)):
        if state.top[k] < least:
            continue
        for y in range(layout.height):
            row = state.maps[k, layout.margin + y * layout.stride :]
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
