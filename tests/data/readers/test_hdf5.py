"""HDF5 that lies: sizes, links, types. Each is refused before data is read."""

import re

import h5py
import numpy as np
import pytest
from rewriting import rewrite

from spikeseg.data.readers.hdf5 import child, column, opened
from spikeseg.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def get(path, name="x"):
    with opened(path) as file:
        return column(file, name, str(path))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1), (1, 5, 1), (0,), (1, 0)])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_columns_of_any_orientation(path, shape, compression):
    values = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, compression=compression if values.size else None)
    np.testing.assert_array_equal(get(path), values.reshape(-1), strict=True)


def test_a_constant_column_compresses_well_and_is_still_read(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros(2_000_000, np.uint8), compression="gzip", chunks=(1_000_000,))
    assert len(get(path)) == 2_000_000


def test_terabytes_in_a_small_file(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(2**40,), dtype="f8", chunks=(1024,))
        file["x"][:1024] = 1
    with pytest.raises(InputError, match="declares 8796093022208 bytes"):
        get(path)


def test_data_that_was_never_written(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(100,), dtype="f8", chunks=(10,))
    with pytest.raises(InputError, match="stores 0"):
        get(path)


def test_matrix_is_no_column(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((3, 4))
    with pytest.raises(InputError, match=r"\(3, 4\)"):
        get(path)


@pytest.mark.parametrize("value", ["text", np.bytes_(b"raw"), np.array([(1, 2)], "i4,i4"), np.array([1j])])
def test_only_numbers(path, value):
    with h5py.File(path, "w") as file:
        file["x"] = value
    with pytest.raises(InputError, match="expected numbers"):
        get(path)


def test_missing_and_group(path):
    with h5py.File(path, "w") as file:
        file.create_group("g")
    for name in ("x", "g"):
        with pytest.raises(InputError, match=f"{name}: missing"):
            get(path, name)


@pytest.mark.parametrize("there", [True, False])
def test_links_out_of_the_file(path, tmp_path, there):
    if there:
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["x"] = np.arange(3)
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("secret.h5", "/x")
        file["y"] = h5py.SoftLink("/x")
    with opened(path) as file:
        for name in ("x", "y"):
            with pytest.raises(InputError, match="link to elsewhere"):
                child(file, name, str(path))


def test_data_stored_outside(path, tmp_path):
    (tmp_path / "raw.bin").write_bytes(bytes(80))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(10,), dtype="f8", external=[(str(tmp_path / "raw.bin"), 0, 80)])
        layout = h5py.VirtualLayout(shape=(10,), dtype="f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=(10,))
        file.create_virtual_dataset("v", layout)
    for name in ("x", "v"):
        with pytest.raises(InputError, match="outside the file"):
            get(path, name)


def test_truncated(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(1000)
    whole = path.read_bytes()
    for size in range(8, len(whole), 97):
        rewrite(path, whole[:size])
        with pytest.raises(InputError, match="truncated or damaged"):
            get(path)


def test_damaged_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(1000), chunks=(1000,), compression="gzip", fletcher32=True)
        info = file["x"].id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    whole[info.byte_offset + info.size // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(InputError, match="truncated or damaged"):
        get(path)


def test_errors_of_the_body_keep_their_kind(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(ZeroDivisionError), opened(path):
        _ = 1 / 0


def test_shapes_are_told_as_the_writer_counts_them(path):
    for mark, told in ((False, "(3, 5)"), (True, "(5, 3)")):
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros((3, 5))
            if mark:
                file["x"].attrs["MATLAB_class"] = np.bytes_("double")
        with pytest.raises(InputError, match=re.escape(f"x: has shape {told}; expected one column")):
            get(path)
