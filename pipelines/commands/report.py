"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spikeseg.errors import InputError

from .common import print_end
from .options import FilledPath, Request, command, shared

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

LOOK = click.option(
    "--recordings", "most", type=click.IntRange(min=0), metavar="N",
    help="Recordings that are looked at again with the network, at most [12].",
)  # fmt: skip


@command("report")
@click.argument("run", metavar="[RUN]", required=False, type=FilledPath(path_type=Path))
@LOOK
@shared(output="File for a copy of the page.", of_demo=False)
def report(request: Request, run: Path | None, most: int | None, output: str | None) -> None:
    """Show a run in one page: what was run, what was learned, what was found and missed.

    Writes report.html into the run's folder: one file, to read on a screen or a phone, to print, or to send on; it needs no
    network. In it: five sentences; what was found beside the controls, with ROC curves; windows with events, saliency,
    instances and truth; tracks in space and time; missed objects and false tracks, cut out; a table by recording; the learned
    filters as the input that drives them; training; a raster; spikes and synaptic operations; configuration, versions, digests.

    RUN is a run's folder or its name, also one of classify [newest run]. What a run does not have is said in its place.

    \b
    Example: the newest run
      spikeseg report
    Example: of a run, to send on
      spikeseg report runs/mine -o mine.html
    """
    from ..stages import report as stage

    cfg, folder = found(request, run)
    made = stage.report(
        cfg, folder, most=stage.LOOKED_AT if most is None else most, output=Path(output) if output else None, force=request.force
    )
    print_end(made.result.ran, output or str(made.page), f"spikeseg plot {folder} filters -o filters.svg")


def found(request: Request, run: Path | None) -> tuple[Config, Path]:
    """The configuration and the folder of the run that is meant. Raises InputError where there is none."""
    from ..stages import report as stage
    from ..stages.runs import newest_run

    output_dir = request.load().output_dir
    if run is None:
        run = newest_run(output_dir)
        if run is None:
            raise InputError(f"{output_dir}: no finished run lies there; `spikeseg train` makes one")
    inside = Path(output_dir) / run
    folder = stage.run_folder(inside if not run.exists() and inside.exists() else run)
    return request.load(stored=stage.config_of(folder)), folder
