"""Tracks of a recording against its labelled objects, on a fixed grid of times: what mode `track` counts.

The grid's times are the middles of slices of `slice_us`, the first of which begins at the start of what is scored. An object
lives at the times at which `truth.positions` knows where it is; a track, from its first to its last point. At a time at which
both live, the track covers the object if it lies within the tolerance of it, the border included. Of several tracks that cover
an object at a time, the one that covered it last is its track as long as it still does, else the nearest, the first in the
list of equals; MOTA's rule for keeping correspondences [Bernardin & Stiefelhagen 2008], but without one-to-one assignment: a
track between two objects covers both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from spikeseg.config.sections import EvaluationConfig

from .truth import MAX_GAP_US, positions

SLICE_US: int = round(1000 * EvaluationConfig.slice_ms)
TOLERANCE_PX: float = EvaluationConfig.spatial_tolerance_px

COUNTED = ("objects", "found", "life", "covered", "switches", "tracks", "true_tracks", "false_tracks", "duration_us")
VALUES = ("position_errors_px", "velocity_errors", "velocity_errors_px_s")

ENOUGH = 0.5
"""An object is found, and a track true, if at least this share of its life is."""


class FoundTrack(NamedTuple):
    """One track of a detector.

    Attributes:
        t_us: float64 or int64 (n,), n >= 1, rising, µs.
        position: float64 (n, 2), x, y in pixels.
        velocity: float64 (n, 2), x, y in px/s.
        score: higher where an object is more likely; kept beside the track, nothing here depends on it.
    """

    t_us: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    score: float = 0.0


class Outcome(NamedTuple):
    """Which objects were found, and which tracks follow one.

    Attributes:
        found: id of every object that lives at any time of the grid -> whether it is covered for ENOUGH of its life.
        true: bool (tracks,), which lie within the tolerance of any object for ENOUGH of their own life.
        lived: bool (tracks,), which live at any time of the grid; of the others nothing is said.
    """

    found: dict[int, bool]
    true: np.ndarray
    lived: np.ndarray


def outcome(
    tracks: Sequence[FoundTrack],
    labels: np.ndarray,
    *,
    start_us: int,
    end_us: int,
    tolerance_px: float = TOLERANCE_PX,
    slice_us: int = SLICE_US,
    max_gap_us: float = MAX_GAP_US,
) -> Outcome:
    """What `track_counts` counts as found, and as a true track, one by one.

    Args:
        tracks: see `track_counts`, as all that follows.
        labels: see there.
        start_us: first time that is scored.
        end_us: last time that is scored.
        tolerance_px: largest distance at which a track covers an object.
        slice_us: step of the grid.
        max_gap_us: see `truth.positions`.
    """
    times = grid(start_us, end_us, slice_us)
    tally = _Tally(tracks, times)
    for name, _, at in objects_of(labels, times, max_gap_us):
        tally.add(name, at, tolerance_px)
    return tally.outcome()


def track_counts(
    tracks: Sequence[FoundTrack],
    labels: np.ndarray,
    *,
    start_us: int,
    end_us: int,
    tolerance_px: float = TOLERANCE_PX,
    slice_us: int = SLICE_US,
    max_gap_us: float = MAX_GAP_US,
) -> dict[str, Any]:
    """Counts and errors of the tracks of a recording against its objects.

    Args:
        tracks: in any order.
        labels: LABEL_DTYPE, any order.
        start_us: first time that is scored; tracks and labels are ignored before it ...
        end_us: ... and after this last one.
        tolerance_px: largest distance at which a track covers an object.
        slice_us: step of the grid.
        max_gap_us: see `truth.positions`.

    Returns:
        COUNTED -> int: objects that live at any time of the grid; found, those covered for ENOUGH of their life; life and
        covered, times of the grid, summed over objects; switches, how often the track of an object changes; tracks that live
        at any time of the grid; true_tracks, those that lie within the tolerance of any object for ENOUGH of their own life;
        false_tracks, the others; duration_us of what is scored.
        VALUES -> list of float: position_errors_px, of every covered time the distance to the object's track; per object
        with two covered times or more, velocity_errors_px_s, |mean velocity of its tracks - mean velocity of the object| over
        the covered times, and velocity_errors, the same as a share of the object's mean speed, left out where that is 0.
        The object's velocity at a time is that of the stretch between the two labels around it.

    Raises ValueError: end before start; a track without points, with times that do not rise, or with arrays of other shapes.
    """
    times = grid(start_us, end_us, slice_us)
    for number, track in enumerate(tracks):
        _check(number, track)
    tally = _Tally(tracks, times)
    result: dict[str, Any] = dict.fromkeys(COUNTED, 0) | {name: [] for name in VALUES}
    for name, points, at in objects_of(labels, times, max_gap_us):
        distance, near = tally.add(name, at, tolerance_px)
        index = at["index"]
        chosen = _chosen(distance, near)
        covered = np.flatnonzero(chosen >= 0)
        owners = chosen[covered]
        result["objects"] += 1
        result["life"] += len(at)
        result["covered"] += len(covered)
        result["switches"] += int((owners[1:] != owners[:-1]).sum())
        result["position_errors_px"] += distance[owners, covered].tolist()
        if len(covered) >= 2:
            moved = _velocity(points, times[index[covered]])
            estimated = _velocity_of(tracks, owners, times[index[covered]])
            error, speed = float(np.hypot(*(estimated - moved).mean(0))), float(np.hypot(*moved.mean(0)))
            result["velocity_errors_px_s"].append(error)
            result["velocity_errors"] += [error / speed] if speed > 0 else []
    told = tally.outcome()
    true = told.true[told.lived]
    result |= {"found": sum(told.found.values()), "tracks": len(true), "true_tracks": int(true.sum())}
    return result | {"false_tracks": int((~true).sum()), "duration_us": int(end_us - start_us + 1)}


class _Tally:
    """Where tracks are at the times of a grid, and, object by object, which of them are near one.

    paths: float64 (tracks, times, 2), nan where a track does not live. near: bool (tracks, times). found: see `Outcome`."""

    def __init__(self, tracks: Sequence[FoundTrack], times: np.ndarray) -> None:
        paths = [_at(track.t_us, track.position, times) for track in tracks]
        self.paths = np.array(paths, np.float64).reshape(len(tracks), len(times), 2)
        self.near, self.found = np.zeros(self.paths.shape[:2], bool), dict[int, bool]()

    def add(self, name: int, at: np.ndarray, tolerance_px: float) -> tuple[np.ndarray, np.ndarray]:
        """Take in an object; -> at each of its times the distances of all tracks, px, and whether they are within the tolerance:
        (tracks, len(at)) each."""
        index = at["index"]
        distance = np.hypot(self.paths[:, index, 0] - at["x"], self.paths[:, index, 1] - at["y"])
        near = distance <= tolerance_px  # nan, where the track does not live, is not
        self.near[:, index] |= near
        self.found[name] = bool(near.any(0).sum() >= ENOUGH * len(at))
        return distance, near

    def outcome(self) -> Outcome:
        """Of the objects so far."""
        lived = (~np.isnan(self.paths[:, :, 0])).sum(1)
        return Outcome(self.found, self.near.sum(1) >= ENOUGH * lived, lived > 0)


def objects_of(labels: np.ndarray, times: np.ndarray, max_gap_us: float) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Id, labels, and places at the times of the grid (see `truth.positions`) of every object that lives at any of them."""
    for name in np.unique(labels["id"]).tolist():
        points = labels[labels["id"] == name]
        at = positions(points, times, max_gap_us)
        if len(at):
            yield name, points, at


