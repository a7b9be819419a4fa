"""EBSSA by .h5 and by .mat: the same recordings; tonic's reading is the same up to what it changes."""

import hashlib
import json
import pickle

import h5py
import numpy as np
import pytest
import scipy.io
import tonic.datasets

from spikeseg.core.digests import manifest_digest
from spikeseg.data.datasets import Entry
from spikeseg.data.datasets import ebssa as module
from spikeseg.data.recording import SOURCE_OBJECT
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

ebssa = DATASETS["ebssa"].entries
T0 = 7_000_000


def recording(seed, size=(240, 180), n=80, labelled=2):
    """Columns as the files hold them: 1-based, p 0/1; and 2 labels, none (0) or unlabelled (None)."""
    rng = np.random.default_rng(seed)
    td = {
        "ts": T0 + np.sort(rng.integers(0, 900_000, n)),
        "x": rng.integers(1, size[0] + 1, n).astype(np.uint16),
        "y": rng.integers(1, size[1] + 1, n).astype(np.uint16),
        "p": rng.integers(0, 2, n).astype(np.uint8),
    }
    td["x"][0], td["y"][0] = size
    if labelled is None:
        return td, None
    points = {"ts": [T0, T0 + 123_456], "x": [11.0, 20.5], "y": [5.0, 6.25], "id": [1, 2]}
    return td, {name: np.array(values[:labelled]) for name, values in points.items()}


RECORDINGS = {
    "ATIS_0001": recording(1, (304, 240)),
    "DAVIS_0000": recording(0),
    "DAVIS_0002": recording(2, labelled=0),
    "DAVIS_0003": recording(3, labelled=None),
}


