"""The command `detect`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from .common import CHECKPOINT, network_for, say
from .options import Request, shared


@click.command("detect")
@click.argument("places", metavar="RECORDING...", nargs=-1, required=True)
@CHECKPOINT
@click.option("--lenient", is_flag=True, default=None, help="Accept recordings of which more than 1 % must be dropped.")
@click.option("--hulk/--no-hulk", default=None, help="Objects from single spikes (HULK), or connected blobs [no].")
@click.option("--smash/--no-smash", default=None, help="Under --hulk: group instances, or take each as an object [yes].")
@click.option("--follow", is_flag=True, help="RECORDING is a text file that grows, or -: report window by window.")
@click.option("--sensor-size", metavar="WxH", help="Under --follow: the sensor, such as 240x180.")
@click.option(
    "--idle", type=click.FloatRange(0), default=10.0, show_default=True, metavar="SECONDS",
    help="Under --follow: end when a file has not grown for so long.",
)  # fmt: skip
@click.option("--plot", is_flag=True, help="Also draw each recording: events, saliency, tracks (needs matplotlib).")
@shared(output="Folder to write to [the run's].")
def detect_command(
    request: Request,
    places: tuple[str, ...],
    checkpoint: Path | None,
    output: str | None,
    plot: bool,
    follow: bool,
    sensor_size: str | None,
    idle: float,
) -> None:
    """Run a network on recordings, without labels: objects, tracks, and a score for every event.

    Writes detections.json, tracks.csv and <recording>.events.npz. Without a configuration the network's own holds.

    \b
    Example: one recording of an EBSSA file
      spikeseg detect labelled_ebssa.h5::DAVIS_0003 -o found
    Example: a camera whose driver writes lines of t_us,x,y,p
      camera | spikeseg detect --follow --sensor-size 240x180 -
    """
    from spikeseg.detection.schema import DETECTIONS

    from ..stages.detect import detect

    if follow:
        if len(places) != 1 or plot or sensor_size is None:
            raise click.UsageError("--follow takes one RECORDING (or -), needs --sensor-size, and draws nothing")
        return _follow(request, places[0], checkpoint, output, parsed_size(sensor_size), idle)
    if sensor_size is not None:
        raise click.UsageError("--sensor-size goes with --follow; a recording tells its own")
    cfg, network = network_for(request, checkpoint)
    done = detect(cfg, network, places, output=Path(output) if output else None, force=request.force, plot=plot)
    for told in json.loads((done.path / DETECTIONS).read_text())["recordings"]:
        click.echo(f"{told['name']}: {told['tracks']} tracks in {len(told['windows'])} windows")
    say(done, f"detections.json, tracks.csv and events of {len(places)} recordings in {done.path}", "spikeseg status")


def _follow(
    request: Request, place: str, checkpoint: Path | None, output: str | None, sensor_size: tuple[int, int], idle: float
) -> None:
    """`detect --follow`: a line per window, and the summary at the end, however it comes."""
    from ..stages.follow import LINES, SUMMARY, follow

    cfg, network = network_for(request, checkpoint)
    told = follow(
        cfg, network, place, sensor_size,
        output=Path(output) if output else None, idle_s=idle, force=request.force, say=click.echo,
    )  # fmt: skip
    left_out = ", ".join(f"{count} {reason}" for reason, count in told["left_out"].items() if count) or "none"
    slow = told["latency_ms"]
    click.echo(
        f"{told['windows']} windows, {told['events']} events, {told['objects']} objects; left out: {left_out}; "
        f"latency {slow['median']:.0f} ms (95 %: {slow['p95']:.0f}, worst {slow['worst']:.0f}); "
        f"peak memory {told['peak_memory_mib']:.0f} MiB"
    )
    click.echo(f"wrote {LINES} and {SUMMARY} in {told['folder']}; next: spikeseg status")


def parsed_size(text: str) -> tuple[int, int]:
    """(width, height) from such as 240x180. Raises UsageError."""
    found = re.fullmatch(r"(\d+)[x×](\d+)", text.strip().lower())
    if not found or not 0 < int(found[1]) <= 32767 or not 0 < int(found[2]) <= 32767:
        raise click.UsageError(f"--sensor-size: {text!r}; expected WIDTHxHEIGHT in pixels, such as 240x180")
    return int(found[1]), int(found[2])
