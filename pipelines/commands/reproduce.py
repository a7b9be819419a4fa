"""The command `reproduce`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from spikeseg.core.dry_run import DryRun, is_dry
from spikeseg.errors import InputError
from spikeseg.networks import NAMES

from .options import FilledPath, Request, command, shared


@command("reproduce")
@click.argument("run", type=FilledPath())
@shared(output="Folder, a new one, that keeps the copy; if not given, it is removed at the end.", data=True, of_demo=False)
def reproduce(request: Request, run: str, output: str | None) -> None:
    """Run the chain of a trained network again in a fresh folder, and compare every file with the run's.

    Simulated recordings are simulated again, others are read where the run read them (or from --data-root). Ends with exit code 3
    and the file, the tensor and the value where anything differs; versions of packages that changed are named.

    RUN may be nights or scenes: networks that come with the package, which are trained from nothing on simulated recordings and
    come out byte by byte the same.

    \b
    Example:
      spikeseg reproduce runs/demo-1a2b3c4d
    Example: train a network that comes with the package, and keep it
      spikeseg reproduce nights -o again
    """
    if run in NAMES:
        return _packaged(request, run, output)
    from ..stages.runs import named_run

    _run(request, named_run(Path(run), request.output_dir), output)


def _packaged(request: Request, name: str, output: str | None) -> None:
    """Train a packaged network again."""
    from ..stages.packaged import train_again

    if request.configured:
        raise InputError(
            f"{name}: a network that comes with the package is trained with its own settings; leave out -c and --set"
        )
    if is_dry():
        raise DryRun(f"train {name} again")
    with tempfile.TemporaryDirectory(prefix="spikeseg-reproduce-") as folder:
        path, differs = train_again(name, request.load(), Path(output or folder))
        size = path.stat().st_size
    if differs:
        raise InputError(differs)
    click.echo(f"reproduced: {path.name}, {size:,} bytes, is equal to the one that comes with the package")


def _run(request: Request, run: Path, output: str | None) -> None:
    """Repeat a run."""
    from ..stages import reproduce as stage

    cfg = request.load(stored=stage.recorded(run)[0])
    if is_dry():
        raise DryRun(f"run again: {', '.join(stage.plan(run))}")
    click.echo(f"again: {', '.join(stage.plan(run))}", err=True)
    if output is not None:
        result = stage.reproduce(run, cfg, Path(output))
    else:
        with tempfile.TemporaryDirectory(prefix="spikeseg-reproduce-") as folder:
            result = stage.reproduce(run, cfg, Path(folder))
    for compared in result.stages:
        files = f"{compared.equal} equal" + (f", {len(compared.different)} different" if compared.different else "")
        click.echo(f"{compared.stage:<36} {compared.left_out or files}")
    for line in result.different:
        click.echo(f"  {line}")
    click.echo(f"versions: {'; '.join(result.versions) or 'the same'}")
    total = sum(compared.equal for compared in result.stages)
    if result.different:
        raise InputError(
            f"{run}: {len(result.different)} of {total + len(result.different)} files differ from what came out again"
        )
    click.echo(f"reproduced: all {total} files are equal")
