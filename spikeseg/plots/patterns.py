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

SHOWN, ROWS, FEW = 72, 3, 6
"""Maps of a layer that are drawn, at most; rows of a panel; of so many or fewer large fields are drawn larger."""
PIXELS, SMALLEST, LARGEST = 24, 0.56, (0.84, 1.68)
"""Pixels per inch of a map; its side, inches, at least, and at most: of many maps, of few."""
HEAD, GAP = 0.26, 0.1
"""Room above a map for its name, and between maps, in its height and width."""
SHEET = 400
"""Side of a picture of all maps, pixels, at least where that is a whole multiple."""


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
    largest = LARGEST[int(shown <= FEW)]
    across = int(WIDTH / np.clip(layer.drive.shape[-1] / PIXELS, SMALLEST, largest))
    panels = [_panel(layer, slice(k, min(k + ROWS * across, shown)), across) for k in range(0, shown, ROWS * across)]
    note = f" (the first {SHOWN})" if shown < len(layer.drive) else ""
    return Group(f"{layer.title}{note}", panels)


def _panel(layer: Patterns, part: slice, across: int) -> Panel:
    count, tile = part.stop - part.start, WIDTH / across
    across = min(across, count)
    down = math.ceil(count / across)
    height = down * (1 + HEAD) * tile * layer.drive.shape[2] / layer.drive.shape[3]
    own = Patterns(layer.title, layer.drive[part], layer.names[part], layer.faint[part])
    return Panel(tile * across, height, partial(_draw, own, (down, across)), paired=across * tile < WIDTH / 2, laid_out=False)


def _draw(layer: Patterns, grid: tuple[int, int], figure: FigureBase) -> None:
    down, across = grid
    wide = layer.drive.shape[3] / layer.drive.shape[2]  # a tile is so wide and 1 high, and has HEAD above
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(0, across * wide * (1 + GAP)), ylim=(down * (1 + HEAD), 0))
    for number, (drive, name, faint) in enumerate(zip(layer.drive, layer.names, layer.faint, strict=True)):
        row, column = divmod(number, across)
        left, top = (column + GAP / 2) * wide * (1 + GAP), row * (1 + HEAD) + HEAD
        picture, box = drive_colours(drive[0], drive[-1]), (left, left + wide, top + 1 - GAP, top)
        axes.imshow(picture, extent=box, aspect="auto", interpolation=interpolation(picture))
        axes.plot([box[0], box[1], box[1], box[0], box[0]], [box[2], box[2], box[3], box[3], box[2]], color="0.8", linewidth=0.5)
        colour = "0.6" if faint else "black"
        axes.text(left + wide / 2, top - 0.04, name, fontsize=6, ha="center", va="bottom", color=colour, parse_math=False)
    axes.set_aspect("equal", anchor="NW")  # beside taller panels it is not stretched


def sheet(drive: np.ndarray) -> np.ndarray:
    """All maps in one picture of pixels, for programs that show pictures as they are: uint8 (H, W, 3).

    Args:
        drive: see `Patterns`.
    """
    maps, _, height, width = drive.shape
    across = math.ceil(math.sqrt(maps))
    down, scale = math.ceil(maps / across), max(1, SHEET // (across * (width + 1)))
    picture = np.full((down * (height + 1) + 1, across * (width + 1) + 1, 3), 0.8)
    for number, own in enumerate(drive):
        top, left = (k * (side + 1) + 1 for k, side in zip(divmod(number, across), (height, width), strict=True))
        picture[top : top + height, left : left + width] = drive_colours(own[0], own[-1])
    return np.rint(255 * picture.repeat(scale, 0).repeat(scale, 1)).astype(np.uint8)


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
