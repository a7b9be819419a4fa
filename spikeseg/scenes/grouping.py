"""Tracks of one object made one: pieces that follow each other behind something, and pieces side by side that move together
(ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .course import Course
from .outlines import moments_of, outline, over_each_other
from .track import SceneTrack, Seen

AGAIN_S, TWICE_S = 0.8, 0.03
"""A piece follows another one within AGAIN_S, s; they are there at the same time for TWICE_S at most."""

ASTRAY_SIZES, ASTRAY_PX, ASTRAY_WAY = 0.6, 5.0, 0.15
"""It lies where the other one leads, within this share of its size, so many px, and this share of the way between."""

ALIKE = 2.5
"""Sizes of the two differ by less than this factor."""

TOGETHER_SHARE, TOGETHER_US = 0.5, 100_000
"""Pieces side by side are seen together for this share of the shorter one's life, and for so long, µs."""

BESIDE_PX, BESIDE_SIZES, BESIDE_SHARE = 6.0, 0.6, 0.8
"""They lie next to each other, within so many px or this share of the larger one's size, for this share of that time ..."""

RIGID, ALIKE_WAY, ALIKE_PX, ALIKE_SIZES = 0.35, 0.5, 6.0, 0.25
"""... and their distance, in sizes of the two together, changes by less than RIGID, and by less than this share of their way, so
many px, or this share of their size together."""

TURNED_SHARE, TURNED_US, TURNED = 0.95, 500_000, 0.2
"""A thing that turns: its pieces are next to each other for this share of a time of TURNED_US and more, and their distance alone
changes by less than TURNED."""

SHARED, SHARED_LONE, LONE = 0.75, 0.6, 0.3
"""Pieces that share a component at this share of the moments at which both are there are one; the second, if one of them is by
itself at no more than the share LONE of its own moments."""

STEP_US = 10_000
"""Ways are compared at this interval, µs."""


