"""The command `status`."""

from __future__ import annotations

from dataclasses import replace

import click

from .options import Request, command, shared


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

    dataset = request.dataset or ""
    settings = DATASETS[dataset].settings if dataset in DATASETS else None
    configured = request if request.config or not settings else replace(request, config=settings)  # as `classify` does
    stages = stage.status(configured.load(network=False))
    for entry in stages:
        click.echo(f"{entry.state:<12} {entry.name:<14} {entry.detail}")
    command = stage.next_command(stages)
    click.echo(f"next: {request.next(command) if command else stage.after(stages)}")
