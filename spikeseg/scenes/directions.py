"""Two directions of time: what comes apart is what meets when time runs backwards (ours).

A track takes for one thing what shares a component from the first, while things that it knows already keep apart when they meet.
So what lies side by side as it is first seen is one track as time goes on, until it comes apart; tracks that come from the end
know both when these meet. Objects are found in both directions, and where they differ those that mix less are taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from .contact import FEWEST
from .course import Course
from .event_kernels import count_pairs
from .kinship import TOGETHER_US, VETO, outlines_terms, whole_odds
from .outlines import while_both
from .scales import NEARLY_ALL, SHARE, WITHIN, Objects

PART, MOST = 0.1, 0.2
"""An object is a part of one of the other direction if these share so much of the events of the smaller one; they have to do with
each other then. One holds two things if it has so much of each."""


def turned(objects: Objects, ends_us: int) -> Objects:
    """Objects of a recording that runs backwards, as they are in it. ends_us: the time of its first event and its last, added."""
    courses = [[course.turned(ends_us) for course in own] for own in objects.courses]
    return Objects(courses, np.ascontiguousarray(objects.of_event[::-1]))


def of_both(ahead: Objects, back: Objects) -> Objects:
    """Of objects that have to do with each other those that time backwards gives, if these mix less and are in no more pieces.

    Args:
        ahead: as time goes on.
        back: as time runs backwards, `turned`.

    Returns:
        ahead itself where nothing is taken from back.
    """
    n, m = len(ahead.courses), len(back.courses)
    counts = count_pairs(ahead.of_event, back.of_event, n, m)
    events, events_back = counts.sum(1)[1:], counts.sum(0)[1:]
    shared = counts[1:, 1:]
    part = sparse.csr_array((shared >= FEWEST) & (shared >= PART * np.minimum(events[:, None], events_back)))
    if not part.nnz:
        return ahead
    groups, group = sparse.csgraph.connected_components(sparse.block_array([[None, part], [part.T, None]]), directed=False)
    mixes, mixes_back = (
        _mixed(shared, events_back, back.courses, surely=True),
        _mixed(shared.T, events, ahead.courses, surely=False),
    )
    pieces = _pieces([*ahead.courses, *back.courses], group) & (np.r_[events, events_back] >= FEWEST)
    less_mixed = np.bincount(group, np.r_[mixes, -mixes_back], groups)
    fewer_pieces = np.bincount(group, pieces * np.r_[np.ones(n), -np.ones(m)], groups)
    largest = shared.argmax(1)[shared.argmax(0)] == np.arange(m)  # of those in the one that it is in
    fragments = np.bincount(group[n:], pieces[n:] & ~_elsewhere(shared, events_back) & ~largest, groups)
    better = (np.bincount(group[:n], mixes, groups) > 0) & (fragments == 0)
    better &= (np.minimum(less_mixed, fewer_pieces) >= 0) & (np.maximum(less_mixed, fewer_pieces) > 0)
    better = better[group]
    if not better.any():
        return ahead
    kept, taken = np.flatnonzero(~better[:n]), np.flatnonzero(better[n:])
    rank, rank_back = np.zeros(n + 1, np.int32), np.zeros(m + 1, np.int32)
    rank[kept + 1] = np.arange(1, len(kept) + 1)
    rank_back[taken + 1] = np.arange(len(kept) + 1, len(kept) + len(taken) + 1)
    of_back = rank_back[back.of_event]
    courses = [ahead.courses[k] for k in kept.tolist()] + [back.courses[k] for k in taken.tolist()]
    return Objects(courses, np.where(of_back > 0, of_back, rank[ahead.of_event]))


def _mixed(shared: np.ndarray, events: np.ndarray, others: Sequence[Sequence[Course]], *, surely: bool) -> np.ndarray:
    """How many events of each object are of a second thing, as objects of the other direction say of which one, at least, goes on
    elsewhere: int64 (n,).

    Args:
        shared: int64 (n, m), with each of those.
        events: int64 (m,), of those.
        others: their courses.
        surely: whether their motion alone has to tell them apart.
    """
    count = np.zeros(len(shared), np.int64)
    elsewhere = _elsewhere(shared, events)
    sent = shared.sum(1)
    for k, own in enumerate(shared):
        held = np.flatnonzero((own >= FEWEST) & (own >= SHARE * sent[k]) & (own >= MOST * events))
        held = held[np.argsort(-own[held], kind="stable")]
        for a, b in itertools.combinations(held.tolist(), 2):
            if (elsewhere[a] or elsewhere[b]) and _two(others[a], others[b], surely=surely):
                count[k] += own[b]
    return count


def _elsewhere(shared: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Which objects, of so many events, int64 (m,), have a part in more than one of the other direction: bool (m,)."""
    return np.asarray(((shared >= FEWEST) & (shared >= PART * events)).sum(0) > 1)


def _two(one: Sequence[Course], other: Sequence[Course], *, surely: bool) -> bool:
    """Whether two objects are more likely two things than one, or surely, while both are there."""
    times, first, second = while_both(one, other)
    if not len(times) or np.ptp(times) < TOGETHER_US:
        return False
    near, motion = outlines_terms(first, second)
    return motion < VETO if surely else WITHIN + near + motion + whole_odds(one, other) < 0


def _pieces(objects: Sequence[Sequence[Course]], group: np.ndarray) -> np.ndarray:
    """Which objects are there for less than nearly all of the time of their group: bool (n,). group: int64 (n,)."""
    times = [[course.t[k] for course in own for k in (0, -1)] for own in objects]
    begins, ends = np.array([min(own) for own in times]), np.array([max(own) for own in times])
    first, last = np.full(group.max() + 1, np.inf), np.full(group.max() + 1, -np.inf)
    np.minimum.at(first, group, begins)
    np.maximum.at(last, group, ends)
    return np.asarray(ends - begins < NEARLY_ALL * (last - first)[group])
