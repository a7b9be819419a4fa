"""The command `doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spikeseg.core.text import many
from spikeseg.errors import InputError

from .options import Request, command, shared

if TYPE_CHECKING:
    from ..stages.doctor import Finding


@command("doctor")
@click.option("--no-test", is_flag=True, help="Leave out the self-test.")
@shared(output="File to write the same to, as JSON.")
def doctor(request: Request, no_test: bool, output: str | None) -> None:
    """Say whether this installation works: versions, extras, GPU, folders, kept kernels, and a self-test.

    The self-test simulates four seconds of a night in a temporary folder, detects in it with the network that comes with the
    package, and compares what it finds with what is known: some seconds, and up to a minute more where kernels have to be
    compiled. A line begins with ok, with note (a thing that is not there, which you may not need), or with FAULT; below it stands
    what to do. The exit code is 3 where anything is at fault.

    \b
    Example: everything, then all but the self-test
      spikeseg doctor
      spikeseg doctor --no-test
    Example: everything, in a file to send along with a question
      spikeseg doctor -o doctor.json
    Example: is there room where the cache shall be?
      spikeseg doctor --no-test --set cache_dir=home/cache
    """
    from spikeseg.core.files import atomic_write

    from ..stages import doctor as stage

    cfg = request.load()
    findings = [_printed(finding) for finding in stage.findings(cfg)]
    if not no_test:
        findings.append(_printed(stage.self_test(cfg)))
    if output:
        atomic_write(Path(output), json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
        click.echo(f"wrote {output}")
    if faults := sum(finding.fault for finding in findings):
        raise InputError(f"{many(faults, 'fault')}; do what stands below each, then run `spikeseg doctor` again")
    click.echo("nothing is at fault; without --no-test it is also tried out" if no_test else "spikeseg works here")


def _printed(finding: Finding) -> Finding:
    """The finding, printed."""
    mark = "FAULT" if finding.fault else "note" if finding.remedy else "ok"
    click.echo(f"{mark:<5}  {finding.what:<13}  {finding.text}")
    if finding.remedy:
        click.echo(f"{'':<22}-> {finding.remedy}")
    return finding
