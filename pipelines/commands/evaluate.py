"""The command `evaluate`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from spikeseg.registries import MODES

from .common import HULK, NETWORK, SMASH, naming, network_for, print_end
from .options import Request, command, shared
from .settings import choices_of, setting

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

    from ..stages.runs import SavedNetwork

PROTOCOLS = ("event-10px",)
"""Names of `spikeseg.evaluation.protocols.PROTOCOLS`."""
SPLITS = click.Choice(["test", "val", "train", "all"])


class Scope(NamedTuple):
    """What is scored: by which protocol, if by one; the recordings of which split; of which camera."""

    protocol: str | None
    split: str
    camera: str


def scoped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the command gets `scope` in place of its parts."""

    @functools.wraps(command)
    def with_scope(*args: Any, protocol: str | None, split: str | None, camera: str, **given: Any) -> Any:
        return command(*args, scope=Scope(protocol, split or ("all" if protocol else "test"), camera), **given)

    return with_scope


@command("evaluate")
@NETWORK
@click.option("--mode", "modes", multiple=True, type=click.Choice(list(MODES)), help="What to score [all]; may be repeated.")
@click.option("--protocol", type=click.Choice(PROTOCOLS), help="Score as others have published it, by nothing else.")
@click.option(
    "--split", type=SPLITS, help="Recordings to score; all: of other data [test; by a protocol: all].",
)  # fmt: skip
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
@scoped
def evaluate(
    request: Request,
    network: str | None,
    modes: tuple[str, ...],
    scope: Scope,
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
      spikeseg prepare --network nights --dataset ebssa --data-root ~/nights
      spikeseg evaluate --network nights --dataset ebssa --data-root ~/nights --split all
    Example: one camera's objects, found within 3 px, recording by recording
      spikeseg evaluate --mode object --sensor DAVIS --spatial-tolerance 3 --per-recording
    Example: EBSSA's events as published comparisons score them
      spikeseg evaluate --protocol event-10px --network nights --dataset ebssa --data-root ~/nights
    """
    from spikeseg.evaluation.tables import metrics_table, table_by_recording

    from ..stages import evaluate as stage

    if scope.protocol and (modes or per_recording or threshold is not None):
        raise click.UsageError("--protocol: takes no --mode, --threshold or --per-recording; it says itself what is scored")
    cfg, saved = network_for(request.also("tracking.object_threshold", threshold, "--threshold"), network)
    copy = Path(output) if output else None
    if scope.protocol:
        _by_protocol(cfg, saved, scope, copy, request.force)
        return
    selection = stage.Selection(scope.split, modes or None, scope.camera, threshold)
    result = stage.evaluate(cfg, saved, selection, output=copy, force=request.force)
    metrics = json.loads((result.path / stage.METRICS).read_text())
    click.echo(metrics_table(metrics))
    if per_recording:
        click.echo("\n" + table_by_recording(metrics))
    following = f"spikeseg detect RECORDING{naming(network)}"
    print_end(result.ran, f"{copy or f'{result.path / stage.METRICS} and {stage.TABLE}'}", following)


def _by_protocol(cfg: Config, saved: SavedNetwork, scope: Scope, copy: Path | None, force: bool) -> None:
    """Score by a protocol, and print the table."""
    from spikeseg.evaluation.protocols import protocol_table

    from ..stages import protocol as stage

    assert scope.protocol is not None
    result = stage.score(cfg, saved, scope.protocol, split=scope.split, sensor=scope.camera, output=copy, force=force)
    click.echo(protocol_table(json.loads((result.path / stage.RESULT).read_text())))
    print_end(result.ran, str(copy or result.path / stage.RESULT), "spikeseg evaluate")
