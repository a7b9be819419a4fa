"""A rough pointing made exact, by stars of a catalogue (ours).

Stars and catalogue are brought together by a similarity of the plane: for many turns and scales, every pair of a star and one of
the catalogue votes for a shift, and the shift with most votes wins; pairs that are then close give a better mapping, and so on.
Whether they belong together is asked of chance: how likely as many stars would lie so near to ones of the catalogue if they had
nothing to do with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from spikeseg.core.interrupts import check
from spikeseg.core.text import many

from .attitude import Attitude
from .catalogue import Catalogue
from .projection import Bend, Projection, fitted, tangent
from .stars import ASTRAY_TIMES, Stars, distinct

TURN_DEG, SCALE = 10.0, 0.05
"""How far a rough pointing may be turned, degrees, and its scale off ..."""

NARROW = 0.25
"""... of which this share is tried first."""

MOST_STARS, MOST_PLACES = 60, 8
"""Brightest stars that vote; places of each on its way that the mapping is fitted to."""

DEEPER = (1.5, 4.0, 10.0)
"""Brightest stars of the catalogue are compared, so many times as many in the sensor's field as stars were seen, in turn."""

VOTE_PX, NEAR_PX, CLOSE_PX = 6.0, 6.0, 2.5
"""Side of a bin of shifts; how near a star and one of the catalogue have to be at first, and in the end, px."""

CHANCE = 1e-6
"""At most so likely may chance be, over all shifts that were tried."""

LEAST = 5
"""Stars that have to be found in the catalogue."""

BETTER = 0.95
"""A distortion of a higher degree has to leave less than this share of the error, measured on stars that it was not fitted to."""

LEAST_ASTRAY_PX = 0.5
"""A star that is off by more than this, px, and ASTRAY_TIMES what stars usually are, is another."""

BENDS = {Bend.NONE: LEAST, Bend.RADIAL: 10, Bend.QUADRATIC: 12, Bend.BOTH: 14, Bend.CUBIC: 20}
"""Distortion -> from how many stars on it is tried."""


AttitudeOf = Callable[[Projection, np.ndarray | None], Attitude]
"""How a telescope turned, given a pointing and, once they are known, the directions (stars, 3) of stars, nan for others."""


class Refined(NamedTuple):
    """A pointing that stars fit.

    Attributes:
        projection: the pointing.
        attitude: how the telescope turned, from what it says.
        stars: how many of them were found in the catalogue.
        seen: of how many.
        rms_px: root of the mean square of their distances from it, px, in two dimensions.
    """

    projection: Projection
    attitude: Attitude
    stars: int
    seen: int
    rms_px: float


class _Places(NamedTuple):
    """Places of stars (n): star, pixels (n, 2), t_us (n,), weight (n,), the inverse variance."""

    star: np.ndarray
    pixels: np.ndarray
    t_us: np.ndarray
    weight: np.ndarray


