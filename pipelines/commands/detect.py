"""The command `detect`."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import click

from spikeseg.core.regular import fault_of
from spikeseg.errors import InputError
from spikeseg.networks import NIGHTS

from .common import HULK, NETWORK, SMASH, named_first, network_and_recordings, network_for, pictures, print_end
from .options import LENIENT, Request, rows, shared
from .settings import Words
from .sky import sky_command, sky_options, sky_request
from .viewing import print_views, taken, viewing, views

LARGEST_SIDE = 2**15 - 1
"""Of a sensor, px: coordinates of events are int16."""


@sky_command("detect")
@click.argument("recordings", type=Words(), metavar="RECORDING...", nargs=-1, required=True)
@NETWORK
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
@click.option("--strict", is_flag=True, help="Exit with 3 when a recording could not be read, after detecting in the others.")
@pictures
@viewing
@sky_options
@shared(output="Folder to write to [the run's].", of_demo=False)
def detect(
    request: Request,
    recordings: tuple[str, ...],
    network: str | None,
    output: str | None,
    plot: str | None,
    strict: bool,
    follow: bool,
    **further: Any,
) -> None:
    """Run a network on recordings, without labels: objects, tracks, and a score for every event.

    RECORDING is a file; FILE.h5, all recordings in it, or FILE.h5::NAME, one; or a folder, all files below it. Prints a row for
    each object; writes objects.csv, objects.ecsv, tracks.csv, detections.json and <recording>.events.npz. Each recording is
    finished by itself: one that is done is not done again, and one that cannot be read is left out and reported. Without a
    configuration the network's own holds.

    The network is that of the newest finished run in output_dir (with a configuration, of the newest trained with it). Where
    there is none, it is one that comes with the package: nights, for points on a night sky, or scenes, for whole objects of any
    size, whichever has the shape of the configuration or else suits the first recording.

    \b
    Example: one recording of an EBSSA file
      spikeseg detect labelled_ebssa.h5::DAVIS_0003 -o found
    Example: whole objects, whatever was trained
      spikeseg detect walk.aedat4 --network scenes -o found
    Example: all recordings of a folder
      spikeseg detect ~/nights -o found
    Example: a page to judge what was found, and the same with the marks that were saved there
      spikeseg detect night.raw -o found --view
      spikeseg detect night.raw -o found --review night.review.json
    Example: right ascension and declination, of a telescope that stands still
      spikeseg detect night.raw --start 2026-03-01T21:04:05.25Z --wcs pointing.fits --mount stare
    Example: a camera whose driver writes lines of t_us,x,y,p
      camera | spikeseg detect --follow --sensor-size 240x180 -
    """
    from spikeseg.core.text import many
    from spikeseg.detection.schema import DETECTIONS, OBJECTS, TRACKS

    from ..stages import detect as stage
    from ..stages.runs import suited
    from .what_moved import print_objects

    asked, sky = taken(further), sky_request(further)
    sensor_size: str | None = further["sensor_size"]
    if follow:
        if sky is not None:
            raise click.UsageError("--follow knows no sky: leave out --start, --wcs and what goes with them")
        if len(recordings) != 1 or plot or strict or asked or sensor_size is None:
            raise click.UsageError("--follow takes one RECORDING (or -), needs --sensor-size, and draws nothing")
        return _follow(request, recordings[0], network, output, parsed_size(sensor_size), further["idle"])
    if sensor_size is not None:
        raise click.UsageError("--sensor-size goes with --follow; a recording's file names its own")
    cfg, saved, sources = network_and_recordings(request, network, recordings, suited)
    if sky is not None and sky.start_utc_us is not None and len(sources) != 1:
        raise InputError(f"--start: goes with one recording, these are {len(sources)}; detect in them one by one")
    made = views(asked, sources)
    folder, began = Path(output) if output else None, time.monotonic()
    result, counts, skipped = stage.detect(
        cfg, saved, sources, output=folder, force=request.force, plot=plot, views=made, sky=sky
    )
    seconds = time.monotonic() - began if result.ran else None
    print_objects(result.path, counts, others=stage.others_of(cfg), seconds=seconds)
    print_views(made, result.path, list(counts))
    left = f" ({len(skipped)} skipped)" if skipped else ""
    events = ", events and pictures" if plot else " and events"
    written = f"{OBJECTS}, {TRACKS}, {DETECTIONS}{events} of {many(len(counts), 'recording')} in {result.path}{left}"
    print_end(result.ran, written, "spikeseg status" if saved.packaged is None else "the same with --view, to look around")
    if strict and skipped:
        raise InputError(f"--strict: {len(skipped)} of {len(sources)} recordings could not be read; the others are done")


def _follow(
    request: Request, source: str, network: str | None, output: str | None, sensor_size: tuple[int, int], idle: float
) -> None:
    """`detect --follow`: print a line per window and, at the end of the input, a summary."""
    from ..stages.follow import LINES, PIPE, SUMMARY, follow

    def there() -> None:
        if source != PIPE and not os.path.exists(source):
            raise InputError(f"{source}: {fault_of(source)}")

    found, _ = named_first(request, network, there)
    cfg, saved = found or network_for(request, None, given=True, suited=lambda _: (NIGHTS, "only points can be followed"))
    summary = follow(
        cfg, saved, source, sensor_size,
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
