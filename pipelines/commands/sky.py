"""Options of what was seen on the sky: UTC, pointing, tracking data messages."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import click

from spikeseg.errors import InputError
from spikeseg.sky.request import Mount, SkyRequest

from .options import Command, FilledPath, adding, names_of
from .settings import Decorator

FILE = FilledPath(path_type=Path)

OPTIONS: list[Decorator] = [
    click.option("--start", metavar="UTC", help="UTC of the first event, as 2026-03-01T21:04:05.25Z [the recording's clock]."),
    click.option("--wcs", type=FILE, metavar="FITS", help="Pointing of the sensor's pixels: gives RA, Dec and rates."),
    click.option("--wcs-time", metavar="UTC", help="When that pointing holds [as it says, else at the first event]."),
    click.option(
        "--mount", type=click.Choice([str(mount) for mount in Mount]),
        help=f"The telescope follows the stars, stands still, or follows an object (the stars tell how) [{SkyRequest.mount}].",
    ),
    click.option("--solve", is_flag=True, help="Find the pointing from the stars' tracks (extra sky)."),
    click.option(
        "--index-files", type=FILE, multiple=True, metavar="FITS", help="Under --solve: index of astrometry.net; may be repeated."
    ),
    click.option(
        "--catalogue", type=FILE, metavar="TABLE", help="Stars (ra, dec, mag) that refine a rough --wcs: csv, ecsv or FITS."
    ),
    click.option("--tdm", is_flag=True, help="Also write each object as a CCSDS Tracking Data Message (extra sky)."),
    click.option("--site", metavar="NAME", help=f"Under --tdm: who observed, PARTICIPANT_1 [{SkyRequest.site}]."),
    click.option("--originator", metavar="NAME", help=f"Under --tdm: who sends it, ORIGINATOR [{SkyRequest.originator}]."),
]  # fmt: skip


class SkyCommand(Command):
    """A command with these options, under a title of their own in its help."""

    titles: ClassVar[dict[str, str]] = dict.fromkeys(names_of(OPTIONS), "Sky") | Command.titles


sky_command = partial(click.command, cls=SkyCommand)
"""As click's decorator, for a `SkyCommand`."""


sky_options = adding(OPTIONS)
"""Decorator: add the options of the sky."""


def sky_request(given: dict[str, Any]) -> SkyRequest | None:
    """Take the options of the sky out of a command's arguments; None where none was given.

    Raises InputError: they do not go together, or a package is missing."""
    own = {name: value for name in names_of(OPTIONS) if (value := given.pop(name)) not in (None, False, ())}
    if not own:
        return None
    from spikeseg.sky.times import parsed_utc

    for name, field in (("start", "start_utc_us"), ("wcs_time", "wcs_utc_us")):
        if name in own:
            own[field] = parsed_utc(own.pop(name), f"--{name.replace('_', '-')}")
    for name in ("site", "originator"):
        if name in own and not own.get("tdm"):
            raise InputError(f"--{name}: goes with --tdm")
        if name in own and not (own[name].isascii() and own[name].isprintable() and own[name].strip()):
            raise InputError(f"--{name}: {own[name]!r}; a message holds printable ASCII characters only")
    if "mount" in own:
        own["mount"] = Mount(own["mount"])
    request = SkyRequest(**own)
    request.require_packages()
    return request
