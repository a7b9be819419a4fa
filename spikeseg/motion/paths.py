"""Paths of a whole recording: pieces of one object joined, and the evidence that it is none of the stars (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeseg.tracking.star_field import StarField

from .events import Events
from .search import Path, SmoothPath
from .stars import Span

GAP_S = 2.0
"""Pieces of one object lie no further apart in time than this, s."""

APART_PX, APART_SHARE = 4.0, 0.15
"""The middle of the shorter piece lies within APART_PX, and this share of the way between, of where the longer one leads."""

STAR_PX = 2.5
"""What has not gone further from a place of the star field than this, px, may be a star ..."""

STRAY = 0.1
"""Share of a star's evidence that may lie beyond: its halo, and what sways."""

KNOWN_PX_S, FIELD_PX_S, FIELD_S = 0.1, 0.3, 10.0
"""... or further by the error of the field's velocity, px/s, known from the stars' own lines or not, over FIELD_S at most."""

FORMATION = 2
"""Objects hardly ever have the velocity of so many others at the same time."""

LEAST_S, ALIKE_PX_S, ALIKE_SHARE = 0.4, 2.0, 0.04
"""Velocities over LEAST_S or more are alike within ALIKE_PX_S, px/s, and this share of the speed."""

STEP_S = 0.25
"""Of the field's motion from paths, s."""


def joined(paths: list[Path], events: Events) -> list[Path]:
    """Paths, with pieces of one object made one; their events get the owner that is kept."""
    kept = sorted(paths, key=lambda path: -_seconds(path))
    for path in list(kept):
        if path not in kept:
            continue
        while True:
            piece = next((other for other in kept if other is not path and _continues(path, other)), None)
            if piece is None:
                break
            kept.remove(piece)
            events.owner[events.owner == piece.id] = path.id
            knots = np.concatenate([path.knots, piece.knots])
            path.knots = knots[np.argsort(knots[:, 0], kind="stable")]
            path.nats += max(piece.nats, 0.0)
            path.found_s, path.radius = min(path.found_s, piece.found_s), max(path.radius, piece.radius)
    return sorted(kept, key=lambda path: path.id)


def _seconds(path: Path) -> float:
    return float(path.knots[-1, 0] - path.knots[0, 0])


def _continues(path: Path, piece: Path) -> bool:
    """Whether the shorter piece lies where the path leads, before its beginning or behind its end."""
    if _seconds(piece) > _seconds(path):
        return False
    middle = 0.5 * (piece.knots[0, 0] + piece.knots[-1, 0])
    where = np.array([np.interp(middle, piece.knots[:, 0], piece.knots[:, axis]) for axis in (1, 2)])
    for end, gap in ((0, path.knots[0, 0] - piece.knots[-1, 0]), (-1, piece.knots[0, 0] - path.knots[-1, 0])):
        outside = middle < path.knots[0, 0] if end == 0 else middle > path.knots[-1, 0]
        if not outside or gap > GAP_S:
            continue
        part = path.knots[:30] if end == 0 else path.knots[-30:]
        velocity = part[:, 3:5].mean(0)
        ahead = middle - path.knots[end, 0]
        way = abs(ahead) * float(np.hypot(*velocity))
        if float(np.hypot(*(path.knots[end, 1:3] + velocity * ahead - where))) <= APART_PX + APART_SHARE * way:
            return True
    return False


def against_stars(path: SmoothPath, field: StarField, spans: Sequence[Span]) -> float:
    """Evidence that a path is an object's and no star's, nat: what it has gained, less what it has gained near the place of the
    star field at which it gained most.

    A star stays at its place, within what its image and the field's velocity leave open.

    Args:
        path: smoothed.
        field: the stars' common motion.
        spans: how they move besides.
    """
    drift, known = np.zeros_like(path.states[:, :2]), True
    for span in spans:
        inside = (path.t_s >= span.start_s) & (path.t_s <= span.end_s)
        drift[inside] = span.at(path.states[inside, :2])
        known &= span.known or not inside.any()
    steps = np.diff(path.t_s)[:, None] * (drift[1:] + drift[:-1]) / 2
    places = path.states[:, :2] - field.shift(path.t_s * 1e6) - np.vstack([np.zeros((1, 2)), np.cumsum(steps, 0)])
    total = float(path.nats.sum())
    if total <= 0 or path.evidence <= 0:
        return 0.0
    gained = np.maximum(path.nats, 0.0)
    seconds = float(path.t_s[-1] - path.t_s[0])
    reach = STAR_PX + (KNOWN_PX_S if known else FIELD_PX_S) * min(seconds, FIELD_S) / 2
    knots = max(1, len(places) // 400)
    most = max(float(gained[np.hypot(*(places - place).T) <= reach].sum()) for place in places[::knots])
    return path.evidence * max(0.0, total - most * (1 + STRAY)) / total


def together(paths: Sequence[SmoothPath]) -> np.ndarray:
    """Which paths move like FORMATION others at the same time, as stars do: bool (n,)."""
    alike = np.zeros((len(paths), len(paths)), bool)
    for i, path in enumerate(paths):
        seconds = float(path.t_s[-1] - path.t_s[0])
        for j, other in enumerate(paths):
            first, last = max(path.t_s[0], other.t_s[0]), min(path.t_s[-1], other.t_s[-1])
            if i == j or last - first < max(LEAST_S, 0.5 * seconds):
                continue
            times = np.linspace(first, last, 9)
            own, theirs = path.at(times)[:, 2:], other.at(times)[:, 2:]
            away = float(np.hypot(*(own - theirs).T).mean())
            alike[i, j] = away <= ALIKE_PX_S + ALIKE_SHARE * float(np.hypot(*own.T).mean())
    member: np.ndarray = alike.sum(1) >= FORMATION
    return member


def field_of(paths: Sequence[SmoothPath], known: StarField) -> StarField:
    """The star field's motion from paths of stars, in steps of STEP_S, where at least two are there; elsewhere as it was known."""
    first, last = min(float(path.t_s[0]) for path in paths), max(float(path.t_s[-1]) for path in paths)
    edges = np.arange(first, last + STEP_S, STEP_S)
    middles = (edges[:-1] + edges[1:]) / 2
    velocities = known.velocity(middles * 1e6).copy()
    for k, middle in enumerate(middles.tolist()):
        there = [path.at(np.array([middle]))[0, 2:] for path in paths if path.t_s[0] <= middle <= path.t_s[-1]]
        if len(there) >= 2:
            velocities[k] = np.median(there, axis=0)
    return StarField(edges * 1e6, velocities)
