"""Two scales: what coarse neurons see as one thing is one, unless finer ones see things in it that go their own ways (ours).

Fine neurons tell things apart that are close to each other; of a thing of which little is seen, or whose parts move against each
other, they see pieces. Neurons of twice the size see it whole, but take neighbours for one. Both look: a coarse object that holds
several fine ones is one thing, unless two of these come apart.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .contact import FEWEST, Components, touching
from .course import Course
from .event_kernels import count_pairs, look_up_pairs, rename
from .kinship import VETO, met, most, outlines_terms, whole_odds
from .outlines import extent_of, gaps, joined, moments_of, outline, over_each_other, parts_of, sizes

HELD = 0.6
"""A coarse object holds a fine one if this share of the fine one's events is its own; objects of fewer than FEWEST events are not
looked at. It takes the place of what it holds, unless it has more of fine ones that it does not hold, as where it reaches over
another thing for a while, than it adds to the largest that it holds."""

UNSEEN = 0.15
"""A coarse object that holds only one fine one takes its place if the fine neurons see none of so large a share of its events."""

SHARE, MET = 0.03, 0.5
"""A fine object may be a thing of its own if it has this share of the coarse one's events, and shares a component with others for
less than this share of the time, as otherwise little is known of its way."""

WITHIN = 2.0
"""Log odds that are added where a coarse object holds two fine ones: it says that they are one thing."""

APART, FAR, NEARLY_ALL = 0.3, 0.65, 0.9
"""Two fine objects in a coarse one may be two things if this quantile of the gap between them is more than the share APART of
the coarse one's size; FAR where that keeps its size, as it does while parts swing in it: fine neurons then take now one, now
another part for the same."""

FREE = 0.1
"""Those that share components for less than this share of the time need not be that far apart; nor, in a coarse one that does not
keep its size, those that are no edges alone and whose odds are below VETO, if one of them has less than the share MET."""

LEAST_PX = 18.0
"""A coarse object below this size, a coarse neuron and its reach, does not tell whether the fine ones in it are one thing."""

COMMON, MAIN = 0.3, 0.2
"""Fine objects that are there together for less than this share of the shorter one's life take turns: they may be two things if
each has this share of the coarse one's events ..."""

STEADY = 1.35
"""... and the coarse object does not keep its size, which changes by more than this factor."""


class Objects(NamedTuple):
    """What is seen at a scale.

    Attributes:
        courses: of each object those of its pieces.
        of_event: int32 (n,), the object of each event + 1, 0 for none.
    """

    courses: list[list[Course]]
    of_event: np.ndarray


def combined(fine: Objects, coarse: Objects, components: Components, unseen: float = UNSEEN) -> Objects:
    """What two scales see together of the same events.

    Args:
        fine: what fine neurons see.
        coarse: what coarse ones see.
        components: of these, that the events are in.
        unseen: see UNSEEN.
    """
    n, m = len(fine.courses), len(coarse.courses)
    shared = count_pairs(coarse.of_event, fine.of_event, m, n)
    of_fine = shared[:, 1:].sum(0)
    courses = [*fine.courses, *coarse.courses]
    number = np.arange(n + m + 1)  # fine objects keep theirs, or get that of the coarse one
    whole = np.zeros(m + 1, bool)
    for k in range(1, m + 1):
        held = 1 + np.flatnonzero((shared[k, 1:] >= HELD * of_fine) & (of_fine >= FEWEST))
        events = int(shared[k].sum())
        others = events - int(shared[k, 0] + shared[k, held].sum())
        adds = events - others - int(shared[k, held].max(initial=0))  # to the largest that it holds
        more = len(held) > 1 or (len(held) == 1 and adds >= unseen * events)
        if events >= FEWEST and more:
            inside = [fine.courses[q - 1] for q in held.tolist()]
            part = _parts(coarse.courses[k - 1], inside, shared[k, held] / events)
            whole[k] = not part.any() and adds >= others
            for one in np.unique(part):
                number[held[part == one]] = held[part == one][0]
        if whole[k]:
            number[held] = n + k
    kept = np.r_[0, np.unique(np.r_[number[1 : n + 1], n + np.flatnonzero(whole)])]
    of_kept: dict[int, list[Course]] = {int(k): [] for k in kept[1:]}
    for k in [*(n + np.flatnonzero(whole)).tolist(), *range(1, n + 1)]:
        of_kept[int(number[k])] += courses[k - 1]
    rank = np.zeros(n + m + 1, np.int32)
    rank[kept] = np.arange(len(kept))
    unseen_by_fine = n + np.arange(m + 1)[whole]
    of_pair = np.tile(rank[number[: n + 1]], (m + 1, 1))  # of a coarse number and a fine one, 0 for none
    of_pair[whole, 0] = rank[unseen_by_fine]
    of_event = np.empty(len(fine.of_event), np.int32)
    look_up_pairs(coarse.of_event, fine.of_event, of_pair.astype(np.int32), of_event)
    things = list(of_kept.values())
    sent = np.bincount(of_pair.reshape(-1), shared.reshape(-1), len(kept))[1:]
    things, became = _made_one(things, touching(things, of_event, components))
    things, then = _belonging(things, np.bincount(became, sent, len(things)).astype(np.int64))
    rename(of_event, np.r_[0, then[became] + 1].astype(np.int32))
    return Objects(things, of_event)