def write_h5(root, recordings=None, name="EBSSA/labelled_ebssa.h5"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, structs in (recordings or RECORDINGS).items():
            for struct, columns in zip(("TD", "Obj"), structs, strict=True):
                for field, values in (columns or {}).items():
                    file[f"{key}/{struct}/{field}"] = values[None]
    return path


def write_mat(root, recordings=None, folder=""):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for key, structs in (recordings or RECORDINGS).items():
        content = {
            struct: {field: values[:, None] for field, values in columns.items()}
            for struct, columns in zip(("TD", "Obj"), structs, strict=True)
            if columns is not None
        }
        scipy.io.savemat(root / folder / f"{key}.mat", content)


def write_truth(root, key, shift=0):
    td, _ = RECORDINGS[key]
    columns = {"t": td["ts"] + shift, "x": td["x"] - 1, "y": td["y"] - 1, "p": td["p"].astype(bool)}
    source = np.arange(len(td["ts"])) % 4
    (root / "truth").mkdir(parents=True, exist_ok=True)
    np.savez(
        root / "truth" / f"{key}.npz",
        **columns,
        source=source.astype(np.int8),
        object_id=source.astype(np.int32),
    )
    list_outputs(root)


def list_outputs(root, name="simulate-h5", stage="simulate-h5", **changes):
    """A manifest of `simulate` that lists what is below the root."""
    outputs = {path.relative_to(root).as_posix(): {} for path in root.rglob("*") if path.is_file()}
    manifest = {"key": "0", "stage": stage, "outputs": outputs, **changes}
    manifest["sha256"] = manifest_digest(manifest)
    (root / f"{name}.manifest.json").write_text(json.dumps(manifest))


def loaded(root, **options):
    return [entry.load(False) for entry in ebssa(root, **options)]


def test_both_formats_give_the_same(tmp_path):
    write_h5(tmp_path / "h5")
    write_mat(tmp_path / "mat")
    by_h5, by_mat = loaded(tmp_path / "h5"), loaded(tmp_path / "mat")
    assert [r.name for r in by_h5] == [r.name for r in by_mat] == list(RECORDINGS)
    for ours, theirs, (td, obj) in zip(by_h5, by_mat, RECORDINGS.values(), strict=True):
        np.testing.assert_array_equal(ours.events, theirs.events)
        np.testing.assert_array_equal(ours.events["t"], td["ts"])
        np.testing.assert_array_equal(ours.events["x"], td["x"].astype(int) - 1)
        assert (ours.sensor, ours.sensor_size) == (theirs.sensor, theirs.sensor_size)
        if obj is None:
            assert ours.labels is None and theirs.labels is None
        else:
            np.testing.assert_array_equal(ours.labels, theirs.labels)
            assert ours.labels["x"].tolist() == (obj["x"] - 1).tolist()
            assert ours.labels["t"].tolist() == obj["ts"].tolist()


def test_tonic_reads_the_same_from_its_own_zero(tmp_path):
    write_h5(tmp_path)
    for ours, (events, target) in zip(loaded(tmp_path), tonic.datasets.EBSSA(str(tmp_path)), strict=True):
        assert ours.name == target["recording_id"]
        for field in "xyp":
            np.testing.assert_array_equal(ours.events[field], events[field])
        np.testing.assert_array_equal(ours.events["t"] - ours.events["t"][0], events["t"])


def test_polarity_that_tonic_would_lose(tmp_path):
    td, obj = RECORDINGS["DAVIS_0000"]
    on = td["p"] == 1
    write_h5(tmp_path, {"DAVIS_0000": (td | {"p": np.where(on, 1.0, -1.0)}, obj)})
    np.testing.assert_array_equal(loaded(tmp_path)[0].events["p"], on)
    assert tonic.datasets.EBSSA(str(tmp_path))[0][0]["p"].all()


@pytest.mark.parametrize("name", ["EBSSA/labelled_ebssa.h5", "labelled_ebssa.h5", "a/b/labelled_ebssa.h5"])
def test_the_archive_is_found_anywhere_below(tmp_path, name, monkeypatch):
    monkeypatch.setattr(tonic.datasets.EBSSA, "download", lambda self: pytest.fail("would download"))
    write_h5(tmp_path, name=name)
    assert len(ebssa(tmp_path)) == len(RECORDINGS)


def test_root_may_be_the_file(tmp_path):
    path = write_h5(tmp_path, name="mine.h5")
    assert len(ebssa(path)) == len(RECORDINGS)
    write_mat(tmp_path)
    (entry,) = ebssa(tmp_path / "ATIS_0001.mat")
    assert entry.load(False).name == "ATIS_0001"


def test_sensor_by_folder_and_selection(tmp_path):
    plain = {"rec_a": RECORDINGS["DAVIS_0000"], "rec_b": RECORDINGS["DAVIS_0002"]}
    write_mat(tmp_path, plain, "Labelled Data/ATIS")
    write_mat(tmp_path, {"rec_c": RECORDINGS["DAVIS_0000"]}, "Labelled Data/DAVIS")
    assert {r.name: r.sensor for r in loaded(tmp_path)} == {
        "rec_a": "ATIS",
        "rec_b": "ATIS",
        "rec_c": "DAVIS",
    }
    assert [entry.name for entry in ebssa(tmp_path, sensor="DAVIS")] == ["rec_c"]
    assert [entry.name for entry in ebssa(tmp_path, sensor="ATIS")] == ["rec_a", "rec_b"]


def test_sensor_by_coordinates_where_no_name_tells(tmp_path):
    write_h5(tmp_path, {"one": recording(0), "two": recording(1, (304, 240))})
    assert [entry.name for entry in ebssa(tmp_path, sensor="ATIS")] == ["two"]
    assert [r.sensor_size for r in loaded(tmp_path, sensor="DAVIS")] == [(240, 180)]


def test_none_of_the_sensor(tmp_path):
    write_h5(tmp_path, {"DAVIS_0000": RECORDINGS["DAVIS_0000"]})
    with pytest.raises(InputError, match="none of 1 recordings is from ATIS"):
        ebssa(tmp_path, sensor="ATIS")
    with pytest.raises(InputError, match="allowed: all, ATIS, DAVIS"):
        ebssa(tmp_path, sensor="davis")


def test_same_file_name_in_two_folders(tmp_path):
    write_mat(tmp_path, {"rec": RECORDINGS["DAVIS_0000"]}, "DAVIS")
    write_mat(tmp_path, {"rec": RECORDINGS["ATIS_0001"]}, "ATIS")
    assert [r.name for r in loaded(tmp_path)] == ["ATIS_rec", "DAVIS_rec"]


@pytest.mark.parametrize("write", [write_h5, write_mat])
def test_truth_beside_is_attached(tmp_path, write):
    write(tmp_path)
    write_truth(tmp_path, "DAVIS_0000")
    found = {r.name: r for r in loaded(tmp_path)}
    truth = found["DAVIS_0000"].truth
    np.testing.assert_array_equal(truth["source"] == SOURCE_OBJECT, np.arange(80) % 4 == 3)
    assert found["DAVIS_0002"].truth is None


@pytest.mark.parametrize("write", [write_h5, write_mat])
def test_truth_of_other_events_is_refused(tmp_path, write):
    write(tmp_path)
    write_truth(tmp_path, "DAVIS_0000", shift=1)
    with pytest.raises(InputError, match="events differ"):
        next(entry for entry in ebssa(tmp_path) if entry.name == "DAVIS_0000").load(True)


@pytest.mark.parametrize("write", [write_h5, write_mat])
def test_a_folder_that_is_called_truth_and_is_not_ours_is_not_looked_at(tmp_path, write):
    """Somebody else's files of the same names, without a manifest of `simulate`, or beside that of something else."""
    write(tmp_path)
    (tmp_path / "truth").mkdir()
    np.savez(tmp_path / "truth" / "DAVIS_0000.npz", boxes=np.zeros((3, 4)))
    (tmp_path / "manifest.json").write_text("not ours")
    list_outputs(tmp_path, "simulate-mat", outputs={"truth/DAVIS_0000.npz": {}, "other.mat": {}})
    list_outputs(tmp_path, "found", "detect")
    assert [r.truth for r in loaded(tmp_path)] == [None] * len(RECORDINGS)


def test_a_damaged_manifest_of_simulate_is_named(tmp_path):
    write_mat(tmp_path)
    write_truth(tmp_path, "DAVIS_0000")
    path = tmp_path / "simulate-h5.manifest.json"
    whole = path.read_text()
    for text in (whole[:-9], whole.replace("truth/DAVIS_0000", "truth/DAVIS_0001")):  # a bit has changed
        path.write_text(text)
        for entry in ebssa(tmp_path):
            with pytest.raises(InputError, match=r"simulate-h5.manifest.json: damaged; simulate again"):
                entry.load(False)


def test_truth_is_dropped_with_its_event(tmp_path):
    td, obj = recording(5, n=200)
    td["x"][7] = 0
    write_mat(tmp_path, {"DAVIS_0005": (td, obj)})
    (tmp_path / "truth").mkdir()
    x = td["x"].astype(int) - 1
    ids = np.arange(200, dtype=np.int32)
    columns = {
        "t": td["ts"],
        "x": x,
        "y": td["y"] - 1,
        "p": td["p"],
        "source": np.ones(200, np.int8),
        "object_id": ids,
    }
    np.savez(tmp_path / "truth" / "DAVIS_0005.npz", **columns)
    list_outputs(tmp_path)
    (found,) = loaded(tmp_path)
    assert found.dropped == {"outside the sensor": 1}
    np.testing.assert_array_equal(found.truth["object_id"], np.delete(ids, 7))


def test_fingerprints_follow_content_and_truth(tmp_path):
    write_h5(tmp_path)
    before = {entry.name: entry.fingerprint for entry in ebssa(tmp_path)}
    assert len(set(before.values())) == len(RECORDINGS)
    assert before == {entry.name: entry.fingerprint for entry in ebssa(tmp_path)}
    write_truth(tmp_path, "DAVIS_0000")
    after = {entry.name: entry.fingerprint for entry in ebssa(tmp_path)}
    assert {name for name in before if before[name] != after[name]} == {"DAVIS_0000"}


def test_entries_travel_to_other_processes(tmp_path):
    write_h5(tmp_path)
    (first, *_) = pickle.loads(pickle.dumps(ebssa(tmp_path)))
    assert first.load(False).name == "ATIS_0001"


def test_lenient_reaches_the_checks(tmp_path):
    td, obj = recording(5)
    td["x"][:8] = 0
    write_mat(tmp_path, {"DAVIS_0005": (td, obj)})
    (entry,) = ebssa(tmp_path)
    with pytest.raises(InputError, match="--lenient"):
        entry.load(False)
    assert entry.load(True).dropped == {"outside the sensor": 8}


def test_matlabs_own_groups_are_no_recordings(tmp_path):
    path = write_h5(tmp_path)
    with h5py.File(path, "a") as file:
        file["#refs#/a"] = np.arange(3)
        file["broken/TD/ts"] = np.arange(3)
    entries = ebssa(tmp_path)
    assert [entry.name for entry in entries] == [*RECORDINGS, "broken"]
    with pytest.raises(InputError, match="broken: TD: x: missing"):
        entries[-1].load(False)


def test_both_formats_in_one_folder_warn(tmp_path):
    write_h5(tmp_path)
    write_mat(tmp_path, {"other": RECORDINGS["DAVIS_0000"]})
    with pytest.warns(UserWarning, match="1 .mat files; the .mat files are ignored"):
        assert "other" not in [entry.name for entry in ebssa(tmp_path)]


def test_two_archives_are_ambiguous(tmp_path):
    write_h5(tmp_path, name="a/labelled_ebssa.h5")
    write_h5(tmp_path, name="b/labelled_ebssa.h5")
    with pytest.raises(InputError, match="holds 2 files"):
        ebssa(tmp_path)


def test_empty_missing_and_foreign_folders(tmp_path):
    with pytest.raises(InputError, match="no recordings"):
        ebssa(tmp_path)
    with pytest.raises(InputError, match=r"not found.*data_root"):
        ebssa(tmp_path / "none")
    (tmp_path / "a.csv").write_text("0,1,1,1\n")
    with pytest.raises(InputError, match="no recordings"):
        ebssa(tmp_path)


def test_damaged_archive(tmp_path):
    path = write_h5(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated or damaged"):
        ebssa(tmp_path)


def test_synthetic_is_the_same_format(tmp_path):
    write_mat(tmp_path)
    assert [entry.name for entry in DATASETS["synthetic"].entries(tmp_path)] == list(RECORDINGS)


def test_the_published_file_is_known_by_size_and_content(tmp_path, monkeypatch):
    path = tmp_path / "labelled_ebssa.h5"
    path.write_bytes(b"twelve bytes")
    entry = Entry("a", path, "", lambda lenient: None)
    assert module.identified([entry, entry]) == {
        str(path): "12 bytes: not the published labelled_ebssa.h5, which has 12,106,528,328"
    }
    monkeypatch.setattr(module, "PUBLISHED_BYTES", 12)
    digest = hashlib.sha256(b"twelve bytes").hexdigest()
    assert f"its SHA-256 {digest} should begin with 50a54035" in module.identified([entry])[str(path)]
    monkeypatch.setattr(module, "PUBLISHED_SHA256", digest[:8])
    assert module.identified([entry])[str(path)] == f"the published labelled_ebssa.h5 (SHA-256 {digest})"
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        module.identified([entry])
