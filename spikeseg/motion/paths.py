"""Paths of a whole recording: pieces of one object joined, and the evidence that it is none of the stars (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import star_kernels as kernels
from .events import Events
from .frame import EDGE_PX, Frame
from .path import Path, SmoothPath
from .star_motion import Span
from .stars import FOLLOWS_PX_S, STAR

BESIDE_PX = 5.0
"""Nearer to each other than this, px, two that move alike are one, or a star and its halo."""

GAP_S = 2.0
"""Pieces of one object lie no further apart in time than this, s."""

APART_PX, APART_SHARE = 4.0, 0.15
"""The middle of the shorter piece lies within APART_PX, and this share of the way between, of where the longer one leads."""

SLOW_PX_S, NEXT = 6.0, 30
"""While stars stream past, pieces slower than this, px/s, are one object, too, if they lie at one place within APART_PX, by so
many knots: it rests, and sways with the mount."""

RESTS_PX_S, STOPS_S, FOLLOWED_S = 1.0, 1.0, 0.5
"""What is slower than this, px/s, rests. It has come, or goes on, within STOPS_S, by a path that ends or begins no more than
FOLLOWED_S too late."""

STAR_PX, WIDE_STAR_PX = 1.25, 2.5
"""What has not gone further from a place of the star field than this, px, may be a star (the latter where the field is not
steady, and at the sensor's edge, where a star's image is cut off, if the stars move so far over it meanwhile) ..."""

STRAY = 0.1
"""Share of a star's evidence that may lie beyond: its halo, and what sways."""

FIELD_PX_S, FIELD_S = 0.3, 10.0
"""... or further by the error of the field's velocity, px/s, if the stars' own lines do not tell it, over FIELD_S at most; by
FOLLOWS_PX_S if the telescope follows them."""

SURE_NATS, SURE_S = 4.0, 2.0
"""What moves about like others, but has so many times the evidence asked for that it is none of the stars, over so long, s, in a
steady field, is an object."""

CREEPS_PX_S, CREEPS_NATS = 1.5, 6.0
"""What is slower than this among the stars, px/s, creeps, if a line explains its way by so much better than two stars, nat."""

LEAST_S, BRIEF_S = 0.6, 0.15
"""A path has to last so long, s: what is there for less is a flash, or a piece of something else; the latter is enough ..."""

BRIEF_PX, BRIEF_NATS = 8.0, 2.5
"""... for what comes so far, px, with evidence of so many times the threshold, where the star field is steady, away from the
sensor's edge, which cuts images off: stars that enter there one after the other look like a brief path."""

STREAM_LEAST_S, STREAM_NATS = 1.0, 2.0
"""Where stars stream, what lasts less than this, s, needs so many times the threshold: a path may lead from star to star."""

CREEPING_NATS = 2.0
"""What creeps among the stars needs so many times the evidence of a path: what wanders about among flickering pixels has less."""

EARLY_NATS = 2.5
"""A line becomes a path with so much less evidence than an object needs, nat: what comes before and behind may make up for it."""


def joined(paths: list[Path], events: Events, resting: bool = False) -> list[Path]:
    """Paths, with pieces of one object made one; their events get the owner that is kept.

    resting: whether an object may rest on the sensor, see `Frame.streams`: slow pieces at one place are its, and one that
        begins where it ends, or ends where it begins.
    """
    kept = sorted(paths, key=lambda path: -_seconds(path))
    for path in list(kept):
        if path not in kept:
            continue
        while True:
            others = [other for other in kept if other is not path]
            piece = next((other for other in others if _continues(path, other, resting)), None)
            if piece is None and resting:
                piece = next((other for other in others if _stops_or_starts(path, other)), None)
            if piece is None:
                break
            kept.remove(piece)
            events.owner[events.owner == piece.id] = path.id
            knots = np.concatenate([path.knots, piece.knots])
            path.knots = knots[np.argsort(knots[:, 0], kind="stable")]
            path.nats += max(piece.nats, 0.0)
            if piece.alive and not path.alive:
                path.state, path.until, path.alive = piece.state, piece.until, True
            path.found_s, path.radius = min(path.found_s, piece.found_s), max(path.radius, piece.radius)
    return sorted(kept, key=lambda path: path.id)


