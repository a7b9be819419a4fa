"""Options of `detect` that make something to look at."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeseg.viewing import VIDEOS

from .options import FilledPath, adding, is_quiet, names_of
from .settings import Decorator

if TYPE_CHECKING:
    from spikeseg.data.datasets.folders import Source

    from ..stages.views import Views

OPTIONS: list[Decorator] = [
    click.option("--view", is_flag=True, help="Also make a page of each recording, to look at and to judge (extra view)."),
    click.option(
        "--review", "reviews", multiple=True, type=FilledPath(path_type=Path), metavar="PATH",
        help="Show these marks in the page: a review that was saved there, or a folder of some; may be repeated.",
    ),
    click.option("--video", type=click.Choice(VIDEOS), help="Also make a video of each recording (extra view)."),
    click.option(
        "--speed", type=click.FloatRange(0, min_open=True), metavar="X",
        help="Of the video: seconds of the recording per second [so that it lasts 10 s].",
    ),
    click.option("--rrd", is_flag=True, help="Also write each recording for the viewer rerun (extra rerun)."),
]  # fmt: skip
viewing = adding(OPTIONS)
"""Decorator: add the options, which `taken` takes out of the command's."""


def taken(given: MutableMapping[str, Any]) -> dict[str, Any]:
    """Take the options out of a command's; those that were given. Raises UsageError for --speed without --video."""
    asked = {name: value for name in names_of(OPTIONS) if (value := given.pop(name))}
    if "speed" in asked and "video" not in asked:
        raise click.UsageError("--speed goes with --video")
    return asked


def views(asked: Mapping[str, Any], sources: Sequence[Source]) -> Views:
    """What is to be made. Raises InputError: a review that does not fit, or a package that is not installed."""
    from ..stages.views import Views, reviews_at

    reviews = reviews_at(asked.get("reviews", ()), [source.name for source in sources])
    made = Views(bool(asked.get("view") or reviews), asked.get("video"), asked.get("speed"), bool(asked.get("rrd")), reviews)
    made.require()
    return made


def print_views(made: Views, folder: Path, recordings: Sequence[str]) -> None:
    """Print where what was made lies, unless --quiet."""
    name = recordings[0] if len(recordings) == 1 else "<recording>"
    files = made.files(name)
    if files and not is_quiet():
        click.echo(f"to look at: {', '.join(str(folder / file) for file in files)}")
