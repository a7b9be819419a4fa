"""Objects made one that share components of coarse neurons for much of the time that both are seen (ours).

Where a thing swings, stands still for a moment and goes on, or touches another, it is seen in pieces, each of which lives on as a
track of its own. What they keep is contact: coarse neurons see them as one component, time and again. Two things that meet do so
for a while only; where they keep to each other for long, they go different ways in the meantime.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from .course import Course
from .event_kernels import count_pairs
from .kinship import TOGETHER_SHARE, TOGETHER_US, VETO, outlines_terms
from .outlines import while_both

TOUCH = 0.4
"""Objects that share a component for this share of the time that both are seen are one, unless their motion says that they are
two."""

SEEN, FEWEST = 5, 50
"""An object is seen at a moment by so many events in components; with fewer than so many in all none is looked at."""


class Components(NamedTuple):
    """Which component each event is in.

    Attributes:
        of_event: int32 (n,), its number at its moment, from 1, 0 for none.
        begins: int64 (moments + 1,), where the events of each moment begin.
        hop_us: between moments, µs.
    """

    of_event: np.ndarray
    begins: np.ndarray
    hop_us: int


def touching(courses: Sequence[Sequence[Course]], of_event: np.ndarray, components: Components) -> np.ndarray:
    """Which objects are one, those that touch for most of the time first.

    Args:
        courses: of each of m objects.
        of_event: int32 (n,), the object of each event + 1, 0 for none.
        components: that the events are in.

    Returns:
        int64 (m,), the number of the object that each has become.
    """
    number = np.arange(len(courses))
    own = {k: list(theirs) for k, theirs in enumerate(courses)}
    held = _held(of_event, components, len(courses))
    two: dict[tuple[int, int], bool] = {}
    merged = True
    while merged:
        merged = False
        for one, other in _pairs(held, components.hop_us):
            if (one, other) not in two:
                two[one, other] = _parted(own[one], own[other])
            if not two[one, other]:
                own[one] += own.pop(other)
                number[number == other] = one
                held = held._replace(thing=np.where(held.thing == other, one, held.thing))
                two = {pair: known for pair, known in two.items() if one not in pair}
                merged = True
                break
    return number


def _parted(one: Sequence[Course], other: Sequence[Course]) -> bool:
    """Whether two objects move too differently to be one."""
    times, first, second = while_both(one, other)
    return bool(len(times)) and outlines_terms(first, second)[1] < VETO


class _Held(NamedTuple):
    """How many events of an object a component has: int64 (k,) each, for all pairs that have any.

    Attributes:
        thing: the object.
        moment: of the component.
        component: its number, of those of all moments.
        events: how many.
    """

    thing: np.ndarray
    moment: np.ndarray
    component: np.ndarray
    events: np.ndarray


def _held(of_event: np.ndarray, components: Components, m: int) -> _Held:
    """What the components hold of objects that are asked."""
    asked = np.flatnonzero(np.bincount(of_event, minlength=m + 1)[1:] >= FEWEST)
    short = np.zeros(m + 1, np.int32)
    short[asked + 1] = np.arange(1, len(asked) + 1)
    found, made = [], 0
    for moment, (first, last) in enumerate(itertools.pairwise(components.begins.tolist())):
        own = components.of_event[first:last]
        n = int(own.max(initial=0))
        counts = count_pairs(short[of_event[first:last]], own, len(asked), n)[1:, 1:]
        thing, component = np.nonzero(counts)
        found.append(np.stack([asked[thing], np.full(len(thing), moment), made + component, counts[thing, component]]))
        made += n
    return _Held(*np.concatenate([np.zeros((4, 0), np.int64), *found], 1))


def _pairs(held: _Held, hop_us: int) -> list[tuple[int, int]]:
    """Objects that touch: pairs, the lower number first, those that do so for most of the time first, of these the largest."""
    if not len(held.thing):
        return []
    (thing, component), events, moment = _summed(held)
    order = np.lexsort((component, -events, moment, thing))  # the first of an object and moment is the one that it is in
    thing, component, events, moment = thing[order], component[order], events[order], moment[order]
    first = np.flatnonzero(np.r_[True, (np.diff(thing) != 0) | (np.diff(moment) != 0)])
    is_seen = first[np.add.reduceat(events, first) >= SEEN]
    if not len(is_seen):
        return []
    thing, component, moment = thing[is_seen], component[is_seen], moment[is_seen]
    ones = np.ones(len(thing), np.int64)
    n = int(thing.max()) + 1
    is_in, is_there = (sparse.csr_array((ones, (thing, at)), (n, int(at.max()) + 1)) for at in (component, moment))
    shared = sparse.csr_array(sparse.triu(is_in @ is_in.T, 1))
    both = sparse.csr_array((is_there @ is_there.T).multiply(shared > 0))
    for counts in (shared, both):
        counts.sort_indices()
    (one, other), shared, both = shared.nonzero(), shared.data, both.data
    life = is_there.sum(1)
    share, size = shared / both, np.bincount(held.thing, held.events)
    touch = (share >= TOUCH) & (both * hop_us >= TOGETHER_US) & (both >= TOGETHER_SHARE * np.minimum(life[one], life[other]))
    order = np.lexsort((other, one, -(size[one] + size[other]), -share))
    order = order[touch[order]]
    return list(zip(one[order].tolist(), other[order].tolist(), strict=True))


def _summed(held: _Held) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of an object and a component once: int64 (2, k), their events and moments (k,)."""
    n = int(held.component.max()) + 1
    pair, first, inverse = np.unique(held.thing * n + held.component, return_index=True, return_inverse=True)
    return np.stack(np.divmod(pair, n)), np.bincount(inverse, held.events).astype(np.int64), held.moment[first]
