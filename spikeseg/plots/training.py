"""How the layers of a network learned: C_l, wins, thresholds, dead maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.text import many

from .colours import COUNTS, OFF, ON
from .panels import QUARTER, Group, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

HEIGHT = 1.9
Rows = Sequence[Mapping[str, Any]]
"""Checks of a layer, in order: what `LayerTrainer.report` said."""


def training_groups(layers: Mapping[str, Rows], stopped: Mapping[str, str], c_l_threshold: float) -> list[Group]:
    """Four panels of each layer.

    Args:
        layers: of each layer that learned, its checks.
        stopped: why each did.
        c_l_threshold: convergence.c_l_threshold.
    """
    groups = []
    for layer, rows in layers.items():
        last = rows[-1]
        why = f"; stopped: {stopped[layer]}" if layer in stopped else ""
        panels = [
            Panel(QUARTER, HEIGHT, partial(_convergence, rows, c_l_threshold), "convergence C_l: mean of w (1 - w)"),
            Panel(QUARTER, HEIGHT, partial(_wins, rows), "wins of each map since the check before"),
            Panel(QUARTER, HEIGHT, partial(_thresholds, rows), "thresholds of the maps: lowest, mean, highest"),
            Panel(QUARTER, HEIGHT, partial(_maps, rows), "maps that win too seldom, or resemble an earlier one"),
        ]
        groups.append(Group(f"{layer}: {many(last['maps'], 'map')}, {many(last['samples'], 'sample')}{why}", panels))
    return groups


def _axes(figure: FigureBase, rows: Rows, ylabel: str) -> tuple[Axes, list[int]]:
    axes = figure.subplots()
    axes.set_xlabel("samples", fontsize=7)
    axes.set_ylabel(ylabel, fontsize=7)
    axes.tick_params(labelsize=6.5)
    return axes, [row["samples"] for row in rows]


def _convergence(rows: Rows, threshold: float, figure: FigureBase) -> None:
    axes, samples = _axes(figure, rows, "C_l")
    axes.plot(samples, [row["convergence_index"] for row in rows], marker="o", markersize=2.5, color=OFF)
    axes.axhline(threshold, color="0.5", linewidth=0.8, linestyle="--", label=f"converged below {threshold:g}")
    axes.set_ylim(0, None)
    axes.legend(fontsize=6.5, frameon=False)


def _wins(rows: Rows, figure: FigureBase) -> None:
    axes, samples = _axes(figure, rows, "map")
    counts = np.array([row["wins_per_map"] for row in rows], np.int64)
    since = np.diff(counts, axis=0, prepend=0)
    edges = np.array([0, *samples], np.float64)
    edges[1:] = np.maximum(edges[1:], edges[:-1] + 1e-9)  # two checks at one sample, at the end of an epoch
    mesh = axes.pcolormesh(edges, np.arange(counts.shape[1] + 1) - 0.5, since.T, cmap=COUNTS, vmin=0, rasterized=True)
    maps = counts.shape[1]
    axes.set_yticks(np.arange(0, maps, -(-maps // 8)))
    bar = axes.figure.colorbar(mesh, ax=axes)
    bar.ax.tick_params(labelsize=6)
    bar.ax.locator_params(axis="y", integer=True, nbins=5)


def _thresholds(rows: Rows, figure: FigureBase) -> None:
    axes, samples = _axes(figure, rows, "threshold")
    low, mean, high = ([row[f"threshold_{name}"] for row in rows] for name in ("min", "mean", "max"))
    axes.fill_between(samples, low, high, color=OFF, alpha=0.25, linewidth=0)
    axes.plot(samples, mean, marker="o", markersize=2.5, color=OFF)


def _maps(rows: Rows, figure: FigureBase) -> None:
    axes, samples = _axes(figure, rows, "maps")
    for name, label, style in (
        ("dead_maps", "dead", {"color": ON, "linestyle": "-"}),
        ("near_duplicate_maps", "near-duplicates", {"color": OFF, "linestyle": "--"}),
        ("recovered_maps", "recovered so far", {"color": "0.5", "linestyle": ":"}),
    ):
        axes.plot(samples, [row[name] for row in rows], label=label, marker="o", markersize=2.5, **style)
    axes.set_ylim(0, max(1, rows[-1]["maps"]) * 1.05)
    axes.locator_params(axis="y", integer=True)
    axes.legend(fontsize=6.5, frameon=False)
