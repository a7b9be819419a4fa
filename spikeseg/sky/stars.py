"""The stars' tracks of a recording, and how the telescope turned by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .attitude import Followed

LEAST_ROWS = 4
"""Detections of a track that counts as a star's."""

ASTRAY_PX_S, ASTRAY_PX = 2.0, 4.0
"""A track that moves through the star field by more than this, px/s, and this over its life, px, is no star's: a hot pixel's."""

SAME_PX = 3.0
"""Tracks that come so near to each other on the sky, px, are of one star."""

KNOT_S = 1.0
"""The telescope turns evenly for about so long, s."""

SWAY_PX = 2.0
"""By about so much an even turn is off from knot to knot, px: where stars are few, the turn is smoothed so."""

ASTRAY_TIMES = 4.0
"""A track that is off by so many times what tracks usually are does not count."""

ROUNDS = 6
"""In which the turn is found."""

A_SECOND = 4
"""Rows of a star that count, where they are more: means of neighbours."""

TICK_S = 0.05
"""From how far before to how far behind a time the stars' velocities are taken, s."""


class Camera(Protocol):
    """Where pixels look: a `Projection`, for one."""

    def directions(self, pixels: np.ndarray) -> np.ndarray:
        """Of pixels (n, 2): float64 (n, 3), unit vectors."""


@dataclass(frozen=True, eq=False)
class Stars:
    """Rows of the tracks that are stars', by track, then time.

    Attributes:
        star: int64 (n,), from 0, rising.
        t_us: float64 (n,), µs.
        pixels: float64 (n, 2).
        velocities: float64 (n, 2), px/s.
        brightness: float64 (stars,), of each, to compare.
        weight: float64 (n,), of each row, the inverse of its variance; only their ratios count.
    """

    star: np.ndarray
    t_us: np.ndarray
    pixels: np.ndarray
    velocities: np.ndarray
    brightness: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.brightness)

    @classmethod
    def of(cls, tracks: np.ndarray, position_error: np.ndarray | None = None) -> Stars:
        """Of `Detections.tracks` and `Detections.position_error`; where that is not known, all rows count alike."""
        _, number, counts = np.unique(tracks["track_id"], return_inverse=True, return_counts=True)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.bincount(number, values, len(counts)) / counts

        last, first = np.full(len(counts), -np.inf), np.full(len(counts), np.inf)
        np.maximum.at(last, number, tracks["t_us"])
        np.minimum.at(first, number, tracks["t_us"])
        speed = np.hypot(mean(tracks["vx_rel"]), mean(tracks["vy_rel"]))
        good = ~(mean(tracks["is_object"]) > 0) & (counts >= LEAST_ROWS)
        good &= (speed <= ASTRAY_PX_S) | (speed * (last - first) * 1e-6 <= ASTRAY_PX)
        rows = good[number]
        own = tracks[rows]
        return cls(
            star=(np.cumsum(good) - 1)[number[rows]],
            t_us=own["t_us"].astype(np.float64),
            pixels=np.stack([own["x"], own["y"]], -1),
            velocities=np.stack([own["vx"], own["vy"]], -1),
            brightness=mean(tracks["score"])[good],
            weight=np.ones(rows.sum()) if position_error is None else 1 / np.nan_to_num(position_error[rows], nan=1.0) ** 2,
        )

    def chosen(self, stars: np.ndarray) -> Stars:
        """Only those of bool (stars,)."""
        rows = stars[self.star]
        number = (np.cumsum(stars) - 1)[self.star[rows]]
        return Stars(number, self.t_us[rows], self.pixels[rows], self.velocities[rows], self.brightness[stars], self.weight[rows])

    def means(self, most: int) -> Stars:
        """The same with `most` rows of each star at most: weighted means over equal shares of its rows, on its way too."""
        counts = np.bincount(self.star, minlength=len(self))
        place = np.arange(len(self.star)) - np.repeat(np.cumsum(counts) - counts, counts)
        parts = np.minimum(counts, most)
        part = place * parts[self.star] // counts[self.star]
        starts = np.flatnonzero(np.diff(self.star * (most + 1) + part, prepend=-1))
        if not len(starts):
            return self
        weight = np.add.reduceat(self.weight, starts)

        def mean(values: np.ndarray) -> np.ndarray:
            return (np.add.reduceat((values.T * self.weight).T, starts, 0).T / weight).T

        return Stars(self.star[starts], mean(self.t_us), mean(self.pixels), mean(self.velocities), self.brightness, weight)


