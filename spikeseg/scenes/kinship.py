"""Whether two pieces are parts of one thing, or two things that met: log odds from how near they keep and how they move (ours).

Parts of one thing lie next to each other, and what separates them keeps to a part of the size of the whole: they are rigid, or
swing. Two things come from somewhere and go elsewhere, so that the trend of their distance goes on. The further both go together,
the less likely do two things do so by chance. The gap between them counts in pixels, not in sizes: what parts pieces of one thing
is a place that sends few events. Its weight follows a logistic regression over pairs of pieces in simulated scenes; those of
motion were set by hand on the same.
"""

from __future__ import annotations

import numpy as np

from .course import Course

TOGETHER_SHARE, TOGETHER_US = 0.5, 100_000
"""Pieces side by side are seen together for this share of the shorter one's life, and for so long, µs."""

NEAR, GAP = 6.5, 2.1
"""Log odds of two pieces with no gap between them; less GAP for every e-fold of 1 px and their mean gap ..."""

SWING = 0.33
"""... less half the square of the trend of their distance over that time, in this share of their size together ..."""

WAY, LEAST_PX, LEAST_SIZES = 0.4, 3.0, 0.1
"""... plus WAY for every e-fold of their common way, of which so many px, or this share of that size, count as none."""

VETO = -3.0
"""Pieces whose motion alone gives less than this are never of one thing, whatever lies between them."""

WHOLE, EDGE = 1.5, 10.0
"""Log odds that are taken off pieces that are each whole, as what passes sends as many ON as OFF; less EDGE for each unit of the
smaller one's surplus of either."""

STEP_US = 10_000
"""Ways are compared at this interval, µs."""


def common_us(one: Course, other: Course) -> float:
    """For how long both are there, µs."""
    return float(min(one.t[-1], other.t[-1]) - max(one.t[0], other.t[0]))


def log_odds(one: Course, other: Course, prior: float = 0.0) -> float:
    """Log odds that two pieces are of one thing, `prior` added; -inf where they are not seen together for long enough."""
    life = min(one.t[-1] - one.t[0], other.t[-1] - other.t[0])
    if common_us(one, other) < max(TOGETHER_SHARE * life, TOGETHER_US):
        return -float("inf")
    return prior + sum(terms(one, other)) + whole_odds(one.surplus, other.surplus)


def whole_odds(one: float, other: float) -> float:
    """What the surpluses of ON of two pieces give."""
    return min(EDGE * min(abs(one), abs(other)) - WHOLE, 0.0)


def terms(one: Course, other: Course) -> tuple[float, float]:
    """What nearness and motion give while both are there."""
    return _terms(*_both(one, other))


def parted(one: Course, other: Course) -> bool:
    """Whether two pieces that are there at the same time move too differently to be of one thing."""
    return common_us(one, other) >= TOGETHER_US and terms(one, other)[1] < VETO


def outlines_odds(one: np.ndarray, other: np.ndarray) -> float:
    """The same of outlines, float64 (n, 4), at equal intervals at which both are there."""
    return sum(_terms(*(part for own in (one, other) for part in (0.5 * (own[:, :2] + own[:, 2:]), own[:, 2:] - own[:, :2]))))


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
    drift, common = (float(np.hypot(*(trend @ of))) for of in (place - place_b, 0.5 * (place + place_b)))
    way = WAY * np.log1p(common / max(LEAST_PX, LEAST_SIZES * whole))
    return float(NEAR - GAP * np.log1p(gap)), float(way - 0.5 * (drift / (SWING * whole)) ** 2)
