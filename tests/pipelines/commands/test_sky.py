"""Options of the sky."""

import csv
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from click.testing import CliRunner

from spikeseg.config.load import load_config
from spikeseg.detection.readout import Readout
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.stages.detect import Job
from spikeseg.pipelines.stages.runs import network_of
from spikeseg.sky.request import Mount, SkyRequest

START = "2026-03-01T21:04:05.25Z"


@pytest.fixture(scope="module")
def pointing(tmp_path_factory):
    """Of the simulated sensor."""
    wcs, path = WCS(naxis=2), tmp_path_factory.mktemp("sky") / "pointing.fits"
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = (
        ["RA---TAN", "DEC--TAN"],
        [150, 40],
        [-0.005, 0.005],
        [120.5, 90.5],
    )
    fits.PrimaryHDU(header=wcs.to_header()).writeto(path)
    return path


@pytest.fixture(scope="module")
def recording(chain):
    (path,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    return f"{path}::DAVIS_0001"


def test_a_recording_on_the_sky(chain, recording, pointing, tmp_path):
    words = ("detect", recording, "-o", tmp_path / "out", "--set", "tracking.object_threshold=0")
    said = chain.ok(*words, "--start", START, "--wcs", pointing, "--mount", "stare", "--tdm", "--site", "HERE")
    assert "RA, Dec (deg)" in said and "arcsec/s" in said
    rows = list(csv.DictReader((tmp_path / "out" / "tracks.csv").open()))
    table = Table.read(tmp_path / "out" / "objects.ecsv")
    told = json.loads((tmp_path / "out" / "detections.json").read_text())["recordings"][0]
    assert told["utc_start"].startswith("2026-03-01T21:04:05.25") and told["sky"]["mount"] == "stare"
    assert len(rows) and all(149 < float(row["ra"]) < 151 and row["utc"].startswith("2026-03-01T21:04:0") for row in rows)
    assert len(table) and (np.abs(table["dec_end"] - 40) < 1).all() and (table["ra_err"] > 0).all()
    assert {f"DAVIS_0001.{number}.tdm" for number in table["object_id"]} <= {path.name for path in (tmp_path / "out").iterdir()}
    manifest = json.loads((tmp_path / "out" / "DAVIS_0001.detect.manifest.json").read_text())
    assert manifest["config"]["sky"]["mount"] == "stare" and "pointing" in manifest["inputs"]
    assert f"DAVIS_0001.{table['object_id'][0]}.tdm.xml" in manifest["outputs"]


def test_what_is_asked_of_the_sky_is_part_of_the_key(chain, pointing, tmp_path, monkeypatch):
    monkeypatch.chdir(chain.folder)
    cfg = load_config("tiny.yaml")
    other = tmp_path / "other.fits"
    other.write_bytes(pointing.read_bytes().replace(b"150.0", b"151.0"))
    asked = (
        None, SkyRequest(wcs=pointing), SkyRequest(wcs=other), SkyRequest(wcs=pointing, mount=Mount.TRACK),
        SkyRequest(wcs=pointing, start_utc_us=1), SkyRequest(wcs=pointing, start_utc_us=2),
        SkyRequest(wcs=pointing, wcs_utc_us=3),
        SkyRequest(wcs=pointing, tdm=True), SkyRequest(wcs=pointing, tdm=True, site="HERE"), SkyRequest(start_utc_us=1),
        SkyRequest(wcs=pointing, catalogue=other),
    )  # fmt: skip
    network, readout = network_of(cfg), Readout(0.5, 0.25)
    jobs = [Job(cfg, network, readout, {}, False, sky=sky) for sky in asked]
    assert len({job.shared.key for job in jobs}) == len(asked) and "sky" not in jobs[0].shared.config
    same = Job(cfg, network, readout, {}, False, sky=SkyRequest(wcs=pointing))
    assert same.shared.key == jobs[1].shared.key


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--start", "noon"], "--start: 'noon'; expected a date and time of UTC"),
        (["--mount", "stare"], "--mount stare: goes with --wcs or --solve"),
        (["--solve"], "--solve: needs --index-files"),
        (["--site", "HERE"], "--site: goes with --tdm"),
        (["--wcs", "none.fits"], "none.fits"),
        (["--wcs", "POINTING", "--tdm"], "--tdm: its clock does not tell the UTC; give it with --start"),
        (["--wcs", "POINTING", "--tdm", "--site", "Zürich"], "printable ASCII"),
    ],
)
def test_what_cannot_be_is_refused(chain, recording, pointing, tmp_path, words, message):
    given = [pointing if word == "POINTING" else word for word in words]
    assert message in chain.refused("detect", recording, "-o", tmp_path / "out", *given)


def test_a_start_is_of_one_recording(chain, recording, tmp_path):
    whole = recording.partition("::")[0]
    assert "--start: goes with one recording" in chain.refused("detect", whole, "-o", tmp_path / "out", "--start", START)
    assert chain("watch", tmp_path, "-o", tmp_path / "out", "--start", START).exit_code == 2
    assert chain("detect", "--follow", "--sensor-size", "4x4", "-", "--start", START).exit_code == 2


@pytest.mark.parametrize("command", ["detect", "watch"])
def test_help_has_them_under_a_title(command):
    text = CliRunner().invoke(main, [command, "--help"]).stdout
    section = text.partition("\nSky:\n")[2].partition("\n\n")[0]
    assert "--wcs FITS" in section and "--originator NAME" in section and "--jobs" not in section
