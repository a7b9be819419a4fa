"""Where a tracked object is: boxes around its events, each event moved along the object's motion to the moment (ours).

Within a window a fast object leaves a smear; moved along its motion the events of a long window show it as it is at one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .box_kernels import extents
from .course import Course
from .track import Seen

WINDOWS_US = (4_000, 8_000, 16_000, 32_000, 64_000)
"""Half lengths of the windows: the shortest that holds enough events counts."""

ENOUGH, PER_PX, FEW = 20, 2.0, 0.3
"""Events that make a box: so many, and so many for each pixel of its width and height; in the longest window this share of them
does. What stands still sends fewer, as many as noise in its place."""

OUTER, ROOT = 0.005, 0.2
"""Of n events OUTER * n + ROOT * sqrt(n) are left out at each side, as some are noise that lies beside."""

ALONG_PX, BACK_PX, MOVES_PX_S = 0.8, 0.2, 20.0
"""Along its motion an object is so much shorter than what its events extend over, px, and so far behind it: a pixel sends events
from when an edge enters it until the edge leaves it. Where it moves by MOVES_PX_S or more, px/s."""

SLOPE_US = 50_000
"""A velocity is taken from the rows of a course within this time, µs."""

SLACK_US = 10_000
"""An object is there so long before it is first seen and after it is last seen, µs."""


class Boxes(NamedTuple):
    """Of one object: int64 (m,) t (µs); float64 (m, 2) place, size (px), velocity (px/s)."""

    t: np.ndarray
    place: np.ndarray
    size: np.ndarray
    velocity: np.ndarray


def boxes(
    t: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    courses: Sequence[Course],
    moments: np.ndarray,
    sensor_size: tuple[int, int],
) -> Boxes:
    """Boxes of an object at those moments at which it is there; where it sends too few events, between those before and after.
    There is none where all of it would lie outside the picture: it has left it, or not entered it yet.

    Args:
        t: int64 (n,), of its events, rising, µs.
        x: int64 (n,), px.
        y: int64 (n,), px.
        courses: of its pieces.
        moments: int64 (m,), rising, µs.
        sensor_size: (width, height), px.
    """
    covering = [_covered(course, moments) for course in courses]
    there = np.any(covering, axis=0)
    at = moments[there]
    velocity, place, size = (np.zeros((len(at), 2)) for _ in range(3))
    weight = np.zeros(len(at))
    for course, own in zip(courses, covering, strict=True):
        inside = own[there]
        place_c, size_c = course.at(at[inside])
        area = size_c.prod(1)
        larger = area > weight[inside]
        index = np.flatnonzero(inside)[larger]
        velocity[index], weight[index] = _slopes(course, at[index]), area[larger]
        place[index], size[index] = place_c[larger], size_c[larger]
    windows = np.array(WINDOWS_US)
    enough = np.maximum(ENOUGH, np.ceil(PER_PX * size.sum(1))).astype(np.int64)
    found = extents(t, x, y, at, velocity, windows, enough, OUTER, ROOT)
    lone = np.isnan(found[:, 0])
    few = np.ceil(FEW * enough[lone]).astype(np.int64)
    found[lone] = extents(t, x, y, at[lone], velocity[lone], windows[-1:], few, OUTER, ROOT)
    known = np.isfinite(found[:, 0])
    if known.any():
        place, size = _of_pixels(found[known], velocity[known])
        place, size = (np.stack([np.interp(at, at[known], own[:, k]) for k in (0, 1)], 1) for own in (place, size))
    seen = np.all((place + size / 2 > 0) & (place - size / 2 < np.array(sensor_size) - 1), axis=1)
    return Boxes(at[seen], place[seen], size[seen], velocity[seen])


def _of_pixels(found: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and sizes, float64 (n, 2) each, px, of what events extend over (n, 4) and velocities (n, 2), px/s."""
    speed = np.hypot(*velocity.T)[:, None]
    along = np.divide(velocity, speed, out=np.zeros_like(velocity), where=speed >= MOVES_PX_S)
    place = 0.5 * (found[:, :2] + found[:, 2:]) - BACK_PX * along
    return place, np.maximum(found[:, 2:] - found[:, :2] + 1.0 - ALONG_PX * np.abs(along), 1.0)


def _covered(course: Course, moments: np.ndarray) -> np.ndarray:
    """Whether the object is there, seen or standing still: bool (m,)."""
    hidden = np.flatnonzero(course.how == Seen.HIDDEN)
    starts, ends = np.r_[course.t[0], course.t[hidden]], np.r_[course.t[hidden - 1], course.t[-1]]
    covered = np.zeros(len(moments), bool)
    for start, end in zip(starts, ends, strict=True):
        covered |= (moments >= start - SLACK_US) & (moments <= end + SLACK_US)
    return covered


def _slopes(course: Course, moments: np.ndarray) -> np.ndarray:
    """Velocities at moments: float64 (m, 2), px/s, by least squares over the rows nearby."""
    first = np.searchsorted(course.t, moments - SLOPE_US)
    last = np.searchsorted(course.t, moments + SLOPE_US, side="right")
    since = (course.t - course.t[0]) * 1e-6

    def sums(values: np.ndarray) -> np.ndarray:
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, 0)])
        return np.asarray(total[last] - total[first])

    n = np.maximum(last - first, 1)[:, None]
    s, p = sums(since)[:, None], sums(course.place)
    ss, sp = sums(since**2)[:, None], sums(since[:, None] * course.place)
    spread = ss - s * s / n
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (sp - s * p / n) / spread
    return np.where((spread > 1e-9) & (n >= 3), slope, 0.0)
