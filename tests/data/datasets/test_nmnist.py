"""N-MNIST's folders."""

import pytest

from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

nmnist = DATASETS["nmnist"].entries
EVENT = bytes([3, 4, 128, 0, 10])


def test_bins_in_digit_folders(tmp_path):
    for name in (
        "Train/7/00001.bin",
        "Train/0/00001.bin",
        "Test/7/00001.bin",
        "Train/other/00001.bin",
        "Train/7/x.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(EVENT)
    entries = nmnist(tmp_path)
    assert [entry.name for entry in entries] == ["Test_7_00001", "Train_0_00001", "Train_7_00001"]
    recording = entries[0].load(False)
    assert recording.name == "Test_7_00001" and recording.sensor_size == (34, 34) and recording.labels is None
    assert recording.events.tolist() == [(10, 3, 4, True)]


def test_truncated_files_fail_at_load(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "1.bin").write_bytes(EVENT + b"\0")
    (entry,) = nmnist(tmp_path)
    with pytest.raises(InputError, match="5-byte"):
        entry.load(False)


def test_refused(tmp_path):
    (tmp_path / "a.bin").write_bytes(EVENT)
    with pytest.raises(InputError, match="folders named 0 to 9"):
        nmnist(tmp_path)
    with pytest.raises(InputError, match="not found"):
        nmnist(tmp_path / "none")
    with pytest.raises(InputError, match=r"data.sensor"):
        nmnist(tmp_path, sensor="DAVIS")
