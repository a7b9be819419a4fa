"""The command `simulate`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import print_end
from .options import Request, shared
from .settings import choices_of, setting


@click.command("simulate")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--format", type=click.Choice(["h5", "mat"]), default="h5", show_default=True, help="One HDF5 file, or many .mat.")
@setting("--recordings", key="simulate.recordings", type=int, metavar="N", help="How many recordings.")
@setting("--duration", key="simulate.duration_s", type=float, metavar="SECONDS", help="Length of each.")
@setting(
    "--difficulty", key="simulate.difficulty", type=choices_of("simulate.difficulty"),
    help="How bright the satellites are; hard and extreme also rotate, shake, turn and cloud the field.",
)  # fmt: skip
@setting(
    "--sensor", key="simulate.sensor", type=choices_of("simulate.sensor"),
    help="Camera: DAVIS240C (240x180) or ATIS (304x240).",
)  # fmt: skip
@shared(output="Folder to write to: the same as OUT.")
def simulate(request: Request, out: Path | None, output: str | None, format: str) -> None:
    """Write labelled night-sky recordings, in EBSSA's own file formats, to the folder OUT.

    \b
    Example: six hard recordings for both cameras
      spikeseg simulate sky --recordings 6 --difficulty hard --sensor both
      spikeseg prepare --dataset ebssa --data-root sky
    """
    from ..stages.simulate import into_folder

    folder = out or (Path(output) if output else None)
    if folder is None or (out and output):
        raise click.UsageError("give the folder to write to once: spikeseg simulate OUT")
    result = into_folder(request.load(), folder, format=format, force=request.force)
    print_end(result.ran, f"recordings in {folder}", f"spikeseg prepare --dataset ebssa --data-root {folder}")
