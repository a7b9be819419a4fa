"""Windows of the network as it saw them: events, saliency, what that was cut into, and what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .colours import BESIDE, COUNTS, GREEN, OFF, ON, drive_colours
from .panels import QUARTER, Group, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

PIECES = (OFF, ON, GREEN, (0.90, 0.62, 0.0), (0.80, 0.47, 0.65), (0.34, 0.71, 0.91))
"""Colours of instances or blobs, in turn [Okabe and Ito 2008]."""


class WindowView(NamedTuple):
    """A part of a window of the network, around what it shows.

    Attributes:
        title: which recording and time, and what it shows.
        left, top: first pixel of the frame.
        off, on: whole numbers (H, W), events by polarity.
        saliency: float (H, W), the highest of all steps.
        pieces: int (H, W), number of the instance that lit a pixel most, or of its connected blob, 0 for none; None where the
            window is not cut up.
        counted: how many there are in all of the window.
        found: bool (H, W), pixels with events of a track that is an object.
        true: bool (H, W), pixels with events near a labelled object; None where nobody labelled the recording.
        way: float64 (n, 2), where labelled objects are, frame pixels; nan between two of them.
    """

    title: str
    left: int
    top: int
    off: np.ndarray
    on: np.ndarray
    saliency: np.ndarray
    pieces: np.ndarray | None
    counted: str
    found: np.ndarray
    true: np.ndarray | None
    way: np.ndarray


def window_groups(views: Sequence[WindowView]) -> list[Group]:
    """Four panels of each window; three where it is not cut up."""

    def panel(draw: Callable[[WindowView, FigureBase], None], view: WindowView, caption: str) -> Panel:
        return Panel(QUARTER, QUARTER, partial(draw, view), caption, paired=True)

    return [
        Group(
            view.title,
            [
                panel(_events, view, "events: ON vermilion, OFF blue"),
                panel(_saliency, view, "saliency"),
                *([] if view.pieces is None else [panel(_pieces, view, view.counted)]),
                panel(_truth, view, _named(view)),
            ],
        )
        for view in views
    ]


def _named(view: WindowView) -> str:
    truth = "no labels" if view.true is None else "true: green; dashed: the label"
    return f"found: dots; {truth}"


def _axes(view: WindowView, figure: FigureBase) -> tuple[Axes, tuple[float, float, float, float]]:
    axes = figure.subplots()
    height, width = view.off.shape
    axes.tick_params(labelsize=7, length=2)
    axes.locator_params(nbins=4, integer=True)
    return axes, (view.left - 0.5, view.left + width - 0.5, view.top + height - 0.5, view.top - 0.5)


def _events(view: WindowView, figure: FigureBase) -> None:
    axes, extent = _axes(view, figure)
    axes.imshow(drive_colours(np.sqrt(view.off), np.sqrt(view.on)), extent=extent, interpolation="nearest")


def _saliency(view: WindowView, figure: FigureBase) -> None:
    axes, extent = _axes(view, figure)
    axes.imshow(
        np.sqrt(view.saliency),
        cmap=COUNTS,
        extent=extent,
        interpolation="nearest",
        vmin=0,
        vmax=None if view.saliency.any() else 1,
    )


def _pieces(view: WindowView, figure: FigureBase) -> None:
    assert view.pieces is not None
    axes, extent = _axes(view, figure)
    picture = _seen(view)
    lit = view.pieces > 0
    picture[lit] = np.array(PIECES)[(view.pieces[lit] - 1) % len(PIECES)]
    axes.imshow(picture, extent=extent, interpolation="nearest")


def _truth(view: WindowView, figure: FigureBase) -> None:
    axes, extent = _axes(view, figure)
    picture = _seen(view)
    if view.true is not None:
        picture[view.true] = GREEN
    axes.imshow(picture, extent=extent, interpolation="nearest")
    rows, columns = np.nonzero(view.found)
    axes.plot(columns + view.left, rows + view.top, linestyle="none", marker="o", markersize=2.0, markeredgewidth=0, color=ON)
    axes.plot(*view.way.T, color="black", linestyle="--", linewidth=0.9)
    axes.set(xlim=extent[:2], ylim=extent[2:])


def _seen(view: WindowView) -> np.ndarray:
    """White, and grey where there are events: float64 (H, W, 3)."""
    picture = np.ones((*view.off.shape, 3))
    picture[view.off + view.on > 0] = BESIDE
    return picture
