"""The contact sheet of a network's classes: what drives each, and windows that drove it most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import new_figure, rendered, short
from .colours import BESIDE, drive_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

ROWS = 10
"""Classes that stand below each other; of more the sheet has further columns."""
INCHES = 1.45
"""Side of a picture."""
CAPTION = 30
"""Characters of a caption."""


def example_colours(example: Mapping[str, Any]) -> np.ndarray:
    """A picture of an example of classes.json: events that drove the class as in `drive_colours`, all others light grey."""
    off, on, saliency = (np.asarray(example[name], np.float64) for name in ("off", "on", "saliency"))
    drove = saliency > 0
    seen = (off + on > 0) & ~drove
    picture = drive_colours(np.sqrt(np.where(drove, off, 0)), np.sqrt(np.where(drove, on, 0)))
    picture[seen] = BESIDE
    return picture


def classes_png(content: Mapping[str, Any]) -> bytes:
    """The sheet of a classes.json.

    Raises InputError where matplotlib is not installed."""
    classes = content["classes"]
    examples = max((len(entry["examples"]) for entry in classes), default=0)
    columns = max(math.ceil(len(classes) / ROWS), 1)
    rows = math.ceil(len(classes) / columns)
    width = columns * ((examples + 1) * INCHES + 0.3)
    figure = new_figure(max(width, 5.5), rows * (INCHES + 0.55) + 0.7)
    legend = "vermilion: ON, blue: OFF, dark grey: both; the stronger, the darker. Light grey: events that did not drive it"
    state = "" if content["trained"] else "UNTRAINED NETWORK: its classes mean nothing\n"
    figure.suptitle(f"{state}{_wrapped(legend, max(width, 5.5))}", fontsize=8)
    grid = figure.subfigures(rows, columns, squeeze=False)
    for number, part in enumerate(grid.T.ravel()):
        if number < len(classes):
            _draw(part, classes[number], content["windows"], examples)
    return rendered(figure)


def _draw(part: SubFigure, entry: Mapping[str, Any], windows: int, examples: int) -> None:
    name = f": {entry['class_name']}" if entry["class_name"] else ""
    part.suptitle(
        f"class {entry['class_id']}{name}, {entry['wins']} wins in {entry['windows_won']} of {windows} windows",
        fontsize=9, x=0.01, ha="left", weight="bold", parse_math=False,
    )  # fmt: skip
    panels = part.subplots(1, examples + 1, squeeze=False)[0]
    prototype = entry["prototype"]
    _show(panels[0], drive_colours(np.asarray(prototype["off"]), np.asarray(prototype["on"])), "looks for")
    for panel, example in zip(panels[1:], entry["examples"], strict=False):
        when = f"{example['t_start_us'] / 1e6:.2f} s, {example['events']} events"
        _show(panel, example_colours(example), f"{short(example['recording'], CAPTION)}\n{when}")
    for panel in panels[1 + len(entry["examples"]) :]:
        panel.axis("off")


def _show(panel: Axes, picture: np.ndarray, caption: str) -> None:
    panel.imshow(picture, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title(caption, fontsize=6, parse_math=False)  # a name may hold $


def _wrapped(text: str, inches: float) -> str:
    """Text of size 8 in lines of a width."""
    import textwrap

    return "\n".join(textwrap.wrap(text, int(inches * 15)))
