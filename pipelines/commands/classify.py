"""The command `classify`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from .common import print_end
from .options import Request, command, shared


@command("classify")
@click.option("--controls", is_flag=True, help="Score what the network is compared with, too: pixels, random weights, ...")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Networks, of N seeds.")
@shared(output="File for a copy of metrics.json.", data=True, of_demo=False)
def classify(request: Request, controls: bool, repeat: int, output: str | None) -> None:
    """Learn from images without their labels, then train and score a linear read-out on them.

    Datasets: digits (of scikit-learn, the default: no download), mnist, images (a folder per class), nmnist, and those of tonic
    with classes, such as tonic:DVSGesture. Settings are those of Kheradpisheh et al. 2018, sized for the dataset, unless -c names
    others.

    \b
    Example: MNIST's four files in a folder, beside all controls
      spikeseg classify --dataset mnist --data-root ~/mnist --controls -o m.json
    Example: your own pictures, one folder per class
      spikeseg classify --dataset images --data-root ~/pictures --set images.height=160
    """
    from spikeseg.evaluation.classification import classification_table

    from ..stages import classify as stage

    if request.config is None:
        request = dataclasses.replace(request, config=stage.settings_for(request.dataset or "digits"))
    cfg = request.load()
    copy = Path(output) if output else None
    result = stage.classify(cfg, controls=controls, repeat=repeat, output=copy, force=request.force)
    metrics = json.loads((result.path / stage.METRICS).read_text())
    click.echo(classification_table(metrics))
    picture = result.path / stage.FILTERS
    if picture.exists():
        click.echo(f"filters     {picture}")
    print_end(result.ran, output or str(result.path / stage.METRICS), "spikeseg classify --help")
