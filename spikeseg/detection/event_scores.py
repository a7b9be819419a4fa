"""Scores of single events from tracks (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeseg.tracking.scene import ObjectTrack

from .event_scores_kernels import raise_along
from .slice_kernels import scores_of

REACH_PX = 8.0
"""Further from a track's path no event is its object's, px; half of its score is reached at 5.7 px, where labels' discs end."""

OWN_SHARE = 0.7
"""Of an event's score that goes by the probability that it is the object's, rather than noise beside it."""

UNTRACKED = 0.1
"""Highest score of an event with saliency but near no track: less than that of any likely object."""


def event_scores(
    events: np.ndarray,
    tracks: Sequence[ObjectTrack],
    saliency: np.ndarray,
    ids: np.ndarray,
    own: np.ndarray | None = None,
) -> np.ndarray:
    """How surely each event belongs to an object that moves differently from the stars.

    Near a track it is the track's score, less with the distance from its path: score * (1 - (distance / REACH_PX)²), the
    highest of several. An event that belongs to a track gets no score but that of tracks, so an event of a star scores 0. Events
    without a track keep a small score from their saliency, so that they rank above those without any.

    Args:
        events: with t (µs, sorted), x, y (px).
        tracks: in px of the events.
        saliency: (n,), >= 0.
        ids: (n,), the track whose object holds the event; 0: none.
        own: (n,), the probability that an event is an object's, by the motion layer: then OWN_SHARE of the score goes by it.
            None: there is no motion layer.

    Returns:
        float64 (n,), 0 to 1.
    """
    scores, of_stars = np.empty(len(events)), np.zeros(int(ids.max(initial=0)) + 1)
    scores_of(ids, of_stars, saliency, UNTRACKED, scores)
    shares = (1.0, np.float32(0.0)) if own is None else (1 - OWN_SHARE, np.float32(OWN_SHARE))
    own = np.zeros(len(events), np.float32) if own is None else own
    t, x, y = np.ascontiguousarray(events["t"]), events["x"], events["y"]
    for track in tracks:
        if track.score <= 0:
            continue
        beyond = reach_us(track)
        ends = np.ceil([track.t_us[0] - beyond, track.t_us[-1] + beyond])
        during = slice(*np.searchsorted(t, ends.astype(t.dtype)))  # for ends of another type all times would be converted
        columns, way = (t[during], x[during], y[during]), (track.t_us, track.states)
        raise_along(columns, way, REACH_PX, track.score, shares, own[during], scores[during])
    return scores


def reach_us(track: ObjectTrack) -> float:
    """How long before its first and after its last detection a track holds: half of a slice, µs; of the longest, since the last
    one of a recording may be cut short."""
    return float((np.diff(track.t_us) / np.diff(track.slices)).max()) / 2 if len(track.t_us) > 1 else 0.0
