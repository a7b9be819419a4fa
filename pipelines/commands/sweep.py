"""The command `sweep`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .common import NETWORK, naming, network_for, print_end
from .options import Request, command, shared


@command("sweep")
@NETWORK
@click.option("--split", type=click.Choice(["train", "val"]), default="train", show_default=True, help="Recordings to try on.")
@shared(output="File for a copy of sweep.json, or, named .csv, of sweep.csv.", data=True, of_demo=False)
def sweep(request: Request, network: str | None, split: str, output: str | None) -> None:
    """Try thresholds: from which score is a track an object? The test split is never looked at.

    Writes sweep.json and sweep.csv and, of the training split, checkpoint_calibrated.pt: the same network with the threshold of
    highest object F1, and the classes that count, kept in it. `--set evaluation.readout=calibrated` then uses them. Without a
    configuration it is the newest run's network with that run's own settings.

    \b
    Example: calibrate the newest network, then score it so on the test split
      spikeseg sweep
      spikeseg evaluate --set evaluation.readout=calibrated
    """
    from spikeseg.evaluation.thresholds import sweep_table

    from ..stages import sweep as stage

    cfg, saved = network_for(request, network)
    copy = Path(output) if output else None
    result = stage.sweep(cfg, saved, split=split, output=copy, force=request.force)
    click.echo(sweep_table(json.loads((result.path / stage.SWEEP).read_text())))
    named = naming(network)
    following = f"evaluate{named} --set evaluation.readout=calibrated" if split == "train" else f"sweep{named}"
    print_end(result.ran, f"{copy or f'{result.path / stage.SWEEP} and {stage.TABLE}'}", request.next(following))
