"""Labels beside points of a panel, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP, STEP, RINGS, DIRECTIONS = 7.0, 14.0, 7, 16
"""Places that are tried: rings around the point, points (1/72 inch) from it to the label's edge and between rings; directions."""


class Label(NamedTuple):
    """A text that belongs to a place x, y of the panel, in its own units."""

    text: str
    x: float
    y: float


def within(axes: Axes, places: np.ndarray) -> np.ndarray:
    """Places x, y, float64 (..., 2), in the panel's units; those outside of it moved to its edge."""
    limits = np.sort([axes.get_xlim(), axes.get_ylim()], 1)
    return np.clip(places, limits[:, 0], limits[:, 1])


def place_labels(axes: Axes, labels: Sequence[Label], points: np.ndarray, size: float = 8.0) -> None:
    """Write labels, in their order, each at the nearest place within the panel where it covers no other and few of the points;
    those of places outside of it at its edge. The layout must be final.

    Args:
        axes: the panel.
        labels: what to write.
        points: (n, 2), in the panel's units: what had better not be covered.
        size: of the letters, points.
    """
    canvas, point = axes.figure.canvas, axes.figure.dpi / 72
    renderer = canvas.get_renderer()  # type: ignore[attr-defined]
    cell, panel = 3 * point, axes.bbox.extents
    points = np.unique(np.rint(axes.transData.transform(points.reshape(-1, 2)) / cell), axis=0) * cell  # one of those that touch
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    ring = np.repeat(GAP + STEP * np.arange(RINGS), DIRECTIONS) * point
    outward = np.tile(np.stack([np.cos(angles), np.sin(angles)], 1), (RINGS, 1))
    taken = np.empty((0, 4))
    for label in labels:
        place = within(axes, np.array([label.x, label.y]))
        note = axes.annotate(
            label.text, tuple(place), (0, 0), textcoords="offset points", fontsize=size, ha="center", va="center",
            parse_math=False, zorder=9, bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
            arrowprops={"arrowstyle": "-", "color": "0.3", "lw": 0.6, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
        extent = note.get_window_extent(renderer)
        half = np.array([extent.width, extent.height]) / 2 + 2 * point
        anchor = axes.transData.transform(place)
        middles = anchor + outward * (ring[:, None] + np.abs(outward) @ half[:, None])
        low, high = middles - half, middles + half
        outside = (low < panel[:2]).any(1) | (high > panel[2:]).any(1)
        lines = anchor + np.linspace(0, 1, 12)[1:, None, None] * (middles - anchor)
        over = ((low[:, None] < taken[:, 2:]) & (high[:, None] > taken[:, :2])).all(2).sum(1)
        through = ((lines[:, :, None] > taken[:, :2]) & (lines[:, :, None] < taken[:, 2:])).all(3).any(0).sum(1)
        covered = ((low[:, None] < points) & (high[:, None] > points)).all(2).sum(1)
        best = int(np.argmin(1e6 * outside + 1e4 * over + 1e3 * through + 10 * np.minimum(covered, 90) + ring))
        taken, points = np.vstack([taken, [*low[best], *high[best]]]), np.vstack([points, lines[:, best]])
        note.set_position(tuple((middles[best] - anchor) / point))
