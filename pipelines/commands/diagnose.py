"""The command `diagnose`."""

from __future__ import annotations

from pathlib import Path

import click

from spikeseg.core.text import many
from spikeseg.plots import FORMATS

from .common import COUNT, NETWORK, network_and_recordings, print_end
from .options import LENIENT, Request, command, rows, shared
from .settings import Words


@command("diagnose")
@click.argument("recordings", type=Words(), metavar="[RECORDING]...", nargs=-1)
@NETWORK
@click.option("--samples", type=COUNT, default=4, show_default=True, metavar="N", help="Windows of each recording.")
@click.option("--plot-format", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="Of the figures.")
@LENIENT
@rows
@shared(output="Folder to write to [the run's].", of_demo=False)
def diagnose(
    request: Request, recordings: tuple[str, ...], network: str | None, samples: int, plot_format: str, output: str | None
) -> None:
    """Draw what a network makes of single windows: input, conv1, conv2, saliency and the truth side by side.

    RECORDING is what `detect` takes; without any it is the test split that the network was not trained on. The windows are
    spread evenly over each recording, over those with labels where it has any. Writes RECORDING.diagnosis.png (needs matplotlib).

    \b
    Example: why was it missed?
      spikeseg diagnose night.raw --network nights --samples 6 -o looked
    """
    from ..stages import diagnose as stage
    from ..stages.runs import suited

    cfg, saved, sources = network_and_recordings(request, network, recordings, suited)
    folder = Path(output) if output else saved.folder / stage.STAGE
    written = stage.diagnose(cfg, saved, sources, folder, samples=samples, form=plot_format)
    (where, *more) = written
    print_end(True, f"{many(len(written), 'figure')} in {folder}" if more else str(where), "spikeseg detect RECORDING")