def refined(
    rough: Projection,
    stars: Stars,
    attitude_of: AttitudeOf,
    catalogue: Catalogue,
    sensor_size: tuple[int, int],
    radius_px: float,
) -> Refined | str:
    """A pointing, made exact; or why it cannot be.

    Args:
        rough: it may be off by `radius_px`, TURN_DEG and SCALE.
        stars: of the recording.
        attitude_of: how the telescope turned.
        catalogue: of the same sky.
        sensor_size: (width, height), px.
        radius_px: how far it may be shifted.
    """
    if len(stars) < LEAST:
        return f"only {many(len(stars), 'star')} found in it; {LEAST} are needed"
    middle, pixel_rad = rough.middle(sensor_size)
    reach = (np.hypot(*sensor_size) / 2 + radius_px) * pixel_rad * 1.1
    projection, attitude = rough, attitude_of(rough, None)
    plane = _on_plane(projection, attitude, _places(stars), middle, pixel_rad)
    once = distinct(plane, np.argsort(-np.bincount(stars.star), kind="stable"))
    tracks, stars, plane = len(stars), stars.chosen(np.isin(np.arange(len(stars)), once)), plane[once]
    places = _places(stars)
    near = catalogue.near(middle, reach + float(np.abs(plane).max()) * pixel_rad)
    found = _brought_together(plane, stars.brightness, near, middle, pixel_rad, (sensor_size, radius_px))
    if found is None:
        return f"its {len(stars)} stars are nowhere in the catalogue within {radius_px * pixel_rad * 180 / np.pi:.2f} degrees"
    pairs, depth = found
    known = near.brightest(max(depth, _distinct(near, plane, middle, pixel_rad)))
    there = tangent(known.directions, middle) * np.pi / 180 / pixel_rad
    rms = np.inf
    for _ in range(TURNS):
        before, off = pairs, rms
        projection, rms, pairs = _fit(projection, attitude, places, pairs, known, sensor_size)
        directions = np.full((tracks, 3), np.nan)
        directions[once[pairs[:, 0]]] = known.directions[pairs[:, 1]]
        attitude = attitude_of(projection, directions)
        plane = _on_plane(projection, attitude, places, middle, pixel_rad)
        pairs = _tightened(plane, there, pairs, (NEAR_PX, CLOSE_PX, CLOSE_PX))
        if len(pairs) < LEAST:
            return f"only {len(pairs)} of {len(stars)} stars are in the catalogue; {LEAST} are needed"
        if np.array_equal(pairs, before) and abs(rms - off) <= SAME * rms:
            break
    projection, rms, pairs = _fit(projection, attitude, places, pairs, known, sensor_size)
    return Refined(projection, attitude, len(pairs), len(stars), rms)


TURNS, SAME = 6, 0.01
"""In which pointing and attitude are found by each other, at most; until the error changes by less than this share."""


def _distinct(catalogue: Catalogue, plane: np.ndarray, middle: np.ndarray, pixel_rad: float) -> int:
    """Down to which of the catalogue's stars, the brightest first, few lie so close to a place that chance put them there."""
    there = tangent(catalogue.directions, middle) * np.pi / 180 / pixel_rad
    low, high = plane.min(0), plane.max(0)
    inside = np.cumsum(((there >= low) & (there <= high)).all(1))
    return int(np.searchsorted(inside, DENSE * float(np.prod(high - low)) / (np.pi * CLOSE_PX**2)))


DENSE = 0.05
"""Share of the field that the catalogue's stars may cover, each with a circle of CLOSE_PX."""


def _tightened(plane: np.ndarray, there: np.ndarray, pairs: np.ndarray, near_px: Sequence[float]) -> np.ndarray:
    """Pairs that are close by the mapping that pairs give, again and again."""
    for near in near_px:
        if len(pairs) < 3:
            return pairs
        pairs = _close(_affine(plane[pairs[:, 0]], there[pairs[:, 1]])(plane), there, near)
    return pairs


def _places(stars: Stars) -> _Places:
    means = stars.means(MOST_PLACES)
    return _Places(means.star, means.pixels, means.t_us, means.weight)


def _on_plane(projection: Projection, attitude: Attitude, places: _Places, middle: np.ndarray, pixel_rad: float) -> np.ndarray:
    """Where stars stand on the plane that touches the sky at `middle`, in sides of a pixel: float64 (stars, 2)."""
    on_sky = attitude.turned(places.t_us, projection.directions(places.pixels))
    sums = np.stack([np.bincount(places.star, places.weight * column) for column in on_sky.T], -1)
    mean = sums / np.bincount(places.star, places.weight)[:, None]
    return tangent(mean, middle) * np.pi / 180 / pixel_rad