def _parts(coarse: Sequence[Course], held: Sequence[Sequence[Course]], shares: np.ndarray) -> np.ndarray:
    """Which of the fine objects in a coarse one are one thing: int64 (n,), the number of that thing, all 0 where all are.

    Args:
        coarse: its courses.
        held: those of the fine objects, n of them.
        shares: of its events, float64 (n,).
    """
    times = moments_of(coarse)
    whole = outline(coarse, times)
    size = float(np.nanmedian(sizes(whole)))
    part = np.arange(len(held))
    if len(held) > 1 and size < LEAST_PX:
        return part
    things = [k for k, own in enumerate(held) if shares[k] >= SHARE]
    meets = [met(own) for own in held]
    outlines = {k: outline(own, times) for k, own in enumerate(held)}
    there = {k: np.isfinite(outlines[k][:, 0]) for k in outlines}
    low, high = np.nanquantile(np.sqrt((whole[:, 2:] - whole[:, :2]).prod(1)), (1 - NEARLY_ALL, NEARLY_ALL))
    grows = bool(high > STEADY * low)
    apart = size * (APART if grows else FAR)
    odds = np.zeros((len(held), len(held)))
    for rank, a in enumerate(things):
        for b in things[rank + 1 :]:
            both, seldom, often = there[a] & there[b], min(meets[a], meets[b]), max(meets[a], meets[b])
            if np.count_nonzero(both) >= max(COMMON * min(np.count_nonzero(there[a]), np.count_nonzero(there[b])), 1):
                near, motion = outlines_terms(outlines[a][both], outlines[b][both])
                edges = whole_odds(held[a], held[b])
                own = WITHIN + near + motion + edges
                gap = float(np.quantile(gaps(outlines[a][both], outlines[b][both]), NEARLY_ALL))
                asked = (grows and seldom < MET and edges < 0 and own < VETO) if gap <= apart and often >= FREE else often < MET
                odds[a, b] = own if asked else max(own, 0.0)
            elif often < MET and min(shares[a], shares[b]) >= MAIN and not _steady(whole, there[a], there[b]):
                odds[a, b] = -np.inf
            odds[b, a] = odds[a, b]
    if (odds >= 0).all():
        return np.zeros(len(held), np.int64)
    part = _linked(odds, things)
    extents = {k: extent_of(own) for k, own in outlines.items()}
    low, high, largest = np.array([extents[a] for a in things]).reshape(-1, 3, 2).swapaxes(0, 1)
    for k in sorted(set(range(len(held))) - set(things)):
        likely = WITHIN + most(extents[k], (low, high, largest)) > 0
        with_k = [(a, there[a] & there[k]) for a in itertools.compress(things, likely)]
        fits = [(WITHIN + sum(outlines_terms(outlines[a][t], outlines[k][t])), -a) for a, t in with_k if t.any()]
        best, a = max(fits, default=(0.0, 0))
        part[k] = part[-a] if best > 0 else part[k]
    return part


def _linked(odds: np.ndarray, things: Sequence[int]) -> np.ndarray:
    """The likeliest pairs made one first, as long as no two of what is made one are more likely two things: int64 (n,)."""
    part = np.arange(len(odds))
    pairs = [(-odds[a, b], a, b) for rank, a in enumerate(things) for b in things[rank + 1 :] if odds[a, b] > 0]
    for _, a, b in sorted(pairs):
        one, other = np.flatnonzero(part == part[a]), np.flatnonzero(part == part[b])
        if part[a] != part[b] and (odds[np.ix_(one, other)] >= 0).all():
            part[other] = part[a]
    return part


def _steady(whole: np.ndarray, one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a coarse object, outlines (n, 4), keeps its size while one piece of it, there at bool (n,), takes over from
    another."""
    size = np.sqrt((whole[:, 2:] - whole[:, :2]).prod(1))
    if not (np.isfinite(size[one]).any() and np.isfinite(size[other]).any()):
        return False
    a, b = float(np.nanmedian(size[one])), float(np.nanmedian(size[other]))
    return max(a, b) < STEADY * min(a, b) and float(np.nanquantile(size[one | other], 0.95)) < STEADY * max(a, b)


def _belonging(objects: list[list[Course]], events: np.ndarray) -> tuple[list[list[Course]], np.ndarray]:
    """Objects made one that lie over each other, and small ones part of far larger ones that they stay by, until none is left.

    Args:
        objects: of each its courses.
        events: of each how many it has, int64 (n,).

    Returns:
        the same of those that are left; which of them each has become, int64 (n,).
    """
    flat = [(k, course) for k, own in enumerate(objects) for course in own if course.lasts]
    if not flat:
        return objects, np.arange(len(objects))
    times = moments_of([course for _, course in flat])
    number = np.array([k for k, _ in flat], np.int64)
    outlines = {i: outline([course], times) for i, (_, course) in enumerate(flat)}
    whole = np.arange(len(objects))
    while True:
        over_each_other(outlines, number)
        whole[[k for k, _ in flat]] = number
        left = np.unique(number)
        things = [functools.reduce(joined, [outlines[i] for i in np.flatnonzero(number == k).tolist()]) for k in left]
        parts = parts_of(things, np.array([events[whole == k].sum() for k in left]))
        if np.array_equal(parts, np.arange(len(left))):
            break
        number = left[parts][np.searchsorted(left, number)]
    return _made_one(objects, whole)


def _made_one(objects: list[list[Course]], number: np.ndarray) -> tuple[list[list[Course]], np.ndarray]:
    """Objects of one number, int64 (n,), made one: see `_belonging`."""
    kept, became = np.unique(number, return_inverse=True)
    courses: list[list[Course]] = [[] for _ in kept]
    for k, own in enumerate(objects):
        courses[became[k]] += own
    return courses, became
