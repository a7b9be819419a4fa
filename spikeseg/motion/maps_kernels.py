# mypy: allow-untyped-defs, no-check-untyped-defs
"""Loops of `maps_compiled`: column by column of vectors, from row to row, so that every cell is read once with its neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

from .byte_vectors import CELLS, add, everywhere, higher, highest, load, load_few, lower, prefetch, store, subtract
from .receptive_field import REACH, WIDE
from .scales import LEVELS, SUBSLICES


class Layout(NamedTuple):
    """Where the cells of images, and of maps, lie in flat memory: a margin, the rows of one, a margin, those of the next.

    width, height: of each, cells; stride: bytes from row to row; margin: bytes before the first row and behind the last; room:
    from one to the next. Maps, and images of all levels but the first, are 0 beyond the sensor.
    """

    width: int
    height: int
    stride: int
    margin: int
    room: int


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
        order: int64 (n, 5), of every sum its level, direction and the offset of its second half (bytes); on the last level, its
            map and what that moves by (bytes). Depth first, so that it follows the sum below that it is made of.
        images: uint8 (n,), used: 2 * SUBSLICES - 2 of them, of the spans of time of all levels but the last, for one branch at a
            time.
        counts: uint8 (n,), used: SUBSLICES of them, of single cells, where receptive fields are boxes; else (0,).
        mask: uint8 (n,), of the cells of a row: 255 on the sensor, else 0.
    """

    order: np.ndarray
    images: np.ndarray
    counts: np.ndarray
    mask: np.ndarray


class Potentials(NamedTuple):
    """Of all maps, uint8 (n,), changed: one place more than there are maps; the highest of each map, uint8 (K,)."""

    maps: np.ndarray
    top: np.ndarray


class Costs(NamedTuple):
    """uint8, units: of a step aside, and of an interval."""

    side: Any
    leak: Any


@compiled()
def pack(events, cell, layout, at, kind):
    """Fill in `Sources.at` and `Sources.kind`, int32 (n,). cell: px."""
    cells = 1 / cell  # a multiplication and a conversion take a tenth of a division's time; half a pixel, and no rounding matters
    for i in range(len(events.weight)):
        column, row = np.int64((events.x[i] + 0.5) * cells), np.int64((events.y[i] + 0.5) * cells)
        at[i] = events.subslice[i] * layout.room + layout.margin + row * layout.stride + column
        kind[i] = (np.int64(events.on[i]) * cell + events.y[i] - row * cell) * cell + events.x[i] - column * cell


@compiled()
def _images(images, sources, direction, layout):
    """What the events of a direction add to the neurons around them, sub-slice by sub-slice; beyond the sensor, too: no way leads
    back from there, so that it is added only to what is beyond in the end."""
    images[: SUBSLICES * layout.room + layout.margin] = 0
    kinds = sources.first.shape[1]
    for i in range(len(sources.weight)):
        kind = np.int64(sources.kind[i])
        at = sources.at[i] + sources.first[direction, kind]
        own = ((direction * 256 + sources.weight[i]) * kinds + kind) * WIDE * WIDE
        for row in range(WIDE):
            here = at + row * layout.stride
            store(images, here, add(load_few(images, here), load_few(sources.added, own + row * WIDE)))


@compiled()
def _count(counts, sources, direction, stride):
    """Weights of events, sub-slice by sub-slice, of one direction: in the last cell of the neurons that count them."""
    first, last = sources.first[direction], REACH * (stride + 1)
    counts[:] = 0
    for i in range(len(sources.weight)):
        at = np.uint64(sources.at[i] + first[np.uint32(sources.kind[i])] + last)
        counts[at] = min(np.int64(counts[at]) + np.int64(sources.weight[i]), 255)


@compiled()
def _boxes(images, counts, layout):
    """Sums over boxes of 2 x 2 cells that begin at each cell: what `_images` gives of flat fields, sooner."""
    stride = layout.stride
    for part in range(SUBSLICES):
        for x in range(0, layout.width, CELLS):
            at = part * layout.room + layout.margin + x
            above = add(load(counts, at), load(counts, at + 1))
            for _ in range(layout.height):
                under = add(load(counts, at + stride), load(counts, at + stride + 1))
                store(images, at, add(above, under))
                at, above = at + stride, under