def _brought_together(
    plane: np.ndarray,
    brightness: np.ndarray,
    catalogue: Catalogue,
    middle: np.ndarray,
    pixel_rad: float,
    field: tuple[tuple[int, int], float],
) -> tuple[np.ndarray, int] | None:
    """Pairs (n, 2) of a star and one of the catalogue, and how many of that were looked at; None where they do not fit."""
    sensor_size, radius_px = field
    brightest = np.argsort(-brightness, kind="stable")[:MOST_STARS]
    everywhere = tangent(catalogue.directions, middle) * np.pi / 180 / pixel_rad
    extent = np.ptp(plane, 0) + 1.0
    searched = np.pi * (np.hypot(*sensor_size) / 2 + radius_px) ** 2
    for times, share in itertools.product(DEEPER, (NARROW, 1.0)):
        most = max(LEAST, round(times * len(plane) * max(searched / np.prod(extent), 1.0)))
        some = everywhere[: min(most, MOST_OF_CATALOGUE)]
        mapping, tried = _voted(plane[brightest], some, radius_px, share)
        pairs = _close(mapping(plane), some, NEAR_PX)
        pairs = _tightened(plane, some, pairs, (NEAR_PX, 0.7 * NEAR_PX, CLOSE_PX, CLOSE_PX))
        if len(pairs) >= LEAST and _by_chance(len(pairs), mapping(plane), some) * tried <= CHANCE:
            return pairs, len(some)
        if most >= len(everywhere) and share == 1:
            break
    return None


MOST_OF_CATALOGUE = 2000
"""Stars of the catalogue that are compared."""


def _voted(
    plane: np.ndarray, catalogue: np.ndarray, radius_px: float, share: float
) -> tuple[Callable[[np.ndarray], np.ndarray], float]:
    """The similarity with most votes, within a share of TURN_DEG and SCALE; and how many were tried."""
    size = max(float(np.hypot(*plane.T).max()), VOTE_PX)
    turn_step, scale_step = np.degrees(VOTE_PX / 2 / size), VOTE_PX / 2 / size
    turn_steps, scale_steps = np.ceil(share * TURN_DEG / turn_step), np.ceil(share * SCALE / scale_step)
    turns = np.radians(np.arange(-turn_steps, turn_steps + 1) * turn_step)
    scales = 1 + np.arange(-scale_steps, scale_steps + 1) * scale_step
    bins = int(np.ceil(2 * radius_px / VOTE_PX)) + 2
    best = -1
    shift: np.ndarray = np.zeros(2)
    chosen: np.ndarray = np.eye(2)
    for turn in turns:
        check()
        for scale in scales:
            matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            apart = (catalogue[None] - (plane @ matrix.T)[:, None]).reshape(-1, 2)
            k = np.floor((apart + radius_px) / VOTE_PX).astype(np.int64) + 1
            k = k[((k >= 0) & (k < bins)).all(1)]
            votes = np.bincount(k[:, 0] * bins + k[:, 1], minlength=bins * bins).reshape(bins, bins)
            sums = votes[:-1, :-1] + votes[1:, :-1] + votes[:-1, 1:] + votes[1:, 1:]
            top = int(sums.argmax())
            if sums.flat[top] > best:
                best, chosen = int(sums.flat[top]), matrix
                shift = np.array(np.unravel_index(top, sums.shape)) * VOTE_PX - radius_px
    shift = _densest((catalogue[None] - (plane @ chosen.T)[:, None]).reshape(-1, 2), shift)
    return lambda points: points @ chosen.T + shift, float(len(turns) * len(scales) * (2 * radius_px / CLOSE_PX) ** 2)


def _densest(shifts: np.ndarray, about: np.ndarray) -> np.ndarray:
    """Where most of the shifts (n, 2) lie that are in the four bins about one: the mean of those within CLOSE_PX of one."""
    from scipy.spatial import KDTree

    near = shifts[(np.abs(shifts - about) <= VOTE_PX).all(1)]
    if not len(near):
        return about
    neighbours = KDTree(near).query_ball_point(near, CLOSE_PX)
    return np.asarray(near[max(neighbours, key=len)].mean(0))


def _close(plane: np.ndarray, catalogue: np.ndarray, near_px: float) -> np.ndarray:
    """Pairs (n, 2) of a star and one of the catalogue that are each other's nearest, and near."""
    from scipy.spatial import KDTree

    finite = np.flatnonzero(np.isfinite(catalogue).all(1))
    if not len(finite) or not len(plane):
        return np.zeros((0, 2), np.int64)
    there, back = KDTree(catalogue[finite]), KDTree(plane)
    distance, to = there.query(plane)
    _, fro = back.query(catalogue[finite])
    good = (distance <= near_px) & (fro[to] == np.arange(len(plane)))
    return np.stack([np.flatnonzero(good), finite[to[good]]], -1)


