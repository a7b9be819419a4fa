"""What moves in a recording, and what moves differently from the stars (ours; after the idea of Afshar et al. 2020, section 5).

A star that drifts through a staring telescope moves as a satellite does; they differ in their motion relative to the star field.
So detections are tracked three times. First by themselves, which gives the field's velocity; then in the field's own frame, where
stars stand still and slow objects move by less than CREEP_PX_S, by a tracker that expects just that (and the field's velocity is
estimated once more, from these cleaner tracks); what is left is tracked as objects that move on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeseg.config.sections import TrackingConfig

from . import kalman
from .kalman import Motion
from .star_field import StarField, common_velocity
from .star_field_kernels import slope
from .tracker import Rules, join

CREEPING = Rules(Motion(acceleration=2.0, first_speed_px_s=5.0), 4, 8, 2, 4.0)
"""Stars, and whatever moves slowly among them, in the field's frame. Stars may be invisible for long, and stay where they are."""

CREEP_PX_S = 10.0
"""What is faster than this in the field's frame, px/s, does not creep: tracked in this frame it would break into pieces."""

FREE_MOTION = Motion(acceleration=25.0, first_speed_px_s=50.0)
"""Anything else, up to 150 px/s; the fastest satellites of EBSSA cross at about 120."""

SMOOTHING = Motion(acceleration=2.0, first_speed_px_s=300.0)
"""Of finished tracks. Wide at first, so that nothing pulls a velocity towards 0."""

ALIKE_PX_S = 0.3
"""Velocities of a field that differ by less, px/s, give the same tracks: over MEMORY_S it is less than a star's jitter."""

FIELD_S = 10.0
"""The field's velocity is constant for about this long, s ..."""

TURN_PX_S, TURN_S = 2.0, 2.0
"""... unless its halves, of TURN_S or more, differ by TURN_PX_S: then the telescope turned in between, and each half is estimated
by itself. Stars would else seem to move for seconds."""

JITTER_PX, FAR_PX = 4.0, 20.0
"""A star's track seems to move through the field by up to JITTER_PX, where it begins and ends at the frame's border or in another
star's light; what has moved by FAR_PX is certainly no star."""

HALF = 12.0
"""Detections, of something that is certainly no star, at which its score is 1/2."""

MEMORY_S = 10.0
"""An object's displacement is measured over this long at most, s: a small error of the field's velocity would else add up."""


class Slices(NamedTuple):
    """Detections of successive slices: times (their middle, µs, rising), and for each its positions (n, 2) x, y in px."""

    t_us: Sequence[float]
    positions: Sequence[np.ndarray]


@dataclass(frozen=True, eq=False)
class ObjectTrack:
    """A track, when all of it is known.

    Attributes:
        id: from 1, unique in the recording.
        t_us: float64 (n,), time of each detection.
        slices, detections: int64 (n,), of each its slice and its index there.
        states: float64 (n, 4): x, y in px and vx, vy in px/s, smoothed by all detections, later ones included.
        relative: float64 (n, 2), velocity less that of the star field, px/s.
        score: 0 to 1, how surely it moves differently from the stars: 0 for a star, 1/2 in doubt.
        nats: its log-likelihood ratio against the background and the stars, by the motion layer; 0 without one.
        variance: float64 (n,), of x and of y, px²; None: it is not known.
    """

    id: int
    t_us: np.ndarray
    slices: np.ndarray
    detections: np.ndarray
    states: np.ndarray
    relative: np.ndarray
    score: float
    nats: float = 0.0
    variance: np.ndarray | None = None

    def at(self, t_us: np.ndarray, beyond_us: float = 0.0) -> np.ndarray:
        """Where it was at times (n,), µs: float64 (n, 2), px; nan before its first and after its last detection, or further than
        `beyond_us` from them, up to where it is taken to go straight on."""
        t = np.asarray(t_us, np.float64)
        position = np.stack([np.interp(t, self.t_us, self.states[:, axis]) for axis in (0, 1)], -1)
        for end, outside in ((0, t < self.t_us[0]), (-1, t > self.t_us[-1])):
            ahead = (t[outside] - self.t_us[end])[:, None] * 1e-6
            position[outside] = self.states[end, :2] + ahead * self.states[end, 2:]
        position[(t < self.t_us[0] - beyond_us) | (t > self.t_us[-1] + beyond_us)] = np.nan
        return position