def grid(start_us: int, end_us: int, slice_us: int) -> np.ndarray:
    """The middles of slices, µs: float64 (n,). Raises ValueError: end before start."""
    if end_us < start_us:
        raise ValueError(f"scored from {start_us} to {end_us} µs; expected an end not before the start")
    edges = np.arange(start_us, end_us + 1, slice_us)
    return np.asarray((edges + np.minimum(edges + slice_us, end_us + 1)) / 2)  # as in mode `volume`: the last may be cut off


def _check(number: int, track: FoundTrack) -> None:
    n = len(track.t_us)
    if not n or (np.diff(track.t_us) <= 0).any():
        raise ValueError(f"track {number}: {n} points; expected one or more, at rising times")
    if track.position.shape != (n, 2) or track.velocity.shape != (n, 2):
        shapes = f"positions {track.position.shape}, velocities {track.velocity.shape}"
        raise ValueError(f"track {number}: {shapes}; expected ({n}, 2), as it has times")


def _at(t: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values (n, 2) at t (n,), linear between, nan before the first and after the last. -> float64 (len(times), 2)."""
    t = np.asarray(t, np.float64)
    return np.stack([np.interp(times, t, values[:, axis], left=np.nan, right=np.nan) for axis in (0, 1)], 1)


def _chosen(distance: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The track of an object at each time, -1 where none covers it. distance, near: (tracks, times). -> int64 (times,)."""
    chosen = np.full(near.shape[1], -1, np.int64)
    last = -1
    for i in np.flatnonzero(near.any(0)):
        if last < 0 or not near[last, i]:
            last = int(np.argmin(np.where(near[:, i], distance[:, i], np.inf)))
        chosen[i] = last
    return chosen


def _velocity_of(tracks: Sequence[FoundTrack], owners: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Velocity, px/s, at each of n times of the track that owners (n,) name. -> float64 (n, 2)."""
    result = np.zeros((len(times), 2))
    for k in np.unique(owners):
        result[owners == k] = _at(tracks[k].t_us, tracks[k].velocity, times[owners == k])
    return result


def _velocity(points: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Velocity of an object, px/s, at times (n,) at which it lives: that between the labels around. -> float64 (n, 2)."""
    points = points[np.unique(points["t"], return_index=True)[1]]
    t = points["t"].astype(np.float64)
    if len(t) < 2:
        return np.zeros((len(times), 2))
    after = np.clip(np.searchsorted(t, times, side="left"), 1, len(t) - 1)
    moved = np.stack([points[axis][after] - points[axis][after - 1] for axis in "xy"], 1)
    return np.asarray(1e6 * moved / (t[after] - t[after - 1])[:, None])
