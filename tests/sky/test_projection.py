"""Pixels and directions."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from spikeseg.errors import InputError
from spikeseg.sky.projection import (
    ARCSEC,
    Bend,
    Projection,
    angles_of,
    directions_of,
    fitted,
    from_tangent,
    gnomonic,
    read_wcs,
    tangent,
)

GRID = np.stack(np.meshgrid(np.linspace(0, 239, 9), np.linspace(0, 179, 9)), -1).reshape(-1, 2)


def test_directions_and_angles_are_inverse():
    ra, dec = np.array([0.0, 10.0, 359.999999, 180.0]), np.array([0.0, 90.0, -45.0, -89.9])
    back = angles_of(directions_of(ra, dec))
    assert np.allclose(back[1], dec) and np.allclose(back[0][[0, 2, 3]], ra[[0, 2, 3]])
    centre = directions_of(np.array([30.0]), np.array([89.5]))[0]
    plane = np.array([[1.0, 2.0], [-3.0, 0.5]])
    assert np.allclose(tangent(from_tangent(plane, centre), centre), plane)
    assert np.isnan(tangent(-centre[None], centre)).all()


def test_the_top_left_pixel_is_zero(simulated):
    projection = simulated["pointing"](distorted=False)
    middle = projection.directions(np.array([[119.5, 89.5]]))
    assert np.allclose(middle, directions_of(np.array([150.0]), np.array([40.0])))
    seen, side = projection.middle((240, 180))
    assert np.allclose(seen, middle[0]) and side == pytest.approx(20 * ARCSEC)


def test_a_pointing_from_numbers(tmp_path):
    """Its middle, the side of a pixel, and where up and left are; as a file."""
    rough = gnomonic(150.1, 39.9, 20.0, 25.0, (240, 180))
    fits.PrimaryHDU(header=rough.header()).writeto(tmp_path / "rough.fits")
    assert np.allclose(read_wcs(tmp_path / "rough.fits", (240, 180))[0].directions(GRID), rough.directions(GRID), atol=1e-9)
    found = gnomonic(150.0, 40.0, 20.0, 30.0, (240, 180))
    middle, up, left = found.directions(np.array([[119.5, 89.5], [119.5, 79.5], [109.5, 89.5]]))
    assert np.allclose(middle, directions_of(np.array([150.0]), np.array([40.0])))
    turn = np.radians(30.0)
    offsets = tangent(np.stack([up, left]), middle) * 3600 / 20  # to the east, to the north
    assert np.allclose(offsets, 10 * np.array([[-np.sin(turn), np.cos(turn)], [np.cos(turn), np.sin(turn)]]), atol=1e-3)


@pytest.mark.parametrize("bend", list(Bend))
def test_a_fit_has_the_distortion_that_is_asked_for(bend):
    """Of a lens that is radial: exact with the terms that it needs, and off by more than a pixel without."""
    truth = gnomonic(
        150.0, 40.0, 20.0, 25.0, (240, 180), {(3, 0): (8e-7, 0.0), (1, 2): (8e-7, 0.0), (2, 1): (0, 8e-7), (0, 3): (0, 8e-7)}
    )
    seen = truth.directions(GRID)
    fit = fitted(GRID, seen, np.array([119.5, 89.5]), bend, None)
    off = np.abs(fit.directions(GRID) - seen).max() / (20 * ARCSEC)
    assert off < 1e-3 if bend in (Bend.RADIAL, Bend.BOTH, Bend.CUBIC) else off > 0.5


def test_a_place_counts_by_its_weight(simulated):
    truth = simulated["pointing"](distorted=False)
    seen = truth.directions(GRID)
    wrong = GRID.copy()
    wrong[::7] += 3.0
    weight = np.where(np.arange(len(GRID)) % 7, 1.0, 1e-6)
    off = [
        np.linalg.norm(fitted(wrong, seen, np.array([119.5, 89.5]), Bend.NONE, None, w).directions(GRID) - seen, axis=1).max()
        for w in (None, weight)
    ]
    assert off[0] > 0.2 * 20 * ARCSEC and off[1] < 0.01 * 20 * ARCSEC


@pytest.mark.parametrize("where", [(150.0, 40.0), (0.001, -10.0), (77.0, 89.9), (200.0, -90.0)])
@pytest.mark.parametrize("distorted", [True, False])
def test_a_fit_to_exact_stars_is_the_pointing(simulated, where, distorted):
    truth = simulated["pointing"](*where, distorted=distorted)
    seen = truth.directions(GRID)
    fit = fitted(GRID, seen, np.array([110.0, 95.0]), Bend.CUBIC if distorted else Bend.NONE, None)
    assert np.abs(fit.directions(GRID) - seen).max() < 0.05 * ARCSEC  # about another pixel, which bends a plane a little
    kept = fitted(GRID, seen, np.array([119.5, 89.5]), Bend.NONE, truth.wcs.sip)
    assert np.abs(kept.directions(GRID) - seen).max() < 1e-3 * ARCSEC
    again = Projection(WCS(fit.header()))
    assert np.abs(again.directions(GRID) - fit.directions(GRID)).max() < 1e-3 * ARCSEC


def test_other_frames_become_icrs():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = ["GLON-TAN", "GLAT-TAN"], [120.0, 30.0], [-0.01, 0.01], [1, 1]
    found = Projection(wcs).directions(np.zeros((1, 2)))
    icrs = SkyCoord(120 * units.deg, 30 * units.deg, frame="galactic").icrs
    assert np.allclose(found, directions_of(np.array([icrs.ra.deg]), np.array([icrs.dec.deg])))


def test_the_pointing_of_a_file_and_when_it_holds(simulated, tmp_path):
    header = simulated["pointing"]().header()
    header["DATE-OBS"] = "2026-03-01T21:04:05.25"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((180, 240), np.uint8), header)]).writeto(tmp_path / "a.fits")
    projection, days = read_wcs(tmp_path / "a.fits", (240, 180))
    assert days * 86_400 == pytest.approx(1_772_399_045.25, abs=1e-3)
    assert np.allclose(projection.directions(GRID), simulated["pointing"]().directions(GRID))
    with pytest.raises(InputError, match=r"a.fits: is of an image of 240 x 180 pixels, the sensor has 640 x 480"):
        read_wcs(tmp_path / "a.fits", (640, 480))


def test_files_without_a_pointing_are_refused(tmp_path):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "image.fits")
    (tmp_path / "text.fits").write_text("no fits")
    for name, message in (("image", "holds no pointing"), ("text", "cannot be read as FITS"), ("none", "no such file")):
        with pytest.raises(InputError, match=f"{name}.fits: {message}"):
            read_wcs(tmp_path / f"{name}.fits")
