"""The report as a page: one file, which asks no network for anything and runs no script."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from spikeseg.core import interrupts
from spikeseg.plots import rendered
from spikeseg.plots.panels import Group, Panel, joined, panel_figure

from . import Absent
from .evidence import Evidence, ImageEvidence
from .figures import FigureKind, figures_for
from .sentences import sentences
from .tables import Table, accuracy_table, detectors_table, layers_table, recordings_table, work_table

DPI = 170
"""Of pictures: sharp on a phone and in print."""
CSS_INCH = 96
"""Pixels of a page per inch of a panel."""

TEMPLATE, STYLE = "report.html", "report.css"


class Picture(NamedTuple):
    """A panel in the page: width in its pixels, content as base64, what it shows, whether two share the width of a phone."""

    width: int
    png: str
    caption: str
    paired: bool


class Pictures(NamedTuple):
    """A group of panels in the page."""

    title: str
    pictures: Sequence[Picture]


class Part(NamedTuple):
    """A part of the page.

    Attributes:
        name: what links lead to.
        title: its heading.
        text: below it.
        table: or None.
        groups: of pictures.
        absent: why there is nothing here; empty where there is.
    """

    name: str
    title: str
    text: str = ""
    table: Table | None = None
    groups: Sequence[Pictures] = ()
    absent: str = ""


TABLES: Mapping[str, tuple[str, Callable[[Any], Table]]] = {
    "controls": ("What was found, beside the controls", detectors_table),
    "recordings": ("Recording by recording", recordings_table),
    "work": ("Spikes and synaptic operations", work_table),
    "accuracy": ("What was told apart, beside the controls", accuracy_table),
    "layers": ("Training", layers_table),
}
ORDER = ("controls", "roc", "windows", "tracks", "missed", "false", "recordings", "filters", "training", "raster", "work")
IMAGE_ORDER = ("accuracy", "confusion", "filters", "layers")


def report_html(evidence: Evidence | ImageEvidence) -> str:
    """The page of a run.

    Raises InputError where matplotlib is not installed."""
    from jinja2 import Environment, StrictUndefined

    web = files(__package__).joinpath("web")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(web.joinpath(TEMPLATE).read_text(encoding="utf-8"))
    parts = [part(evidence, name) for name in (ORDER if isinstance(evidence, Evidence) else IMAGE_ORDER)]
    return template.render(
        style=web.joinpath(STYLE).read_text(encoding="utf-8"),
        source=evidence.source,
        sentences=sentences(evidence),
        parts=parts,
    )


def part(evidence: Evidence | ImageEvidence, name: str) -> Part:
    """A table or a figure of the page, or why it is not there."""
    interrupts.check()
    if name in TABLES:
        title, table = TABLES[name]
        try:
            return Part(name, title, table=table(evidence))
        except Absent as why:
            return Part(name, title, absent=str(why))
    figure = figures_for(evidence)[name]
    try:
        groups = figure.groups(evidence)
    except Absent as why:
        return Part(name, figure.title, absent=str(why))
    return Part(name, figure.title, figure.text, groups=[_pictures(group) for group in groups])


def _pictures(group: Group) -> Pictures:
    return Pictures(group.title, [_picture(panel) for panel in group.panels])


def _picture(panel: Panel) -> Picture:
    content = rendered(panel_figure(panel), dpi=DPI)
    return Picture(round(panel.width * CSS_INCH), base64.b64encode(content).decode(), panel.caption, panel.paired)


def figure_file(evidence: Evidence | ImageEvidence, figure: FigureKind, form: str) -> bytes:
    """A figure alone, as a file of one of `plots.FORMATS`; equal evidence gives equal bytes.

    Args:
        evidence: of a run.
        figure: one of `figures_for` it.
        form: see `plots.rendered`.

    Raises:
        Absent: the run has nothing to draw.
        InputError: matplotlib is not installed.
    """
    return rendered(joined(figure.groups(evidence)), form, DPI)
