"""Objects of a scene: from events to tracks of whole objects and the events of each (ours)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core import interrupts
from spikeseg.data.windows_kernels import leave_out

from .activity import Activity, background_of_blocks, blocks_of, coarser, hot_pixels, neurons_per_px, places_of
from .activity_kernels import look_up
from .camera import CameraMotion, camera_motion
from .camera_background import background_events
from .contact import Components
from .course import Course
from .directions import of_both, turned
from .event_kernels import choose, count_pairs, rename, sort_by_number
from .grouping import COARSE_PRIOR, groups
from .mask_kernels import mark
from .moments import Moment
from .order import in_order
from .pace import LEAST_US, pace
from .scales import UNSEEN, Objects, combined
from .track import SceneTrack, Seen
from .tracks import SceneTracker

HOP_SHARE = 0.5
"""A moment comes after this share of a window."""

COARSE = 2
"""Coarse neurons are so many times the size of fine ones."""

LEAST_ROWS, LEAST_EVENTS, A_ROW = 6, 50, 2
"""An object is seen at so many moments, and has so many events, and so many at each moment ..."""

MOVES_PX, MOVES_SIZES, MOVES_JITTER = 4.0, 0.15, 5.0
"""... and it, or one of its sides, comes so far, px, so far in its own size, and so many times what it jitters by ..."""

AGAINST = 0.5
"""... before a moving camera its middle, against the scene, and farther by this share of the way that the scene comes ..."""

JITTER = 1.4826 / 6**0.5
"""... a standard deviation, from the median of second differences."""

DOUBTFUL = 0.5
"""What is less likely an object is left out."""

SMOOTHING = 5
"""Rows over which a way is smoothed before it is measured."""


class SceneObjects(NamedTuple):
    """What is found.

    Attributes:
        ids: int32 (n,), the object of each event, 0 for none.
        events: of each object its events, int64 (m,), rising.
        courses: of each object the courses of its pieces; object k has id k + 1.
        probability: that each is an object.
        window_us: by which the recording was looked at, µs.
    """

    ids: np.ndarray
    events: list[np.ndarray]
    courses: list[list[Course]]
    probability: list[float]
    window_us: int


def find_objects(
    t: np.ndarray, x: np.ndarray, y: np.ndarray, on: np.ndarray, sensor_size: tuple[int, int], window_us: int | None = None
) -> SceneObjects:
    """Objects of a recording.

    Args:
        t: int64 (n,), rising, µs.
        x: int64 (n,), px.
        y: int64 (n,), px.
        on: bool (n,), polarity.
        sensor_size: (width, height), px.
        window_us: of the coincidence neurons, 2 or more, µs; None: as the recording tells, see `pace`.
    """
    events = t, x, y, on
    kept: np.ndarray | None = None  # which of all events, where some are left out
    hot, motion = hot_pixels(x, y, sensor_size), None
    if hot.any():
        usual = np.ones(len(t), bool)
        leave_out(x, y, hot, usual)
        events, kept = those(events, usual), np.flatnonzero(usual)
    if len(events[0]):
        t_s = events[0] * 1e-6
        motion = camera_motion(t_s, *events[1:3], sensor_size, events[3])
        explained = background_events(t_s, *events[1:], motion)
        if explained.any():
            left = np.flatnonzero(~explained)
            events, kept = those(events, ~explained), left if kept is None else kept[left]
    t_in, on_in, places = events[0], events[3], places_of(*events[1:3])
    window = window_us or (pace(t_in, places, sensor_size) if len(t_in) else LEAST_US)
    per_px = neurons_per_px(sensor_size)
    grid = sensor_size[0] * per_px, sensor_size[1] * per_px
    neurons = places * np.uint32(per_px)
    unseen = UNSEEN if per_px == 1 else 0.0
    seen = _of_scales(t_in, neurons, on_in, grid, window, unseen)
    if _several(seen, 1 / per_px, motion):
        ends_us = int(t_in[0] + t_in[-1])
        t_back, neurons_back, on_back = (np.ascontiguousarray(own[::-1]) for own in (ends_us - t_in, neurons, on_in))
        seen = of_both(seen, turned(_of_scales(t_back, neurons_back, on_back, grid, window, unseen), ends_us))
    seen = seen._replace(courses=[[course.scaled(1 / per_px) for course in own] for own in seen.courses])
    own_events = events_of(seen.of_event, len(seen.courses))
    courses: list[list[Course]] = []
    held, probability = [], []
    object_of = np.zeros(len(seen.courses) + 1, np.int32)
    for number, (own, theirs) in enumerate(zip(seen.courses, own_events, strict=True)):
        if len(theirs) < LEAST_EVENTS or len(theirs) < A_ROW * len(np.unique(np.concatenate([course.t for course in own]))):
            continue
        likely = object_probability(own, motion)
        if likely >= DOUBTFUL and in_order(events, theirs, sensor_size, window):
            courses.append(own)
            held.append(theirs if kept is None else kept[theirs])
            probability.append(likely)
            object_of[number + 1] = len(courses)
    rename(seen.of_event, object_of)
    ids = seen.of_event
    if kept is not None:
        of_all = np.zeros(len(t), np.int32)
        of_all[kept] = ids
        ids = of_all
    return SceneObjects(ids, held, courses, probability, window)


def those(columns: tuple[np.ndarray, ...], chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns t, x, y, on of events (n,), whatever their dtypes, where bool (n,) is set: int64 t, x, y (m,), bool on (m,)."""
    m = int(np.count_nonzero(chosen))
    t, x, y = np.empty((3, m + 1), np.int64)
    on = np.empty(m + 1, bool)
    choose(*columns, chosen, t, x, y, on)
    return t[:m], x[:m], y[:m], on[:m]


