"""The command `compare`."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import click

from spikeseg.errors import InputError, nearest

from .common import all_told
from .options import FilledPath, Request, command, shared


@command("compare")
@click.argument("runs", metavar="RUN RUN", nargs=-1, type=FilledPath(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Instead of two runs: a table of all runs in output_dir.")
@click.option(
    "--detector", default="network", show_default=True, metavar="NAME", help="Whose figures: a detector's name in metrics.json.",
)  # fmt: skip
@shared(output="File to write the same to, as JSON, or, named .csv, as CSV.", of_demo=False)
def compare(request: Request, runs: tuple[Path, ...], everything: bool, detector: str, output: str | None) -> None:
    """Compare two runs: which settings differ, what each got, and whether the difference is more than chance.

    \b
    Example: did another learning rate help?
      spikeseg train --name slow --set stdp.lr_plus=0.004
      spikeseg evaluate --network runs/slow
      spikeseg compare runs/demo-1a2b3c4d runs/slow
    Example: all runs, as a table to sort and plot
      spikeseg compare --all -o runs.csv

    RUN is a run's folder or its name, the folder of one of its evaluations, or a metrics.json. Differences are B - A, recording
    by recording, with intervals over recordings. Where the two have not scored the same recordings by the same rules, their
    figures are shown without differences, and why.
    """
    from spikeseg.core.files import atomic_write
    from spikeseg.evaluation.paired import comparison_csv, comparison_table
    from spikeseg.evaluation.runs_table import runs_csv, runs_table

    from ..stages import side_by_side as stage

    if everything == bool(runs) or len(runs) not in (0, 2):
        raise click.UsageError("name two runs, or --all")
    cfg = request.load()
    content: Any
    if everything:
        content = stage.all_runs(cfg.output_dir)
        as_csv, table = runs_csv(content, detector), runs_table(content, detector)
    else:
        first, second = all_told(*(functools.partial(_found, run, cfg.output_dir) for run in runs))
        content = stage.compare(first, second, detector, [cfg.cache_dir])
        as_csv, table = comparison_csv(content), comparison_table(content)
    click.echo(table)
    if output:
        as_json = json.dumps(content, indent=1, allow_nan=False) + "\n"
        atomic_write(Path(output), as_csv if output.endswith(".csv") else as_json)


def _found(run: Path, output_dir: str) -> Path:
    """The run that is named. Raises InputError where there is none, with the nearest name."""
    from spikeseg.networks import NAMES

    from ..stages.runs import named_run, names_of_runs

    path = named_run(run, output_dir)
    if not path.exists() and str(run) in NAMES:
        made = f"`spikeseg evaluate --network {run}` makes an evaluation of it to compare"
        raise InputError(f"{run}: comes with the package, so no run of it lies here; {made}")
    if not path.exists():
        listed = "`spikeseg compare --all` lists those in the folder of the runs"
        raise InputError(f"{run}: no such run; {listed}{nearest(run, names_of_runs(output_dir))}")
    return path
