"""What a user asks of the sky."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from spikeseg.errors import InputError


class Mount(StrEnum):
    """How a telescope moves."""

    SIDEREAL = "sidereal"
    """With the stars."""
    STARE = "stare"
    """Not at all: the sky passes."""
    TRACK = "track"
    """With an object, or anyhow: the stars' tracks tell."""


@dataclass(frozen=True)
class SkyRequest:
    """What is asked of the sky.

    Attributes:
        start_utc_us: UTC of the first event, µs since 1970; None: the recording knows it, or nobody.
        wcs: FITS file with the pointing of the sensor's pixels; None: there is none.
        wcs_utc_us: when that pointing holds, µs since 1970; None: as the file says, else at the recording's first event.
        mount: how the telescope moves.
        solve: whether the pointing is to be found from the stars.
        index_files: of astrometry.net.
        catalogue: table of stars, against which the pointing is refined; None: there is none.
        tdm: whether tracking data messages are written.
        site: who observed, in these messages.
        originator: who sends them.

    Raises InputError: options that do not go together.
    """

    start_utc_us: int | None = None
    wcs: Path | None = None
    wcs_utc_us: int | None = None
    mount: Mount = Mount.SIDEREAL
    solve: bool = False
    index_files: tuple[Path, ...] = ()
    catalogue: Path | None = None
    tdm: bool = False
    site: str = "UNKNOWN"
    originator: str = "UNKNOWN"

    def __post_init__(self) -> None:
        if self.solve and not self.index_files and (self.wcs is None or self.catalogue is None):
            raise InputError(
                "--solve: needs --index-files of astrometry.net, to find the pointing among all stars, or --wcs and --catalogue, "
                "to refine a rough one"
            )
        if self.index_files and not self.solve:
            raise InputError("--index-files: goes with --solve")
        if self.catalogue is not None and self.wcs is None and not self.solve:
            raise InputError("--catalogue: goes with --wcs, a rough pointing, or with --solve")
        if self.wcs_utc_us is not None and self.wcs is None:
            raise InputError("--wcs-time: goes with --wcs; give both or neither")
        if not self.points and self.mount is not Mount.SIDEREAL:
            raise InputError(f"--mount {self.mount}: goes with --wcs or --solve")
        if self.tdm and not self.points:
            raise InputError("--tdm: needs --wcs or --solve: its angles are right ascension and declination")

    @property
    def points(self) -> bool:
        """Whether positions on the sky are asked for."""
        return self.wcs is not None or self.solve

    @property
    def files(self) -> dict[str, Path]:
        """The files that it names, by what they are."""
        indices = {f"index file {number}": path for number, path in enumerate(self.index_files, 1)}
        further = {"pointing": self.wcs, "catalogue of stars": self.catalogue}
        return {**{what: path for what, path in further.items() if path is not None}, **indices}

    @property
    def settings(self) -> dict[str, Any]:
        """Everything else, as plain values."""
        return {
            "start_utc_us": self.start_utc_us,
            "wcs_utc_us": self.wcs_utc_us,
            "mount": str(self.mount),
            "solve": self.solve,
            "tdm": [self.site, self.originator] if self.tdm else None,
        }

    def require_packages(self) -> None:
        """Raises InputError where a package is missing, naming the extra that brings it."""
        from importlib.util import find_spec

        for asked, option, package in ((self.index_files, "--index-files", "astrometry"), (self.tdm, "--tdm", "ccsds_ndm")):
            if asked and find_spec(package) is None:
                raise InputError(f"{option}: needs the package {package.replace('_', '-')}: pip install 'spikeseg[sky]'")