def events_of(ids: np.ndarray, n: int) -> list[np.ndarray]:
    """Which events are of each of n objects: int64 each, rising. ids: int32 (m,), from 1; 0 for none."""
    order, begins = sort_by_number(ids, n)
    return np.split(order, begins[1:-1]) if n else []


def object_probability(courses: list[Course], motion: CameraMotion | None = None) -> float:
    """How surely pieces of one thing are an object: they last, and it moves, or one of its sides does; 1/2 where it comes as far
    as it has to. Where the camera moves, it moves against the scene."""
    longest = max(courses, key=lambda course: len(course.t))
    seen = sum(int(np.count_nonzero((course.how == Seen.ALONE) | (course.how == Seen.MET))) for course in courses)
    if seen < LEAST_ROWS:
        return 0.0
    middle = longest.place if motion is None else motion.settled(longest.t * 1e-6, longest.place)
    scene = float(np.hypot(*np.ptp(longest.place - middle, axis=0)))
    kernel = np.ones(min(SMOOTHING, len(longest.t)))
    share = 0.0
    for side in (0.0,) if scene else (-0.5, 0.0, 0.5):
        place = middle + side * longest.size
        smooth = np.stack([np.convolve(place[:, k], kernel / len(kernel), "valid") for k in (0, 1)], 1)
        bends = np.abs(np.diff(place, 2, axis=0))
        jitter = np.median(bends, axis=0) * JITTER if len(bends) else np.zeros(2)
        least = np.maximum(max(MOVES_PX, MOVES_SIZES * float(np.median(longest.size))), MOVES_JITTER * jitter)
        share = max(share, float((np.ptp(smooth, axis=0) / (least + AGAINST * scene)).max()))
    return share**2 / (1 + share**2)


def _several(seen: Objects, scale: float, motion: CameraMotion | None) -> bool:
    """Whether more than one of what is seen, px times scale, is likely an object: the other direction of time may then tell what
    one has of another."""
    sent = np.bincount(seen.of_event, minlength=len(seen.courses) + 1)[1:]
    large = [[course.scaled(scale) for course in own] for own, n in zip(seen.courses, sent, strict=True) if n >= LEAST_EVENTS]
    return sum(object_probability(own, motion) >= DOUBTFUL for own in large) > 1


