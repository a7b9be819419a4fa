"""OrbitSight's folders: labelled events, boxes beside them."""

import numpy as np
import pytest

from spikeseg.data.boxes import BOX_DTYPE, write_boxes
from spikeseg.data.recording import SOURCE_NOISE, SOURCE_OBJECT
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

orbitsight = DATASETS["orbitsight"].entries
NAMES = {
    "Training_sets/DVX_Filtered_Stars3": (640, 480),
    "Testing_sets/DAVIS_pass": (346, 260),
    "Testing_sets/EVK4_0104": (1280, 720),
}


def rows_of(seed, size, kind=np.int64, further=0):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(5_000_000, 5_200_000, 200))
    columns = [rng.integers(0, size[0], 200), rng.integers(0, size[1], 200), rng.integers(0, 2, 200), t, rng.integers(0, 2, 200)]
    return np.stack([*columns, *[t] * further], 1).astype(kind)


@pytest.fixture
def root(tmp_path):
    for k, (name, size) in enumerate(NAMES.items()):
        path = tmp_path / f"{name}_labeled_events.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, rows_of(k, size, (np.int64, np.float64, np.int32)[k], further=k % 2))
        if k < 2:
            boxes = [(5_000_000 + w * 40_000, 5_040_000 + w * 40_000, 40 + 2 * w, 50, 9, 7, 1) for w in range(4)]
            write_boxes(tmp_path / f"{name}_bb_windows_40ms.txt", np.array(boxes, BOX_DTYPE))
    return tmp_path


def test_events_labels_truth_and_parts(root):
    entries = {entry.name: entry for entry in orbitsight(root)}
    assert {name: entry.part for name, entry in entries.items()} == {
        "DVX_Filtered_Stars3": "train",
        "DAVIS_pass": "test",
        "EVK4_0104": "test",
    }
    for k, (path, size) in enumerate(NAMES.items()):
        recording, rows = entries[path.split("/")[1]].load(False), rows_of(k, size)
        assert recording.sensor_size == size and recording.dropped == {}
        for at, field in enumerate("xypt"):
            np.testing.assert_array_equal(recording.events[field], rows[:, at])
        wanted = np.where(rows[:, 4] == 1, SOURCE_OBJECT, SOURCE_NOISE)
        assert (
            recording.truth["source"].tolist() == wanted.tolist() and recording.truth["object_id"].tolist() == rows[:, 4].tolist()
        )
        if k < 2:
            assert recording.labels.tolist() == [(5_020_000 + w * 40_000, 40.0 + 2 * w, 50.0, 1) for w in range(4)]
        else:
            assert recording.labels is None


def test_boxes_count_for_the_fingerprint(root):
    before = {entry.name: entry.fingerprint for entry in orbitsight(root)}
    path = root / "Testing_sets" / "DAVIS_pass_bb_windows_40ms.txt"
    path.write_text(path.read_text().replace("\t9\t7\t", "\t9\t8\t"))
    after = {entry.name: entry.fingerprint for entry in orbitsight(root)}
    assert [name for name in before if before[name] != after[name]] == ["DAVIS_pass"]


def test_what_is_no_such_file_costs_no_other(root):
    np.save(root / "Testing_sets" / "EVK4_0104_labeled_events.npy", np.zeros((3, 4)))
    (root / "Testing_sets" / "DAVIS_pass_labeled_events.npy").write_bytes(b"\x93NUMPY")
    entries = {entry.name: entry for entry in orbitsight(root)}
    with pytest.raises(InputError, match=r"\(3, 4\) of float64; expected rows x, y, p, t, label"):
        entries["EVK4_0104"].load(False)
    with pytest.raises(InputError, match="cannot be read as an array"):
        entries["DAVIS_pass"].load(False)
    assert len(entries["DVX_Filtered_Stars3"].load(False).events) == 200


def test_objects_are_never_unpickled(root):
    np.save(root / "Testing_sets" / "EVK4_0104_labeled_events.npy", np.array([[{}] * 5], object), allow_pickle=True)
    (entry,) = (entry for entry in orbitsight(root) if entry.name == "EVK4_0104")
    with pytest.raises(InputError, match="cannot be read as an array"):
        entry.load(False)


def test_a_folder_without_them(tmp_path):
    with pytest.raises(InputError, match=r"no files \*_labeled_events.npy"):
        orbitsight(tmp_path)
    with pytest.raises(InputError, match="only all is possible"):
        orbitsight(tmp_path, sensor="DAVIS")
