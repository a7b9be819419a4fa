"""The command `info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..runtime.console import EXIT_INPUT
from .options import Request, command, rows, shared
from .settings import Words

if TYPE_CHECKING:
    from spikeseg.config.sections import Config


@command("info")
@click.argument("paths", type=Words(), metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--hot", type=click.FloatRange(0, min_open=True), metavar="FREQUENCY", show_default="the configuration's DropPixel, demo: 15",
    help="A pixel with more events/s is hot.",
)  # fmt: skip
@click.option("--plot", is_flag=True, help="Also draw each, <name>.info.png, beside --output or here (needs matplotlib).")
@click.option("--json", "json_file", type=Words(), metavar="FILE", help="The same as --output.")
@rows
@shared(output="File to write the same to, as JSON.")
def info(
    request: Request, paths: tuple[str, ...], hot: float | None, plot: bool, json_file: str | None, output: str | None
) -> None:
    """Say what recordings hold: format, sensor, events, time, rates, hot pixels, labels, and what is dropped.

    PATH is a recording, FILE.h5::NAME, or a folder: every file below it. What cannot be read is one line on stderr; the others
    are shown, and the exit code is 3.

    \b
    Example: every recording of a folder, with pictures
      spikeseg info ~/nights --plot -o about/nights.json
    """
    from spikeseg.core.files import atomic_write
    from spikeseg.data.readers import Layout

    from ..stages import info as stage

    if json_file and output:
        raise click.UsageError("--json and --output are the same; give one of them")
    written = Path(json_file or output or "") if json_file or output else None
    cfg = request.load(network=False)
    frequency = hot or hot_frequency(cfg)
    summaries = []
    folder = (written or Path("here")).parent if plot else None
    for summary in stage.info(paths, hot_frequency=frequency, plots=folder, layout=Layout.of(cfg.data)):
        summaries.append(summary)
        if "error" in summary:
            click.echo(f"error: {summary['error']}", err=True)
        else:
            click.echo("\n".join(stage.lines(summary)) + "\n")
    content = stage.document(summaries, frequency)
    if written:
        atomic_write(written, json.dumps(content, indent=2) + "\n")
        click.echo(f"wrote {written}")
    if content["unreadable"]:
        raise SystemExit(EXIT_INPUT)


def hot_frequency(cfg: Config) -> float:
    """Events/s from which a pixel is hot: the lowest that the configuration drops, else that of the demo."""
    from spikeseg.data.transforms import HOT_PIXEL_FREQUENCY

    drops = [spec for spec in cfg.data.transforms if spec.get("name") == "DropPixel"]
    given = [float(spec["hot_pixel_frequency"]) for spec in drops if spec.get("hot_pixel_frequency") is not None]
    return min(given, default=HOT_PIXEL_FREQUENCY)
