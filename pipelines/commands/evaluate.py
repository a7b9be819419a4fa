"""The command `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spikeseg.registries import MODES

from .common import HULK, NETWORK, SMASH, naming, network_for, print_end
from .options import Request, command, shared
from .settings import choices_of, setting

SPLITS = click.Choice(["test", "val", "train", "all"])


@command("evaluate")
@NETWORK
@click.option("--mode", "modes", multiple=True, type=click.Choice(list(MODES)), help="What to score [all]; may be repeated.")
@click.option("--split", type=SPLITS, default="test", show_default=True, help="Recordings to score; all: of other data.")
@click.option(
    "--sensor", "camera", type=choices_of("data.sensor"), default="all", show_default=True,
    help="Score this camera's recordings alone.",
)  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1), metavar="X", help="Score from which a track is an object.")
@setting(
    "--spatial-tolerance", key="evaluation.spatial_tolerance_px", type=float, metavar="PX",
    help="Largest distance between an object and its detection.",
)  # fmt: skip
@HULK
@SMASH
@click.option("--per-recording", is_flag=True, help="Also print the network's figures of every recording.")
@shared(output="File for a copy of metrics.json, or, named .csv, of metrics.csv.", data=True, of_demo=False)
def evaluate(
    request: Request,
    network: str | None,
    modes: tuple[str, ...],
    split: str,
    camera: str,
    threshold: float | None,
    per_recording: bool,
    output: str | None,
) -> None:
    """Score a network on labelled recordings, beside raw events, filters and the same network untrained.

    Writes metrics.json and metrics.csv. Without a configuration it is the newest run's network with that run's own settings. With
    --set evaluation.readout=calibrated its tracks count as `spikeseg sweep` chose; --threshold goes before that.

    \b
    Example: one mode, with a copy of the figures
      spikeseg evaluate --mode event -o metrics.json
    Example: a network that comes with the package, on all recordings of a folder
      spikeseg evaluate --network nights --dataset ebssa --data-root ~/nights --split all
    Example: one camera's objects, found within 3 px, recording by recording
      spikeseg evaluate --mode object --sensor DAVIS --spatial-tolerance 3 --per-recording
    """
    from spikeseg.evaluation.tables import metrics_table, table_by_recording

    from ..stages import evaluate as stage

    cfg, saved = network_for(request.also("tracking.object_threshold", threshold), network)
    copy = Path(output) if output else None
    selection = stage.Selection(split, modes or None, camera, threshold)
    result = stage.evaluate(cfg, saved, selection, output=copy, force=request.force)
    metrics = json.loads((result.path / stage.METRICS).read_text())
    click.echo(metrics_table(metrics))
    if per_recording:
        click.echo("\n" + table_by_recording(metrics))
    following = f"spikeseg detect RECORDING{naming(network)}"
    print_end(result.ran, f"{copy or f'{result.path / stage.METRICS} and {stage.TABLE}'}", following)
