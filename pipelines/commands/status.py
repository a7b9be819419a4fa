"""The command `status`."""

from __future__ import annotations

import click

from .options import Request, shared


@click.command("status")
@shared(output="Folder of the runs.", key="output_dir", data=True)
def status(request: Request) -> None:
    """Show which stages of a configuration are done, which are stale and why, and what to run next.

    \b
    Example:
      spikeseg status --set stdp.lr_plus=0.004
    """
    from ..stages import status as stage

    stages = stage.status(request.load())
    for entry in stages:
        click.echo(f"{entry.state:<12} {entry.name:<12} {entry.detail}")
    undone = next((entry for entry in stages if entry.state != stage.DONE), None)
    click.echo(f"next: {request.next(undone.command) if undone else 'nothing to do'}")