class Tracks(NamedTuple):
    """All tracks of a recording, in the order of their ids (of their first detections), and the star field's motion."""

    tracks: list[ObjectTrack]
    field: StarField


def find_tracks(slices: Slices, settings: TrackingConfig | None = None) -> Tracks:
    """Tracks of everything, stars included, scored by how differently from the stars they move.

    Args:
        slices: see `Slices`.
        settings: min_hits, max_misses and gate_px hold for objects that move on their own.
    """
    settings = settings or TrackingConfig()
    detections = _Detections.of(slices)
    free = Rules(FREE_MOTION, settings.min_hits, settings.max_misses, 0, settings.gate_px)
    still = StarField.still()
    field = _field(detections, _run(detections, still, free), still)
    for _ in range(2):
        before, creeping = field, _run(detections, field, CREEPING)
        field = _field(detections, creeping, before)
        if _alike(before, field):  # then the tracks of its stars stay the same
            field = before
            break
    else:
        creeping = _run(detections, field, CREEPING)
    tracks = [hits for hits in creeping if _creeps(hits, detections, field)]
    at_rest = [] if _alike(field, still) else [(still, CREEPING)]
    for frame, rules in (*at_rest, (field, free)):
        further = _run(detections, frame, rules, without=tracks)
        tracks += [hits for hits in further if rules is not CREEPING or _creeps(hits, detections, frame)]
    tracks.sort(key=lambda hits: int(hits[0]))
    return Tracks([_finished(k, hits, detections, field) for k, hits in enumerate(tracks, 1)], field)


@dataclass(frozen=True)
class _Detections:
    """The detections of all slices, one after the other; a track is the indices of its own, rising.

    Attributes:
        slice_us: float64 (S,), time of each slice.
        offsets: int64 (S + 1,), of each slice its first detection.
        positions: float64 (n, 2), x, y, px.
        slices: int64 (n,), the slice of each; t_us: float64 (n,), its time.
    """

    slice_us: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray
    slices: np.ndarray
    t_us: np.ndarray

    @classmethod
    def of(cls, slices: Slices) -> _Detections:
        counts = np.array([len(positions) for positions in slices.positions], np.int64)
        at = np.repeat(np.arange(len(counts)), counts)
        slice_us = np.asarray(slices.t_us, np.float64)
        positions = np.concatenate([np.zeros((0, 2)), *slices.positions])
        return cls(slice_us, np.concatenate([[0], np.cumsum(counts)]), positions, at, slice_us[at])


def _alike(first: StarField, second: StarField) -> bool:
    """Whether two motions give the same tracks: their velocities differ by less than ALIKE_PX_S."""
    edges = np.union1d(first.edges_us, second.edges_us)
    return bool((np.hypot(*(first.velocity(edges) - second.velocity(edges)).T) < ALIKE_PX_S).all())


def _run(detections: _Detections, field: StarField, rules: Rules, without: Sequence[np.ndarray] = ()) -> list[np.ndarray]:
    """Confirmed tracks of the detections in the field's frame; those of the tracks in `without` are left out."""
    left = np.ones(len(detections.positions), bool)
    for hits in without:
        left[hits] = False
    own = np.flatnonzero(left)
    positions = (detections.positions - field.shift(detections.t_us))[own]
    offsets = np.searchsorted(own, detections.offsets)
    return [own[hits] for hits in join(detections.slice_us, offsets, positions, rules).tracks]


def _creeps(hits: np.ndarray, detections: _Detections, field: StarField) -> bool:
    """Whether a track's mean speed in the field's frame is CREEP_PX_S or less."""
    t_us = detections.t_us[hits]
    return float(np.hypot(*_slope(t_us, detections.positions[hits] - field.shift(t_us)))) <= CREEP_PX_S


