"""The command `cross-validate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .common import print_end, training
from .options import Request, command, shared


@command("cross-validate")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, metavar="K", help="Folds of recordings.")
@click.option("--final", is_flag=True, help="Then train on all folds, and score that network once on the test split.")
@training
@shared(output="File for a copy of cross_validation.json, or, named .csv, of cross_validation.csv.", data=True)
def cross_validate(request: Request, folds: int, final: bool, no_tensorboard: bool, output: str | None) -> None:
    """Train and score K times, each time without the recordings that are scored: how far do the metrics spread?

    What the test split leaves is dealt into K folds by recording; each is held out once. The test split stays closed, unless
    --final opens it once, at the end. Interrupted, the same command goes on where it was.

    \b
    Example: three folds of the built-in recordings, with a copy of the table
      spikeseg cross-validate --folds 3 -o folds.csv
    """
    from spikeseg.evaluation.folds import folds_table
    from spikeseg.evaluation.tables import metrics_table

    from ..stages import cross_validate as stage

    cfg = request.load()
    copy = Path(output) if output else None
    tensorboard = False if no_tensorboard else None
    result = stage.cross_validate(
        cfg, folds=folds, final=final, tensorboard=tensorboard, output=copy, force=request.force
    )  # fmt: skip
    scores = json.loads((result.path / stage.RESULT).read_text())
    click.echo(folds_table(scores))
    if scores["final"]:
        click.echo("\n" + metrics_table(scores["final"]["metrics"]))
    print_end(result.ran, f"{copy or f'{result.path / stage.RESULT} and {stage.TABLE}'}", request.next("train"))
