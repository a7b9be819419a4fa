"""The command `simulate`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import print_end
from .options import FilledPath, Request, command, shared
from .settings import choices_of, setting

if TYPE_CHECKING:
    from spikeseg.simulation.limit import LimitConfig
    from spikeseg.simulation.scenes import SceneSet

KINDS = ("nights", "limit", "scenes")
FORMATS = ("h5", "mat", "npz")
NOISES = ("poisson", "hot", "bursts", "refractory", "rows", "flicker", "drifting", "measured")
FIELDS = ("still", "drift", "turn")
SIZES = ("DAVIS", "ATIS")
CONDITIONS = (
    "crossing", "occluding", "growing", "stopping", "turning", "faint", "fast", "tiny", "many", "moving", "flicker", "small",
    "large", "empty", "empty_moving", "empty_flicker", "walking",
)  # fmt: skip


@command("simulate")
@click.argument("out", type=FilledPath(path_type=Path), required=False)
@click.option(
    "--kind", type=click.Choice(KINDS), default="nights", show_default=True,
    help="Night skies over simulated pixels; objects of a known rate of events over noise, to measure the faintest; or shapes "
    "that cross, hide, stop, grow, turn and walk.",
)  # fmt: skip
@click.option(
    "--format", type=click.Choice(FORMATS),
    help="One HDF5 file or many .mat, as EBSSA has them, or many .npz, for any sensor. h5 if not given, scenes: npz.",
)  # fmt: skip
@setting("--recordings", key="simulate.recordings", type=int, metavar="N", help="How many recordings.")
@setting(
    "--duration", key="simulate.duration_s", type=float, metavar="SECONDS",
    help="Length of each; if not given, limit: 20 s, scenes: by condition.",
)  # fmt: skip
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
@click.option(
    "--noise-rate", "noise_hz", type=float, metavar="HZ",
    help="Limit, scenes: noise events/s of a pixel; if not given, limit: 0.1, scenes: by condition.",
)  # fmt: skip
@click.option("--speed", "speed_px_s", type=(float, float), metavar="LOW HIGH", help="Limit, scenes: range of speeds, px/s.")
@click.option("--objects", type=click.IntRange(min=0), metavar="N", help="Limit, scenes: objects in each; 0: none.")
@click.option("--field", type=click.Choice(FIELDS), help="Limit: stars stand still, drift, or turn.")
@click.option(
    "--condition", "conditions", type=click.Choice(CONDITIONS), multiple=True,
    help="Scenes: may be given several times, for recordings in turn; all if not given.",
)  # fmt: skip
@shared(output="Folder to write to: the same as OUT.")
def simulate(request: Request, out: Path | None, output: str | None, format: str | None, **asked: Any) -> None:
    """Write labelled recordings to the folder OUT.

    \b
    Example: six hard night skies for both cameras
      spikeseg simulate sky --recordings 6 --difficulty hard --sensor both
      spikeseg prepare --dataset ebssa --data-root sky
    \b
    Example: how faint may it be? Objects of 6 events/s among drifting stars
      spikeseg simulate faint --kind limit --rate 6 --noise-rate 0.1 --speed 4 40 --field drift
      spikeseg detect faint/EBSSA/labelled_ebssa.h5::limit_0000 -o found
    \b
    Example: scenes, with boxes and the object of every event
      spikeseg simulate scenes --kind scenes --recordings 17
      spikeseg train -c files --data-root scenes
    """
    from ..stages.simulate import into_folder

    folder = out or (Path(output) if output else None)
    if folder is None or (out and output):
        raise click.UsageError("give the folder to write to once: spikeseg simulate OUT")
    chosen = {name: value for name, value in asked.items() if value not in (None, ())}
    kind = chosen.pop("kind")
    instead: LimitConfig | SceneSet | None = None
    for name in [name for name in chosen if kind not in GOES_WITH[name]]:
        raise click.UsageError(f"{FLAGS[name]} goes with --kind {' or '.join(GOES_WITH[name])}")
    if kind == "limit":
        instead = _limit(request, chosen)
    elif kind == "scenes":
        instead = _scenes(request, chosen)
    else:
        request = request.also("simulate.noise", chosen.pop("noise", None), "--noise")
    format = format or ("npz" if kind == "scenes" else "h5")
    if kind == "scenes" and format != "npz":
        raise click.UsageError(f"--kind scenes goes with --format npz: {format} does not tell the size of the sensor")
    result = into_folder(request.load(), folder, format=format, force=request.force, instead=instead)
    of = "-c files" if kind == "scenes" else "--dataset files" if format == "npz" else "--dataset ebssa"
    place = shlex.quote(str(folder))
    written = f"recordings in {folder} (`spikeseg train {of} --data-root {place}` learns from them)"
    print_end(result.ran, written, f"spikeseg detect {place}")


FLAGS = {
    "noise": "--noise", "rate_hz": "--rate", "noise_hz": "--noise-rate", "speed_px_s": "--speed", "objects": "--objects",
    "field": "--field", "conditions": "--condition",
}  # fmt: skip
GOES_WITH: dict[str, tuple[str, ...]] = {
    "noise": KINDS, "rate_hz": ("limit",), "noise_hz": ("scenes", "limit"), "speed_px_s": ("scenes", "limit"),
    "objects": ("scenes", "limit"), "field": ("limit",), "conditions": ("scenes",),
}  # fmt: skip


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


def _scenes(request: Request, chosen: dict[str, Any]) -> SceneSet:
    """What is asked for under --kind scenes; what is left out is the conditions'."""
    from spikeseg.simulation.scenes import SceneSet

    from ..stages.simulate import seed_of

    if {"simulate.difficulty", "simulate.sensor"} & set(request.overrides):
        raise click.UsageError("--kind scenes goes without --difficulty and --sensor: its conditions have sensors of their own")
    conditions = chosen.pop("conditions", ())
    if "objects" in chosen:
        chosen["objects"] = (chosen["objects"],) * 2
    if "simulate.duration_s" in request.overrides:
        chosen["duration_s"] = float(request.overrides["simulate.duration_s"])
    of_set = {"conditions": tuple(conditions)} if conditions else {}
    return SceneSet(**of_set, seed=seed_of(request.load()), changes=tuple(sorted(chosen.items())))
