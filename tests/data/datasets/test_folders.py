"""What lies below folders, and what recordings are called."""

import json
import os
import re

import folder_from_hell as hell
import pytest

from spikeseg.data.datasets import folders
from spikeseg.data.datasets.folders import files_below, recordings_at, sources, without_ours
from spikeseg.data.readers import read
from spikeseg.data.readers.recording_path import NAME_BYTES
from spikeseg.errors import InputError

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs links into /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return hell.make(tmp_path_factory.mktemp("outside") / "hell")


def test_every_file_is_found_and_all_else_says_why_it_is_none(folder):
    found = {str(path.relative_to(folder)): error for path, error in without_ours(files_below(folder))}
    sound = {*hell.SOUND, "many.h5", "truth/one.npz"}
    sound |= {"unlocked.csv", "lfs.csv", "cut.npz", "empty.csv", "README.md", "memory.csv"}  # which reading them shows
    assert {name for name, error in found.items() if not error} == sound
    bad = {name: error for name, error in found.items() if error}
    assert bad.keys() == hell.BAD.keys() - sound
    assert all(hell.BAD[name] in error for name, error in bad.items())


def test_of_a_mistyped_path_the_nearest_is_told(tmp_path, monkeypatch):
    (tmp_path / "night.raw").touch()
    monkeypatch.chdir(tmp_path)
    for text, told in (
        ("nigth.raw", r"nigth.raw: cannot be read \(No such file or directory\); nearest: night.raw$"),
        (f"{tmp_path}/night.rwa", rf"; nearest: {tmp_path}/night.raw$"),
        ("other/night.raw", r"directory\)$"),
        ("walk", r"directory\)$"),
    ):
        with pytest.raises(InputError, match=told):
            sources([text])


def test_recordings_of_a_folder_have_names_that_files_and_tables_can_hold(folder):
    named = {source.name: source for source in sources([str(folder)])}
    (long,) = (name for name in named if name.startswith("nnnn"))
    good = {name for name, source in named.items() if not source.error}
    assert good == {*hell.NAMES, long, "many_one", "two", "truth_one", "cut"}  # the last two are no recordings, as reading shows
    for name in good:
        assert len(name.encode()) <= NAME_BYTES and not re.search(r"[\n/\x00]", name)
    assert len({name.casefold() for name in named}) == len(named)
    assert {name: str(named[name].path.file) for name in ("night%FF", "night%FE")} == {
        "night%FF": f"{folder}/night\udcff.csv",
        "night%FE": f"{folder}/night\udcfe.csv",
    }
    for name in (long, "night%FF", "two%0Alines", "a::b"):
        assert len(read(str(named[name].path)).events) == 300


def test_what_is_left_out_of_a_folder_is_what_we_wrote_and_what_belongs_to_a_recording(tmp_path):
    def manifest(name, stage, *outputs):
        content = {"key": "0", "stage": stage, "outputs": {output: {} for output in outputs}, "sha256": "0"}
        (tmp_path / name).write_text(json.dumps(content))

    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    beside = "a.labels.csv a.review.json a.info.png a.events.npz truth/b.npz found/a.events.npz found/tracks.csv"
    for name in (
        *beside.split(),
        "bag.db3-wal",
        "metadata.yaml",
        "a.csv",
        "b.mat",
        "truth/mine.npz",
        "found/mine.csv",
        "bag.db3",
    ):
        (tmp_path / name).touch()
    manifest("simulate-mat.manifest.json", "simulate-mat", "b.mat", "truth/b.npz")
    manifest("a.detect.manifest.json", "a.detect", "a.events.npz")
    manifest("found/manifest.json", "detect", "a.events.npz", "tracks.csv")
    left = {str(path.relative_to(tmp_path)) for path, _ in without_ours(files_below(tmp_path))}
    assert left == {"a.csv", "b.mat", "truth/mine.npz", "found/mine.csv", "bag.db3"}
    (tmp_path / "a.detect.manifest.json").write_text("somebody else's")
    assert "a.events.npz" in {path.name for path, _ in without_ours(files_below(tmp_path))}


def test_a_folder_that_cannot_be_read_is_one_failure(tmp_path, monkeypatch):
    for name in ("a", "shut", "z"):
        (tmp_path / name).mkdir()
        hell.csv(tmp_path / name / f"{name}.csv")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = dict(files_below(tmp_path))
    assert found == {
        tmp_path / "a" / "a.csv": "", tmp_path / "z" / "z.csv": "", tmp_path / "shut": "cannot be read (Permission denied)"
    }  # fmt: skip
    with pytest.raises(InputError, match=r"shut: cannot be read"):
        sources([str(tmp_path / "shut")])


def test_equal_names_get_as_many_folders_as_tell_them_apart(tmp_path):
    def names(*paths):
        return [source.name for source in sources([str(tmp_path / path) for path in paths])]

    for path in ("x/rec.csv", "y/rec.csv", "y/z/rec.csv", "x/z/rec.csv", "x/rec.npz", "x/other.csv", "x_rec.csv"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (hell.npz if path.endswith("npz") else hell.csv)(tmp_path / path)
    assert names("x/rec.csv", "x/other.csv") == ["rec", "other"]
    assert names("x/rec.csv", "y/rec.csv", "x/other.csv") == ["x_rec", "y_rec", "other"]
    assert names("x/z/rec.csv", "y/z/rec.csv") == ["x_z_rec", "y_z_rec"]
    assert names("x/rec.csv", "x/rec.npz") == ["rec.csv", "rec.npz"]
    assert names("x/rec.csv", "x/rec.npz", "y/rec.csv") == ["x_rec.csv", "x_rec.npz", "y_rec.csv"]
    assert names("x_rec.csv", "x/rec.csv", "y/rec.csv") == ["x_rec", "x_rec_2", "y_rec"]
    for folder in "xy":
        hell.h5(tmp_path / folder / f"lab_{folder}.h5", ("one", "two"))
    hell.csv(tmp_path / "x" / "one.csv")
    assert names("x/lab_x.h5", "y/lab_y.h5::one", "x/one.csv") == ["lab_x_one", "two", "lab_y_one", "x_one"]


def test_a_recording_that_is_named_twice_is_one(tmp_path, monkeypatch):
    hell.csv(tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    assert [source.name for source in sources([str(tmp_path), "a.csv", "./a.csv"])] == ["a"]


@pytest.mark.parametrize("name", ["gone.csv", "self.csv", "pipe.csv", "socket.csv", "zero.csv", "annexed.csv"])
def test_what_is_named_itself_and_is_no_file_is_said_at_once(folder, name):
    with pytest.raises(InputError, match=re.escape(hell.BAD[name])):
        sources([str(folder / "good.csv"), str(folder / name)])


def test_what_is_missing_or_holds_nothing_is_said_at_once(folder):
    for name, reason in (("none.raw", "No such file"), ("none", "holds no files"), ("x" * 300, "too long")):
        with pytest.raises(InputError, match=reason):
            sources([str(folder / name)])
    assert [source.name for source in sources([str(folder / "many.h5::three::x")])] == ["three::x"]


def test_a_damaged_archive_is_one_recording_that_says_why(tmp_path):
    path = hell.h5(tmp_path / "many.h5", ("one", "two"))
    path.write_bytes(path.read_bytes()[:3000])
    ((where, error),) = recordings_at(str(path))
    assert where.file == str(path) and error.startswith(f"{path}: truncated or damaged HDF5")
    assert folders.members_of(folders.RecordingPath(str(hell.h5(path, ("one",))))) == [folders.RecordingPath(str(path))]
