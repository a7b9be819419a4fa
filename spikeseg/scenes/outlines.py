"""Outlines of objects over time, and objects made one that lie over each other or stay by a far larger one (ours)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .course import Course

STEP_US = 20_000
"""Outlines are compared at this interval, µs."""

OVER_PX, OVER_AREA, OVER_SHARE = 4.0, 0.6, 0.8
"""Two things, of which one covers this share of the other's area, or of that within so many px, for this share of its life, are
one; a moment of it counts as its mean side then: what little is left of a piece in the end may be anything."""

SMALL, BY, BY_SHARE = 0.2, 0.2, 0.7
"""A thing with no more than this share of another one's events, and no further from it than this share of its size for this share
of its own life, its moments weighed as above, is a part of it."""


def moments_of(courses: Sequence[Course]) -> np.ndarray:
    """Times at which outlines are compared: float64 (n,), µs."""
    first, last = min(course.t[0] for course in courses), max(course.t[-1] for course in courses)
    return np.linspace(first, last, max(-(-int(last - first) // STEP_US), 1) + 1)


def outline(courses: Sequence[Course], times: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom of all pieces at times (n,), NaN where none is there: float64 (n, 4), px."""
    joint = None
    for course in courses:
        place, size = course.at(times)
        box = np.empty((len(times), 4))
        box[:, :2], box[:, 2:] = place - size / 2, place + size / 2
        box[(times < course.t[0] - STEP_US / 2) | (times > course.t[-1] + STEP_US / 2)] = np.nan
        joint = box if joint is None else joined(joint, box)
    return np.full((len(times), 4), np.nan) if joint is None else joint


def while_both(one: Sequence[Course], other: Sequence[Course]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When two objects, of these pieces, are both there, float64 (n,), µs, and their outlines then, (n, 4) each, px."""
    times = moments_of([*one, *other])
    first, second = outline(one, times), outline(other, times)
    both = np.isfinite(first[:, 0]) & np.isfinite(second[:, 0])
    return times[both], first[both], second[both]


def gaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Between outlines (n, 4), px, the wider of the two axes' gaps: float64 (n,)."""
    return np.asarray(np.maximum(np.maximum(one[:, :2], other[:, :2]) - np.minimum(one[:, 2:], other[:, 2:]), 0).max(1))


def sizes(outlines: np.ndarray) -> np.ndarray:
    """The longer sides of outlines (n, 4), px: float64 (n,)."""
    return np.asarray((outlines[:, 2:] - outlines[:, :2]).max(1))


def extent_of(outlines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The extent of an outline (n, 4) as `Course.extent` is that of a course."""
    place, size = 0.5 * (outlines[:, :2] + outlines[:, 2:]), outlines[:, 2:] - outlines[:, :2]
    return np.fmin.reduce(place), np.fmax.reduce(place), np.fmax.reduce(size)


def over_each_other(outlines: Mapping[int, np.ndarray], number: np.ndarray) -> None:
    """Make objects one that lie over each other nearly all of the shorter one's life, the longest-lived first.

    Args:
        outlines: of pieces, (n, 4), by their places in `number`.
        number: int64 (m,), the object of each piece; changed in place.
    """
    merged = True
    while merged:
        merged = False
        boxes: dict[int, np.ndarray] = {}
        for k, own in outlines.items():
            old = boxes.get(int(number[k]))
            boxes[int(number[k])] = own if old is None else joined(old, own)
        order = sorted(boxes, key=lambda n: -int(np.isfinite(boxes[n][:, 0]).sum()))
        low, high = _extents([boxes[n] for n in order])
        for k, large in enumerate(order):
            meet = np.flatnonzero(((low[k + 1 :] < high[k] + OVER_PX) & (high[k + 1 :] > low[k] - OVER_PX)).all(1))
            over = [small for small in (order[k + 1 + n] for n in meet.tolist()) if _over(boxes[small], boxes[large])]
            for small in over:
                number[number == small] = large
            merged = bool(over)
            if merged:
                break


def parts_of(outlines: Sequence[np.ndarray], events: np.ndarray) -> np.ndarray:
    """Of each object the one that it stays by and is far smaller than, itself if there is none: int64 (m,).

    Args:
        outlines: of objects, (n, 4) each.
        events: int64 (m,), how many each has.
    """
    whole = np.arange(len(outlines))
    if not len(outlines):
        return whole
    order = np.argsort(-events, kind="stable")
    low, high = _extents(outlines)
    reach = BY * np.array([np.fmax.reduce(sizes(own)) for own in outlines])
    for rank, small in enumerate(order.tolist()):
        larger = order[:rank]
        larger = larger[(whole[larger] == larger) & (events[small] <= SMALL * events[larger])]
        apart = np.maximum(low[larger] - high[small], low[small] - high[larger]).max(1)  # whenever they are there
        near = larger[apart <= reach[larger]].tolist()
        whole[small] = next((large for large in near if _stays_by(outlines[small], outlines[large])), small)
    return whole


def joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """What holds both of two outlines (n, 4)."""
    both = np.fmin(one, other)
    np.fmax(one[:, 2:], other[:, 2:], out=both[:, 2:])
    return both


def _extents(outlines: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Left and top, and right and bottom, of all that each outline (n, 4) ever holds: float64 (m, 2) each."""
    stacked = np.stack(outlines)
    return np.fmin.reduce(stacked[..., :2], 1), np.fmax.reduce(stacked[..., 2:], 1)


def _over(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether outlines (n, 4) lie over each other for OVER_SHARE of the first one's life."""
    there = np.isfinite(one[:, 0])
    both = there & np.isfinite(other[:, 0])
    a, b = one[both], other[both]
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:] + OVER_PX) - np.maximum(a[:, :2], b[:, :2] - OVER_PX), 0).prod(1)
    area = (a[:, 2:] - a[:, :2]).prod(1)
    over = shared >= OVER_AREA * np.minimum(area, (b[:, 2:] - b[:, :2] + 2 * OVER_PX).prod(1))
    return bool(np.any(over) and _sides(a)[over].sum() >= OVER_SHARE * _sides(one[there]).sum())


def _stays_by(small: np.ndarray, large: np.ndarray) -> bool:
    """Whether an outline (n, 4) is next to another for BY_SHARE of its life."""
    there = np.isfinite(small[:, 0])
    both = there & np.isfinite(large[:, 0])
    near = gaps(small[both], large[both]) <= BY * sizes(large[both])
    return bool(np.any(near) and _sides(small[both])[near].sum() >= BY_SHARE * _sides(small[there]).sum())


def _sides(outlines: np.ndarray) -> np.ndarray:
    """The mean sides of outlines (n, 4), px: float64 (n,)."""
    return np.sqrt((outlines[:, 2:] - outlines[:, :2]).prod(1))