def groups(tracks: Sequence[SceneTrack]) -> np.ndarray:
    """The object of each track: int64 (n,), from 0, in the order of their first tracks."""
    courses = {k: course for k, track in enumerate(tracks) if (course := Course.of(track)).lasts}
    whole = {k: course for k, course in courses.items() if not tracks[k].part_of}
    place = {track.id: k for k, track in enumerate(tracks)}
    number = np.arange(len(tracks))
    for k, track in enumerate(tracks):
        if track.part_of:
            number[number == k] = number[place[track.part_of]]
    for one, other in _following(whole):
        number[number == number[other]] = number[one]
    for one, other in _beside(whole):
        if number[one] != number[other] and _agree(
            whole, np.flatnonzero(number == number[one]), np.flatnonzero(number == number[other])
        ):
            number[number == number[other]] = number[one]
    for one, other in _shared(tracks, whole):
        number[number == number[other]] = number[one]
    if courses:
        times = moments_of(list(courses.values()))
        over_each_other({k: outline([course], times) for k, course in courses.items()}, number)
    _, first, inverse = np.unique(number, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _shared(tracks: Sequence[SceneTrack], courses: dict[int, Course]) -> list[tuple[int, int]]:
    """Pairs that share a component for most of the time for which both are there."""
    place = {track.id: k for k, track in enumerate(tracks)}
    pairs = []
    for k, course in courses.items():
        for other_id, moments in tracks[k].shared.items():
            other = place[other_id]
            if other <= k or other not in courses:
                continue
            first, last = max(course.t[0], courses[other].t[0]), min(course.t[-1], courses[other].t[-1])
            seen = min(int(np.count_nonzero((own.t >= first) & (own.t <= last))) for own in (course, courses[other]))
            lone = min(float(np.mean(own.how != Seen.MET)) for own in (course, courses[other]))
            if last - first >= TOGETHER_US and moments >= (SHARED_LONE if lone <= LONE else SHARED) * seen:
                pairs.append((k, other))
    return pairs


def _agree(courses: dict[int, Course], one: np.ndarray, other: np.ndarray) -> bool:
    """Whether no piece of one object moves differently from a piece of the other that is there at the same time."""
    return all(
        together(courses[a], courses[b])
        for a in one.tolist()
        for b in other.tolist()
        if a in courses and b in courses and _common(courses[a], courses[b]) >= TOGETHER_US
    )


def _common(one: Course, other: Course) -> float:
    """For how long both are there, µs."""
    return float(min(one.t[-1], other.t[-1]) - max(one.t[0], other.t[0]))


def _following(courses: dict[int, Course]) -> list[tuple[int, int]]:
    """Pairs of which the second follows the first; each follows one and is followed by one, the best fits first."""
    numbers = np.array(sorted(courses), np.int64)
    first = np.array([courses[k].t[0] for k in numbers.tolist()])
    fits = []
    for a in numbers.tolist():
        between = (first - courses[a].t[-1]) * 1e-6
        for b in numbers[(between >= -TWICE_S) & (between <= AGAIN_S)].tolist():
            fit = follows(courses[a], courses[b]) if a != b else float("inf")
            if fit < 1:
                fits.append((fit, a, b))
    fits.sort()
    followed: set[int] = set()
    following: set[int] = set()
    kept = []
    for _, a, b in fits:
        if a not in followed and b not in following:
            followed.add(a)
            following.add(b)
            kept.append((a, b))
    return kept


def follows(one: Course, other: Course) -> float:
    """How far the second lies from where the first leads, as a share of what is allowed; inf where it cannot follow it."""
    between = (other.t[0] - one.t[-1]) * 1e-6
    if not -TWICE_S <= between <= AGAIN_S:
        return float("inf")
    t_one, place_one, ahead, size_one = one.last_whole
    t_other, place_other, back, size_other = other.first_whole
    if not 1 / ALIKE < size_one / size_other < ALIKE:
        return float("inf")
    seconds = (t_other - t_one) * 1e-6
    if seconds <= 0:
        return float("inf")
    size = max(size_one, size_other)
    allowed = ASTRAY_SIZES * size + ASTRAY_PX + ASTRAY_WAY * float(np.hypot(*ahead)) * seconds
    ahead_of = float(np.hypot(*(place_one + ahead * seconds - place_other)))
    behind = float(np.hypot(*(place_other - back * seconds - place_one)))
    astray = min(ahead_of, behind)
    stood = float(np.hypot(*(place_one - place_other)))
    return min(astray, stood) / allowed


def _beside(courses: dict[int, Course]) -> list[tuple[int, int]]:
    """Pairs that move together side by side, those that do so for longest first."""
    numbers = np.array(sorted(courses), np.int64)
    first, last = (np.array([courses[k].t[end] for k in numbers.tolist()]) for end in (0, -1))
    pairs = []
    for n, a in enumerate(numbers.tolist()):
        common = np.minimum(last, last[n]) - np.maximum(first, first[n])
        later = numbers[(common >= TOGETHER_US) & (np.arange(len(numbers)) > n)]
        pairs += [(a, b) for b in later.tolist() if together(courses[a], courses[b])]
    return sorted(pairs, key=lambda pair: -_common(courses[pair[0]], courses[pair[1]]))


def together(one: Course, other: Course) -> bool:
    """Whether two pieces move as one: next to each other nearly always, and rigid, or growing as one."""
    first, last = max(one.t[0], other.t[0]), min(one.t[-1], other.t[-1])
    life = min(one.t[-1] - one.t[0], other.t[-1] - other.t[0])
    if last - first < max(TOGETHER_SHARE * life, TOGETHER_US):
        return False
    (low, high, most), (low_b, high_b, most_b) = one.extent, other.extent
    between = np.maximum(low - high_b, low_b - high) - (most + most_b) / 2
    if between.max() > max(BESIDE_PX, BESIDE_SIZES * float(np.maximum(most, most_b).max())) + 1e-6:
        return False  # they are never next to each other
    t = np.linspace(first, last, max(int((last - first) // STEP_US), 2) + 1)
    (place, size), (place_b, size_b) = one.at(t), other.at(t)
    gap = np.maximum(np.abs(place - place_b) - (size + size_b) / 2, 0).max(1)
    large = np.maximum(size.max(1), size_b.max(1))
    near = float(np.mean(gap <= np.maximum(BESIDE_PX, BESIDE_SIZES * large)))
    if near < BESIDE_SHARE:
        return False
    outline = np.maximum(place + size / 2, place_b + size_b / 2) - np.minimum(place - size / 2, place_b - size_b / 2)
    apart = (place - place_b) / outline.max(1)[:, None]
    part = max(1, len(t) // 6)
    change = np.median(apart[-part:], 0) - np.median(apart[:part], 0)
    moved = (place - place_b)[-1] - (place - place_b)[0]
    way = max(float(np.hypot(*(own[-1] - own[0]))) for own in (place, place_b))
    allowed = max(ALIKE_WAY * way, ALIKE_PX, ALIKE_SIZES * float(np.max(outline)))
    if float(np.hypot(*change)) < RIGID and float(np.hypot(*moved)) <= allowed:
        return True
    distance = np.hypot(*apart.T)
    turned = abs(float(np.median(distance[-part:]) - np.median(distance[:part])))
    return near >= TURNED_SHARE and last - first >= TURNED_US and turned < TURNED
