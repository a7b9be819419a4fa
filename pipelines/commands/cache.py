"""The command `cache`: list, verify, clean."""

from __future__ import annotations

import click

from spikeseg.errors import InputError

from .options import Request, shared

STAGES = click.argument("keys", metavar="[KEY]...", nargs=-1)


@click.group("cache")
def cache_command() -> None:
    """What lies in the cache, whether it is sound, and how to be rid of it.

    \b
    Example: look, check every byte, remove what is damaged
      spikeseg cache list
      spikeseg cache verify
      spikeseg cache clean --damaged
    """


@cache_command.command("list")
@shared()
def list_command(request: Request) -> None:
    """Show every artefact: its stage, its key, its size on disk, what it holds."""
    from ..runtime.cache import artefacts

    found = artefacts(request.load().cache_dir)
    for one in found:
        click.echo(f"{one.stage:<12} {one.path.name}  {one.size / 2**20:10.1f} MiB  {one.told()}")
    click.echo(f"{len(found)} artefacts, {sum(one.size for one in found) / 2**20:.1f} MiB")


@cache_command.command("verify")
@STAGES
@shared()
def verify_command(request: Request, keys: tuple[str, ...]) -> None:
    """Compare every file with the checksum it was written under; exit code 3 when one differs."""
    from ..runtime.cache import artefacts, faults
    from ..runtime.console import progress

    found = [one for one in artefacts(request.load().cache_dir) if not keys or one.path.name in keys]
    if unknown := set(keys) - {one.path.name for one in found}:
        raise InputError(f"{sorted(unknown)[0]}: no artefact of this key; `spikeseg cache list` shows them")
    damaged = 0
    for one in progress(found, "verifying", "artefact"):
        told = list(faults(one.path))
        damaged += bool(told)
        for fault in told:
            click.echo(f"{one.path}/{fault}")
    if damaged:
        raise InputError(f"{damaged} of {len(found)} artefacts are damaged; `spikeseg cache clean --damaged` removes them")
    click.echo(f"{len(found)} artefacts are as they were written")


@cache_command.command("clean")
@click.option("--damaged", is_flag=True, help="Remove what `verify` finds damaged.")
@click.option("--all", "everything", is_flag=True, help="Remove every artefact; stages make them again.")
@click.option("--dry-run", is_flag=True, help="Only show.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared()
def clean_command(request: Request, damaged: bool, everything: bool, dry_run: bool, yes: bool) -> None:
    """Remove what interrupted stages left; and artefacts that are damaged, or all of them, where asked to."""
    from ..runtime.cache import artefacts, faults, remove, remove_unfinished

    cache = request.load().cache_dir
    chosen = [one for one in artefacts(cache) if everything or (damaged and any(faults(one.path)))]
    for one in chosen:
        click.echo(f"{'would remove' if dry_run else 'remove'} {one.path} ({one.size / 2**20:.1f} MiB)")
    if dry_run:
        return
    if chosen and not yes:
        click.confirm(f"remove {len(chosen)} artefacts?", abort=True)
    for one in chosen:
        remove(one)
    click.echo(f"removed {len(chosen)} artefacts and {remove_unfinished(cache)} unfinished folders")
