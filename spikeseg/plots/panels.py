"""Parts of figures: each stands alone, beside others in one picture, or in a page that lets them flow."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

WIDTH, QUARTER = 3.4, 2.5
"""Of panels of which three or four fill a line of a page, inches; on a phone each fills one, unless it is `paired`."""
PAGE = 10.6
"""Of a picture of several panels, inches, at most."""
TITLE, CAPTION, LETTERS = 0.42, 0.4, 16
"""Inches: for the title of a group of panels; for the caption of a panel. Letters of a caption per inch."""


class Panel(NamedTuple):
    """A part of a figure.

    Attributes:
        width, height: inches.
        draw: draws it into an empty figure, or a part of one.
        caption: what it shows.
        paired: whether it is legible at half the width of a phone.
        laid_out: whether its axes are laid out when it is drawn; else they have the places that they are given.
    """

    width: float
    height: float
    draw: Callable[[FigureBase], object]
    caption: str = ""
    paired: bool = False
    laid_out: bool = True


class Group(NamedTuple):
    """Panels that belong together.

    Attributes:
        title: of all of them.
        panels: at least one.
    """

    title: str
    panels: Sequence[Panel]


def panel_figure(panel: Panel) -> Figure:
    """A panel alone, without its caption. Raises InputError where matplotlib is not installed."""
    figure = new_figure(panel.width, panel.height, laid_out=panel.laid_out)
    panel.draw(figure)
    engine = figure.get_layout_engine()
    if panel.laid_out and engine is not None:
        engine.execute(figure)  # once: left to savefig, it is done twice
        figure.set_layout_engine("none")
    return figure


def joined(groups: Sequence[Group]) -> Figure:
    """All panels in one picture, group below group, with titles and captions.

    Raises InputError where matplotlib is not installed."""
    lines = [(group.title if not k else "", line) for group in groups for k, line in enumerate(_lines(group.panels))]
    heights = [_height(title, line) for title, line in lines]
    width = max(sum(panel.width for panel in line) for _, line in lines)
    figure = new_figure(width, sum(heights))
    rows = figure.subfigures(len(lines), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row, (title, line) in zip(rows, lines, strict=True):
        if title:
            row.suptitle(title, fontsize=10, weight="bold", parse_math=False)  # a name may hold $
        widths = [panel.width for panel in line]
        left = width - sum(widths)
        parts = row.subfigures(
            1, len(line) + (left > 0.01), width_ratios=[*widths, left] if left > 0.01 else widths, squeeze=False
        )
        for part, panel in zip(parts[0], line, strict=False):
            if panel.caption:
                part.suptitle(textwrap.fill(panel.caption, int(panel.width * LETTERS)), fontsize=8, parse_math=False)
            panel.draw(part)
    return figure


def _lines(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels in lines of PAGE at most."""
    lines: list[list[Panel]] = [[]]
    for panel in panels:
        if lines[-1] and sum(other.width for other in lines[-1]) + panel.width > PAGE:
            lines.append([])
        lines[-1].append(panel)
    return lines


def _height(title: str, line: Sequence[Panel]) -> float:
    return max(panel.height + (CAPTION if panel.caption else 0) for panel in line) + (TITLE if title else 0)
