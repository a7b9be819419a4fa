"""Tracks of one object made one: pieces that follow each other behind something, and pieces side by side that are more likely
parts of one thing than two (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .course import LEAST_ROWS, Course
from .kinship import ROUNDING, TOGETHER_US, common_us, log_odds, most, outlines_terms, parted
from .outlines import STEP_US, moments_of, outline, over_each_other
from .track import SceneTrack

AGAIN_S, TWICE_S = 0.8, TOGETHER_US * 1e-6
"""A piece follows another one within AGAIN_S, s; they are there at the same time for TWICE_S at most: those that
are for longer are side by side."""

ASTRAY_SIZES, ASTRAY_PX, ASTRAY_WAY = 0.6, 5.0, 0.15
"""It lies where the other one leads, within this share of its size, so many px, and this share of the way between."""

ALIKE = 2.5
"""Sizes of the two differ by less than this factor. What is off in size, as a share of its logarithm, counts as that share of
ASTRAY_WAY does: the less a place says, as where a fast thing may have gone to, the more does it say that few are as large."""

SIGMAS, NEVER = 2.0, (float("inf"), float("inf"))
"""What is allowed, of place and of size, is so many standard deviations; of pieces that may follow, the likeliest does. Long
after, a piece may be anywhere, so that it is less likely where it is: a thing that leaves and comes again and again is followed
piece by piece."""

AGAINST = -1.0
"""Objects are two, whichever of their pieces lie next to each other, if nearness of the two wholes gives less than this."""

COARSE_PRIOR, AT_ONCE = -5.0, 0.4
"""Log odds that are added for coarse neurons: these reach across what parts pieces of one thing, so that what they see apart is
seldom one. This share of it at once, all of it where they see it for 1 s."""


def groups(tracks: Sequence[SceneTrack], prior: float = 0.0) -> np.ndarray:
    """The object of each track: int64 (n,), from 0, in the order of their first tracks; prior: see `kinship.log_odds`."""
    courses = {k: Course.of(track) for k, track in enumerate(tracks) if len(track.rows) >= LEAST_ROWS}
    place = {track.id: k for k, track in enumerate(tracks)}
    part_of = {k: place[track.part_of] for k, track in enumerate(tracks) if track.part_of}
    odds = {k: log_odds(courses[k], courses[own]) if {k, own} <= courses.keys() else -float("inf") for k, own in part_of.items()}
    part_of = {k: own for k, own in part_of.items() if not -float("inf") < odds[k] < 0}
    whole = {k: course for k, course in courses.items() if k not in part_of}
    telling = {k: course for k, course in courses.items() if k in whole or odds[k] == -float("inf")}
    number = np.arange(len(tracks))
    for k, own in part_of.items():
        number[number == k] = number[own]
    for one, other in [*_following(whole), *_beside(whole, prior)]:
        if number[one] != number[other] and _agree(
            telling, np.flatnonzero(number == number[one]), np.flatnonzero(number == number[other])
        ):
            number[number == number[other]] = number[one]
    if courses:
        times = moments_of(list(courses.values()))
        over_each_other({k: outline([course], times) for k, course in courses.items()}, number)
    _, first, inverse = np.unique(number, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _agree(courses: dict[int, Course], one: np.ndarray, other: np.ndarray) -> bool:
    """Whether no piece of one object moves differently from a piece of the other that is there at the same time, and the two
    wholes are near enough to be one. courses: of those that tell, without pieces that went with what they are a piece of, which
    tells for them."""
    ones, others = ([courses[k] for k in own.tolist() if k in courses] for own in (one, other))
    if any(parted(a, b) for a in ones for b in others):
        return False
    return not (ones and others) or _nearness(ones, others) >= AGAINST


def _nearness(one: Sequence[Course], other: Sequence[Course]) -> float:
    """What nearness gives of two wholes, of these pieces, while both are there; 0 if they are not for long enough. Their motion
    is not asked: where parts swing through each other, so do the middles of the wholes that some of them make."""
    first = max(min(course.t[0] for course in own) for own in (one, other))
    last = min(max(course.t[-1] for course in own) for own in (one, other))
    if last - first < TOGETHER_US:
        return 0.0
    times = np.linspace(first, last, int((last - first) // STEP_US) + 1)
    whole, whole_b = outline(one, times), outline(other, times)
    both = np.isfinite(whole[:, 0]) & np.isfinite(whole_b[:, 0])
    if np.count_nonzero(both) * STEP_US < TOGETHER_US:
        return 0.0
    return outlines_terms(whole[both], whole_b[both])[0]


def _following(courses: dict[int, Course]) -> list[tuple[int, int]]:
    """Pairs of which the second follows the first; each follows one and is followed by one, the likeliest first."""
    numbers = np.array(sorted(courses), np.int64)
    first, sizes = np.array([(courses[k].t[0], courses[k].usual) for k in numbers.tolist()]).reshape(-1, 2).T
    fits = []
    for a in numbers.tolist():
        between = (first - courses[a].t[-1]) * 1e-6
        alike = np.abs(np.log(sizes / courses[a].usual)) < np.log(ALIKE) + ROUNDING
        for b in numbers[(between >= -TWICE_S) & (between <= AGAIN_S) & alike].tolist():
            fit, nats = follows(courses[a], courses[b]) if a != b else NEVER
            if fit < 1:
                fits.append((nats, a, b))
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


def follows(one: Course, other: Course) -> tuple[float, float]:
    """How far the second lies from where the first leads, and how much its size differs, as a share of what is allowed; and how
    unlikely that is, nats but for a constant. NEVER where it cannot follow it."""
    between = (other.t[0] - one.t[-1]) * 1e-6
    if not -TWICE_S <= between <= AGAIN_S:
        return NEVER
    off = abs(float(np.log(one.usual / other.usual))) / float(np.log(ALIKE))
    if off >= 1:
        return NEVER
    end, begin = one.last_whole, other.first_whole
    seconds = (begin.t - end.t) * 1e-6
    if seconds <= 0:
        return NEVER
    way = ASTRAY_WAY * float(np.hypot(*end.velocity)) * seconds
    allowed = ASTRAY_SIZES * max(end.size, begin.size) + ASTRAY_PX + way
    stood = float(np.hypot(*(end.place - begin.place)))
    fit = (min(end.astray(seconds, begin.place), begin.astray(-seconds, end.place), stood) + off * way) / allowed
    return fit, 0.5 * SIGMAS**2 * (fit**2 + off**2) + 2 * float(np.log(allowed))


def _beside(courses: dict[int, Course], prior: float) -> list[tuple[int, int]]:
    """Pairs that are more likely of one thing than not, the likeliest first."""
    numbers = np.array(sorted(courses), np.int64)
    first, last = (np.array([courses[k].t[end] for k in numbers.tolist()]) for end in (0, -1))
    low, high, size = np.array([courses[k].extent for k in numbers.tolist()]).reshape(-1, 3, 2).swapaxes(0, 1)
    pairs = []
    for n, a in enumerate(numbers.tolist()):
        common = np.minimum(last, last[n]) - np.maximum(first, first[n])
        later = np.flatnonzero((common >= TOGETHER_US) & (np.arange(len(numbers)) > n))
        likely = later[most((low[n], high[n], size[n]), (low[later], high[later], size[later])) > 0]
        pairs += [(_odds(courses[a], courses[b], prior), a, b) for b in numbers[likely].tolist()]
    return [(a, b) for odds, a, b in sorted(pairs, key=lambda pair: -pair[0]) if odds > 0]


def _odds(one: Course, other: Course, prior: float) -> float:
    """See `kinship.log_odds`; of the prior AT_ONCE counts at once, and all of it where both are there for 1 s."""
    return log_odds(one, other, prior * (AT_ONCE + (1 - AT_ONCE) * float(np.clip(common_us(one, other) * 1e-6, 0.0, 1.0))))