def _affine(points: np.ndarray, onto: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The mapping nearest to pairs: of degree 1, of few a similarity."""
    middle = points.mean(0)
    x, y = (points - middle).T
    ones, zeros = np.ones(len(x)), np.zeros(len(x))
    if len(points) < 6:
        rows = np.concatenate([np.stack([ones, zeros, x, -y], -1), np.stack([zeros, ones, y, x], -1)])
        a, b, c, d = np.linalg.lstsq(rows, onto.T.ravel(), rcond=None)[0]
        matrix, shift = np.array([[c, -d], [d, c]]), np.array([a, b])
    else:
        found = np.linalg.lstsq(np.stack([ones, x, y], -1), onto, rcond=None)[0]
        matrix, shift = found[1:].T, found[0]
    return lambda places: (places - middle) @ matrix.T + shift


def _by_chance(pairs: int, plane: np.ndarray, catalogue: np.ndarray) -> float:
    """How likely so many stars lie within CLOSE_PX of ones of the catalogue that have nothing to do with them."""
    from scipy.special import bdtrc

    low, high = plane.min(0) - CLOSE_PX, plane.max(0) + CLOSE_PX
    inside = int(((catalogue >= low) & (catalogue <= high)).all(1).sum())
    share = -np.expm1(-max(inside, 1) / float(np.prod(high - low)) * np.pi * CLOSE_PX**2)
    return float(bdtrc(pairs - 1, len(plane), share))


def _fit(
    projection: Projection,
    attitude: Attitude,
    places: _Places,
    pairs: np.ndarray,
    catalogue: Catalogue,
    sensor_size: tuple[int, int],
) -> tuple[Projection, float, np.ndarray]:
    """The projection nearest to pairs, of the degree that foretells stars best that it was not fitted to; how far off the stars
    are then, px (root of the mean square); and the pairs without those that are far off."""
    given = projection.wcs.sip
    middle = (np.array(sensor_size) - 1) / 2 if given is None else np.asarray(given.crpix) - 1
    kinds = [
        (Bend.NONE, given),
        *((bend, None) for bend, least in BENDS.items() if len(pairs) >= least and (bend.value or given)),
    ]
    for last in (False, True):
        of = np.full(places.star.max() + 1, -1)
        of[pairs[:, 0]] = pairs[:, 1]
        rows = of[places.star] >= 0
        star, pixels = np.unique(places.star[rows], return_inverse=True)[1], places.pixels[rows]
        weight = places.weight[rows]
        known = attitude.back(places.t_us[rows], catalogue.directions[of[places.star[rows]]])
        kind = _best(kinds, pixels, known, middle, (star, weight)) if len(kinds) > 1 else kinds[0]
        fit = fitted(pixels, known, middle, *kind, weight)
        off = np.linalg.norm(fit.directions(pixels) - known, axis=1) / fit.middle(sensor_size)[1]
        each = np.bincount(star, off) / np.bincount(star)
        near = each <= max(ASTRAY_TIMES * float(np.median(each)), LEAST_ASTRAY_PX)
        if last or near.all() or near.sum() < LEAST:
            break
        pairs = pairs[near]  # which are in the order of stars
    return fit, float(np.sqrt(np.mean(off**2))), pairs


def _best(
    kinds: Sequence[tuple[Bend, Any]],
    pixels: np.ndarray,
    known: np.ndarray,
    middle: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
) -> tuple[Bend, Any]:
    """The distortion that foretells most stars best, each from the others. rows: star and weight (n,) of each place."""
    star, weight = rows
    best, chosen = np.inf, kinds[0]
    for kind in kinds:
        off = np.zeros(len(star))
        for k in range(FOLDS):
            out = star % FOLDS == k
            fit = fitted(pixels[~out], known[~out], middle, *kind, weight[~out])
            off[out] = np.linalg.norm(fit.directions(pixels[out]) - known[out], axis=1)
        error = float(np.median(np.bincount(star, off) / np.bincount(star)))
        if error < BETTER * best:
            best, chosen = error, kind
    return chosen


FOLDS = 5
"""Into so many parts stars are divided to choose a degree."""
