"""What can be asked of the sky."""

from pathlib import Path

import pytest

from spikeseg.errors import InputError
from spikeseg.sky.request import Mount, SkyRequest

FILE = Path("a.fits")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"solve": True}, "--solve: needs --index-files"),
        ({"solve": True, "wcs": FILE}, "--solve: needs --index-files"),
        ({"index_files": (FILE,)}, "--index-files: goes with --solve"),
        ({"catalogue": FILE}, "--catalogue: goes with --wcs"),
        ({"wcs_utc_us": 0}, "--wcs-time: goes with --wcs"),
        ({"mount": Mount.STARE}, "--mount stare: goes with --wcs or --solve"),
        ({"tdm": True, "start_utc_us": 0}, "--tdm: needs --wcs or --solve"),
    ],
)
def test_what_does_not_go_together_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        SkyRequest(**asked)


def test_files_and_settings_tell_everything():
    request = SkyRequest(1, FILE, 2, Mount.TRACK, True, (Path("i1"), Path("i2")), Path("c"), True, "Here", "Me")
    assert request.points and request.files == {
        "pointing": FILE, "catalogue of stars": Path("c"), "index file 1": Path("i1"), "index file 2": Path("i2"),
    }  # fmt: skip
    assert request.settings == {"start_utc_us": 1, "wcs_utc_us": 2, "mount": "track", "solve": True, "tdm": ["Here", "Me"]}
    assert SkyRequest().files == {} and not SkyRequest(start_utc_us=3).points


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--index-files: needs the package astrometry: pip install 'spikeseg\[sky\]'"):
        SkyRequest(solve=True, index_files=(FILE,)).require_packages()
    with pytest.raises(InputError, match=r"--tdm: needs the package ccsds-ndm: pip install 'spikeseg\[sky\]'"):
        SkyRequest(wcs=FILE, tdm=True).require_packages()
    SkyRequest(wcs=FILE).require_packages()