def distinct(places: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Indices, rising, of places (n, 2), px, no two of which are within SAME_PX: of a star that has several tracks the first in
    `order`, a permutation of n."""
    kept: list[int] = []
    for k in order.tolist():
        if not kept or np.hypot(*(places[kept] - places[k]).T).min() > SAME_PX:
            kept.append(k)
    return np.sort(np.array(kept, np.int64))


def followed(stars: Stars, projection: Camera, pixel_rad: float, known: np.ndarray | None = None) -> Followed | None:
    """How the telescope turned while stars passed, t0 at the first knot, or, with `known`, from what the pointing says to what is
    known; None of fewer than 2 stars.

    Every star stands still on the sky: the turn at the knots, and the stars' directions, are those nearest to all places that
    were measured, by least squares (Gauss and Newton), with a weak preference for an even turn. It starts from velocities.

    Args:
        stars: see `Stars`.
        projection: the pointing, as it is at t0.
        pixel_rad: side of a pixel, rad.
        known: directions (stars, 3) on the sky; nan: not known, the star is left out. None: none are.
    """
    if len(stars):
        stars = stars.means(max(2, round(A_SECOND * float(np.ptp(stars.t_us)) * 1e-6)))
    good = np.ones(len(stars), bool) if known is None else np.isfinite(known[:, 0])
    for _ in range(2):
        used, own = stars.chosen(good), None if known is None else known[good]
        if len(used) < 2:
            return None
        turn, off = _followed(used, projection, pixel_rad, own)
        fine = off <= ASTRAY_TIMES * max(float(np.median(off)), 0.05)
        if fine.all():
            break
        good[np.flatnonzero(good)[~fine]] = False
    return turn


def _followed(stars: Stars, projection: Camera, pixel_rad: float, known: np.ndarray | None) -> tuple[Followed, np.ndarray]:
    """The turn, and by how much each star's places are off, px (root of the mean square)."""
    from scipy.spatial.transform import Rotation

    t_s = stars.t_us * 1e-6
    seen = projection.directions(stars.pixels)
    knots = np.linspace(t_s.min(), max(t_s.max(), t_s.min() + 1e-3), max(2, round((t_s.max() - t_s.min()) / KNOT_S) + 1))
    near = _Near(t_s, knots, stars.weight)
    ahead, behind = (projection.directions(stars.pixels + s * stars.velocities) for s in (TICK_S, -TICK_S))
    # in the sensor's own frame, which turns by w, the direction r of what stands still on the sky changes by r' = -w x r
    rates = near.turns(seen, (behind - ahead) / (2 * TICK_S), None)
    steps = Rotation.from_rotvec((rates[1:] + rates[:-1]) / 2 * np.diff(knots)[:, None])
    turns = [Rotation.identity()]
    for step in steps:
        turns.append(turns[-1] * step)
    turn = Followed(knots, Rotation.concatenate(turns))
    if known is not None:
        turn = Followed(knots, Rotation.align_vectors(known[stars.star], turn.turned(stars.t_us, seen))[0] * turn.turns)
    for _ in range(ROUNDS):
        on_sky = turn.turned(stars.t_us, seen)
        change = near.turns(on_sky, -_apart(on_sky, stars, known), stars.star if known is None else None)
        turn = Followed(knots, Rotation.from_rotvec(change) * turn.turns)
        if np.abs(change).max() < 1e-3 * pixel_rad:
            break
    off = _apart(turn.turned(stars.t_us, seen), stars, known) / pixel_rad
    return turn, np.sqrt(np.bincount(stars.star, (off**2).sum(1)) / np.bincount(stars.star))


def _apart(places: np.ndarray, stars: Stars, known: np.ndarray | None) -> np.ndarray:
    """How far each place (n, 3) is from where its star is known to be, or else from the star's weighted mean: float64 (n, 3)."""
    if known is None:
        sums = np.stack([np.bincount(stars.star, stars.weight * column) for column in places.T], -1)
        known = sums / np.bincount(stars.star, stars.weight)[:, None]
    return np.asarray(places - known[stars.star])


class _Near:
    """Turns, linear between knots (k,), that come nearest to what was measured at times (n,), both in s, with weights (n,)."""

    def __init__(self, t_s: np.ndarray, knots: np.ndarray, weight: np.ndarray) -> None:
        from scipy.sparse import csr_array

        n, k = len(t_s), len(knots)
        self.root = np.sqrt(weight / np.median(weight))
        at = np.clip((t_s - knots[0]) / (knots[1] - knots[0]), 0, k - 1)
        left = np.minimum(at.astype(np.int64), k - 2)
        rows, columns = np.tile(np.arange(n), 2), np.concatenate([left, left + 1])
        self.hat = csr_array((np.concatenate([1 - at + left, at - left]), (rows, columns)), (n, k))

    def turns(self, places: np.ndarray, values: np.ndarray, star: np.ndarray | None) -> np.ndarray:
        """Vectors w at the knots, float64 (k, 3), for which w(t) x place comes nearest to the value of each of the (n, 3) places,
        by least squares; with `star` (n,), up to a constant of each star."""
        from scipy.sparse import block_array, csr_array, diags_array, eye_array
        from scipy.sparse.linalg import spsolve

        k = self.hat.shape[1]
        x, y, z = (csr_array(diags_array(self.root * column) @ self.hat) for column in places.T)
        values = self.root[:, None] * values
        matrix = csr_array(block_array([[None, z, -y], [-z, None, x], [y, -x, None]]))
        normal, right = matrix.T @ matrix, matrix.T @ values.T.ravel()
        if star is not None:
            n, counts = len(star), np.bincount(star, self.root**2)
            sums = csr_array((self.root, (star, np.arange(n))))
            means = csr_array(
                diags_array(np.tile(counts**-0.5, 3)) @ block_array([[sums, None, None], [None, sums, None], [None, None, sums]])
            )
            own = means @ matrix
            normal, right = normal - own.T @ own, right - own.T @ (means @ values.T.ravel())
        ones = np.ones(k)
        uneven = (
            csr_array(diags_array([ones[2:], -2 * ones[2:], ones[2:]], offsets=[0, 1, 2], shape=(k - 2, k)))
            if k > 2
            else csr_array((0, k))
        )
        even = uneven.T @ uneven / SWAY_PX**2 + 1e-9 * eye_array(k)
        normal = normal + block_array([[even, None, None], [None, even, None], [None, None, even]])
        return np.asarray(spsolve(normal.tocsc(), right)).reshape(3, k).T
