"""The command `prepare`."""

from __future__ import annotations

import click

from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

from ..runtime.manifest import read_manifest
from .common import NETWORK_OF_FRAMES, naming, network_for, print_end
from .options import Request, command, shared


@command("prepare")
@NETWORK_OF_FRAMES
@click.option("--strict", is_flag=True, help="Exit with 3 when a recording could not be read, after preparing the others.")
@shared(output="Folder of the cache.", key="cache_dir", data=True)
def prepare(request: Request, network: str | None, strict: bool) -> None:
    """Read recordings and cut them into frames for the network, cached on disk.

    A recording that cannot be read is left out, reported here and named in the manifest; the others are prepared.

    \b
    Example: your own recordings, in any format that can be read
      spikeseg prepare --dataset files --data-root ~/recordings
    Example: labelled recordings, to score a network that comes with the package on them
      spikeseg prepare --network scenes --dataset files --data-root ~/scenes
      spikeseg evaluate --network scenes --dataset files --data-root ~/scenes --split all
    """
    from ..stages import prepare as stage

    cfg = request.load() if network is None else network_for(request, network)[0]
    result = stage.prepare(cfg, force=request.force)
    if request.config is None and network is None and not DATASETS[cfg.data.dataset].labelled:
        click.echo("these are the demo's settings, made for the night sky; `-c files` has settings for other scenes", err=True)
    manifest = read_manifest(result.path / MANIFEST) or {}
    for name, reason in manifest["skipped"].items():
        click.echo(f"skipped {name}: {reason}", err=True)
    skipped = f", {len(manifest['skipped'])} files skipped" if manifest["skipped"] else ""
    counts = f"{manifest['recordings']} recordings, {manifest['windows']} windows{skipped}"
    following = request.next(f"evaluate{naming(network)}" if network else "train-layer conv2")
    print_end(result.ran, f"{result.path / stage.STORE} ({counts})", following)
    if strict and manifest["skipped"]:
        raise InputError(
            f"--strict: {len(manifest['skipped'])} recordings could not be read, {manifest['recordings']} are prepared"
        )