def _slope(t_us: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Mean velocity (2,), px/s, of the straight line nearest to positions (n, 2); n of 2 or more."""
    velocity = np.empty(2)
    slope(t_us, positions, velocity)
    return velocity


def _field(detections: _Detections, tracks: Sequence[np.ndarray], known: StarField) -> StarField:
    """The field's motion in spans of FIELD_S, or shorter ones where it turns, from tracks; in a span with too few stars, that of
    the whole recording; where there are too few there as well, the telescope is taken to follow the stars."""
    if not len(detections.slice_us):
        return known
    first, last = float(detections.slice_us[0]), float(detections.slice_us[-1])
    spans = max(1, round((last - first) * 1e-6 / FIELD_S))
    edges = np.linspace(first, max(last, first + 1), spans + 1)
    measured = [(detections.t_us[hits], detections.positions[hits]) for hits in tracks]
    times, begins = np.concatenate([*(t for t, _ in measured), []]), np.cumsum([0, *(len(t) for t, _ in measured)])[:-1]

    def velocity(low: float, high: float) -> np.ndarray | None:
        ranges = np.add.reduceat([times < low, times <= high], begins, 1, dtype=np.int64).T.tolist() if measured else []
        parts = [(t[i:j], p[i:j]) for (t, p), (i, j) in zip(measured, ranges, strict=True) if j - i >= CREEPING.min_hits]
        if not parts:
            return None
        slopes = np.array([_slope(t, p) for t, p in parts])
        return common_velocity(slopes, np.array([(t[0], t[-1]) for t, _ in parts]) * 1e-6, np.array([len(t) for t, _ in parts]))

    def constant(low: float, high: float) -> list[tuple[float, np.ndarray | None]]:
        """Starts of the spans from low to high, and their velocities."""
        middle = (low + high) / 2
        if middle - low >= TURN_S * 1e6:
            before, after = velocity(low, middle), velocity(middle, high)
            if before is not None and after is not None and np.hypot(*(after - before)) > TURN_PX_S:
                return constant(low, middle) + constant(middle, high)
        return [(low, velocity(low, high))]

    everywhere = velocity(first, last)
    fallback = np.zeros(2) if everywhere is None else everywhere
    pieces = [piece for low, high in zip(edges[:-1], edges[1:], strict=True) for piece in constant(low, high)]
    starts = [start for start, _ in pieces]
    return StarField(np.array([*starts, edges[-1]]), np.array([fallback if v is None else v for _, v in pieces]))


def _finished(number: int, hits: np.ndarray, detections: _Detections, field: StarField) -> ObjectTrack:
    t_us, positions, slices = detections.t_us[hits], detections.positions[hits], detections.slices[hits]
    smoothed, covariance = kalman.smooth((t_us * 1e-6).tolist(), positions, SMOOTHING)
    relative = smoothed[:, 1] - field.velocity(t_us)
    return ObjectTrack(
        id=number,
        t_us=t_us,
        slices=slices,
        detections=hits - detections.offsets[slices],
        states=smoothed.reshape(-1, 4),
        relative=relative,
        score=motion_score(t_us, positions - field.shift(t_us)),
        variance=covariance[:, 0].copy(),
    )


def motion_score(t_us: np.ndarray, positions: np.ndarray) -> float:
    """How surely something moves differently from the stars, 0 to 1: by its detections, weighted by its displacement.

    Args:
        t_us: (n,), rising.
        positions: (n, 2), px, in the star field's frame.
    """
    if len(t_us) < 2:
        return 0.0
    seconds = min((t_us[-1] - t_us[0]) * 1e-6, MEMORY_S)
    displacement = float(np.hypot(*_slope(t_us, positions))) * seconds
    evidence = len(t_us) * min(max((displacement - JITTER_PX) / (FAR_PX - JITTER_PX), 0.0), 1.0)
    return float(evidence / (evidence + HALF))
