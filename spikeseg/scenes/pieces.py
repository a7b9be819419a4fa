"""Which tracks of a scene are pieces of one thing, seen when they meet (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .course import Course
from .kinship import parted
from .mask_kernels import beside
from .track import SceneTrack

TOGETHER_US, TOGETHER_SIZES = 150_000, 0.4
"""Tracks that have met for so long, µs, and moved no further against each other than this share of half their size, are one,
unless the ways that they came say that they are two."""

BESIDE_PX, BESIDE_SIZES = 6.0, 1.0
"""A track that began within so many px, or this share of half the larger one's size, of another one and then meets it is a piece
of it: other things come from afar ..."""

GROWN_UP, RIGID_PX, RIGID_SIZES = 10, 4.0, 0.35
"""... if in the meantime, of so many rows, it has not moved against it by more than this, px, and this share of their
sizes ..."""

ALIKE_PX_S, ALIKE_SHARE = 60.0, 0.5
"""... or, where there was no time for that, if the other one is as young, or it moves as that one does, within so much, px/s, or
this share of their speed."""


def neighbours(tracks: Sequence[SceneTrack], new: int) -> None:
    """Tell each new track, the last ones of all, beside which of those before it, it begins, and how far from them."""
    if not new:
        return
    where = np.concatenate([part for track in tracks for part in (track.place, track.half)]).reshape(-1, 4)
    for k, j in zip(*(own.tolist() for own in beside(len(tracks) - new, where, BESIDE_PX, BESIDE_SIZES)), strict=True):
        tracks[k].beside[tracks[j].id] = where[k, :2] - where[j, :2]


def pieces(tracks: Sequence[SceneTrack], t_us: int, hop_us: int) -> list[SceneTrack]:
    """Of tracks that have met those that are pieces of a larger one; their `part_of` is set."""
    found: list[SceneTrack] = []
    for one in tracks:
        for other in tracks:
            if one is other or one.part_of or other.part_of or len(one.y) > len(other.y):
                continue
            if _began_as_one(one, other) or _moved_as_one(one, other, t_us, hop_us):
                one.part_of = other.id
                found.append(one)
    return found


def _moved_as_one(one: SceneTrack, other: SceneTrack, t_us: int, hop_us: int) -> bool:
    """Whether two tracks have met for long and not moved against each other; remembers that they have met."""
    began, apart = one.met.get(other.id), one.place - other.place
    if began is None or t_us - began[1] > 2 * hop_us:
        one.met[other.id] = (t_us, t_us, apart)
        return False
    one.met[other.id] = (began[0], t_us, began[2])
    moved = float(np.hypot(*(apart - began[2])))
    if t_us - began[0] < TOGETHER_US or moved >= TOGETHER_SIZES * float(one.half.max()):
        return False
    return not parted(Course.of(one), Course.of(other))


def _began_as_one(one: SceneTrack, other: SceneTrack) -> bool:
    """Whether two tracks that meet were next to each other when the second of them began, and have kept to that."""
    younger, older = (one, other) if one.id > other.id else (other, one)
    apart = younger.beside.get(older.id)
    if apart is None:
        return False
    if younger.alone >= GROWN_UP:
        moved = float(np.hypot(*(younger.place - older.place - apart)))
        return moved <= RIGID_PX + RIGID_SIZES * float((younger.half + older.half).max())
    if older.alone < GROWN_UP:
        return True
    differ = float(np.hypot(*(younger.velocity - older.velocity)))
    fast = max(float(np.hypot(*younger.velocity)), float(np.hypot(*older.velocity)))
    return differ <= max(ALIKE_PX_S, ALIKE_SHARE * fast)
