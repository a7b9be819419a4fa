"""ROC curves of detectors side by side, and the confusion of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .colours import COUNTS, GREEN, OFF, ON
from .panels import WIDTH, Group, Panel

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

STYLES: Mapping[str, Mapping[str, Any]] = {
    "network": {"color": ON, "linewidth": 2.2, "zorder": 5},
    "saliency": {"color": ON, "linewidth": 1.2, "linestyle": "--"},
    "untrained": {"color": OFF, "linewidth": 1.4},
    "graded_tracks": {"color": GREEN, "linewidth": 1.4},
    "shuffled_labels": {"color": "black", "linewidth": 1.2, "linestyle": ":"},
}
"""Of detectors that a reader looks for; all others are thin and grey [colours: Okabe and Ito 2008]."""
GREYS = ("-", "--", "-.", ":")


class Curve(NamedTuple):
    """A ROC curve.

    Attributes:
        name: of the detector in metrics.json.
        title: of the detector, for people.
        points: (n, 2), shares of other events and of objects' events.
        area: under the exact curve; None where it is not known.
    """

    name: str
    title: str
    points: np.ndarray
    area: float | None


def roc_group(curves: Sequence[Curve], title: str) -> Group:
    """Two panels, with the share of other events on an even and on a logarithmic scale, and the legend."""
    panels = [
        Panel(WIDTH, WIDTH, partial(_roc, curves, "linear"), "all thresholds"),
        Panel(WIDTH, WIDTH, partial(_roc, curves, "log"), "few false events: the same, logarithmic"),
        Panel(
            WIDTH,
            0.3 + 0.165 * (len(curves) + 1),
            partial(_legend, curves),
            "detectors, and the area under each curve",
            laid_out=False,
        ),
    ]
    return Group(title, panels)


def _styles(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    others = [curve.name for curve in curves if curve.name not in STYLES]
    grey = {name: {"color": "0.6", "linewidth": 1.0, "linestyle": GREYS[k % len(GREYS)]} for k, name in enumerate(others)}
    return [dict(STYLES.get(curve.name) or grey[curve.name]) for curve in curves]


def _roc(curves: Sequence[Curve], scale: str, figure: FigureBase) -> None:
    axes = figure.subplots()
    least = min((float(points[points > 0].min(initial=1.0)) for points in (curve.points[:, 0] for curve in curves)), default=1.0)
    low = max(least, 1e-6) if scale == "log" else 0.0
    diagonal = np.geomspace(low, 1, 50) if scale == "log" else np.array([0.0, 1.0])
    axes.plot(diagonal, diagonal, color="0.85", linewidth=3, zorder=0)
    for curve, style in zip(curves, _styles(curves), strict=True):
        axes.plot(np.maximum(curve.points[:, 0], low), curve.points[:, 1], **style)
    axes.set(xscale=scale, xlim=(low, 1), ylim=(0, 1.01))
    axes.set_xlabel("share of other events kept", fontsize=8)
    axes.set_ylabel("share of objects' events kept", fontsize=8)
    axes.tick_params(labelsize=8)


def _legend(curves: Sequence[Curve], figure: FigureBase) -> None:
    from matplotlib.lines import Line2D

    labels = [curve.title if curve.area is None else f"{curve.area:.3f}  {curve.title}" for curve in curves]
    lines = [Line2D([], [], **style) for style in _styles(curves)]
    lines.append(Line2D([], [], color="0.85", linewidth=3))
    figure.legend(lines, [*labels, "0.500  chance"], loc="upper left", bbox_to_anchor=(0, 0.93), fontsize=8, frameon=False)


def confusion_group(counts: np.ndarray, classes: Sequence[str], title: str) -> Group:
    """How often images of each class (rows) were taken for each (columns): int (n, n)."""
    return Group(title, [Panel(WIDTH, WIDTH, partial(_confusion, counts, classes))])


def _confusion(counts: np.ndarray, classes: Sequence[str], figure: FigureBase) -> None:
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap=COUNTS, vmin=0, vmax=1)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, fontsize=7, rotation=90 if max(map(len, classes), default=0) > 2 else 0, parse_math=False)
    axes.set_yticks(ticks, classes, fontsize=7, parse_math=False)
    axes.set_xlabel("taken for", fontsize=8)
    axes.set_ylabel("is", fontsize=8)
    if len(classes) <= 12:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "black" if share[row, column] > 0.6 else "white"
                axes.text(column, row, f"{count}", ha="center", va="center", fontsize=6, color=colour)
