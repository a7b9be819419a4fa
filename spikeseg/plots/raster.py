"""Spikes of every layer over time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .colours import BESIDE, ON
from .panels import QUARTER, Group, Panel

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

MOST = 20_000
"""Spikes of a layer that are drawn; of more, every so-manieth."""


class RasterLevel(NamedTuple):
    """The spikes of a layer.

    Attributes:
        title: of the layer, and how many they are.
        rows: what its maps are called on the axis.
        t_s: float64 (n,), when, s.
        place: float64 (n,), number of the map, and the row of the neuron within it as a fraction.
        maps: how many there are.
        own: bool (n,), events of labelled objects; of layers, none.
    """

    title: str
    rows: str
    t_s: np.ndarray
    place: np.ndarray
    maps: int
    own: np.ndarray


def raster_group(levels: Sequence[RasterLevel], span_s: tuple[float, float], title: str) -> Group:
    """A panel of each layer; span_s: first and last time of the axis, s."""
    panels = [Panel(QUARTER, 1.7, partial(_level, level, span_s), level.title) for level in levels]
    return Group(title, panels)


def _level(level: RasterLevel, span_s: tuple[float, float], figure: FigureBase) -> None:
    axes = figure.subplots()
    every = -(-len(level.t_s) // MOST) or 1
    for chosen, colour in ((~level.own, "0.25" if not level.own.any() else BESIDE), (level.own, ON)):
        t, place = level.t_s[chosen][::every], level.place[chosen][::every]
        axes.plot(t, place, linestyle="none", marker=".", markersize=1.6, markeredgewidth=0, color=colour, rasterized=True)
    axes.set(xlim=span_s, ylim=(level.maps, 0))
    axes.set_xlabel("time (s)", fontsize=7)
    axes.set_ylabel(level.rows, fontsize=7)
    ticks = np.arange(level.maps) if level.maps <= 12 else np.arange(0, level.maps, -(-level.maps // 8))
    names = ["OFF", "ON"] if level.rows == "polarity" and level.maps == 2 else [f"{k}" for k in ticks]
    axes.set_yticks(ticks + 0.5, names)
    axes.tick_params(labelsize=6.5)
