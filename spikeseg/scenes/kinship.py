"""Whether two pieces are parts of one thing, or two things that met: log odds from how near they keep and how they move (ours).

Parts of one thing lie next to each other, and what separates them keeps to a part of the size of the whole: they are rigid, or
swing. Two things come from somewhere and go elsewhere, so that the trend of their distance goes on. The further both go together,
the less likely do two things do so by chance. The gap between them counts in pixels, not in sizes: what parts pieces of one thing
is a place that sends few events. Its weight follows a logistic regression over pairs of pieces in simulated scenes; those of
motion were set by hand on the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .course import Course
from .track import Seen

TOGETHER_SHARE, TOGETHER_US = 0.5, 100_000
"""Pieces side by side are seen together for this share of the shorter one's life, and for so long, µs."""

NEAR, GAP = 6.5, 2.1
"""Log odds of two pieces with no gap between them; less GAP for every e-fold of 1 px and their mean gap ..."""

SWING = 0.33
"""... less half the square of the trend of their distance over that time, in this share of their size together; or, if that is
more, of what it lacks of the growth of both: parts of one thing that grows come apart as much as they grow ..."""

WAY, LEAST_PX, LEAST_SIZES = 0.4, 3.0, 0.1
"""... plus WAY for every e-fold of their common way, of which so many px, or this share of that size, count as none."""

VETO = -3.0
"""Pieces whose motion alone gives less than this are never of one thing, whatever lies between them."""

WHOLE, EDGE = 1.5, 10.0
"""Log odds that are taken off where both are whole, if the prior does not take off more: what passes a pixel leaves it as it was,
so that a thing sends ON and OFF alike; its edges do not. EDGE for each unit of the smaller surplus of the two makes up for it."""

STRAIGHT, ROUNDING = 1.5, 1e-6
"""How far pieces go together, by least squares, is less than so many times the range of their places; log odds are known to so
much."""

STEP_US = 10_000
"""Ways are compared at this interval, µs."""


Extent = tuple[np.ndarray, np.ndarray, np.ndarray]
"""See `Course.extent`; of several pieces float64 (n, 2) each."""


def common_us(one: Course, other: Course) -> float:
    """For how long both are there, µs."""
    return float(min(one.t[-1], other.t[-1]) - max(one.t[0], other.t[0]))


def log_odds(one: Course, other: Course, prior: float = 0.0) -> float:
    """Log odds that two pieces are of one thing; -inf where they are not seen together for long enough. prior: 0 or less."""
    life = min(one.t[-1] - one.t[0], other.t[-1] - other.t[0])
    if common_us(one, other) < max(TOGETHER_SHARE * life, TOGETHER_US):
        return -float("inf")
    return sum(terms(one, other)) + min(prior, whole_odds([one], [other]))


def most(one: Extent, other: Extent) -> np.ndarray:
    """No more than this do nearness and motion give together, of pieces of these extents: float64 (n,). It is told quickly: what
    lies far apart need not be compared."""
    (low, high, size), (low_b, high_b, size_b) = one, other
    gap = np.maximum(np.maximum(low - high_b, low_b - high) - (size + size_b) / 2, 0).max(-1)
    common = STRAIGHT * np.hypot(*(0.5 * (high - low + high_b - low_b)).T)
    return np.asarray(NEAR - GAP * np.log1p(gap) + WAY * np.log1p(common / LEAST_PX) + ROUNDING)


def whole_odds(one: Sequence[Course], other: Sequence[Course]) -> float:
    """What the surpluses of ON or OFF of two things, of these pieces, give."""
    return min(EDGE * min(abs(_surplus(one)), abs(_surplus(other))) - WHOLE, 0.0)


def met(courses: Sequence[Course]) -> float:
    """The share of its rows at which a thing shares a component with others."""
    return float(np.mean(np.concatenate([course.how for course in courses]) == Seen.MET))


def _surplus(courses: Sequence[Course]) -> float:
    return sum(course.events * course.surplus for course in courses) / max(sum(course.events for course in courses), 1)


def terms(one: Course, other: Course) -> tuple[float, float]:
    """What nearness and motion give while both are there."""
    return _terms(*_both(one, other))


def parted(one: Course, other: Course) -> bool:
    """Whether two pieces that are there at the same time move too differently to be of one thing."""
    return common_us(one, other) >= TOGETHER_US and terms(one, other)[1] < VETO


def outlines_terms(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The same of outlines, float64 (n, 4), at equal intervals at which both are there."""
    return _terms(*(part for own in (one, other) for part in (0.5 * (own[:, :2] + own[:, 2:]), own[:, 2:] - own[:, :2])))


def _both(one: Course, other: Course) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places and sizes of one, and of the other, while both are there: float64 (n, 2) each, px."""
    first, last = max(one.t[0], other.t[0]), min(one.t[-1], other.t[-1])
    t = np.linspace(first, last, max(int((last - first) // STEP_US), 2) + 1)
    return *one.at(t), *other.at(t)


def _terms(place: np.ndarray, size: np.ndarray, place_b: np.ndarray, size_b: np.ndarray) -> tuple[float, float]:
    """What nearness and motion give: see the constants."""
    gap = float(np.maximum(np.abs(place - place_b) - (size + size_b) / 2, 0).max(1).mean())
    outline = np.maximum(place + size / 2, place_b + size_b / 2) - np.minimum(place - size / 2, place_b - size_b / 2)
    whole = float(np.median(outline.max(1)))
    since = np.linspace(-0.5, 0.5, len(place))
    trend = since / max(float(since @ since), 1e-9)  # times places: how far they go in all that time, by least squares
    grows = [0.5 * float(trend @ np.log(own.prod(1))) for own in (size, size_b)]
    growth = min(grows, key=abs) if grows[0] * grows[1] > 0 else 0.0
    apart, common = place - place_b, float(np.hypot(*(trend @ (0.5 * (place + place_b)))))
    drift = max(float(np.hypot(*(trend @ apart - share * apart.mean(0)))) for share in (0.0, growth))
    way = WAY * np.log1p(common / max(LEAST_PX, LEAST_SIZES * whole))
    return float(NEAR - GAP * np.log1p(gap)), float(way - 0.5 * (drift / (SWING * whole)) ** 2)
