"""The command `spikeseg`: each command turns its options into a call of one stage and says what came of it."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Request, shared
from .run import MANIFEST, Done, read_manifest


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="spikeseg")
def main() -> None:
    """Segment and track satellites in event-camera recordings, with a network that learns without labels.

    Every command takes the same options and, with none, works on built-in simulated recordings:

    \b
      spikeseg demo                  everything below, in one go
    \b
      spikeseg prepare               recordings -> cached frames
      spikeseg train-layer conv2     frames -> second layer
      spikeseg train-layer conv3     frames -> third layer
      spikeseg evaluate              network and baselines -> metrics
      spikeseg detect RECORDING      any recording -> objects and tracks

    What is done already is not done again; `spikeseg status` shows what is. Exit codes: 0 done, 2 usage,
    3 bad input, 130 interrupted.
    """


@main.command()
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--format", type=click.Choice(["h5", "mat"]), default="h5", show_default=True, help="One HDF5 file, or a .mat file each.")
@click.option("--recordings", type=int, metavar="N", help="How many recordings.")
@click.option("--duration", type=float, metavar="SECONDS", help="Length of each.")
@click.option("--difficulty", type=click.Choice(["easy", "medium", "hard"]), help="How dim and how fast the satellites are.")
@click.option("--sensor", type=click.Choice(["DAVIS", "ATIS", "both"]), help="Camera: DAVIS240C (240x180) or ATIS (304x240).")
@shared(output="Folder to write to: the same as OUT.")
def simulate(request: Request, out: Path | None, output: str | None, format: str) -> None:
    """Write labelled night-sky recordings, in EBSSA's own file formats, to the folder OUT.

    \b
    Example: six hard recordings for both cameras
      spikeseg simulate sky --recordings 6 --difficulty hard --sensor both
      spikeseg prepare --dataset ebssa --data-root sky
    """
    from .simulate import into_folder

    folder = out or (Path(output) if output else None)
    if folder is None or (out and output):
        raise click.UsageError("give the folder to write to once: spikeseg simulate OUT")
    done = into_folder(request.load(), folder, format=format, force=request.force)
    _say(done, f"recordings in {folder}", f"spikeseg prepare --dataset ebssa --data-root {folder}")


@main.command()
@shared(output="Folder of the cache [./data_cache].", data=True)
def prepare(request: Request, output: str | None) -> None:
    """Read recordings and cut them into frames for the network, cached on disk.

    \b
    Example: your own recordings, in any format that can be read
      spikeseg prepare --dataset files --data-root ~/recordings
    """
    from .prepare import STORE
    from .prepare import prepare as run

    request = request.also("cache_dir", output)
    done = run(request.load(), force=request.force)
    told = read_manifest(done.path / MANIFEST) or {}
    for name, reason in told["skipped"].items():
        click.echo(f"skipped {name}: {reason}", err=True)
    skipped = f", {len(told['skipped'])} files skipped" if told["skipped"] else ""
    counts = f"{told['recordings']} recordings, {told['windows']} windows{skipped}"
    _say(done, f"{done.path / STORE} ({counts})", request.next("train-layer conv2"))


@main.command("status")
@shared(output="Folder of the runs [./runs].", data=True)
def status_command(request: Request, output: str | None) -> None:
    """Show which stages of a configuration are done, which are stale and why, and what to run next.

    \b
    Example:
      spikeseg status --set stdp.lr_plus=0.004
    """
    from .status import status

    request = request.also("output_dir", output)
    stages = status(request.load())
    for stage in stages:
        click.echo(f"{stage.state:<12} {stage.name:<12} {stage.detail}")
    todo = next((stage for stage in stages if stage.state != "up to date"), None)
    click.echo(f"next: {request.next(todo.command) if todo else 'nothing to do'}")


def _say(done: Done, what: str, following: str) -> None:
    """The last line of every command: what was written, and what to run next."""
    click.echo(f"{'wrote' if done.ran else 'up to date:'} {what}; next: {following}")
