"""Any files below a folder."""

import os
import pickle

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

files = DATASETS["files"].entries
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


def test_a_bag_is_one_recording_and_its_topics_are_others(tmp_path):
    bag = tmp_path / "night"
    bag.mkdir()
    for name in ("night_0.db3", "metadata.yaml", "night_0.db3-wal", "night_0.db3-shm"):
        (bag / name).write_text(ROW)
    (entry,) = files(tmp_path)
    assert entry.path == bag / "night_0.db3"
    (entry,) = pickle.loads(pickle.dumps(files(f"{bag / 'night_0.db3'}::/left/events")))
    assert (entry.name, entry.path) == ("night_0_left_events", bag / "night_0.db3")
    with pytest.raises(InputError, match="in the head of a database"):
        entry.load(False)


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


LABELS = "t_us,x,y,id,name\n0,1.5,2,0,iss\n10,100,50.25,3,iss\n"


@pytest.mark.parametrize("name", ["rec.labels.csv", "rec.csv.labels.csv"])
def test_labels_lie_beside_the_recording(tmp_path, name):
    (tmp_path / "rec.csv").write_text(ROW)
    (tmp_path / "other.csv").write_text(ROW)
    (unlabelled, before) = files(tmp_path)
    assert before.load(False).labels is None
    (tmp_path / name).write_text(LABELS)
    entries = files(tmp_path)
    assert [entry.name for entry in entries] == ["other", "rec"]
    labels = pickle.loads(pickle.dumps(entries[1])).load(False).labels
    assert labels.tolist() == [(0, 1.5, 2.0, 0), (10, 100.0, 50.25, 3)]
    assert entries[0].load(False).labels is None
    assert entries[0].fingerprint == unlabelled.fingerprint and entries[1].fingerprint != before.fingerprint
    (tmp_path / name).write_text("# looked at, nothing there\nt_us,x,y,id\n")
    assert len(files(tmp_path)[1].load(False).labels) == 0


@pytest.mark.parametrize(
    ("text", "match"),
    [("", "no column t_us"), ("t_us,x,y\n1,2,3\n", "no column id"), ("t_us,x,y,id\n1,2,3\n", "line 2 has 3 columns"),
     ("t_us,x,y,id\n1,2,3,4\n1,2,three,4\n", "line 3: .*three"), ("t_us,x,y,id\n1,2,3,0.5\n", "labels.id: 0.5"),
     ("t_us,x,y,id\n1,9999,3,1\n", "labels: none of 1 is usable"), ("t_us,x,y,id\n1,2,3,-1\n", "labels.id: -1")],
)  # fmt: skip
def test_labels_that_cannot_be_are_refused(tmp_path, text, match):
    (tmp_path / "rec.csv").write_text(ROW)
    (tmp_path / "rec.labels.csv").write_text(text)
    (entry,) = files(tmp_path)
    with pytest.raises(InputError, match=match):
        entry.load(False)


@pytest.mark.parametrize("kind", ["pipe", "gone", "pointer"])
def test_labels_that_are_not_there_cost_their_recording_and_no_other(tmp_path, kind):
    """Without them it would pass for unlabelled."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(ROW)
    labels = tmp_path / "a.labels.csv"
    if kind == "pipe":
        os.mkfifo(labels)
    elif kind == "gone":
        labels.symlink_to("nowhere")
    else:
        labels.write_text("/annex/objects/MD5-s5--a.csv\n")
    a, b = files(tmp_path)
    reason = {"pipe": "is a pipe", "gone": "is a link to nowhere", "pointer": "git annex get a.labels.csv"}[kind]
    with pytest.raises(InputError, match=rf"a\.labels\.csv: .*{reason}"):
        a.load(False)
    assert b.load(False).name == "b"


def test_a_pattern_finds_what_it_says(tmp_path):
    for name in ("2026/a.csv", "2026/b.npy", "2027/a.csv", "2027/deep/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(ROW)
    assert [entry.name for entry in files(tmp_path / "*" / "*.csv")] == ["2026_a", "2027_a"]
    assert [entry.name for entry in files(str(tmp_path / "**" / "*.csv"))] == ["2026_a", "2027_a", "2027_deep_c"]
    with pytest.raises(InputError, match="holds no files"):
        files(tmp_path / "*.dat")
