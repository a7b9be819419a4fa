"""Files in EBSSA's formats: readable by tonic, scipy and our own readers, the same bytes every time, or none at all."""

import json
import shutil

import h5py
import numpy as np
import pytest
import scipy.io
import tonic

from spikeseg.core.digests import manifest_digest
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE, Recording
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS
from spikeseg.simulation.recordings import SimulationConfig, simulate
from spikeseg.simulation.write import EBSSA_FORMATS, FORMATS, H5_PATH, write

CONFIG = SimulationConfig(recordings=6, duration_s=0.3, sensor="both", seed=4)


@pytest.fixture(scope="module")
def recordings():
    return list(simulate(CONFIG))


@pytest.fixture(scope="module")
def written(recordings, tmp_path_factory):
    """One folder per format."""
    root = tmp_path_factory.mktemp("sky")
    for name in FORMATS:
        write(root / name, iter(recordings), name)
    return root


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_tonic_reads_it_back(recordings, written):
    found = tonic.datasets.EBSSA(str(written / "h5"))
    assert len(found) == len(recordings)
    by_name = {r.name: r for r in recordings}
    for index in range(len(found)):
        events, target = found[index]
        r = by_name.pop(target["recording_id"])
        assert np.array_equal(events["t"], r.events["t"] - r.events["t"][0])
        for name in ("x", "y", "p"):
            assert np.array_equal(events[name], r.events[name])
        assert np.array_equal(target["bbox"]["id"], r.labels["id"])
        assert np.abs(target["bbox"]["t"] - (r.labels["t"] - r.events["t"][0])).max(initial=0) <= 5000
        inside = (r.labels["x"] > 5) & (r.labels["x"] < r.sensor_size[0] - 6)
        np.testing.assert_allclose(target["bbox"]["x_min"][inside], r.labels["x"][inside] - 5)
    assert not by_name


@pytest.mark.parametrize("name", EBSSA_FORMATS)
def test_our_readers_give_back_what_was_written(recordings, written, name, tmp_path):
    shutil.copytree(written / name, tmp_path, dirs_exist_ok=True)
    manifest = {"key": "0", "stage": f"simulate-{name}", "outputs": {path: {} for path in files(tmp_path)}}
    manifest["sha256"] = manifest_digest(manifest)
    (tmp_path / f"simulate-{name}.manifest.json").write_text(json.dumps(manifest))  # as the command does: the truth is ours
    entries = {entry.name: entry for entry in DATASETS["ebssa"].entries(tmp_path)}
    assert sorted(entries) == sorted(r.name for r in recordings)
    for r in recordings:
        again = entries[r.name].load(False)
        assert np.array_equal(again.events, r.events) and np.array_equal(again.truth, r.truth)
        assert np.array_equal(again.labels[["t", "id"]], r.labels[["t", "id"]])
        for axis in "xy":
            np.testing.assert_allclose(again.labels[axis], r.labels[axis], atol=1e-9)
        assert again.sensor_size == r.sensor_size


def test_an_npz_holds_size_labels_and_truth_and_is_read_as_any_file(recordings, written):
    entries = {entry.name: entry for entry in DATASETS["files"].entries(written / "npz")}
    assert sorted(entries) == sorted(r.name for r in recordings)
    for r in recordings:
        again = entries[r.name].load(False)
        assert np.array_equal(again.events, r.events) and np.array_equal(again.labels, r.labels)
        assert again.sensor_size == r.sensor_size
        with np.load(written / "npz" / f"{r.name}.npz", allow_pickle=False) as file:
            assert np.array_equal(file["source"], r.truth["source"]) and np.array_equal(file["object_id"], r.truth["object_id"])


