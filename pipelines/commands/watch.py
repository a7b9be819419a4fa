"""The command `watch`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from .common import HULK, NETWORK, SMASH, all_told, network_for, pictures
from .options import LENIENT, FilledPath, Request, rows, shared
from .sky import sky_command, sky_options, sky_request

log = logging.getLogger(__name__)


@sky_command("watch")
@click.argument("folder", type=FilledPath(path_type=Path))
@NETWORK
@LENIENT
@rows
@HULK
@SMASH
@click.option(
    "--every", type=click.FloatRange(0, 86400), default=30.0, show_default=True, metavar="SECONDS",
    help="From one look at the folder to the next; what has not changed in between is taken.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Look twice, do what is complete, and end: for cron.")
@pictures
@sky_options
@shared(output="Folder to write to; needed.", of_demo=False)
def watch(
    request: Request,
    folder: Path,
    network: str | None,
    output: str | None,
    every: float,
    once: bool,
    plot: str | None,
    **of_sky: Any,
) -> None:
    """Detect in recordings as they arrive in a folder, unattended.

    Takes what is new below FOLDER and no longer written to, and keeps in --output the files that `detect FOLDER` would write,
    objects.csv in the order of the recordings' paths. Killed and started again, it goes on. A recording that cannot be read is
    named once, and tried again when it has changed; one that grows after all is done again. Ctrl-C and SIGTERM end it, with 130.

    \b
    Example: a service
      spikeseg watch ~/incoming -o found --network nights
    Example: a line of cron
      */10 * * * * spikeseg watch ~/incoming -o ~/found --network nights --once --quiet
    """
    from ..stages import watch as stage

    if output is None:
        raise click.UsageError("--output: name the folder to write to")
    if request.force:
        raise click.UsageError("--force: not while watching; spikeseg detect --force does all of a folder again")
    sky = sky_request(of_sky)
    if sky is not None and sky.start_utc_us is not None:
        raise click.UsageError("--start: not while watching; recordings that arrive begin at different times")
    (cfg, saved), _ = all_told(
        lambda: network_for(request, network, given=True), lambda: stage.check_folders(folder, Path(output))
    )
    log.info("watching %s, every %g s; results in %s", folder, every, output)
    stage.watch(cfg, saved, folder, Path(output), every_s=every, once=once, plot=plot, sky=sky)
