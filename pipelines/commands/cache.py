"""The commands `cache list`, `cache verify` and `cache clean`."""

from __future__ import annotations

import click

from spikeseg.core import interrupts
from spikeseg.core.dry_run import is_dry
from spikeseg.errors import InputError

from .help import LaidGroup
from .options import Command, Request, shared

MIB = 2**20
KEYS = click.argument("keys", metavar="[KEY]...", nargs=-1)


class CommandGroup(LaidGroup):
    """The commands of the cache."""

    command_class = Command


@click.group("cache", cls=CommandGroup)
def cache() -> None:
    """List what the cache holds, verify its checksums, remove what is damaged or all of it.

    \b
    Example: list, compare checksums, remove what is damaged
      spikeseg cache list
      spikeseg cache verify
      spikeseg cache clean --damaged
    """


@cache.command("list")
@shared()
def list_command(request: Request) -> None:
    """Show every artefact: its stage, its key, its size on disk, what it holds."""
    from ..runtime.cache import artefacts

    stored = artefacts(request.load(network=False).cache_dir)
    for artefact in stored:
        click.echo(f"{artefact.stage:<12} {artefact.path.name}  {artefact.size / MIB:10.1f} MiB  {artefact.summary()}")
    click.echo(f"{len(stored)} artefacts, {sum(artefact.size for artefact in stored) / MIB:.1f} MiB")


@cache.command("verify")
@KEYS
@shared()
def verify_command(request: Request, keys: tuple[str, ...]) -> None:
    """Compare every file with the checksum it was written under; exit code 3 when one differs."""
    from ..runtime.cache import artefacts, faults
    from ..runtime.console import progress

    chosen = [artefact for artefact in artefacts(request.load(network=False).cache_dir) if not keys or artefact.path.name in keys]
    if unknown := set(keys) - {artefact.path.name for artefact in chosen}:
        raise InputError(f"{sorted(unknown)[0]}: no artefact of this key; `spikeseg cache list` shows them")
    damaged = 0
    for artefact in progress(chosen, "verifying", "artefact"):
        differing = list(faults(artefact.path))
        damaged += bool(differing)
        for fault in differing:
            click.echo(f"{artefact.path}/{fault}")
    if damaged:
        raise InputError(f"{damaged} of {len(chosen)} artefacts are damaged; `spikeseg cache clean --damaged` removes them")
    click.echo(f"{len(chosen)} artefacts are as they were written")


@cache.command("clean")
@click.option("--damaged", is_flag=True, help="Remove what `verify` finds damaged.")
@click.option("--all", "everything", is_flag=True, help="Remove every artefact; stages make them again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared()
def clean_command(request: Request, damaged: bool, everything: bool, yes: bool) -> None:
    """Remove what interrupted commands left, of runs, too; and artefacts that are damaged, or all of them, where asked to."""
    from ..runtime.cache import artefacts, faults, remove, remove_unfinished

    cfg = request.load(network=False)
    root = cfg.cache_dir
    chosen = [artefact for artefact in artefacts(root) if everything or (damaged and any(faults(artefact.path)))]
    for artefact in chosen:
        click.echo(f"{'would remove' if is_dry() else 'remove'} {artefact.path} ({artefact.size / MIB:.1f} MiB)")
    if is_dry():
        return
    if chosen and not yes:
        with interrupts.at_once():
            click.confirm(f"remove {len(chosen)} artefacts?", abort=True)
    for artefact in chosen:
        remove(artefact)
    click.echo(f"removed {len(chosen)} artefacts and {remove_unfinished(root, cfg.output_dir)} unfinished files and folders")
