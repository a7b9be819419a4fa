"""From pixels to directions on the sky and back, and the fit of that mapping to stars. Directions are unit vectors of ICRS.

Pixels are the sensor's: 0-based, the centre of the top left one is (0, 0), y points down; a FITS header counts from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.kinds import FITS, kind_of
from spikeseg.errors import InputError

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame
    from astropy.io.fits import Header
    from astropy.wcs import WCS, Sip

ARCSEC = np.pi / 180 / 3600
"""One second of arc, rad."""


def directions_of(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Unit vectors float64 (n, 3) of right ascensions and declinations (n,), degrees."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], -1)


def angles_of(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension (0 to 360) and declination of unit vectors (..., 3), degrees."""
    ra = np.degrees(np.arctan2(directions[..., 1], directions[..., 0])) % 360.0
    return np.where(ra >= 360.0, 0.0, ra), np.degrees(
        np.arctan2(directions[..., 2], np.hypot(*np.moveaxis(directions[..., :2], -1, 0)))
    )


def east_north(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors to the east and to the north at directions (n, 3): float64 (n, 3) each."""
    ra = np.arctan2(directions[:, 1], directions[:, 0])
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros(len(ra))], -1)
    return east, np.cross(directions, east)


def tangent(directions: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Standard coordinates (to the east, to the north), degrees, of directions (n, 3) on the plane that touches at `centre` (3,):
    float64 (n, 2); nan for those further than 90 degrees."""
    (east,), (north,) = east_north(centre[None])
    depth = directions @ centre
    plane = np.stack([directions @ east, directions @ north], -1)
    return np.degrees(np.where(depth[:, None] > 0, plane / np.where(depth > 0, depth, 1.0)[:, None], np.nan))


def from_tangent(plane_deg: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The inverse of `tangent`: float64 (n, 3)."""
    (east,), (north,) = east_north(centre[None])
    x, y = np.radians(plane_deg).T
    found = centre + x[:, None] * east + y[:, None] * north
    return np.asarray(found / np.linalg.norm(found, axis=1)[:, None])


@dataclass(frozen=True, eq=False)
class Projection:
    """A pointing: `wcs`, with or without distortion (SIP)."""

    wcs: WCS

    def directions(self, pixels: np.ndarray) -> np.ndarray:
        """Of pixels (n, 2): float64 (n, 3); nan where the projection has none."""
        if not len(pixels):
            return np.zeros((0, 3))
        lon, lat = self.wcs.all_pix2world(pixels, 0).T
        if self._frame is None:
            return directions_of(lon, lat)
        from astropy.coordinates import SkyCoord

        icrs = SkyCoord(lon, lat, unit="deg", frame=self._frame).icrs
        return directions_of(icrs.ra.deg, icrs.dec.deg)

    def undistorted(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) freed of distortion: float64 (n, 2)."""
        return np.asarray(self.wcs.pix2foc(pixels, 0))

    def middle(self, sensor_size: tuple[int, int]) -> tuple[np.ndarray, float]:
        """The direction (3,) of a sensor's middle, and the side of a pixel there, rad."""
        middle = (np.array(sensor_size) - 1) / 2
        seen = self.directions(middle + np.array([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]]))
        area = np.linalg.norm(np.cross(seen[1] - seen[2], seen[3] - seen[4]))
        return seen[0], float(np.sqrt(area))

    def header(self) -> Header:
        """As it is kept in a FITS file."""
        return self.wcs.to_header(relax=True)

    @cached_property
    def _frame(self) -> BaseCoordinateFrame | None:
        """In which its coordinates are; None: ICRS."""
        from astropy.coordinates import ICRS
        from astropy.wcs.utils import wcs_to_celestial_frame

        frame = wcs_to_celestial_frame(self.wcs)
        return None if isinstance(frame, ICRS) else frame


def gnomonic(
    ra_deg: float,
    dec_deg: float,
    pixel_arcsec: float,
    roll_deg: float,
    sensor_size: tuple[int, int],
    distortion: Mapping[tuple[int, int], tuple[float, float]] | None = None,
) -> Projection:
    """The pointing of a camera whose lens is known: what `--wcs` takes, from numbers.

    Args:
        ra_deg: right ascension of the sensor's middle, ICRS.
        dec_deg: its declination.
        pixel_arcsec: side of a pixel there.
        roll_deg: by how much up on the sensor (towards smaller y) is turned from north to the west; at 0 east is to the left.
        sensor_size: (width, height), px.
        distortion: exponents (p, q) of the distances x and y from the middle -> by how much such a pixel lies further, px along x
            and y, times x^p y^q (SIP; Shupe et al. 2005); None: none.
    """
    from astropy.wcs import WCS, Sip

    wcs, turn = WCS(naxis=2), np.radians(roll_deg)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if distortion else ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval = [side / 2 + 0.5 for side in sensor_size], [ra_deg, dec_deg]
    wcs.wcs.cunit, wcs.wcs.radesys = ["deg", "deg"], "ICRS"
    wcs.wcs.cd = pixel_arcsec / 3600 * np.array([[-np.cos(turn), np.sin(turn)], [-np.sin(turn), -np.cos(turn)]])
    if distortion:
        a, b = np.zeros((2, *[max(map(max, distortion)) + 1] * 2))
        for (p, q), (x, y) in distortion.items():
            a[p, q], b[p, q] = x, y
        wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return Projection(wcs)


def read_wcs(path: Path, sensor_size: tuple[int, int] | None = None) -> tuple[Projection, float | None]:
    """The first pointing in a FITS file, and when it holds: days of Unix time (86400 s each), None where it does not say.

    Args:
        path: FITS; only its headers are read.
        sensor_size: (width, height) of the pixels that it is for; None: whatever.

    Raises InputError: no FITS file, none with celestial coordinates, or one of an image of another size.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    try:
        with fits.open(path, memmap=True) as file:
            headers = [unit.header.copy() for unit in file]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --wcs takes a FITS file") from None
    except (OSError, ValueError, TypeError) as error:
        what = f"it is {kind_of(path)}" if kind_of(path) != FITS else _short(error)
        raise InputError(f"{path}: cannot be read as FITS ({what}); --wcs takes a FITS file with a pointing") from None
    why = "its headers have no RA and Dec, or other celestial coordinates, of two axes"
    for header in headers:
        if header.get("NAXIS") == 0:
            del header["NAXIS"]  # of which WCS would warn
        try:
            wcs = WCS(header, naxis=2, fix=False).celestial
            wcs.wcs.fix()  # here, since WCS warns of every date that it completes
        except Exception as error:  # wcslib's errors have no common class but Exception
            why = _short(error)
            continue
        if not wcs.has_celestial:
            continue
        size = tuple(int(header[name]) for name in ("NAXIS1", "NAXIS2") if header.get(name, 0) > 0)
        if sensor_size is not None and len(size) == 2 and size != sensor_size:
            raise InputError(
                f"{path}: is of an image of {size[0]} x {size[1]} pixels, the sensor has {sensor_size[0]} x {sensor_size[1]}; "
                "it must be of the sensor's own pixels"
            )
        return Projection(wcs), _unix_days(wcs)
    raise InputError(f"{path}: holds no pointing: {why}")


def _unix_days(wcs: WCS) -> float | None:
    """The middle of an exposure, else its beginning, from the header."""
    for mjd in (wcs.wcs.mjdavg, wcs.wcs.mjdobs):
        if np.isfinite(mjd) and mjd != 0.0:
            return float(mjd) - 40_587.0
    return None


def _short(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


LINEAR = (((0, 0),), ((1, 0),), ((0, 1),))
QUADRATIC = (((2, 0),), ((1, 1),), ((0, 2),))
RADIAL = (((3, 0), (1, 2)), ((2, 1), (0, 3)))
"""Exponents of x and y; of those that stand together the coefficients are the same: x r^2 and y r^2."""


class Bend(Enum):
    """Polynomials by which a lens distorts."""

    NONE = ()
    RADIAL = RADIAL
    """As most lenses do, of the third degree."""
    QUADRATIC = QUADRATIC
    BOTH = QUADRATIC + RADIAL
    CUBIC = (*QUADRATIC, ((3, 0),), ((2, 1),), ((1, 2),), ((0, 3),))


def fitted(
    pixels: np.ndarray,
    directions: np.ndarray,
    centre_px: np.ndarray,
    bend: Bend,
    distortion: Sip | None,
    weight: np.ndarray | None = None,
) -> Projection:
    """The gnomonic projection (TAN) nearest to stars, by least squares, with a distortion that is a polynomial (SIP; Shupe et al.
    2005).

    Ours, because it is linear, so that it is exact at the poles and where right ascension passes 0, and needs no first guess;
    astropy's fit_wcs_from_points searches for it.

    Args:
        pixels: float64 (n, 2).
        directions: float64 (n, 3).
        centre_px: (2,), the pixel that becomes the reference, CRPIX.
        bend: the polynomial; NONE: none but the given.
        distortion: that is kept (with NONE; its own reference is centre_px); None: none.
        weight: float64 (n,), inverse variances, of which only the ratios count; None: all alike.
    """
    from astropy.wcs import WCS, Sip

    frame = WCS(naxis=2)
    frame.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if distortion is not None or bend.value else ["RA---TAN", "DEC--TAN"]
    frame.wcs.crpix, frame.wcs.radesys = np.asarray(centre_px) + 1.0, "ICRS"
    frame.wcs.cunit = ["deg", "deg"]
    if distortion is not None:
        frame.sip = distortion
        offsets = np.asarray(frame.pix2foc(pixels, 0)) - centre_px
    else:
        offsets = pixels - centre_px
    scale = float(np.abs(offsets).max(initial=1.0))
    terms = [*LINEAR, *bend.value]
    columns = np.stack(
        [sum((offsets[:, 0] / scale) ** p * (offsets[:, 1] / scale) ** q for p, q in alike) for alike in terms], -1
    )
    root = np.ones((len(pixels), 1)) if weight is None else np.sqrt(weight / weight.mean())[:, None]
    columns = root * columns
    centre = directions.mean(0)
    centre /= np.linalg.norm(centre)
    for _ in range(ROUNDS):
        found, *_ = np.linalg.lstsq(columns, root * tangent(directions, centre), rcond=None)
        centre = from_tangent(found[:1], centre)[0]
    found, *_ = np.linalg.lstsq(columns, root * tangent(directions, centre), rcond=None)
    found = found / np.array([scale ** sum(alike[0]) for alike in terms])[:, None]
    matrix = found[1:3].T
    ra, dec = angles_of(centre)
    frame.wcs.crval, frame.wcs.cd = [float(ra), float(dec)], matrix
    if bend.value:
        bent = np.linalg.solve(matrix, found[3:].T)
        a, b = np.zeros((2, 4, 4))
        for alike, (x, y) in zip(bend.value, bent.T, strict=True):
            for p, q in alike:
                a[p, q], b[p, q] = x, y
        frame.sip = Sip(a, b, None, None, frame.wcs.crpix)
    frame.wcs.set()
    return Projection(frame)


ROUNDS = 6
"""In which the reference's direction is found; each is more than a hundred times nearer."""
