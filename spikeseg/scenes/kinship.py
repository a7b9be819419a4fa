"""Whether two pieces are parts of one thing or two things: log odds from how near they keep and how they move (ours).

Pieces of one thing lie next to each other, and their distance changes by a part of the size of the whole at most: it is rigid, or
its parts swing. Two things that meet come from somewhere and go elsewhere. The further both go together, the less likely is it
that two things do so by chance. Each of these is a term of the log odds; the distance from each other counts in pixels, not in
sizes: what parts pieces of one thing is a place that sends few events.
"""

from __future__ import annotations

import numpy as np

from .course import Course

TOGETHER_SHARE, TOGETHER_US = 0.5, 100_000
"""Pieces side by side are seen together for this share of the shorter one's life, and for so long, µs."""

NEAR, GAP = 6.5, 2.1
"""Log odds where there is no gap between them; GAP less for each time that 1 px and the mean gap are e times larger ..."""

SWING = 0.33
"""... less half the square of the change of their distance, in this share of their size together ..."""

WAY, LEAST_PX, LEAST_SIZES = 0.4, 3.0, 0.1
"""... and WAY more for each time that their common way is e times larger, from so many px or this share of that size on."""

SIDES = (0.0,)
STEP_US = 10_000
"""Ways are compared at this interval, µs."""


def common_us(one: Course, other: Course) -> float:
    """For how long both are there, µs."""
    return float(min(one.t[-1], other.t[-1]) - max(one.t[0], other.t[0]))


def log_odds(one: Course, other: Course, prior: float = 0.0) -> tuple[float, float]:
    """Log odds that two pieces are of one thing, and the part of it that motion gives; -inf where they are not seen together
    for long enough."""
    first, last = max(one.t[0], other.t[0]), min(one.t[-1], other.t[-1])
    life = min(one.t[-1] - one.t[0], other.t[-1] - other.t[0])
    none = -float("inf"), 0.0
    if last - first < max(TOGETHER_SHARE * life, TOGETHER_US):
        return none
    t = np.linspace(first, last, max(int((last - first) // STEP_US), 2) + 1)
    return terms(one, other, t, prior)


def motion_odds(one: Course, other: Course, prior: float) -> float:
    """Log odds."""
    return terms(one, other, one.t, prior)[0] if len(one.t) > 1 else prior


def terms(one: Course, other: Course, t: np.ndarray, prior: float) -> tuple[float, float]:
    """Log odds."""
    (place, size), (place_b, size_b) = one.at(t), other.at(t)
    gap = float(np.maximum(np.abs(place - place_b) - (size + size_b) / 2, 0).max(1).mean())
    outline = np.maximum(place + size / 2, place_b + size_b / 2) - np.minimum(place - size / 2, place_b - size_b / 2)
    whole = float(np.median(outline.max(1)))
    since = np.linspace(-0.5, 0.5, len(t))
    per_way = since / float(since @ since)
    common = float(np.hypot(*(per_way @ (place + place_b)))) / 2
    sides = [np.abs(per_way @ (place - place_b + side * (size - size_b))) for side in SIDES]
    drift = float(np.hypot(*np.min(sides, axis=0)))
    motion = WAY * np.log1p(common / max(LEAST_PX, LEAST_SIZES * whole)) - 0.5 * (drift / (SWING * whole)) ** 2
    return float(prior + NEAR - GAP * np.log1p(gap) + motion), float(motion)
