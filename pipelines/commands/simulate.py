"""The command `simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import print_end
from .options import Request, shared
from .settings import choices_of, setting

if TYPE_CHECKING:
    from spikeseg.simulation.limit import LimitConfig

KINDS = ("nights", "limit")
NOISES = ("poisson", "hot", "bursts", "refractory", "rows", "flicker", "drifting", "measured")
FIELDS = ("still", "drift", "turn")
SIZES = ("DAVIS", "ATIS")


@click.command("simulate")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option(
    "--kind", type=click.Choice(KINDS), default="nights", show_default=True,
    help="Night skies over simulated pixels; or objects of a known rate of events over noise, to measure the faintest.",
)  # fmt: skip
@click.option("--format", type=click.Choice(["h5", "mat"]), default="h5", show_default=True, help="One HDF5 file, or many .mat.")
@setting("--recordings", key="simulate.recordings", type=int, metavar="N", help="How many recordings.")
@setting("--duration", key="simulate.duration_s", type=float, metavar="SECONDS", help="Length of each; limit: 20 s if not given.")
@setting(
    "--difficulty", key="simulate.difficulty", type=choices_of("simulate.difficulty"),
    help="Nights: how bright satellites are; hard and extreme also rotate, shake, turn and cloud the field.",
)  # fmt: skip
@setting(
    "--sensor", key="simulate.sensor", type=choices_of("simulate.sensor"),
    help="Camera: DAVIS240C (240x180) or ATIS (304x240).",
)  # fmt: skip
@click.option("--noise", type=click.Choice(NOISES), help="Kind of noise; of nights poisson or measured.")
@click.option("--rate", "rate_hz", type=float, metavar="HZ", help="Limit: events/s of each object; 8 if not given.")
@click.option("--noise-rate", "noise_hz", type=float, metavar="HZ", help="Limit: noise events/s of a pixel; 0.1 if not given.")
@click.option("--speed", "speed_px_s", type=(float, float), metavar="LOW HIGH", help="Limit: range of the objects' speeds, px/s.")
@click.option("--objects", type=click.IntRange(min=0), metavar="N", help="Limit: objects in each; 0: stars and noise alone.")
@click.option("--field", type=click.Choice(FIELDS), help="Limit: stars stand still, drift, or turn.")
@shared(output="Folder to write to: the same as OUT.")
def simulate(request: Request, out: Path | None, output: str | None, format: str, **asked: Any) -> None:
    """Write labelled recordings, in EBSSA's own file formats, to the folder OUT.

    \b
    Example: six hard night skies for both cameras
      spikeseg simulate sky --recordings 6 --difficulty hard --sensor both
      spikeseg prepare --dataset ebssa --data-root sky
    \b
    Example: how faint may it be? Objects of 6 events/s among drifting stars
      spikeseg simulate faint --kind limit --rate 6 --noise-rate 0.1 --speed 4 40 --field drift
      spikeseg detect faint/EBSSA/labelled_ebssa.h5::limit_0000 -o found
    """
    from ..stages.simulate import into_folder

    folder = out or (Path(output) if output else None)
    if folder is None or (out and output):
        raise click.UsageError("give the folder to write to once: spikeseg simulate OUT")
    chosen = {name: value for name, value in asked.items() if value is not None}
    limit = None
    if chosen.pop("kind") == "limit":
        limit = _limit(request, chosen)
    else:
        request = request.also("simulate.noise", chosen.pop("noise", None))
        for name in chosen:
            raise click.UsageError(f"{FLAGS[name]} goes with --kind limit")
    result = into_folder(request.load(), folder, format=format, force=request.force, limit=limit)
    print_end(result.ran, f"recordings in {folder}", f"spikeseg prepare --dataset ebssa --data-root {folder}")


FLAGS = {"rate_hz": "--rate", "noise_hz": "--noise-rate", "speed_px_s": "--speed", "objects": "--objects", "field": "--field"}


def _limit(request: Request, chosen: dict[str, Any]) -> LimitConfig:
    """What is asked for under --kind limit; what is left out has the defaults of LimitConfig, not those of the configuration."""
    from spikeseg.data.sensors import EBSSA_SIZES
    from spikeseg.simulation.limit import LimitConfig

    from ..stages.simulate import seed_of

    sensor = request.overrides.get("simulate.sensor", SIZES[0])
    if "simulate.difficulty" in request.overrides or sensor not in SIZES:
        raise click.UsageError("--kind limit goes with one sensor, and without --difficulty: its objects have a --rate")
    if "simulate.duration_s" in request.overrides:
        chosen["duration_s"] = float(request.overrides["simulate.duration_s"])
    return LimitConfig(**chosen, sensor_size=EBSSA_SIZES[sensor], seed=seed_of(request.load()))
