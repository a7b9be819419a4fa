"""The command `demo`."""

from __future__ import annotations

import json

import click

from .common import print_end, print_layers, trained_layers
from .options import Request, command, shared


@command("demo")
@shared(output="Folder of the runs.", key="output_dir")
def demo(request: Request) -> None:
    """Run the whole path on built-in recordings: simulate, prepare, train, evaluate, detect.

    Takes some minutes and needs no download.

    \b
    Example: with dimmer, faster satellites
      spikeseg demo --set simulate.difficulty=hard
    """
    from spikeseg.evaluation.tables import metrics_table

    from ..stages import demo as stage
    from ..stages.evaluate import METRICS
    from ..stages.prepare import STORE

    cfg = request.load()
    results = stage.demo(cfg, force=request.force)
    print_layers(results.network.path, trained_layers(cfg))
    click.echo(metrics_table(json.loads((results.metrics.path / METRICS).read_text())))
    click.echo(f"frames      {results.frames.path / STORE}")
    click.echo(f"network     {results.network.path}")
    click.echo(f"metrics     {results.metrics.path / METRICS}")
    if results.detections:
        click.echo(f"detections  {results.detections.path}")
    print_end(results.ran, f"the demo in {results.network.path}", "spikeseg detect RECORDING")
