"""UTC, and positions and rates on the sky, of what was detected."""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spikeseg.core.text import many
from spikeseg.detection.schema import SKY_COLUMNS, columns_of
from spikeseg.detection.table_text import completed
from spikeseg.detection.tables import rounded
from spikeseg.errors import InputError

from .request import Mount, SkyRequest
from .times import UtcClock, utc_clock

if TYPE_CHECKING:
    from spikeseg.data.recording import Recording
    from spikeseg.detection.result import Detections

    from .attitude import Attitude
    from .projection import Projection

log = logging.getLogger(__name__)

HALF_S, HALF_PX = 0.05, 0.5
"""Rates are differences over twice this time, s; the side of a pixel over twice this length, px."""

US_PER_DAY = 86_400e6


class Pointing(NamedTuple):
    """Where the sensor looked.

    Attributes:
        projection: from its pixels to the sky, at t0.
        attitude: from t0 to other times.
        told: entries of detections.json.
        file: the projection as a FITS file, where it was not simply given; else empty.
    """

    projection: Projection
    attitude: Attitude
    told: Mapping[str, Any]
    file: bytes = b""

    def directions(self, t_us: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Where pixels (n, 2) look at times (n,), µs: float64 (n, 3), unit vectors of ICRS."""
        return self.attitude.turned(t_us, self.projection.directions(pixels))


def require(recording: Recording, request: SkyRequest) -> None:
    """Raises InputError where what is asked of the sky cannot be answered for a recording, before anything is detected in it."""
    clock = utc_clock(recording.events["t"], request.start_utc_us)
    for asked, option in ((request.tdm, "--tdm"), (request.mount is Mount.STARE, "--mount stare")):
        if asked and clock is None and len(recording.events):
            raise InputError(f"{recording.source}: {option}: its clock does not tell the UTC; give it with --start")
    if request.wcs is not None and len(recording.events):
        from .projection import read_wcs

        _, days = read_wcs(request.wcs, recording.sensor_size)
        _start_of_pointing(recording.events["t"], request, clock, days)


def observed(detections: Detections, request: SkyRequest | None = None) -> Detections:
    """Detections with columns of UTC where it is known, and of positions on the sky where they are asked for.

    Where the sky cannot be told, as of too few stars, these columns hold nan, detections.json says why, and a warning is logged.

    Args:
        detections: of one recording.
        request: what is asked; None: nothing but UTC where the recording knows it.

    Raises InputError: a file that is named cannot be read, or a package is missing.
    """
    request = request or SkyRequest()
    t_us = detections.event_columns["t"]
    clock = utc_clock(t_us, request.start_utc_us)
    if clock is None and not request.points:
        return detections
    tracks, objects = detections.tracks, detections.objects
    further: dict[str, Any] = {}
    attachments: dict[str, bytes] = {}
    if clock is not None:
        further |= {"utc_start": clock.text(int(t_us[0])), "utc_end": clock.text(int(t_us[-1]))}
    if request.points:
        pointing = _pointing(detections, request, clock)
        if isinstance(pointing, str):
            log.warning("%s: no positions on the sky: %s", detections.recording, pointing)
            further["sky"] = {"mount": str(request.mount), "failed": pointing}
            rows = {name: np.full(len(tracks), np.nan) for name in SKY_COLUMNS["tracks"]}
        else:
            further["sky"] = dict(pointing.told)
            rows = sky_of_rows(tracks, detections.position_error, pointing)
            if pointing.file:
                attachments[f"{detections.recording}.wcs.fits"] = pointing.file
        tracks, objects = _with_sky(tracks, objects, rows)
    if clock is not None:
        tracks = _filled("tracks", tracks, {"utc": clock.texts(tracks["t_us"])})
        ends = {f"utc_{end}": clock.texts(objects[f"t_{end}_us"]) for end in ("start", "end")}
        objects = _filled("objects", objects, ends)
    found = dataclasses.replace(detections, tracks=tracks, objects=objects, further=further, attachments=attachments)
    if request.tdm and clock is not None:
        from .tdm import messages

        attachments |= messages(found, request.site, request.originator)
    return found


def sky_of_rows(tracks: np.ndarray, position_error: np.ndarray | None, pointing: Pointing) -> dict[str, np.ndarray]:
    """Columns of SKY_COLUMNS["tracks"], float64 (n,) each.

    Args:
        tracks: of schema.TRACK_COLUMNS (n,).
        position_error: (n,), standard deviation of x and of y, px; None: not known.
        pointing: where the sensor looked.
    """
    from .projection import ARCSEC, angles_of, east_north

    t = tracks["t_us"].astype(np.float64)
    place, velocity = np.stack([tracks["x"], tracks["y"]], -1), np.stack([tracks["vx"], tracks["vy"]], -1)
    here = pointing.directions(t, place)
    axes = np.stack(east_north(here), 1)

    def change(step_us: float, step_px: np.ndarray) -> np.ndarray:
        """Between twice a step of time and place, to the east and to the north, rad: (n, 2)."""
        ahead, behind = (pointing.directions(t + sign * step_us, place + sign * step_px) for sign in (1, -1))
        return np.einsum("nak,nk->na", axes, ahead - behind)

    rates = change(HALF_S * 1e6, HALF_S * velocity) / (2 * HALF_S) / ARCSEC
    sides = np.stack([change(0.0, HALF_PX * step) for step in np.eye(2)], -1) / (2 * HALF_PX) / ARCSEC
    error = np.full(len(t), np.nan) if position_error is None else position_error
    errors = error[:, None] * np.sqrt((sides**2).sum(-1))
    return dict(zip(SKY_COLUMNS["tracks"], (*angles_of(here), *rates.T, *errors.T), strict=True))


def _with_sky(tracks: np.ndarray, objects: np.ndarray, rows: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The tables with columns of SKY_COLUMNS, from those of the tracks' rows."""
    own = {name: np.full(len(objects), np.nan) for name in SKY_COLUMNS["objects"]}
    for k, number in enumerate(objects["object_id"].tolist()):
        of = np.flatnonzero(tracks["track_id"] == number)
        for angle in ("ra", "dec"):
            own[f"{angle}_start"][k], own[f"{angle}_end"][k] = rows[angle][of[[0, -1]]]
        for name in ("ra_rate", "dec_rate", "ra_err", "dec_err"):
            own[name][k] = np.median(rows[name][of])
    return _filled("tracks", tracks, rows), rounded(_filled("objects", objects, own), SKY_COLUMNS["objects"])


def _filled(table: str, array: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """An array of a table with further columns."""
    whole = completed(columns_of(table, array.dtype.names, list(values)), array)
    for name, column in values.items():
        whole[name] = column
    return whole


def _start_of_pointing(t_us: np.ndarray, request: SkyRequest, clock: UtcClock | None, days: float | None) -> float:
    """When the given pointing holds, µs of the recording: as the user says, else the file, else at the first event.

    Raises InputError: the user says it of a recording whose UTC is not known; or it lies outside of a recording whose stars tell
    how the telescope turned."""
    first, last = float(t_us[0]), float(t_us[-1])
    if request.mount is Mount.SIDEREAL:
        return first
    if request.wcs_utc_us is not None and clock is None:
        raise InputError("--wcs-time: the recording's clock does not tell the UTC; give it with --start")
    utc_us = request.wcs_utc_us if request.wcs_utc_us is not None else None if days is None else days * US_PER_DAY
    if utc_us is None or clock is None:
        return first
    t0 = utc_us - clock.ahead_us
    if request.mount is Mount.TRACK and not first - 1e6 <= t0 <= last + 1e6:
        raise InputError(
            f"{request.wcs}: holds at {clock.text(t0)}, outside of the recording ({clock.text(first)} to {clock.text(last)}), "
            "whose stars tell how the telescope turned; give a time within it with --wcs-time"
        )
    return t0


def _pointing(detections: Detections, request: SkyRequest, clock: UtcClock | None) -> Pointing | str:
    """Where the sensor looked; or why it is not known."""
    from .attitude import Followed, Still, Turning
    from .catalogue import read_catalogue
    from .projection import angles_of, read_wcs
    from .refine import refined
    from .solve import solved
    from .starlight import stars_of_events
    from .stars import Stars, followed

    size, t_us = detections.sensor_size, detections.event_columns["t"]
    if not len(t_us):
        return "it holds no events"
    stars = Stars.of(detections.tracks, detections.position_error)
    if request.mount is Mount.TRACK or request.catalogue is not None or request.index_files:
        stars = stars_of_events(detections, stars, request.mount is Mount.SIDEREAL)
    given, days = (None, None) if request.wcs is None else read_wcs(request.wcs, size)
    catalogue = None if request.catalogue is None else read_catalogue(request.catalogue)
    told: dict[str, Any] = {"mount": str(request.mount), "pointing": "given"}
    radius_px = float(max(size))
    if request.index_files:
        answer = solved(stars, request.index_files, given, size)
        if isinstance(answer, str):
            return answer
        projection, t0_us, radius_px = answer.projection, answer.t0_us, SOLVED_PX
        catalogue = answer.catalogue if catalogue is None else catalogue
        told |= {"pointing": "solved", "log_odds": round(answer.log_odds, 2)}
    else:
        assert given is not None
        projection, t0_us = given, _start_of_pointing(t_us, request, clock, days)

    def attitude_of(projection: Projection, known: np.ndarray | None) -> Attitude:
        if request.mount is Mount.SIDEREAL:
            return Still()
        if request.mount is Mount.STARE:
            assert clock is not None
            return Turning.at((t0_us + clock.ahead_us) / US_PER_DAY, t0_us)
        turn = followed(stars, projection, projection.middle(size)[1], known)
        if turn is None:
            raise _Unknown(f"only {many(len(stars), 'star')} found in it; 2 are needed to tell how the telescope turned")
        return turn if known is not None else turn.since(t0_us * 1e-6)

    try:
        if catalogue is None:
            attitude = attitude_of(projection, None)
        else:
            found = refined(projection, stars, attitude_of, catalogue, size, radius_px)
            if isinstance(found, str):
                return found
            projection, attitude = found.projection, found.attitude
            told |= {"stars": found.stars, "rms_px": round(found.rms_px, 4)}
            if told["pointing"] == "given":
                told["pointing"] = "refined"
    except _Unknown as reason:
        return str(reason)
    if isinstance(attitude, Followed) and catalogue is not None:
        projection, attitude = _as_at(projection, attitude, t0_us, size)
    middle, pixel_rad = projection.middle(size)
    ra, dec = angles_of(attitude.turned(np.array([t0_us]), middle[None]))
    told |= {
        "t0_us": round(t0_us),
        "ra": round(float(ra[0]), 7),
        "dec": round(float(dec[0]), 7),
        "pixel_arcsec": round(float(np.degrees(pixel_rad)) * 3600, 4),
    }
    return Pointing(projection, attitude, told, b"" if told["pointing"] == "given" else _file(projection, t0_us, clock))


SOLVED_PX = 40.0
"""A pointing that was solved is off by less, px."""


class _Unknown(Exception):
    """Where a telescope looked is not known, and why."""


def _as_at(projection: Projection, attitude: Any, t0_us: float, size: tuple[int, int]) -> tuple[Projection, Attitude]:
    """The same pointing and attitude with a projection that holds at t0."""
    from .projection import Bend, fitted

    x, y = (np.linspace(0.0, side - 1.0, 9) for side in size)
    pixels = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    sip = projection.wcs.sip
    there = attitude.turned(np.full(len(pixels), t0_us), projection.directions(pixels))
    reference = np.asarray(projection.wcs.wcs.crpix) - 1
    return fitted(pixels, there, reference, Bend.NONE, sip), attitude.since(t0_us * 1e-6)


def _file(projection: Projection, t0_us: float, clock: UtcClock | None) -> bytes:
    """A FITS file of headers, with the time at which the pointing holds."""
    from astropy.io import fits

    header = projection.header()
    if clock is not None:
        header["DATE-OBS"] = (clock.text(t0_us).removesuffix("Z"), "UTC at which this pointing holds")
        header["MJD-OBS"] = ((t0_us + clock.ahead_us) / US_PER_DAY + 40_587.0, "the same, days")
    content = io.BytesIO()
    fits.PrimaryHDU(header=header).writeto(content)
    return content.getvalue()
