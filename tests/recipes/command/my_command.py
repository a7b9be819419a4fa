"""Command `spikeseg mine` of another package: how many windows a recording fills."""

from __future__ import annotations

import click

from spikeseg.pipelines.commands.options import Request, command, shared
from spikeseg.pipelines.commands.settings import setting


@command("mine")
@click.argument("path")
@setting("--step-ms", key="data.timestep_ms", type=float, help="Length of a step, ms.")
@shared()
def mine(request: Request, path: str) -> None:
    """Count the windows of a recording."""
    from spikeseg.data.readers import read  # numpy and more: loaded when the command runs, not for its help

    cfg = request.load()
    t = read(path).events["t"]
    window_us = cfg.data.n_timesteps * cfg.data.timestep_ms * 1000
    click.echo(f"{(t[-1] - t[0]) / window_us:.1f} windows of {window_us / 1000:g} ms; next: {request.next(f'detect {path}')}")
