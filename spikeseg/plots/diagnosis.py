"""Windows as each layer of a network sees them, beside the truth: a row per window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.clock import Clock
from spikeseg.core.text import many
from spikeseg.errors import one_line

from . import new_figure, short
from .colours import COUNTS, ON, drive_colours, interpolation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikeseg.detection.diagnosis import Diagnosis

INCHES = 2.6
"""Width of a panel."""
WIDEST, TALLEST = 4.0, 2.0
"""Sides of a panel to each other, at most."""
NAME = 90
"""Characters of the name of a recording."""


def diagnosis_figure(windows: Sequence[Diagnosis], radius_px: float) -> Figure:
    """Panels of events, spikes of conv1 and of conv2 (both after their pools, all maps together), saliency and truth. What is
    bright has much, by the root and on a scale of its panel's own.

    Args:
        windows: of one recording, at least one.
        radius_px: of the rings around labelled places, pixels of the frame.

    Raises:
        InputError: matplotlib is not installed.
    """
    height, width = windows[0].saliency.shape
    panel = INCHES * float(np.clip(height / width, 1 / WIDEST, TALLEST))
    layers = list(windows[0].layers)
    titles = ["input", *layers, "saliency", "truth"]
    figure = new_figure(len(titles) * INCHES, len(windows) * (panel + 0.55) + 0.5)
    figure.suptitle(short(one_line(windows[0].recording), NAME), parse_math=False)
    clock = Clock.of(windows[0].start_us, windows[-1].end_us)
    for window, row in zip(windows, figure.subplots(len(windows), len(titles), squeeze=False), strict=True):
        pictures = [_of_events(window.events), *window.layers.values(), window.saliency]
        sums = [many(round(window.events.sum()), "event"), *(many(round(s.sum()), "spike") for s in window.layers.values())]
        sums.append(f"{many(int(np.count_nonzero(window.saliency)), 'pixel')} lit")
        for axes, title, picture, told in zip(row, titles, pictures, sums, strict=False):
            _show(axes, picture, f"{title}: {told}")
        _draw_truth(row[-1], window, radius_px)
        row[0].set_ylabel(clock.text(window.start_us, window.end_us), fontsize=8)
    return figure


def _of_events(events: np.ndarray) -> np.ndarray:
    """A picture of frames (P, H, W): ON vermilion, OFF blue; grey where polarities are merged."""
    off, on = events if len(events) > 1 else (events[0] / 2, events[0] / 2)
    return drive_colours(np.sqrt(off), np.sqrt(on))


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    """A picture (H, W, 3), or the roots of numbers (H, W) >= 0 on a scale of their own."""
    shown = picture if picture.ndim == 3 else np.sqrt(picture)
    top = max(float(shown.max(initial=0)), 1e-9)
    axes.imshow(shown, interpolation=interpolation(picture), aspect="auto", cmap=COUNTS, vmin=0, vmax=top)
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])


def _draw_truth(axes: Axes, window: Diagnosis, radius_px: float) -> None:
    """The labels of a window over its events, pale: the ways of objects, and a ring where each was last."""
    from matplotlib.patches import Circle

    pale = 1 - 0.35 * (1 - _of_events(window.events))
    if window.truth is None:
        return _show(axes, pale, "truth: not labelled")
    ids = np.unique(window.truth["id"])
    _show(axes, pale, f"truth: {many(len(ids), 'object') if len(ids) else 'no object'}")
    for number in ids:
        way = window.truth[window.truth["id"] == number]
        axes.plot(way["x"], way["y"], color=ON, linewidth=1.5)
        axes.add_patch(Circle((way["x"][-1], way["y"][-1]), radius_px, fill=False, color=ON, linewidth=1.2))
    height, width = window.saliency.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
