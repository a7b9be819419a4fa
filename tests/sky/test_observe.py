"""Positions, rates and errors on the sky, against a simulated one; what is written of them."""

import csv
import dataclasses
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from spikeseg.data.recording import EVENT_DTYPE, Recording
from spikeseg.detection.files import join_recordings, write_recording
from spikeseg.detection.result import DetectionResult
from spikeseg.detection.schema import OBJECT_COLUMNS, SKY_COLUMNS, TRACK_COLUMNS, UTC_COLUMNS
from spikeseg.errors import InputError
from spikeseg.sky.observe import observed, require
from spikeseg.sky.projection import angles_of, read_wcs
from spikeseg.sky.request import Mount, SkyRequest

MOUNTS = ("sidereal", "stare", "track")


def kept(projection, path, utc=None):
    """A pointing as a FITS file."""
    header = projection.header()
    if utc:
        header["DATE-OBS"] = utc
    fits.PrimaryHDU(header=header).writeto(path)
    return path


def table_of(night, path):
    """A catalogue as a table."""
    ra, dec = angles_of(night.catalogue.directions)
    Table({"RA": ra, "Dec": dec, "Vmag": night.catalogue.magnitudes}).write(path)
    return path


def root_mean_square(values):
    return np.sqrt(np.mean(values**2))


@pytest.mark.parametrize("mount", MOUNTS)
def test_places_and_rates_under_each_mount(nights, mount, tmp_path, start):
    night = nights[mount]
    request = SkyRequest(start_utc_us=start, wcs=kept(night.projection, tmp_path / "a.fits"), mount=Mount(mount))
    found = observed(night.detections, request)
    assert root_mean_square(night.off_px(found)) < 0.3
    rows = found.tracks[found.tracks["track_id"] == 1]
    rate = np.stack([rows["ra_rate"], rows["dec_rate"]], -1)
    assert np.hypot(*(rate.mean(0) - night.rates.mean(0))) < 2.0 and np.hypot(*night.rates.mean(0)) == pytest.approx(
        100, rel=0.02
    )
    other = dataclasses.replace(request, mount=Mount.TRACK if mount == "sidereal" else Mount.SIDEREAL)
    if mount != "sidereal":
        assert root_mean_square(night.off_px(observed(night.detections, other))) > 3
    assert found.further["sky"]["pointing"] == "given" and not found.attachments


def test_errors_are_those_of_the_filter(simulated, tmp_path):
    night = simulated["night"]("sidereal", noise_px=1.0, stars=100)  # as it expects them
    found = observed(night.detections, SkyRequest(wcs=kept(night.projection, tmp_path / "a.fits")))
    rows = found.tracks[found.tracks["track_id"] == 1]
    ra, dec = angles_of(night.truth)
    off = np.stack([(rows["ra"] - ra) * np.cos(np.radians(dec)), rows["dec"] - dec], -1) * 3600
    share = off / np.stack([rows["ra_err"], rows["dec_err"]], -1)
    assert 0.5 < root_mean_square(share) < 1.5 and 0.15 < np.median(rows["ra_err"]) / 20 < 0.6
    assert "utc" not in found.tracks.dtype.names  # which nobody knows


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_rough_pointing_is_refined_by_a_catalogue(nights, simulated, mount, tmp_path, start):
    night = nights[mount]
    rough = simulated["pointing"](150.12, 39.93, pixel=20.3, roll=27.0, distorted=False)
    request = SkyRequest(
        start_utc_us=start,
        wcs=kept(rough, tmp_path / "a.fits"),
        mount=Mount(mount),
        catalogue=table_of(night, tmp_path / "c.fits"),
    )
    found = observed(night.detections, request)
    told = found.further["sky"]
    assert told["pointing"] == "refined" and told["stars"] > 20 and told["rms_px"] < 0.25
    assert abs(told["pixel_arcsec"] - 20) < 0.05
    assert root_mean_square(night.off_px(found)) < 0.3
    (tmp_path / "again.fits").write_bytes(found.attachments["night.wcs.fits"])
    projection, days = read_wcs(tmp_path / "again.fits")
    assert days * 86_400e6 == pytest.approx(start, abs=1000) and projection.wcs.sip is not None
    again = observed(night.detections, dataclasses.replace(request, wcs=tmp_path / "again.fits", catalogue=None))
    assert root_mean_square(night.off_px(again)) < 0.3
    if mount == "sidereal":
        wrong = dataclasses.replace(request, catalogue=table_of(simulated["night"]("sidereal", seed=9), tmp_path / "other.fits"))
        lost = observed(night.detections, wrong)
        assert "nowhere in the catalogue" in lost.further["sky"]["failed"] and np.isnan(lost.tracks["ra"]).all()
        assert np.isnan(lost.objects["ra_rate"]).all() and not lost.attachments


def test_the_pointing_is_found_among_all_stars(nights, tmp_path, start):
    """By astrometry.net's solver, with an index of the simulated catalogue: build-astrometry-index -S MAG -P 6 -E -j 1, 0.93."""
    (tmp_path / "index.fits").write_bytes(gzip.decompress((Path(__file__).parent / "index.fits.gz").read_bytes()))
    night = nights["stare"]
    request = SkyRequest(start_utc_us=start, mount=Mount.STARE, solve=True, index_files=(tmp_path / "index.fits",))
    found = observed(night.detections, request)
    told = found.further["sky"]
    assert told["pointing"] == "solved" and told["log_odds"] > 21 and told["stars"] >= 12
    assert root_mean_square(night.off_px(found)) < 0.3
    few = dataclasses.replace(
        night.detections, tracks=night.detections.tracks[:400], position_error=night.detections.position_error[:400]
    )
    assert "only" in observed(few, request).further["sky"]["failed"]


