"""The tracker of `tracking`, compiled: slice after slice, until an assignment is not plain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

from .kalman_kernels import begin_all, gate, predict_all, update_all

RANKS = 3
"""Of tracks, in the order in which they choose: 0 confirmed, 1 of two detections or more, 2 of one."""

NEXT_SLICE, ALIVE, BEGUN, CONFIRMED = range(4)
"""Counters: the slice in hand; tracks alive; tracks begun and tracks confirmed so far."""


class State(NamedTuple):
    """All that a tracker knows between slices; room for as many tracks as can be alive.

    Attributes:
        counters: int64 (4,), see NEXT_SLICE.
        mean, covariance: float64 (room, 2, 2) and (room, 3), see `kalman.Beliefs`, of the tracks alive, the earliest begun first.
        number: int64 (room,), of each from 0, in the order in which they began.
        hits, last: int64 (room,), its detections so far, and the slice of the latest.
        near: bool (room, most detections of a slice), which it may take; cost: float64, how unlikely.
        owner: int64 (n,), of each detection its track: in the slice in hand its place among those alive, before that its number;
            -1 for none yet.
        ids: int64 (n,), by a track's number, from 1 in the order of confirmation; 0 until then.
    """

    counters: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    number: np.ndarray
    hits: np.ndarray
    last: np.ndarray
    near: np.ndarray
    cost: np.ndarray
    owner: np.ndarray
    ids: np.ndarray


@compiled()
def rank_of(hits, min_hits):
    """See RANKS."""
    return 0 if hits >= min_hits else 1 if hits > 1 else 2


@compiled()
def pair(rank, alive, hits, min_hits, near, owner, taken):
    """Give detections to tracks of a rank where neither has another choice; -> whether all is settled.

    Args:
        near: see `State`. owner: int64, of the slice's detections.
        taken: bool (room,), tracks that have a detection.
    """
    settled = True
    for i in range(alive):
        if rank_of(hits[i], min_hits) != rank or taken[i]:
            continue
        choices, only = 0, -1
        for j in range(owner.size):
            if near[i, j] and owner[j] < 0:
                choices, only = choices + 1, j
        if choices == 0:
            continue
        rivals = 0
        for other in range(alive):
            rivals += near[other, only] and not taken[other] and rank_of(hits[other], min_hits) == rank
        if choices == 1 and rivals == 1:
            owner[only], taken[i] = i, True
        else:
            settled = False
    return settled


@compiled()
def look_ahead(state, positions, seconds, acceleration, noise, first_speed, sigmas, gate_px, min_hits, reach, variance):
    """Predict every track, and note what it may take. reach, variance: float64 (room,), scratch."""
    alive = state.counters[ALIVE]
    mean, covariance = state.mean[:alive], state.covariance[:alive]
    q = acceleration
    predict_all(mean, covariance, seconds, q * seconds**3 / 3, q * seconds**2 / 2, q * seconds, mean, covariance)
    for i in range(alive):
        variance[i] = covariance[i, 0] + noise
        reach[i] = sigmas * np.sqrt(variance[i])
        if rank_of(state.hits[i], min_hits) != 2:
            reach[i] = min(reach[i], gate_px)
    gate(mean, variance, reach, positions, state.near, state.cost)


@compiled()
def take_in(state, owner, positions, noise, first_speed, min_hits, max_misses, first_misses):
    """Update tracks by their detections, begin tracks with those left over, let go of what has not been seen for too long."""
    now = state.counters[NEXT_SLICE]
    for j in range(owner.size):
        i, at = owner[j], positions[j : j + 1]
        if i < 0:
            i = state.counters[ALIVE]
            state.counters[ALIVE] += 1
            state.number[i] = state.counters[BEGUN]
            state.counters[BEGUN] += 1
            state.hits[i] = 0
            begin_all(at, noise, first_speed * first_speed, state.mean[i : i + 1], state.covariance[i : i + 1])
        else:
            mean, covariance = state.mean[i : i + 1], state.covariance[i : i + 1]
            update_all(mean, covariance, at, noise, mean, covariance)
        state.hits[i] += 1
        state.last[i] = now
        if state.hits[i] == min_hits:
            state.counters[CONFIRMED] += 1
            state.ids[state.number[i]] = state.counters[CONFIRMED]
        owner[j] = state.number[i]
    kept = 0
    for i in range(state.counters[ALIVE]):
        if now - state.last[i] > (max_misses if state.hits[i] >= min_hits else first_misses):
            continue
        for axis in range(2):
            state.mean[kept, 0, axis], state.mean[kept, 1, axis] = state.mean[i, 0, axis], state.mean[i, 1, axis]
        for n in range(3):
            state.covariance[kept, n] = state.covariance[i, n]
        state.number[kept], state.hits[kept], state.last[kept] = state.number[i], state.hits[i], state.last[i]
        kept += 1
    state.counters[ALIVE] = kept


@compiled()
def follow(
    rank, state, times_s, offsets, positions, acceleration, noise, first_speed, sigmas, gate_px,
    min_hits, max_misses, first_misses, taken, reach, variance,
):  # fmt: skip
    """Go on from a rank of the slice in hand (0: from its beginning), until all is done or an assignment is not plain.

    Args:
        times_s: float64 (S,), s. offsets: int64 (S + 1,) into positions, float64 (n, 2), px.
        taken: bool (room,), tracks that have a detection of the slice in hand. reach, variance: float64 (room,), scratch.

    Returns:
        The rank whose assignment is left to the caller, who goes on from the one after it; RANKS when all is done.
    """
    while state.counters[NEXT_SLICE] < times_s.size:
        k = state.counters[NEXT_SLICE]
        found, owner = positions[offsets[k] : offsets[k + 1]], state.owner[offsets[k] : offsets[k + 1]]
        if rank == 0:
            taken[:] = False
            seconds = times_s[k] - times_s[k - 1] if k else 0.0
            look_ahead(
                state, found, seconds, acceleration, noise, first_speed, sigmas, gate_px, min_hits, reach, variance
            )  # fmt: skip
        while rank < RANKS:
            if not pair(rank, state.counters[ALIVE], state.hits, min_hits, state.near, owner, taken):
                return rank
            rank += 1
        take_in(state, owner, found, noise, first_speed, min_hits, max_misses, first_misses)
        state.counters[NEXT_SLICE] += 1
        rank = 0
    return RANKS
