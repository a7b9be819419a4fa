"""EBSSA's .mat files: v5 and v7.3 give the same, 1-based coordinates come back 0-based."""

import h5py
import numpy as np
import pytest
import scipy.io

from spikeseg.data.readers import read
from spikeseg.data.readers.ebssa_mat import read_hdf5, read_mat5
from spikeseg.errors import InputError

N = 50


def structs(width=240, height=180, n=N):
    rng = np.random.default_rng(1)
    td = {
        "ts": np.sort(rng.integers(5_000_000, 6_000_000, n)).astype(float),
        "x": rng.integers(1, width + 1, n).astype(np.uint16),
        "y": rng.integers(1, height + 1, n).astype(np.uint16),
        "p": rng.choice([-1.0, 1.0], n),
    }
    td["x"][:2], td["y"][:2] = (1, width), (1, height)
    obj = {"ts": [5e6, 5.5e6], "x": [1.0, 100.5], "y": [2.0, 50.25], "id": [1.0, 2.0]}
    return td, {name: np.array(values) for name, values in obj.items()}


def save5(path, **content):
    def tall(value):
        return {k: v[:, None] for k, v in value.items()} if isinstance(value, dict) else value

    scipy.io.savemat(path, {name: tall(value) for name, value in content.items()})
    return path


def save73(path, **content):
    """As MATLAB writes v7.3: a text block of 512 bytes, columns as (1, n), empty arrays marked as such."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            fields = {f"{name}/{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
            for field, values in fields.items():
                values = np.asarray(values)
                if values.size:
                    file[field] = values.reshape(1, -1)
                else:
                    file[field] = np.zeros(2, np.uint64)
                    file[field].attrs["MATLAB_empty"] = np.uint8(1)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


SAVE = {"v5": save5, "v7.3": save73}


@pytest.fixture(params=list(SAVE))
def save(request):
    return SAVE[request.param]


def test_events_and_labels_count_from_zero(tmp_path, save):
    td, obj = structs()
    recording = read(save(tmp_path / "rec.mat", TD=td, Obj=obj, nObj=2.0))
    np.testing.assert_array_equal(recording.events["t"], td["ts"])
    np.testing.assert_array_equal(recording.events["x"], td["x"] - 1)
    np.testing.assert_array_equal(recording.events["y"], td["y"] - 1)
    np.testing.assert_array_equal(recording.events["p"], td["p"] == 1)
    assert recording.labels.tolist() == [(5_000_000, 0.0, 1.0, 1), (5_500_000, 99.5, 49.25, 2)]
    assert (recording.name, recording.sensor, recording.sensor_size) == ("rec", "DAVIS", (240, 180))
    assert recording.dropped == {}


def test_zero_in_an_unsigned_array_does_not_wrap(tmp_path, save):
    td, _ = structs(n=200)
    td["x"][5] = 0
    recording = read(save(tmp_path / "rec.mat", TD=td))
    assert recording.dropped == {"outside the sensor": 1}
    assert len(recording.events) == 199


@pytest.mark.parametrize(("width", "height", "sensor"), [(240, 180, "DAVIS"), (304, 240, "ATIS"), (240, 181, "ATIS")])
def test_sensor_by_coordinates(tmp_path, save, width, height, sensor):
    assert read(save(tmp_path / "rec.mat", TD=structs(width, height)[0])).sensor == sensor


def test_sensor_by_name_goes_before_coordinates(tmp_path, save):
    (tmp_path / "ATIS").mkdir()
    td, _ = structs()
    assert read(save(tmp_path / "atis_1.mat", TD=td)).sensor_size == (304, 240)
    assert read(save(tmp_path / "ATIS" / "rec.mat", TD=td)).sensor == "ATIS"
    with pytest.raises(InputError, match="outside the sensor"):
        read(save(tmp_path / "davis_1.mat", TD=structs(304, 240)[0]))


def test_coordinates_of_neither_camera(tmp_path, save):
    with pytest.raises(InputError, match="304 x 240"):
        read(save(tmp_path / "rec.mat", TD=structs(640, 480)[0]))


EMPTY = {name: np.empty(0) for name in ("ts", "x", "y", "id")}


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ({}, None),
        ({"nObj": 3.0}, None),
        ({"nObj": 0.0}, 0),
        ({"Obj": EMPTY}, 0),
        ({"Obj": np.empty((0, 0))}, 0),
        ({"Obj": structs()[1], "nObj": 2.0}, 2),
    ],
)
def test_unlabelled_is_not_without_objects(tmp_path, save, content, labels):
    recording = read(save(tmp_path / "rec.mat", TD=structs()[0], **content))
    assert (recording.labels if labels is None else len(recording.labels)) == labels


def test_missing_parts_are_named(tmp_path, save):
    td, obj = structs()
    with pytest.raises(InputError, match="TD"):
        read(save(tmp_path / "a.mat", spiketrain=np.ones((3, 4))))
    del td["p"]
    with pytest.raises(InputError, match=r"TD.*p"):
        read(save(tmp_path / "b.mat", TD=td))
    del obj["id"]
    with pytest.raises(InputError, match=r"Obj.*id"):
        read(save(tmp_path / "c.mat", TD=structs()[0], Obj=obj))
    with pytest.raises(InputError, match="Obj"):
        read(save(tmp_path / "d.mat", TD=structs()[0], Obj=np.ones((2, 3))))
    with pytest.raises(InputError, match="TD"):
        read(save(tmp_path / "e.mat", TD=np.ones((5, 4))))


def test_fields_must_be_columns_of_one_length(tmp_path, save):
    td, _ = structs()
    with pytest.raises(InputError, match=r"differ in length|one length"):
        read(save(tmp_path / "a.mat", TD=td | {"y": td["y"][:-1]}))
    with pytest.raises(InputError, match="differ in length"):
        read(save(tmp_path / "b.mat", TD=td | {"p": td["p"][:-1]}))


def test_text_where_numbers_belong(tmp_path):
    td, _ = structs()
    scipy.io.savemat(tmp_path / "a.mat", {"TD": td | {"p": "abc"}})
    with pytest.raises(InputError, match=r"TD\.p.*char"):
        read_mat5(tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "b.mat", {"TD": td | {"p": np.ones((5, 2))}})
    with pytest.raises(InputError, match=r"TD\.p.*\(5, 2\)"):
        read_mat5(tmp_path / "b.mat")


def archive(path, names=("ATIS_1", "DAVIS_2")):
    with h5py.File(path, "w") as file:
        for name in names:
            for field, values in structs()[0].items():
                file[f"{name}/TD/{field}"] = values[None]
    return path


def test_one_of_several_recordings_is_named(tmp_path):
    path = archive(tmp_path / "labelled_ebssa.h5")
    recording = read(f"{path}::ATIS_1")
    assert (recording.name, recording.sensor) == ("ATIS_1", "ATIS")
    assert recording.source.endswith("labelled_ebssa.h5::ATIS_1")
    assert read_hdf5(path, "DAVIS_2").sensor == "DAVIS"
    with pytest.raises(InputError, match=r"holds 2 recordings.*::ATIS_1"):
        read(path)
    with pytest.raises(InputError, match=r"DAVIS_3.*DAVIS_2"):
        read(f"{path}::DAVIS_3")


def test_a_single_recording_needs_no_name(tmp_path):
    path = archive(tmp_path / "one.h5", names=("rec",))
    assert len(read(path).events) == N


def test_other_hdf5_is_refused(tmp_path):
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        file["events/x"] = np.arange(4)
    with pytest.raises(InputError, match="no layout known here"):
        read(tmp_path / "dsec.h5")
