"""The file for rerun, where rerun is installed."""

import sys

import pytest

from spikeseg.errors import InputError
from spikeseg.viewing.rerun_file import write_rerun


def test_a_file_of_rerun_is_written(night, makers, tmp_path):
    pytest.importorskip("rerun", reason="rerun is not installed (extra rerun)")
    write_rerun(tmp_path / "night.rrd", night)
    assert (tmp_path / "night.rrd").read_bytes()[:3] == b"RRF"
    write_rerun(tmp_path / "dark.rrd", makers[1]())
    assert 0 < (tmp_path / "dark.rrd").stat().st_size < (tmp_path / "night.rrd").stat().st_size


def test_without_rerun_the_extra_is_named(night, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError, match=r"--rrd needs rerun; install it with: pip install 'spikeseg\[rerun\]'"):
        write_rerun(tmp_path / "night.rrd", night)
