"""How the stars of a span move together, and how well that is known, from lines through their events (ours)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.median import weighted_median

ALIKE_PX_S = 0.12
"""Stars' velocities differ by about this much, px/s, besides what their events leave open: mounts sway."""

FEW, MANY = 3, 5
"""Stars from which on their own velocities, and their rotation, are taken rather than what the tracker says."""

TELLS_NATS = 12.0
"""What has this much evidence against the background, nat, is surely there: noise gathers no more at any place of a sensor."""

ERROR_PX_S = 0.05, 0.5
"""Without care, the stars' motion is never taken to be known better, nor worse, than this, px/s."""

MEDIAN_SQUARE = 2 * np.log(2)
"""Median of the square of a deviation in a plane, of variance 1 along either axis."""


class Span(NamedTuple):
    """How the stars move from start_s to end_s, besides the field's motion: at (x, y) by velocity + turn * (-(y - y0), x - x0),
    px/s; known: from the stars' own lines; stars: how many of these are surely there; covariance: float64 (3, 3), of velocity and
    turn."""

    start_s: float
    end_s: float
    velocity: np.ndarray
    turn: float
    centre: np.ndarray
    known: bool
    stars: int = 0
    covariance: np.ndarray = np.zeros((3, 3))

    def at(self, places: np.ndarray) -> np.ndarray:
        """float64 (n, 2), px/s, at places (n, 2) of the frame, px."""
        away = places - self.centre
        return self.velocity + self.turn * np.stack([-away[:, 1], away[:, 0]], 1)

    def error(self, places: np.ndarray) -> np.ndarray:
        """Twice the standard error of `at` for a star, along an axis: float64 (n,), px/s, at places (n, 2) of the frame, px."""
        design = _design(places - self.centre)
        variance = np.einsum("nai,ij,naj->n", design, self.covariance, design) / 2
        return np.asarray(2 * np.sqrt(np.maximum(variance, 0.0)))


class Told(NamedTuple):
    """What single stars tell of their common motion.

    Attributes:
        places: float64 (n, 2), of the frame, px.
        velocities: float64 (n, 2), px/s.
        error: float64 (n,), of a velocity, px/s.
        seconds: float64 (n,), for which a star is seen.
        nats: float64 (n,), evidence that there is one.
    """

    places: np.ndarray
    velocities: np.ndarray
    error: np.ndarray
    seconds: np.ndarray
    nats: np.ndarray

    @classmethod
    def of(cls, lines: np.ndarray, corner: np.ndarray) -> Told:
        """By lines (n, LINE) from a corner of the frame, whose last numbers are their evidence and what they tell of their
        velocity, s²/px²."""
        told = cls.by_lines(lines, corner)
        return told._replace(error=1 / np.sqrt(np.maximum(lines[:, 8], 1e-6)), nats=lines[:, 7])

    @classmethod
    def by_lines(cls, lines: np.ndarray, corner: np.ndarray) -> Told:
        """By lines whose last number is that of their events, all surely stars."""
        seconds = lines[:, 6] - lines[:, 5]
        error = 1.05 * np.sqrt(12 / np.maximum(lines[:, 8], 2)) / seconds
        middle = lines[:, :2] + lines[:, 2:4] * ((lines[:, 5] + lines[:, 6]) / 2)[:, None] + corner
        return cls(middle, lines[:, 2:4], error, seconds, np.full(len(lines), np.inf))

    def usable(self) -> Told:
        """Those that are surely there, and hardly move."""
        speed = np.hypot(*self.velocities.T)
        kept = (self.nats >= TELLS_NATS) & (self.error < 0.5) & (speed < 4 + 3 * self.error)
        return Told(*(column[kept] for column in self))

    def away(self, motion: Span) -> np.ndarray:
        """How far velocities are off a motion: float64 (n,), px/s."""
        return np.hypot(*(self.velocities - motion.at(self.places)).T)


def common(span: Span, told: Told, careful: bool) -> Span:
    """A span of unknown motion, with the motion that its stars tell.

    Args:
        span: its times and centre.
        told: by single stars; what moves on its own among them does not count.
        careful: whether FEW have to agree, and the error is that of the common motion's estimate and of how far stars keep to it,
            beyond what their events leave open; else how far the line of a single star is off.
    """
    told = told.usable()
    if len(told.error) < FEW:
        return span
    weight = np.minimum(told.seconds, 4.0) / (ALIKE_PX_S**2 + told.error**2)
    middling = [weighted_median(told.velocities[:, axis], weight) for axis in (0, 1)]
    motion = span._replace(velocity=np.array(middling), known=True)
    turns = len(told.error) >= MANY
    if careful:
        motion, agree = _agreed(motion, told, weight)
        if agree < FEW:
            return span
    elif turns:
        motion = _fitted(motion, told, weight, turns)
    away = told.away(motion)
    if careful:
        scatter = max(weighted_median(away**2 / MEDIAN_SQUARE - told.error**2, weight), 0.0)
        return motion._replace(covariance=motion.covariance + np.diag([scatter, scatter, 0.0]))
    sure = 1 / (ERROR_PX_S[0] ** 2 + told.error**2)
    error = float(np.clip(2 * weighted_median(away, sure), *ERROR_PX_S))
    return motion._replace(covariance=np.diag([error**2 / 4, error**2 / 4, 0.0]))


def _agreed(span: Span, told: Told, weight: np.ndarray) -> tuple[Span, int]:
    """With the motion that most stars agree with, and how many do so: with a turn if MANY do, or two more than without."""
    drifts, turns = (_fitted(span, told, weight, turn) for turn in (False, True))
    agree = [int(np.count_nonzero(told.away(motion) <= ALIKE_PX_S + 3 * told.error)) for motion in (drifts, turns)]
    if len(told.error) >= MANY and agree[1] >= min(MANY, agree[0] + 2):
        return turns, agree[1]
    return drifts, agree[0]


def _design(away: np.ndarray) -> np.ndarray:
    """What velocity and turn add to the velocity at places (n, 2) from the centre: float64 (n, 2, 3)."""
    design = np.zeros((len(away), 2, 3))
    design[:, 0, 0], design[:, 1, 1] = 1, 1
    design[:, 0, 2], design[:, 1, 2] = -away[:, 1], away[:, 0]
    return design


def _fitted(span: Span, told: Told, weight: np.ndarray, turns: bool) -> Span:
    """Its velocity, and its turn where there is one: least squares, reweighted so that what moves on its own does not count."""
    unknowns = 3 if turns else 2
    design = _design(told.places - span.centre).reshape(-1, 3)[:, :unknowns]
    target = told.velocities.reshape(-1)
    known = np.array([*span.velocity, 0.0])[:unknowns]
    for _ in range(10):
        rest = np.hypot(*(target - design @ known).reshape(-1, 2).T)
        robust = weight / (1 + (rest / (ALIKE_PX_S + told.error)) ** 2)
        root = np.sqrt(np.repeat(robust, 2))
        known = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
    square = ((target - design @ known).reshape(-1, 2) ** 2).sum(1) / 2 + told.error**2
    inverse = np.linalg.inv(design.T @ (np.repeat(robust, 2)[:, None] * design))
    covariance = np.zeros((3, 3))
    covariance[:unknowns, :unknowns] = inverse @ (design.T @ (np.repeat(robust**2 * square, 2)[:, None] * design)) @ inverse
    return span._replace(velocity=known[:2], turn=float(known[2]) if turns else 0.0, covariance=covariance)
