"""The command `plot`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import LOOK, print_end, run_of_report
from .options import FilledPath, Request, command, shared


@command("plot")
@click.argument("run", metavar="[RUN]", required=False, type=FilledPath(path_type=Path))
@click.argument("figure", metavar="FIGURE", required=False)
@LOOK
@shared(output="File to write: .png, .svg or .pdf; without, FIGURE.png.", of_demo=False)
def plot(request: Request, run: Path | None, figure: str | None, most: int, output: str | None) -> None:
    """Draw one figure of a run's report alone, as png, svg or pdf.

    RUN is a run's folder or its name [newest run].
    FIGURE: windows, tracks, missed, false, roc, filters, training, raster; of a run of classify: filters, confusion. The same run
    gives the same bytes.

    \b
    Example: for a paper
      spikeseg plot runs/mine filters -o filters.pdf
    Example: for the web
      spikeseg plot runs/mine roc -o roc.svg
    """
    from spikeseg.report.figures import FIGURES, IMAGE_FIGURES

    from ..stages import report as stage

    if figure is None and str(run) in {**FIGURES, **IMAGE_FIGURES}:
        run, figure = None, str(run)
    cfg, folder = run_of_report(request, run)
    path = Path(output or f"{figure or 'figure'}.png")
    stage.plot(cfg, folder, figure or "", path, most=most)
    print_end(True, str(path), f"spikeseg report {folder}")
