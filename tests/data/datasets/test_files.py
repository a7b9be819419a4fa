"""Any files below a folder."""

import pickle

import numpy as np
import pytest

from spikeseg.data.datasets import DATASETS
from spikeseg.errors import InputError

files = DATASETS["files"]
ROW = "0,1,2,1\n10,239,179,0\n"


def test_every_file_is_an_entry_and_shows_at_load_what_it_is(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.csv").write_text(ROW)
    np.save(tmp_path / "two.npy", np.array([[0, 1, 2, 1], [5, 1, 2, 0]]))
    (tmp_path / "README.md").write_text("# Notes\n")
    (tmp_path / ".hidden").write_text(ROW)
    entries = {entry.name: entry for entry in files(tmp_path)}
    assert set(entries) == {"README", "one", "two"}
    assert entries["one"].load(False).events["x"].tolist() == [1, 239]
    assert entries["two"].load(False).sensor_size == (34, 34)
    with pytest.raises(InputError, match=r"README.md: is in no format known"):
        entries["README"].load(False)


def test_recordings_carry_the_datasets_names(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rec.csv").write_text(ROW)
    assert [entry.load(False).name for entry in files(tmp_path)] == ["a_rec", "b_rec"]


def test_root_may_be_a_file(tmp_path):
    (tmp_path / "rec.csv").write_text(ROW)
    (entry,) = pickle.loads(pickle.dumps(files(tmp_path / "rec.csv")))
    assert entry.load(False).name == "rec"


def test_fingerprint_follows_content(tmp_path):
    path = tmp_path / "rec.csv"
    path.write_text(ROW)
    before = files(tmp_path)[0].fingerprint
    assert before == files(path)[0].fingerprint
    path.write_text(ROW + "11,1,1,1\n")
    assert before != files(tmp_path)[0].fingerprint


def test_lenient_reaches_the_checks(tmp_path):
    (tmp_path / "rec.csv").write_text(ROW * 10 + "nan,1,1,1\n")
    (entry,) = files(tmp_path)
    with pytest.raises(InputError, match="--lenient"):
        entry.load(False)
    assert "not finite" in entry.load(True).dropped


def test_refused(tmp_path):
    with pytest.raises(InputError, match="holds no files"):
        files(tmp_path)
    with pytest.raises(InputError, match="not found"):
        files(tmp_path / "none")
    with pytest.raises(InputError, match=r"data.sensor"):
        files(tmp_path, sensor="ATIS")