@compiled()
def _sum_of_two(images, out, a, b, mask, layout):
    """The image at out: that at a, and that at b."""
    for x in range(0, layout.width, CELLS):
        own = load(mask, x)
        for at in range(x, x + layout.height * layout.stride, layout.stride):
            store(images, out + at, lower(add(load(images, a + at), load(images, b + at)), own))


@compiled(inlined=True)
def _beside(cells, at, side):
    return higher(load(cells, at), subtract(higher(load(cells, at - 1), load(cells, at + 1)), side))


@compiled()
def _update(maps, way, images, first, second, mask, layout, costs):
    """One interval of a map. -> its highest potential.

    way: where its cells go, where they come from, and where those of the next map are, which are fetched meanwhile.
    first, second: where the images of both halves of the interval lie for the first of its cells.
    """
    (out, before, coming), stride = way, layout.stride
    side, leak, top = everywhere(costs.side), everywhere(costs.leak), everywhere(np.uint8(0))
    for x in range(0, layout.width, CELLS):
        own = load(mask, x)
        above, here = _beside(maps, before + x - stride, side), _beside(maps, before + x, side)
        for at in range(x, x + layout.height * stride, stride):
            prefetch(maps, coming + at)
            under = _beside(maps, before + at + stride, side)
            best = higher(here, subtract(higher(above, under), side))
            gained = add(add(best, load(images, first + at)), load(images, second + at))
            potential = lower(subtract(gained, leak), own)
            store(maps, out + at, potential)
            top = higher(top, potential)
            above, here = here, under
    return highest(top)


@compiled()
def step(state, free, sums, sources, differ, layout, costs):
    """One interval of all maps. free: the place in memory without a map, which the first one takes, whose own the second takes,
    and so on; differ: whether the directions do, in where events fall."""
    filled, images, margin, room, places = -1, sums.images, layout.margin, layout.room, len(state.top) + 1
    for n in range(len(sums.order)):
        level, direction, offset, k, move = sums.order[n]
        if level == 1 and (filled < 0 or (differ and direction != filled)):
            if len(sums.counts):
                _count(sums.counts, sources, direction, layout.stride)
                _boxes(images, sums.counts, layout)
            else:
                _images(images, sources, direction, layout)
            filled = direction
        below, here = 2 * SUBSLICES - (2 * SUBSLICES >> level - 1), 2 * SUBSLICES - (2 * SUBSLICES >> level)
        if level == LEVELS:
            own, first = (free + 1) % places, below * room + margin - move
            way = free * room + margin, own * room + margin - move, (own + 1) % places * room + margin
            state.top[k] = _update(state.maps, way, images, first, first + room + offset, sums.mask, layout, costs)
            free = own
            continue
        for span in range(SUBSLICES >> level):
            first = (below + 2 * span) * room + margin
            _sum_of_two(images, (here + span) * room + margin, first, first + room + offset, sums.mask, layout)


@compiled()
def _reaching(cells, first, last, least):
    total = 0
    for i in range(first, last):
        total += cells[i] >= least
    return total


@compiled()
def count(state, places, least, layout):
    """How many neurons reach a potential > 0. places: int64 (K,), of the maps in memory."""
    total = 0
    for k in range(len(state.top)):
        if state.top[k] >= least:
            first = places[k] * layout.room + layout.margin
            total += _reaching(state.maps, first, first + layout.height * layout.stride, least)
    return total


@compiled()
def spikes(state, places, least, layout, found):
    """The neurons that reach a potential > 0, int64 (4, n), filled: map, column, row, potential."""
    n = 0
    for k in range(len(state.top)):
        if state.top[k] < least:
            continue
        for y in range(layout.height):
            first = places[k] * layout.room + layout.margin + y * layout.stride
            if _reaching(state.maps, first, first + layout.width, least) == 0:
                continue
            for x in range(layout.width):
                potential = state.maps[first + x]
                if potential >= least:
                    found[0, n], found[1, n], found[2, n], found[3, n] = k, x, y, potential
                    n += 1


@compiled()
def clear(state, boxes, layout):
    """Set boxes (n, 4) of all maps to 0."""
    for place in range(len(state.top) + 1):
        for i in range(len(boxes)):
            for y in range(boxes[i, 2], boxes[i, 3] + 1):
                row = place * layout.room + layout.margin + y * layout.stride
                state.maps[row + boxes[i, 0] : row + boxes[i, 1] + 1] = 0
