"""Objects of successive slices of time joined into tracks (ours): a Kalman filter for each, then Hungarian assignment.

Bewley et al. 2016 (SORT, arXiv 1602.00763) joins detections the same way. `scene` separates the star field from what moves
differently.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .kalman import MEASUREMENT_PX, Motion
from .tracker_kernels import ALIVE, NEXT_SLICE, RANKS, Limits, Scans, Scratch, State, follow, rank_of

GATE_SIGMAS = 3.0
"""A detection further from the prediction than this many standard deviations is another object's."""


class Rules(NamedTuple):
    """When detections make a track.

    Attributes:
        motion: see `kalman.Motion`.
        min_hits: detections that confirm a track, 1 or more.
        max_misses: slices in a row without a detection after which a confirmed track still lives.
        first_misses: the same for one that is not confirmed.
        gate_px: no detection further from the prediction belongs to a track, px; a track of one detection, and so of no known
            velocity, looks as far as its motion allows.
    """

    motion: Motion
    min_hits: int
    max_misses: int
    first_misses: int
    gate_px: float


class Joined(NamedTuple):
    """What became of n detections.

    Attributes:
        tracks: of every confirmed track the indices of its detections, int64, rising; in the order of confirmation.
        number: int64 (n,), the track of each detection, confirmed or not: from 0, in the order of their beginnings.
    """

    tracks: list[np.ndarray]
    number: np.ndarray


def join(t_us: np.ndarray, offsets: np.ndarray, positions: np.ndarray, rules: Rules) -> Joined:
    """Join detections slice by slice; equal input, equal tracks.

    A detection belongs to the track that most likely caused it, one to one (Hungarian), if it lies within GATE_SIGMAS standard
    deviations of the predicted position and within the gate. Tracks choose by rank, the better known first (see
    `tracker_kernels.RANKS`), and detections that nobody takes begin tracks.

    Args:
        t_us: (S,), time of each slice (its middle), µs, rising.
        offsets: int64 (S + 1,): the detections of slice k are ``positions[offsets[k]:offsets[k + 1]]``.
        positions: (n, 2), centroids x, y, px.
        rules: when detections make a track.

    Raises:
        ValueError: a time that does not lie after the slice before.
    """
    times_s = np.asarray(t_us, np.float64) * 1e-6
    back = np.flatnonzero(np.diff(times_s) <= 0)
    if len(back):
        late = back[0] + 1
        raise ValueError(f"slice at {t_us[late]} µs does not come after the one at {t_us[late - 1]} µs")
    starts = np.asarray(offsets, np.int64)
    scans = Scans(times_s, starts, np.ascontiguousarray(positions, np.float64).reshape(-1, 2))
    limits, state = _limits(rules), _initial_state(np.diff(offsets), rules)
    room = len(state.number)
    scratch = Scratch(np.zeros(room, np.bool_), np.empty(room), np.empty(room))
    rank = follow(0, state, scans, limits, scratch)
    while rank < RANKS:
        k = state.counters[NEXT_SLICE]
        _assign(rank, state, state.owner[starts[k] : starts[k + 1]], scratch.taken, rules.min_hits)
        rank = follow(rank + 1, state, scans, limits, scratch)
    order = np.argsort(state.owner, kind="stable")
    ends = np.searchsorted(state.owner[order], np.arange(len(state.ids) + 1))
    confirmed = np.flatnonzero(state.ids)
    by_id = confirmed[np.argsort(state.ids[confirmed])]
    return Joined([order[ends[n] : ends[n + 1]] for n in by_id], state.owner)


def _limits(rules: Rules) -> Limits:
    acceleration, first_speed = map(float, rules.motion)
    return Limits(
        acceleration=acceleration,
        noise=MEASUREMENT_PX**2,
        first_variance=first_speed * first_speed,
        sigmas=GATE_SIGMAS,
        gate_px=float(rules.gate_px),
        min_hits=rules.min_hits,
        max_misses=rules.max_misses,
        first_misses=rules.first_misses,
    )


def _initial_state(counts: np.ndarray, rules: Rules) -> State:
    """Before the first slice. counts: detections of each."""
    n, most = int(counts.sum()), int(counts.max(initial=0))
    total = np.concatenate([[0], np.cumsum(counts)])
    lives = max(rules.max_misses, rules.first_misses) + 2  # slices in which a track that is alive was last seen, this one too
    room = int((total[1:] - total[np.maximum(np.arange(len(counts)) + 1 - lives, 0)]).max(initial=0)) if n else 0
    return State(
        counters=np.zeros(4, np.int64),
        mean=np.zeros((room, 2, 2)),
        covariance=np.zeros((room, 3)),
        number=np.zeros(room, np.int64),
        hits=np.zeros(room, np.int64),
        last=np.zeros(room, np.int64),
        near=np.zeros((room, most), np.bool_),
        cost=np.zeros((room, most)),
        owner=np.full(n, -1, np.int64),
        ids=np.zeros(n, np.int64),
    )


def _assign(rank: int, state: State, owner: np.ndarray, taken: np.ndarray, min_hits: int) -> None:
    """Assign what is left of the current slice to tracks of a rank: as many pairs as possible, of the greatest likelihood."""
    alive = int(state.counters[ALIVE])
    near = state.near[:alive, : len(owner)] & (owner < 0)
    choosing = [i for i in range(alive) if not taken[i] and rank_of(state.hits[i], min_hits) == rank]
    tracks = np.array([i for i in choosing if near[i].any()])
    free = np.flatnonzero(near[tracks].any(0))
    allowed, part = near[np.ix_(tracks, free)], state.cost[np.ix_(tracks, free)]
    part[~allowed] = 1 + part[allowed].max(initial=0) * (1 + min(part.shape))
    rows, columns = linear_sum_assignment(part)
    kept = allowed[rows, columns]
    owner[free[columns[kept]]] = tracks[rows[kept]]
    taken[tracks[rows[kept]]] = True
