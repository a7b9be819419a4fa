"""What several commands share beside their options: which network is meant, and the last line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..runtime.stage import StageResult
from .options import Request

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

    from ..stages.runs import Network

CHECKPOINT = click.option(
    "--checkpoint", metavar="PATH", type=click.Path(path_type=Path), help="Network: a checkpoint or a run [newest run's best]."
)


def network_for(request: Request, checkpoint: Path | None) -> tuple[Config, Network]:
    """The network a command means, and the configuration to run it with.

    --checkpoint names it; else, with a configuration, it is the one trained with that; else the newest run's. Without a
    configuration the network's own holds."""
    from ..stages.runs import as_read, network_at, network_of, newest_run, own_config

    place = checkpoint
    if place is None and not request.configured:
        place = newest_run(request.load().output_dir)
    if place is None:
        cfg = request.load()
        return cfg, network_of(cfg)
    network = network_at(place)
    cfg = request.load(stored=own_config(network))
    return cfg, as_read(cfg, network)


def say(done: StageResult, what: str, following: str) -> None:
    """The last line of every command: what was written, and what to run next."""
    click.echo(f"{'wrote' if done.ran else 'up to date:'} {what}; next: {following}")
