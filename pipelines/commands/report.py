"""The command `report`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import LOOK, print_end, run_of_report
from .options import FilledPath, Request, command, shared


@command("report")
@click.argument("run", metavar="[RUN]", required=False, type=FilledPath(path_type=Path))
@LOOK
@shared(output="File for a copy of the page.", of_demo=False)
def report(request: Request, run: Path | None, most: int, output: str | None) -> None:
    """Show a run in one page: what was run, what was learned, what was found and missed.

    Writes report.html into the run's folder: one file, to read on a screen or a phone, to print, or to send on; it needs no
    network. In it: five sentences; what was found beside the controls, with ROC curves; windows with events, saliency, what that
    was cut into, and truth; tracks in space and time; missed objects and false tracks, cut out; a table by recording; the learned
    filters as the input that drives them; training; a raster; spikes and synaptic operations; configuration, versions, digests.

    RUN is a run's folder or its name, also one of classify [newest run]. What a run does not have is said in its place.

    \b
    Example: the newest run
      spikeseg report
    Example: of a run, to send on
      spikeseg report runs/mine -o mine.html
    """
    from ..stages import report as stage

    cfg, folder = run_of_report(request, run)
    made = stage.report(cfg, folder, most=most, output=Path(output) if output else None, force=request.force)
    print_end(made.result.ran, output or str(made.page), f"spikeseg plot {folder} filters -o filters.svg")