def test_utc_is_told_where_it_is_known(nights, start):
    plain = nights["sidereal"].detections
    assert observed(plain) is plain
    found = observed(plain, SkyRequest(start_utc_us=start))
    own = found.tracks["track_id"] == 1
    assert found.tracks.dtype.names == (*TRACK_COLUMNS, "utc") and found.objects.dtype.names == (
        *OBJECT_COLUMNS,
        *UTC_COLUMNS["objects"],
    )
    assert found.tracks["utc"][1] == "2026-03-01T21:04:05.350000Z" and found.objects["utc_end"][0] == found.tracks["utc"][own][-1]
    assert found.further == {"utc_start": "2026-03-01T21:04:05.250000Z", "utc_end": "2026-03-01T21:04:17.250000Z"}
    assert list(found.entry())[-3:] == ["utc_start", "utc_end", "windows"]


def test_files_of_recordings_with_and_without_utc_become_one(nights, tmp_path, start):
    plain = dataclasses.replace(nights["sidereal"].detections, recording="a")
    known = observed(nights["sidereal"].detections, SkyRequest(start_utc_us=start))
    for detections in (plain, known):
        write_recording(tmp_path / "parts", detections)
    DetectionResult([plain, known, dataclasses.replace(plain, recording="c")]).save(tmp_path / "at once")
    write_recording(tmp_path / "parts", dataclasses.replace(plain, recording="c"))
    join_recordings(tmp_path / "joined", [(name, tmp_path / "parts") for name in ("a", "night", "c")])
    for name in ("tracks.csv", "objects.csv", "objects.ecsv", "detections.json"):
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes(), name
    rows = list(csv.DictReader(io.StringIO((tmp_path / "joined" / "objects.csv").read_text())))
    assert [row["utc_start"] for row in rows] == ["", "2026-03-01T21:04:05.250000Z", ""]


def test_tables_have_units_and_decimals_of_the_sky(nights, tmp_path):
    night = nights["sidereal"]
    found = observed(night.detections, SkyRequest(wcs=kept(night.projection, tmp_path / "a.fits")))
    found.save(tmp_path / "out")
    table = Table.read(tmp_path / "out" / "objects.ecsv")
    assert table.colnames == [*OBJECT_COLUMNS, *SKY_COLUMNS["objects"]]
    assert [str(table[name].unit) for name in ("ra_start", "dec_rate", "ra_err")] == ["deg", "arcsec / s", "arcsec"]
    (row,) = csv.DictReader((tmp_path / "out" / "objects.csv").open())
    assert float(row["ra_start"]) == table["ra_start"][0] and len(row["ra_start"].partition(".")[2]) == 7
    assert found.to_table("tracks")["ra"].unit == "deg"
    entry = json.loads((tmp_path / "out" / "detections.json").read_text())["recordings"][0]["sky"]
    assert (
        entry["ra"] == pytest.approx(150, abs=0.01)
        and entry["dec"] == pytest.approx(40, abs=0.01)
        and entry["t0_us"] == 5_000_000
    )
    unknown = dataclasses.replace(night.detections, position_error=None)
    assert np.isnan(observed(unknown, SkyRequest(wcs=tmp_path / "a.fits")).tracks["ra_err"]).all()


def recording(first_us=0):
    events = np.zeros(2, EVENT_DTYPE)
    events["t"] = first_us, first_us + 10**6
    return Recording(events, (240, 180), None, "night", "night.npz")


def test_what_cannot_be_answered_is_said_before_anything_is_done(simulated, tmp_path, start):
    wcs = kept(simulated["pointing"](), tmp_path / "a.fits", "2026-03-01T21:00:00")
    with pytest.raises(InputError, match=r"night.npz: --mount stare: its clock does not tell the UTC; give it with --start"):
        require(recording(), SkyRequest(wcs=wcs, mount=Mount.STARE))
    with pytest.raises(InputError, match=r"night.npz: --tdm: its clock"):
        require(recording(), SkyRequest(wcs=wcs, tdm=True))
    with pytest.raises(InputError, match=r"--wcs-time: the recording's clock does not tell the UTC"):
        require(recording(), SkyRequest(wcs=wcs, mount=Mount.TRACK, wcs_utc_us=start))
    with pytest.raises(InputError, match=r"a.fits: holds at 2026-03-01T21:00:00.000000Z, outside of the recording"):
        require(recording(start), SkyRequest(wcs=wcs, mount=Mount.TRACK))
    require(recording(start), SkyRequest(wcs=wcs, mount=Mount.TRACK, wcs_utc_us=start + 500_000))
    require(recording(start), SkyRequest(wcs=wcs, mount=Mount.STARE, tdm=True))


def test_the_pointing_of_a_still_telescope_holds_when_its_file_says(nights, tmp_path, start):
    """Given as it was five minutes before: the sky has turned by 1.25 degrees since."""
    from spikeseg.sky.attitude import Turning
    from spikeseg.sky.projection import Bend, fitted

    night = nights["stare"]
    pixels = np.stack(np.meshgrid(np.linspace(0, 239, 9), np.linspace(0, 179, 9)), -1).reshape(-1, 2)
    turning = Turning.at(start / 86_400e6, 0.0)
    seen = turning.back(np.full(len(pixels), 300e6), night.projection.directions(pixels))
    then = fitted(pixels, seen, np.array([119.5, 89.5]), Bend.NONE, night.projection.wcs.sip)
    wcs = kept(then, tmp_path / "a.fits", "2026-03-01T20:59:05.25")
    found = observed(night.detections, SkyRequest(start_utc_us=start, wcs=wcs, mount=Mount.STARE))
    assert root_mean_square(night.off_px(found)) < 0.3
