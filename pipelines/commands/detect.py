"""The command `detect`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from .common import CHECKPOINT, HULK, SMASH, network_for, print_end
from .options import LENIENT, Request, rows, shared

LARGEST_SIDE = 2**15 - 1
"""Of a sensor, px: coordinates of events are int16."""


@click.command("detect")
@click.argument("recordings", metavar="RECORDING...", nargs=-1, required=True)
@CHECKPOINT
@LENIENT
@rows
@HULK
@SMASH
@click.option("--follow", is_flag=True, help="RECORDING is a text file that grows, or -: report window by window.")
@click.option("--sensor-size", metavar="WxH", help="Under --follow: the sensor, such as 240x180.")
@click.option(
    "--idle", type=click.FloatRange(0), default=10.0, show_default=True, metavar="SECONDS",
    help="Under --follow: end when the file has not grown for this long.",
)  # fmt: skip
@click.option("--plot", is_flag=True, help="Also draw each recording: events, saliency, tracks (needs matplotlib).")
@shared(output="Folder to write to [the run's].", of_demo=False)
def detect(
    request: Request,
    recordings: tuple[str, ...],
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
    from spikeseg.detection.schema import DETECTIONS, TRACKS

    from ..stages import detect as stage

    if follow:
        if len(recordings) != 1 or plot or sensor_size is None:
            raise click.UsageError("--follow takes one RECORDING (or -), needs --sensor-size, and draws nothing")
        return _follow(request, recordings[0], checkpoint, output, parsed_size(sensor_size), idle)
    if sensor_size is not None:
        raise click.UsageError("--sensor-size goes with --follow; a recording's file names its own")
    cfg, network = network_for(request, checkpoint, given=True, untrained=True)
    folder = Path(output) if output else None
    result = stage.detect(cfg, network, recordings, output=folder, force=request.force, plot=plot)
    for detected in json.loads((result.path / DETECTIONS).read_text())["recordings"]:
        click.echo(f"{detected['name']}: {detected['tracks']} tracks in {len(detected['windows'])} windows")
    written = f"{DETECTIONS}, {TRACKS} and events of {len(recordings)} recordings in {result.path}"
    print_end(result.ran, written, "spikeseg status")


def _follow(
    request: Request, source: str, checkpoint: Path | None, output: str | None, sensor_size: tuple[int, int], idle: float
) -> None:
    """`detect --follow`: print a line per window and, at the end of the input, a summary."""
    from ..stages.follow import LINES, SUMMARY, follow

    cfg, network = network_for(request, checkpoint, given=True)
    summary = follow(
        cfg, network, source, sensor_size,
        output=Path(output) if output else None, idle_s=idle, force=request.force, say=click.echo,
    )  # fmt: skip
    left_out = ", ".join(f"{count} {reason}" for reason, count in summary["left_out"].items() if count) or "none"
    latency = summary["latency_ms"]
    click.echo(
        f"{summary['windows']} windows, {summary['events']} events, {summary['objects']} objects; left out: {left_out}; "
        f"latency {latency['median']:.0f} ms (95 %: {latency['p95']:.0f}, worst {latency['worst']:.0f}); "
        f"peak memory {summary['peak_memory_mib']:.0f} MiB"
    )
    print_end(True, f"{LINES} and {SUMMARY} in {summary['folder']}", "spikeseg status")


def parsed_size(text: str) -> tuple[int, int]:
    """(width, height) from such as 240x180. Raises UsageError."""
    sides = re.fullmatch(r"(\d+)[x×](\d+)", text.strip().lower())
    if not sides or not all(0 < int(side) <= LARGEST_SIDE for side in sides.groups()):
        raise click.UsageError(f"--sensor-size: {text!r}; expected WIDTHxHEIGHT in pixels, such as 240x180")
    return int(sides[1]), int(sides[2])
