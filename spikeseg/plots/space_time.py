"""The ways of objects through space and time, beside where they truly were."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.clock import Clock

from .colours import GREEN, OFF, ON
from .cutouts import cutouts, draw_strip, strip_sides
from .panels import WIDTH, Group, Panel

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from spikeseg.detection.result import Detections

MOST = 3_000
"""Events that are drawn in space and time."""
STAR = "0.72"


def space_time_group(detections: Detections, truth: Detections | None, false: Collection[int], title: str) -> Group:
    """Three panels: x, y and t together; x over t; y over t.

    Args:
        detections: of a recording.
        truth: its labelled objects, as if they had been detected; None where nobody labelled it.
        false: track_ids of objects that are none.
        title: of the recording.
    """
    draw = partial(_flat, detections, truth, false)
    panels = [
        Panel(WIDTH, WIDTH * 0.8, partial(_solid, detections, truth, false), "x, y and time", laid_out=False),
        Panel(WIDTH, WIDTH * 0.8, partial(draw, "x"), "x over time"),
        Panel(WIDTH, WIDTH * 0.8, partial(draw, "y"), "y over time"),
    ]
    return Group(title, panels)


def _ways(
    detections: Detections, truth: Detections | None, false: Collection[int]
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Rows of every way, and how it is drawn: truth below, stars, then objects."""
    for way in truth.by_track.values() if truth else ():
        yield way, {"color": GREEN, "alpha": 0.35, "linewidth": 6, "solid_capstyle": "round", "zorder": 1}
    for number, way in detections.by_track.items():
        if not way["is_object"][0]:
            yield way, {"color": STAR, "linewidth": 0.7, "zorder": 2}
        elif number in false:
            yield way, {"color": ON, "linewidth": 1.6, "linestyle": "--", "zorder": 4}
        else:
            yield way, {"color": "black", "linewidth": 1.6, "zorder": 5}


def legend_note(labelled: bool) -> str:
    """What the lines mean."""
    truth = "broad green: labelled objects; dashed vermilion: tracks that follow none; " if labelled else ""
    return f"black: objects that were found; {truth}grey: other tracks; blue dots: events"


def _flat(detections: Detections, truth: Detections | None, false: Collection[int], axis: str, figure: FigureBase) -> None:
    axes, columns = figure.subplots(), detections.event_columns
    clock = Clock.of_events(columns["t"])
    every = -(-len(columns["t"]) // MOST) or 1
    axes.plot(
        clock.seconds(columns["t"][::every]), columns[axis][::every],
        linestyle="none", marker=".", markersize=1.7, markeredgewidth=0, color=OFF, alpha=0.6, rasterized=True,
    )  # fmt: skip
    for way, style in _ways(detections, truth, false):
        axes.plot(clock.seconds(way["t_us"]), way[axis], **style)
    size = detections.sensor_size["xy".index(axis)]
    axes.set(ylim=(-0.5, size - 0.5) if axis == "x" else (size - 0.5, -0.5))
    axes.set_xlabel(clock.name, fontsize=8)
    axes.set_ylabel(f"{axis} (px)", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.ticklabel_format(useOffset=False)


def _solid(detections: Detections, truth: Detections | None, false: Collection[int], figure: FigureBase) -> None:
    axes: Any = figure.add_axes((-0.01, 0.0, 0.93, 1.0), projection="3d", computed_zorder=False)
    columns, (width, height) = detections.event_columns, detections.sensor_size
    clock = Clock.of_events(columns["t"])
    every = -(-len(columns["t"]) // MOST) or 1
    points = clock.seconds(columns["t"][::every]), columns["x"][::every], columns["y"][::every]
    axes.plot(*points, linestyle="none", marker=".", markersize=1.5, markeredgewidth=0, color=OFF, alpha=0.45, rasterized=True)
    for way, style in _ways(detections, truth, false):
        axes.plot(clock.seconds(way["t_us"]), way["x"], way["y"], **style)
    axes.set(ylim=(0, width), zlim=(height, 0))
    axes.view_init(elev=18, azim=-62)
    axes.set_box_aspect((1.6, 1, max(height / width, 0.5)), zoom=0.96)
    for name, text in (("x", clock.name), ("y", "x (px)"), ("z", "y (px)")):
        getattr(axes, f"set_{name}label")(text, fontsize=7, labelpad=-4)
    axes.tick_params(labelsize=6, pad=-2)


def strip_panel(detections: Detections, number: int, caption: str) -> Panel:
    """Cut-outs of an object at five moments of its life, moving with it, see `cutouts`."""
    return Panel(WIDTH, WIDTH / strip_sides() + 0.3, partial(_strip, detections, number), caption)


def _strip(detections: Detections, number: int, figure: FigureBase) -> None:
    axes, clock = figure.subplots(), Clock.of_events(detections.event_columns["t"])
    moments, side = cutouts(detections, number)
    middles = draw_strip(axes, moments)
    axes.set_xticks(middles, [clock.text((moment.start_us + moment.end_us) / 2) for moment in moments], fontsize=6)
    axes.set_yticks([0.5], [f"{side} px"], fontsize=6, rotation=90, va="center")
    axes.tick_params(length=0, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)


def strip_group(strips: Sequence[tuple[Detections, int, str]], title: str) -> Group:
    """A strip of each object: what it was detected in, its number, what is known of it."""
    return Group(title, [strip_panel(*strip) for strip in strips])
