"""The command `status`."""

from __future__ import annotations

import logging
from dataclasses import replace

import click

from spikeseg.core.names import CONFIG

from .options import Request, command, shared
from .settings import WITHOUT

log = logging.getLogger(__name__)


@command("status")
@shared(output="Folder of the runs.", key="output_dir", data=True)
def status(request: Request) -> None:
    """Show which stages of a configuration are done, which are stale and why, and what to run next.

    \b
    Example:
      spikeseg status --set stdp.lr_plus=0.004
    """
    from spikeseg.registries import DATASETS

    from ..stages import status as stage
    from ..stages.runs import newest_run

    dataset = request.dataset or ""
    settings = DATASETS[dataset].settings if dataset in DATASETS else None
    configured = request if request.config or not settings else replace(request, config=settings)  # as `classify` does
    cfg = configured.load(network=False)
    stages = stage.status(cfg)
    run = None if configured.configured else newest_run(cfg.output_dir)
    if run is not None and any(entry.name in cfg.learned_layers() and entry.state != stage.DONE for entry in stages):
        log.info("of the configuration %s; of the newest run, which has another: spikeseg status -c %s", WITHOUT, run / CONFIG)
    for entry in stages:
        click.echo(f"{entry.state:<12} {entry.name:<14} {entry.detail}")
    command = stage.next_command(stages)
    click.echo(f"next: {request.next(command) if command else stage.after(stages)}")
