"""The input patterns that drive the maps of each layer, and the footprint of the motion layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .colours import drive_colours, interpolation
from .panels import WIDTH, Group, Panel

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

SHOWN, ACROSS, LARGE = 60, 6, 4
"""Maps of a layer that are drawn, at most; beside each other; so many or fewer are drawn larger."""


class Patterns(NamedTuple):
    """The maps of a layer.

    Attributes:
        title: what the layer is called, and what is known of it.
        drive: float (maps, P, H, W) >= 0, how strongly each pixel drives each map: OFF, then ON; of one plane, brighter, then.
        names: of each map.
        faint: bool (maps,), those that are drawn as dead.
    """

    title: str
    drive: np.ndarray
    names: Sequence[str]
    faint: np.ndarray


def pattern_groups(layers: Sequence[Patterns]) -> list[Group]:
    """A panel of each layer; the first SHOWN maps of each."""
    return [_group(layer) for layer in layers]


def _group(layer: Patterns) -> Group:
    shown = min(len(layer.drive), SHOWN)
    across = min(ACROSS if shown > LARGE else 2, shown)
    down = math.ceil(shown / across)
    tile = WIDTH / max(across, 2)
    height = down * (tile * layer.drive.shape[2] / layer.drive.shape[3] + 0.16)
    note = f" (the first {SHOWN})" if shown < len(layer.drive) else ""
    draw = partial(_draw, layer, shown, (down, across))
    return Group(f"{layer.title}{note}", [Panel(tile * across, height, draw)])


def _draw(layer: Patterns, shown: int, grid: tuple[int, int], figure: FigureBase) -> None:
    panels = figure.subplots(*grid, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, drive, name, faint in zip(panels, layer.drive[:shown], layer.names, layer.faint, strict=False):
        picture = drive_colours(drive[0], drive[-1])
        panel.imshow(picture, interpolation=interpolation(picture))
        panel.set_title(name, fontsize=6, pad=2, color="0.6" if faint else "black", parse_math=False)
        panel.axis("on")
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set(color="0.8", linewidth=0.5)


def footprint_group(share: np.ndarray, title: str) -> Group:
    """The footprint of the motion layer: share of an object's events around its path, which runs to the right.

    Args:
        share: float64 (2, side, side), OFF, then ON; rows across, columns along the motion.
        title: what is known of it.
    """
    return Group(title, [Panel(WIDTH * 0.75, WIDTH * 0.75, partial(_footprint, share))])


def _footprint(share: np.ndarray, figure: FigureBase) -> None:
    axes = figure.subplots()
    reach = share.shape[1] / 2
    axes.imshow(
        drive_colours(np.sqrt(share[0]), np.sqrt(share[1])), extent=(-reach, reach, reach, -reach), interpolation="nearest"
    )
    axes.annotate("", (reach, 0), (-reach, 0), arrowprops={"arrowstyle": "->", "color": "0.5", "linewidth": 0.8})
    axes.set_xlabel("along the motion (px)", fontsize=8)
    axes.set_ylabel("across (px)", fontsize=8)
    axes.tick_params(labelsize=7)