def _seconds(path: Path) -> float:
    return float(path.knots[-1, 0] - path.knots[0, 0])


def _continues(path: Path, piece: Path, resting: bool) -> bool:
    """Whether the shorter piece lies where the path leads, before its beginning or behind its end; or where it rests."""
    if _seconds(piece) > _seconds(path):
        return False
    if resting and _rests_there(path.knots, piece.knots):
        return True
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


def _rests_there(path: np.ndarray, piece: np.ndarray) -> bool:
    """Whether a piece, and what of a path is next to it in time, are slow and lie at one place. knots: (n, KNOT) each."""
    if max(path[0, 0] - piece[-1, 0], piece[0, 0] - path[-1, 0]) > GAP_S:
        return False
    part = path[np.argsort(np.abs(path[:, 0] - piece[:, 0].mean()), kind="stable")[:NEXT]]
    slow = all(float(np.hypot(*knots[:, 3:5].mean(0))) < SLOW_PX_S for knots in (part, piece))
    return slow and float(np.hypot(*(part[:, 1:3].mean(0) - piece[:, 1:3].mean(0)))) <= APART_PX


def _stops_or_starts(path: Path, piece: Path) -> bool:
    """Whether one of two rests, and the other one has come to its place just when it begins, or leaves it just when it ends."""
    for before, after in ((path, piece), (piece, path)):
        end, start = before.knots[-1], after.knots[0]
        velocities = [one.knots[:, 3:5].mean(0) for one in (before, after)]
        slower, faster = sorted(velocities, key=lambda velocity: float(np.hypot(*velocity)))
        if before.alive or abs(start[0] - end[0]) > STOPS_S or float(np.hypot(*slower)) >= RESTS_PX_S:
            continue
        apart = start[1:3] - end[1:3]
        off_s = np.clip(apart @ faster / max(float(faster @ faster), 1e-9), -FOLLOWED_S, FOLLOWED_S)
        if float(np.hypot(*(apart - off_s * faster))) <= APART_PX:
            return True
    return False


def beside(paths: Sequence[SmoothPath], nats: np.ndarray) -> np.ndarray:
    """Which paths run beside one of more evidence within BESIDE_PX for most of their time: bool (n,). They are a part of it, or
    its halo.

    nats: (n,), of each path; 0: it does not count.
    """
    result = np.zeros(len(paths), bool)
    for k, path in enumerate(paths):
        for other in np.flatnonzero(nats > nats[k]).tolist():
            both = (path.t_s >= paths[other].t_s[0]) & (path.t_s <= paths[other].t_s[-1])
            apart = path.states[both, :2] - paths[other].at(path.t_s[both])[:, :2]
            result[k] |= np.count_nonzero(np.hypot(*apart.T) <= BESIDE_PX) > 0.5 * len(path.t_s)
    return result


def in_halo(path: SmoothPath, events: Events, frame: Frame) -> bool:
    """Whether a path stays beside a star, within BESIDE_PX, and has no more than STRAY of its events: then they are the star's,
    further from its line than it reaches.

    Args:
        path: smoothed.
        events: all; those of stars are theirs.
        frame: of the star field.
    """
    if np.hypot(*np.ptp(frame.to_sky(path.t_s, path.states[:, :2]), axis=0)) > 2 * BESIDE_PX:
        return False
    during = slice(*np.searchsorted(events.t, [path.t_s[0], path.t_s[-1]]))
    of_stars = np.flatnonzero(events.owner[during] == STAR) + during.start
    away = np.hypot(*(np.stack([events.x[of_stars], events.y[of_stars]]) - path.at(events.t[of_stars])[:, :2].T))
    return bool(path.events.sum() <= STRAY * np.count_nonzero(away <= BESIDE_PX))


