"""The command `systematic`."""

from __future__ import annotations

from pathlib import Path

import click

from spikeseg.networks import NIGHTS

from .common import COUNT, NETWORK, network_for, print_end
from .options import Request, command, shared

NOISE = (0.0, 50.0, 80.0, 90.0, 95.0, 99.0)
OBJECTS = (1, 2, 3, 4, 5)


@command("systematic")
@NETWORK
@click.option(
    "--noise", type=float, multiple=True, default=NOISE, show_default=True, metavar="PERCENT",
    help="Share of all events that are noise, 0 to 99; may be repeated.",
)  # fmt: skip
@click.option(
    "--objects", type=COUNT, multiple=True, default=OBJECTS, show_default=True, metavar="N",
    help="Objects at a time; may be repeated.",
)  # fmt: skip
@click.option("--recordings", type=COUNT, default=2, show_default=True, metavar="N", help="Recordings of each level.")
@click.option("--duration", type=float, default=10.0, show_default=True, metavar="SECONDS", help="Length of each.")
@click.option("--rate", type=float, default=100.0, show_default=True, metavar="HZ", help="Events/s of each object.")
@shared(output="File for a copy of systematic.json, or, named .csv, of systematic.csv.", of_demo=False)
def systematic(
    request: Request,
    network: str | None,
    noise: tuple[float, ...],
    objects: tuple[int, ...],
    recordings: int,
    duration: float,
    rate: float,
    output: str | None,
) -> None:
    """Score a network at levels of noise and numbers of objects, on recordings simulated for it.

    Every noise goes with every number of objects: points of a known rate that move evenly over a sensor of 128x128 px. Prints a
    line per level, with the time steps (frames) that the network takes in a second on this machine; systematic.json and
    systematic.csv hold the scores, which come out the same everywhere.

    \b
    Example: how much noise does the network bear?
      spikeseg systematic --network nights --noise 0 --noise 90 --noise 99 --objects 1 -o noise.csv
    """
    from spikeseg.evaluation.systematic import Conditions

    from ..stages import systematic as stage

    cfg, saved = network_for(request, network, given=True, suited=lambda _: (NIGHTS, "the recordings hold points"))
    conditions = Conditions(noise, objects, recordings, duration, rate, seed=cfg.seed)
    result = stage.systematic(cfg, saved, conditions, output=Path(output) if output else None, force=request.force)
    click.echo(stage.table(result))
    print_end(result.ran, output or f"{result.path / stage.SCORES} and {stage.TABLE}", "spikeseg detect RECORDING")
