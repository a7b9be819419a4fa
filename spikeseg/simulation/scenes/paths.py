"""Where the shapes of a scene are: place, angle and scale of each over time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..draws import log_uniform
from .config import SceneConfig

GRID_S = 0.001
"""Step of the grid on which paths are given; straight lines in between."""
STEP_PX = 0.5
"""No part of a shape moves further than this between two renderings."""
MIDDLE = (0.2, 0.8)
"""The part of each side of the sensor in which the point lies through which an object passes."""
PASSES = (0.2, 0.8)
"""The part of the recording in which it does."""
STOP_S, RAMP_S = (0.2, 1.0), 0.04
"""How long an object that stops stands still, at most 0.4 of the recording; how long stopping and starting take."""
RADIUS = (0.15, 0.5)
"""Of curved paths, in the shorter side of the sensor; log-uniform."""
SPIN_HZ, SPINS = (0.1, 1.0), 0.3
"""Rate at which an object that spins does, and how many of those that fly straight do."""
GROWS_FROM = (0.25, 0.5)
"""Scale at which an object that approaches starts."""


class Path(NamedTuple):
    """Of one shape.

    Attributes:
        t_s: float64 (n,), rising.
        pose: float64 (n, 4): x, y (px), angle (rad), scale (1 at most).
    """

    t_s: np.ndarray
    pose: np.ndarray


class Passing(NamedTuple):
    """The point (x, y) through which an object passes, when, and how fast and where to."""

    point: np.ndarray
    at_s: float
    speed_px_s: float
    heading: float


def draw_passing(rng: np.random.Generator, config: SceneConfig) -> Passing:
    """A point in the middle of the sensor, at a time in the middle of the recording."""
    point = rng.uniform(*MIDDLE, 2) * config.sensor_size
    at_s = rng.uniform(*PASSES) * config.duration_s
    return Passing(point, float(at_s), log_uniform(rng, config.speed_px_s), float(rng.uniform(0, 2 * np.pi)))


def grid(config: SceneConfig) -> np.ndarray:
    """Times at which paths are given: float64 (n,), s."""
    return np.linspace(0, config.duration_s, 1 + max(2, int(np.ceil(config.duration_s / GRID_S))))


def draw_path(rng: np.random.Generator, config: SceneConfig, motion: str, passing: Passing) -> Path:
    """The path of one of config.RIGID through a point."""
    t = grid(config)
    step = t[1]
    speed, heading = np.full(len(t), passing.speed_px_s), np.full(len(t), passing.heading)
    angle, scale = np.full(len(t), rng.uniform(0, 2 * np.pi)), np.ones(len(t))
    if motion == "turn":
        radius = log_uniform(rng, RADIUS) * min(config.sensor_size)
        heading += rng.choice([-1, 1]) * passing.speed_px_s / radius * (t - passing.at_s)
        angle += heading
    elif rng.random() < SPINS:
        angle += rng.choice([-1, 1]) * 2 * np.pi * log_uniform(rng, SPIN_HZ) * t
    if motion == "stop":
        rest = min(rng.uniform(*STOP_S), 0.4 * config.duration_s)
        away = np.abs(t - passing.at_s) - rest / 2
        moves = np.clip(away / RAMP_S, 0, 1)
        speed *= moves
        angle = angle[0] + np.cumsum(np.gradient(angle) * moves)
    if motion == "grow":
        first = rng.uniform(*GROWS_FROM)
        scale = first / (1 - (1 - first) * t / config.duration_s)
    velocity = speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], 1)
    way = np.concatenate([np.zeros((1, 2)), np.cumsum(0.5 * (velocity[1:] + velocity[:-1]) * step, 0)])
    at = [np.interp(passing.at_s, t, way[:, axis]) for axis in (0, 1)]
    return Path(t, np.column_stack([way - at + passing.point, angle, scale]))


def renderings(path: Path, radius_px: float, sensor_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """When a shape has to be rendered again: times (m,), s, and its poses then (m, 4).

    Between two of them no part of it moves by more than STEP_PX; where it is off the sensor it is not rendered. It is when it
    stops and when it goes on, so that what changes between two renderings may be taken to change evenly.
    """
    t, pose = path
    reach = radius_px * pose[:, 3:] + 2
    near = np.all((pose[:, :2] > -reach) & (pose[:, :2] < np.array(sensor_size) + reach), axis=1)
    moved = np.hypot(*np.diff(pose[:, :2], axis=0).T) + radius_px * np.abs(np.diff(pose[:, 2:], axis=0)).sum(1)
    way = np.r_[0.0, np.cumsum(moved * (near[1:] | near[:-1]))]
    marks = np.arange(STEP_PX, way[-1], STEP_PX)
    rests = np.flatnonzero(np.diff(moved > 0)) + 1
    when = np.union1d(np.interp(marks, way + np.arange(len(way)) * 1e-12, t), t[rests])
    return when, np.column_stack([np.interp(when, t, pose[:, column]) for column in range(4)])