def against_stars(
    path: SmoothPath, frame: Frame, spans: Sequence[Span], sensor_size: tuple[int, int], careful: bool = True, stars: int = 1
) -> float:
    """Evidence that a path is an object's and no star's, nat: what it has gained, less what it has gained near the place of the
    star field at which it gained most.

    A star stays at its place, within what its image and the field's velocity leave open.

    Args:
        path: smoothed.
        frame: of the star field.
        spans: how the stars move in it.
        sensor_size: (width, height), px.
        careful: whether at the sensor's edge it matters how far the stars move, and a telescope that follows them does so well.
        stars: that may explain it, one after the other: as many places.
    """
    on_sensor = path.states[:, :2]
    places, drift, unsure = _among_stars(path, frame, spans, careful)
    total = float(path.nats.sum())
    if total <= 0 or path.evidence <= 0:
        return 0.0
    gained = np.maximum(path.nats, 0.0)
    seconds = float(path.t_s[-1] - path.t_s[0])
    at_edge = np.minimum(on_sensor, np.array(sensor_size) - 1 - on_sensor).min(1) <= EDGE_PX
    passed = (float(np.hypot(*(frame.velocity(path.t_s, on_sensor) + drift).T).mean()) + unsure) * seconds
    wide = min(WIDE_STAR_PX, STAR_PX + passed) if careful and frame.steady else WIDE_STAR_PX
    reach = np.where(at_edge | (not frame.steady), wide, STAR_PX) + unsure * min(seconds, FIELD_S) / 2
    step = max(1, len(places) // 400)
    most = sum(kernels.taken(places, reach, gained, step) for _ in range(stars))
    return path.evidence * max(0.0, total - most * (1 + STRAY)) / total


def _among_stars(path: SmoothPath, frame: Frame, spans: Sequence[Span], careful: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """A path's places among the stars, float64 (k, 2), px; how these move there besides the frame, float64 (k, 2), px/s; and how
    far their velocity may be off, px/s."""
    unknown = FOLLOWS_PX_S if careful and not frame.rates.any() else FIELD_PX_S
    places, unsure = frame.to_sky(path.t_s, path.states[:, :2]), 0.0 if spans else unknown
    drift = np.zeros_like(places)
    for span in spans:
        inside = (path.t_s >= span.start_s) & (path.t_s <= span.end_s)
        drift[inside] = span.at(places[inside])
        if inside.any():
            unsure = max(unsure, float(span.error(places[inside]).max()) if span.known else unknown)
    steps = np.diff(path.t_s)[:, None] * (drift[1:] + drift[:-1]) / 2
    return places - np.vstack([np.zeros((1, 2)), np.cumsum(steps, 0)]), drift, unsure


def creeping(path: SmoothPath, frame: Frame, spans: Sequence[Span], sensor_size: tuple[int, int]) -> float:
    """Evidence that a path creeps among the stars, nat: by how much a straight line at one speed explains it better than a star
    at rest; 0 unless it does so for SURE_S or more in a steady field, by CREEPS_NATS more than two stars, one after the other.

    By how much the stars' velocity may be off is taken off its own. The sensor's edge, which cuts images off, tells nothing where
    they move by more than STAR_PX.

    Args:
        path: smoothed.
        frame: of the star field.
        spans: see `against_stars`.
        sensor_size: (width, height), px.
    """
    on_sensor, (places, drift, unsure) = path.states[:, :2], _among_stars(path, frame, spans, True)
    passed = float(np.hypot(*(frame.velocity(path.t_s, on_sensor) + drift).T).mean() * np.ptp(path.t_s))
    away = (np.minimum(on_sensor, np.array(sensor_size) - 1 - on_sensor) > EDGE_PX).all(1) | (passed <= STAR_PX)
    gained, t_s = np.maximum(path.nats[away], 0.0), path.t_s[away]
    if not frame.steady or path.evidence <= 0 or not gained.any() or np.ptp(t_s) < SURE_S:
        return 0.0
    events = gained * (path.events[away].sum() / gained.sum())
    since, places = (own - np.average(own, axis=0, weights=events) for own in (t_s, places[away]))
    spread = float((events * since) @ since)
    speed = float(np.hypot(*((events * since) @ places))) / spread
    if not unsure < speed < CREEPS_PX_S:
        return 0.0
    before, moment = np.cumsum(events)[:-1], np.cumsum(events[:, None] * places, axis=0)[:-1]
    both = 1 / np.maximum(before, 1e-9) + 1 / np.maximum(events.sum() - before, 1e-9)
    of_line, of_two = spread * speed**2, float(((moment**2).sum(1) * both).max())
    nats = (1 - unsure / speed) ** 2 / (2 * STAR_PX**2)
    return min(path.evidence, of_line * nats) if (of_line - of_two) * nats >= CREEPS_NATS else 0.0


def no_star(path: SmoothPath, asked: float, frame: Frame, spans: Sequence[Span], sensor_size: tuple[int, int]) -> bool:
    """Whether a path that moves about like others is an object nevertheless: a slow one. It may lead from one star to another, so
    that what two of them would explain does not count.

    Args:
        path: smoothed.
        asked: evidence that makes a path, nat.
        frame: of the star field.
        spans: see `against_stars`, as the last.
        sensor_size: (width, height), px.
    """
    if not frame.steady or path.t_s[-1] - path.t_s[0] < SURE_S:
        return False
    return against_stars(path, frame, spans, sensor_size, stars=2) >= SURE_NATS * asked


def evidence_of(
    path: SmoothPath,
    alike: bool,
    asked: float,
    frame: Frame,
    spans: Sequence[Span],
    sensor_size: tuple[int, int],
    careful: bool = True,
) -> float:
    """That a path is an object's, nat. One of several that move alike has none, unless (with care) it surely is no star, or
    creeps where their own lines tell how they move.

    Args:
        path: smoothed.
        alike: whether it is one of several that move alike.
        asked: evidence that makes a path, nat.
        frame: of the star field.
        spans: see `against_stars`, as the last two.
        sensor_size: (width, height), px.
        careful: see there.
    """
    rest = frame, spans, sensor_size
    nats = against_stars(path, *rest, careful)
    if not careful:
        return 0.0 if alike else nats
    creeps = creeping(path, *rest) if path.evidence >= CREEPING_NATS * asked else 0.0
    if alike and not no_star(path, asked, *rest):
        return creeps if all(span.known for span in spans) else 0.0
    return max(nats, creeps)


def telling(
    paths: Sequence[SmoothPath], nats: Sequence[float], threshold: float, events: Events, frame: Frame, careful: bool = True
) -> np.ndarray:
    """Which paths become tracks: bool (n,). They last, have nearly enough evidence, and (with care) are the halo neither of a
    star nor of another path.

    Args:
        paths: smoothed.
        nats: the evidence of each.
        threshold: evidence from which a path is an object, nat.
        events: all; those of stars are theirs.
        frame: of the star field.
        careful: whether halos are looked for.
    """
    tells = np.array(nats) >= threshold - EARLY_NATS
    tells &= np.array([lasts(path, own, threshold, frame) for path, own in zip(paths, nats, strict=True)], bool)
    if careful:
        tells[tells] = [not in_halo(paths[k], events, frame) for k in np.flatnonzero(tells).tolist()]
        tells &= ~beside(paths, np.where(tells, nats, 0.0))
    return tells


def lasts(path: SmoothPath, nats: float, threshold: float, frame: Frame) -> bool:
    """Whether a path is there for long enough to be told of: for LEAST_S, or briefly if it leaves no doubt.

    Args:
        path: smoothed.
        nats: its evidence.
        threshold: evidence from which it is an object, nat.
        frame: of the star field.
    """
    seconds = float(path.t_s[-1] - path.t_s[0])
    if seconds >= LEAST_S:
        return seconds >= STREAM_LEAST_S or nats >= STREAM_NATS * threshold or not frame.streams
    away = np.flatnonzero((np.abs(path.states[:, :2] - frame.centre) <= frame.centre - EDGE_PX).all(1))
    if not len(away) or nats < BRIEF_NATS * threshold or not frame.steady:
        return False
    ends = away[[0, -1]]
    t_s, places = path.t_s[ends], path.states[ends, :2]
    way = min(float(np.hypot(*np.diff(some, axis=0)[0])) for some in (places, frame.to_sky(t_s, places)))
    return bool(t_s[1] - t_s[0] >= BRIEF_S and way >= BRIEF_PX)