def _of_scales(
    t: np.ndarray, places: np.ndarray, on: np.ndarray, sensor_size: tuple[int, int], window: int, unseen: float
) -> Objects:
    """What fine and coarse neurons see together; unseen: see `scales.combined`."""
    (fine, _), (coarse, components) = (_seen(t, places, on, sensor_size, window, scale) for scale in (1, COARSE))
    return combined(fine, coarse, components, unseen)


def _seen(
    t: np.ndarray, places: np.ndarray, on: np.ndarray, sensor_size: tuple[int, int], window: int, scale: int
) -> tuple[Objects, Components]:
    """What neurons of so many times the size see, and the components that the events are in."""
    width, height = sensor_size
    places = coarser(places, scale) if scale > 1 else places
    tracks, of_event, components = _tracked(t, places, (-(-width // scale), -(-height // scale)), window)
    counts = count_pairs(of_event, on.view(np.uint8), len(tracks), 1)  # OFF and ON
    events, bright = counts.sum(1), counts[:, 1]
    share = np.count_nonzero(on) / max(len(on), 1)
    for k, track in enumerate(tracks, 1):
        track.events, track.surplus = int(events[k]), float(bright[k] / max(events[k], 1) - share)
    number = groups(tracks, COARSE_PRIOR if scale > 1 else 0.0)
    courses: list[list[Course]] = [[] for _ in range(int(number.max(initial=-1)) + 1)]
    for track, own in zip(tracks, number.tolist(), strict=True):
        courses[own].append(Course.of(track).scaled(scale))
    rename(of_event, np.r_[0, number + 1].astype(np.int32))
    return Objects(courses, of_event), components


def _tracked(
    t: np.ndarray, places: np.ndarray, sensor_size: tuple[int, int], window: int
) -> tuple[list[SceneTrack], np.ndarray, Components]:
    """All tracks, the track of each event (its place in the list + 1, int32 (n,)), and the components that they are in."""
    width, height = sensor_size
    hop = round(HOP_SHARE * window)
    out, component = np.zeros((2, len(t)), np.int32)
    if not len(t):
        return [], out, Components(component, np.zeros(1, np.int64), hop)
    tracker = SceneTracker(sensor_size, hop)
    activity = Activity(background_of_blocks(t, blocks_of(places, sensor_size), sensor_size, window), sensor_size)
    label, owner = np.zeros((height, width), np.int32), np.zeros((height, width), np.int32)
    times = np.arange(int(t[0]), int(t[-1]) + hop, hop)
    begins, ends = np.searchsorted(t, times - window // 2), np.searchsorted(t, times + (window - window // 2))
    own_begins, own_ends = np.searchsorted(t, times - hop // 2), np.searchsorted(t, times + (hop - hop // 2))
    first = last = 0
    for k, t_us in enumerate(times.tolist()):
        interrupts.check()
        activity.add(places[last : ends[k]])
        activity.remove(places[first : begins[k]])
        first, last = int(begins[k]), int(ends[k])
        favours = tracker.favour(t_us, activity.favoured)
        moment = Moment.of(t_us, activity, label, t[first:last], places[first:last])
        if favours:
            activity.favoured[:] = 0
        tracker.step(moment)
        part = slice(int(own_begins[k]), int(own_ends[k]))
        look_up(places[part], label, component[part])
        moment.clear()
        seen = [track for track in tracker.tracks if track.last_us == t_us]
        for track in reversed(seen):
            mark(*track.own, 0, 0, track.id, owner)
        look_up(places[part], owner, out[part])
        for track in seen:
            mark(*track.own, 0, 0, 0, owner)
    return tracker.finished(), out, Components(component, np.r_[own_begins, len(t)], hop)
