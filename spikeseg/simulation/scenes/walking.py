"""Walkers of a scene: limbs that swing over feet that stand still on the floor, and their reflections in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .config import SceneConfig
from .paths import Passing, Path, grid
from .shapes import Shape, capsule

STRIDE = (1.1, 1.3)
"""Way from a foothold to the next of the same foot, in lengths of the leg, uniform."""
MOST_HZ = 3.0
"""Strides a second, at most: small walkers are slow."""
STANCE = 0.6
"""Share of a stride in which a foot stands on the floor; the feet are half a stride apart, so that both do at times."""
STRETCHED = 0.98
"""Distance from hip to ankle in lengths of the leg, where it is longest."""
LIFT, TIPPED = 0.12, 0.4
"""How high an ankle is lifted, in lengths of the leg, and by how much a foot tips in swing, rad: so that toes clear the floor."""
BODIES, LEG = 0.6, 0.5
"""Share of walkers with a body, and what their legs are of their height."""
SHADES = 0.15
"""Standard deviation of the logarithm of a part's intensity among those of a walker."""
THIGH, SHANK, TOES = 0.09, 0.05, 0.22
"""Radii of a thigh, and of a shank and a foot, and the length of the latter, in lengths of the leg."""
TORSO, HEAD, LEAN = 0.07, 0.06, 0.03
"""Radii of the parts of a body, and how far its top leans forward, in the walker's height."""


def draw_walker(
    rng: np.random.Generator, path_rng: np.random.Generator, config: SceneConfig, passing: Passing, height_px: float,
    style: str, contrast: float, spread: float,
) -> list[tuple[Shape, Path]]:  # fmt: skip
    """The parts of a walker and their paths, the topmost first.

    Args:
        rng: what its surface is drawn from.
        path_rng: what its body and its walk are drawn from.
        config: how long it walks.
        passing: when its hip is above the point, which lies on the floor, how fast it is, and whether it goes left or right.
        height_px: from the floor to its top, or that of its legs where it has no body.
        style: see shapes.draw_shape; a hollow one is plain.
        contrast: see shapes.draw_shape.
        spread: see shapes.draw_shape.
    """
    t = grid(config)
    body = path_rng.random() < BODIES
    over_ankle = height_px * (LEG if body else 1.0) / (STRETCHED + SHANK + (0.0 if body else THIGH))
    stride = path_rng.uniform(*STRIDE) * over_ankle
    speed = min(passing.speed_px_s, MOST_HZ * stride)
    way = speed * (t - passing.at_s)
    hip, legs = gait(way, over_ankle, stride, path_rng.uniform())
    lines = [_leg(hip, *joints, over_ankle) for joints in legs]
    if body:
        neck, top = (hip + height_px * np.array([LEAN * k, -(1 - LEG) * k + HEAD * (k == 1)]) for k in (0.7, 1.0))
        lines.insert(1, [(hip, neck, TORSO * height_px), (neck, top, HEAD * height_px)])
    towards = np.array([1.0 if np.cos(passing.heading) >= 0 else -1.0, 1.0])
    origin = passing.point - [0.0, SHANK * over_ankle]
    parts = []
    for one, other, radius in (line for limb in lines for line in limb):
        shade = contrast + rng.normal(0, SHADES)
        length = float(np.hypot(*(other - one)[0]))
        shape = capsule(rng, "textured" if style == "textured" else "plain", length, radius, shade, spread)
        parts.append((shape, _path_between(t, origin + towards * one, origin + towards * other)))
    return parts


def reflection(parts: list[tuple[Shape, Path]], floor_px: float, weight: float) -> list[tuple[Shape, Path]]:
    """The same parts mirrored at a row, with a share of their contrast."""
    mirrored = []
    for shape, (t, pose) in parts:
        tone = np.exp(weight * np.log(shape.tone[::-1])).astype(np.float32)
        place = pose * [1, -1, -1, 1] + [0, 2 * floor_px, 0, 0]
        mirrored.append((replace(shape, distance=shape.distance[::-1], tone=tone), Path(t, place)))
    return mirrored


def gait(
    way_px: np.ndarray, leg_px: float, stride_px: float, phase: float
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Hip, float64 (n, 2), and for each leg knee, ankle (n, 2) and angle of the foot (n,), of one who walks to the right.

    The ankles of standing feet have y = 0, and y points down. They do not move while the hip passes over them.

    Args:
        way_px: float64 (n,), x of the hip.
        leg_px: from hip to ankle, when stretched; half of it to the knee.
        stride_px: from a foothold to the next of the same foot.
        phase: of the first leg where the hip is at 0, in strides.
    """
    count = way_px / stride_px + phase
    lowest = np.sqrt((STRETCHED * leg_px) ** 2 - (STANCE / 2 * stride_px) ** 2)
    rise = 0.5 + 0.5 * np.cos(4 * np.pi * (count - STANCE / 2))
    hip = np.column_stack([way_px, -lowest - (STRETCHED * leg_px - lowest) * rise])
    legs = []
    for offset in (0.0, 0.5):
        number = np.floor(count + offset)
        swing = np.maximum(count + offset - number - STANCE, 0) / (1 - STANCE)
        lift = np.sin(np.pi * swing) ** 2
        foothold = number + STANCE / 2 - offset - phase + swing**2 * (3 - 2 * swing)
        ankle = np.column_stack([stride_px * foothold, -LIFT * leg_px * lift])
        along = ankle - hip
        bent = np.sqrt(np.maximum(leg_px**2 / np.sum(along**2, 1) - 1, 0))
        knee = (hip + ankle) / 2 + bent[:, None] / 2 * along[:, ::-1] * [1, -1]
        legs.append((knee, ankle, TIPPED * lift))
    return hip, legs


def _leg(
    hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, tipped: np.ndarray, leg_px: float
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """The ends (n, 2) and the radius of foot, shank and thigh."""
    toes = ankle + TOES * leg_px * np.column_stack([np.cos(tipped), np.sin(tipped)])
    return [(ankle, toes, SHANK * leg_px), (knee, ankle, SHANK * leg_px), (hip, knee, THIGH * leg_px)]


def _path_between(t: np.ndarray, one: np.ndarray, other: np.ndarray) -> Path:
    """The path of a capsule between two points (n, 2)."""
    angle = np.unwrap(np.arctan2(*(other - one).T[::-1]))
    return Path(t, np.column_stack([(one + other) / 2, angle, np.ones(len(t))]))