def test_coordinates_count_from_one_in_matlab_shapes(recordings, written):
    r = next(r for r in recordings if len(r.labels))
    empty = next(r for r in recordings if not len(r.labels))
    with h5py.File(written / "h5" / H5_PATH) as file:
        group = file[r.name]
        assert group["TD/x"].shape == (1, len(r.events)) and group["TD/x"].dtype == np.uint16
        assert np.array_equal(group["TD/x"][0], r.events["x"] + 1) and np.array_equal(group["TD/ts"][0], r.events["t"])
        np.testing.assert_array_equal(group["Obj/y"][0], r.labels["y"] + 1)
        assert file[empty.name]["Obj/x"].shape == (1, 0)
    mat = scipy.io.loadmat(written / "mat" / f"{r.name}.mat", squeeze_me=False)
    assert np.array_equal(mat["TD"]["y"][0, 0][:, 0], r.events["y"] + 1)
    assert np.array_equal(mat["TD"]["p"][0, 0][:, 0], r.events["p"])
    np.testing.assert_array_equal(mat["Obj"]["x"][0, 0][:, 0], r.labels["x"] + 1)
    assert mat["nObj"].item() == len(np.unique(r.labels["id"]))
    assert scipy.io.loadmat(written / "mat" / f"{empty.name}.mat")["nObj"].item() == 0


def test_truth_lies_beside_event_for_event(recordings, written):
    for name in EBSSA_FORMATS:
        for r in recordings:
            with np.load(written / name / "truth" / f"{r.name}.npz", allow_pickle=False) as truth:
                for field in ("t", "x", "y", "p"):
                    assert np.array_equal(truth[field], r.events[field])
                assert truth["source"].dtype == np.int8 and truth["object_id"].dtype == np.int32
                assert np.array_equal(truth["source"], r.truth["source"])
                assert np.array_equal(truth["object_id"], r.truth["object_id"])


@pytest.mark.parametrize("name", FORMATS)
def test_same_seed_same_bytes(written, tmp_path, name, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 86400.0 * 5000)
    monkeypatch.setattr("time.asctime", lambda *_: "another day")
    write(tmp_path / "again", simulate(CONFIG), name)
    assert files(tmp_path / "again") == files(written / name)


def test_written_paths_are_the_event_files(recordings, tmp_path):
    assert write(tmp_path, recordings[:2], "h5") == [tmp_path / H5_PATH]
    assert write(tmp_path, recordings[:2], "mat") == [tmp_path / "DAVIS_0000.mat", tmp_path / "ATIS_0001.mat"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ATIS_0001.mat", "DAVIS_0000.mat", "EBSSA", "truth"]


def test_unlabelled_recordings_without_truth(tmp_path):
    events = np.zeros(2, EVENT_DTYPE)
    plain = Recording(events, (240, 180), None, "DAVIS_plain", "test")
    for name in EBSSA_FORMATS:
        write(tmp_path, [plain], name)
    assert not (tmp_path / "truth").exists()
    with h5py.File(tmp_path / H5_PATH) as file:
        assert list(file["DAVIS_plain"]) == ["TD"]
    assert not {"Obj", "nObj"} & set(scipy.io.loadmat(tmp_path / "DAVIS_plain.mat"))


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_write_leaves_nothing(recordings, tmp_path, name):
    def broken():
        yield recordings[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, broken(), name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unless_forced(recordings, tmp_path):
    labels, truth = np.zeros(0, LABEL_DTYPE), np.zeros(1, TRUTH_DTYPE)
    other = Recording(np.ones(1, EVENT_DTYPE), (240, 180), labels, "DAVIS_0000", "test", truth=truth)
    write(tmp_path, recordings[:1], "h5")
    before = files(tmp_path)
    with pytest.raises(InputError, match=r"labelled_ebssa\.h5 exists already"):
        write(tmp_path, recordings[:1], "h5")
    with pytest.raises(InputError, match=r"DAVIS_0000\.npz exists already"):  # it belongs to other events
        write(tmp_path, [other], "mat")
    assert files(tmp_path) == before
    write(tmp_path, [other], "h5", force=True)
    assert files(tmp_path).keys() == before.keys() and files(tmp_path) != before


def test_bad_requests_are_one_line(recordings, tmp_path):
    with pytest.raises(InputError, match="'aedat'; allowed: h5, mat"):
        write(tmp_path, recordings, "aedat")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file: file exists; choose a folder you can write to") as told:
        write(tmp_path / "file", recordings, "h5")
    assert "\n" not in str(told.value)
