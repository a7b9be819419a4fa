# mypy: allow-untyped-defs, no-check-untyped-defs
"""The tracker of `tracker`, compiled: slice after slice, until an assignment needs the Hungarian algorithm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

from .kalman_kernels import begin_all, gate, predict_all, update_all

RANKS = 3
"""Of tracks, in the order in which they choose: 0 confirmed, 1 of two detections or more, 2 of one."""

NEXT_SLICE, ALIVE, BEGUN, CONFIRMED = range(4)
"""Counters: the current slice; tracks alive; tracks begun and tracks confirmed so far."""


class State(NamedTuple):
    """State of a tracker between slices; arrays have room for as many tracks as can be alive.

    Attributes:
        counters: int64 (4,), see NEXT_SLICE.
        mean, covariance: float64 (room, 2, 2) and (room, 3), see `kalman.Beliefs`, of the tracks alive, the earliest begun first.
        number: int64 (room,), of each from 0, in the order in which they began.
        hits, last: int64 (room,), its detections so far, and the slice of the latest.
        near: bool (room, most detections of a slice), which it may take; cost: float64, how unlikely.
        owner: int64 (n,), of each detection its track: in the current slice its index among those alive, in earlier ones its
            number; -1 for none yet.
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


class Scans(NamedTuple):
    """Detections slice by slice.

    Attributes:
        times_s: float64 (S,), of each slice, s, rising.
        offsets: int64 (S + 1,): the detections of slice k are ``positions[offsets[k]:offsets[k + 1]]``.
        positions: float64 (n, 2), x, y, px.
    """

    times_s: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray


class Limits(NamedTuple):
    """`tracker.Rules` as numbers.

    Attributes:
        acceleration: see `kalman.Motion`, px²/s³.
        noise: variance of a measured position, px².
        first_variance: of a velocity that is not known yet, px²/s².
        sigmas: a detection further from the prediction than this many standard deviations is another object's.
        gate_px, min_hits, max_misses, first_misses: see `tracker.Rules`.
    """

    acceleration: float
    noise: float
    first_variance: float
    sigmas: float
    gate_px: float
    min_hits: int
    max_misses: int
    first_misses: int


class Scratch(NamedTuple):
    """Of one slice: bool (room,), tracks that have a detection; float64 (room,), how far each reaches, px, and the variance of
    its predicted measurement, px²."""

    taken: np.ndarray
    reach: np.ndarray
    variance: np.ndarray


@compiled()
def rank_of(hits, min_hits):
    """See RANKS."""
    return 0 if hits >= min_hits else 1 if hits > 1 else 2


@compiled()
def assign_unique(rank, state, owner, taken, min_hits):
    """Give detections to tracks of a rank where neither has another choice; -> whether all is settled.

    Args:
        rank: see RANKS.
        state: see `State`.
        owner: int64, of the slice's detections.
        taken: see `Scratch`.
        min_hits: detections that confirm a track.
    """
    settled, alive, hits, near = True, state.counters[ALIVE], state.hits, state.near
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
def predict_and_gate(state, positions, seconds, limits, scratch):
    """Predict every track, and note which of the slice's detections (n, 2) it may take."""
    alive = state.counters[ALIVE]
    mean, covariance = state.mean[:alive], state.covariance[:alive]
    q = limits.acceleration
    predict_all(mean, covariance, seconds, q * seconds**3 / 3, q * seconds**2 / 2, q * seconds, mean, covariance)
    for i in range(alive):
        scratch.variance[i] = covariance[i, 0] + limits.noise
        scratch.reach[i] = limits.sigmas * np.sqrt(scratch.variance[i])
        if rank_of(state.hits[i], limits.min_hits) != 2:
            scratch.reach[i] = min(scratch.reach[i], limits.gate_px)
    gate(mean, scratch.variance, scratch.reach, positions, state.near, state.cost)


@compiled()
def update_tracks(state, owner, positions, limits):
    """Update tracks by their detections, begin tracks with those left over, drop what has not been seen for too long."""
    now, noise, min_hits = state.counters[NEXT_SLICE], limits.noise, limits.min_hits
    for j in range(owner.size):
        i, at = owner[j], positions[j : j + 1]
        if i < 0:
            i = state.counters[ALIVE]
            state.counters[ALIVE] += 1
            state.number[i] = state.counters[BEGUN]
            state.counters[BEGUN] += 1
            state.hits[i] = 0
            begin_all(at, noise, limits.first_variance, state.mean[i : i + 1], state.covariance[i : i + 1])
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
        if now - state.last[i] > (limits.max_misses if state.hits[i] >= min_hits else limits.first_misses):
            continue
        for axis in range(2):
            state.mean[kept, 0, axis], state.mean[kept, 1, axis] = state.mean[i, 0, axis], state.mean[i, 1, axis]
        for n in range(3):
            state.covariance[kept, n] = state.covariance[i, n]
        state.number[kept], state.hits[kept], state.last[kept] = state.number[i], state.hits[i], state.last[i]
        kept += 1
    state.counters[ALIVE] = kept


@compiled()
def follow(rank, state, scans, limits, scratch):
    """Go on from a rank of the current slice (0: from its beginning), until all is done or an assignment is not unique.

    Returns:
        The rank whose assignment is left to the caller, who goes on from the one after it; RANKS when all is done.
    """
    while state.counters[NEXT_SLICE] < scans.times_s.size:
        k = state.counters[NEXT_SLICE]
        first, last = scans.offsets[k], scans.offsets[k + 1]
        positions, owner = scans.positions[first:last], state.owner[first:last]
        if rank == 0:
            scratch.taken[:] = False
            seconds = scans.times_s[k] - scans.times_s[k - 1] if k else 0.0
            predict_and_gate(state, positions, seconds, limits, scratch)
        while rank < RANKS:
            if not assign_unique(rank, state, owner, scratch.taken, limits.min_hits):
                return rank
            rank += 1
        update_tracks(state, owner, positions, limits)
        state.counters[NEXT_SLICE] += 1
        rank = 0
    return RANKS
