"""The MATLAB v5 reader: equal to scipy's loadmat on sound files, an InputError on any other."""

import numpy as np
import pytest
import scipy.io
from rewriting import rewrite

from spikeseg.data.readers.mat5 import load_mat5
from spikeseg.errors import InputError

CLASSES = [
    np.float64,
    np.float32,
    np.int8,
    np.uint8,
    np.int16,
    np.uint16,
    np.int32,
    np.uint32,
    np.int64,
    np.uint64,
]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", CLASSES)
@pytest.mark.parametrize("shape", [(7, 1), (1, 1), (1, 3), (4, 5), (0, 0), (3, 0), (2, 3, 4)])
def test_arrays_equal_scipys(tmp_path, dtype, shape, compressed):
    value = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": value, "s": {"b": value, "longer_name": value[:1]}}, do_compression=compressed)
    ours, theirs = load_mat5(path), scipy.io.loadmat(path)
    np.testing.assert_array_equal(ours["a"], theirs["a"], strict=True)
    np.testing.assert_array_equal(ours["s"]["b"], theirs["s"]["b"][0, 0], strict=True)
    np.testing.assert_array_equal(ours["s"]["longer_name"], value[:1], strict=True)


def test_what_is_no_number_is_named_not_read(tmp_path):
    path = tmp_path / "a.mat"
    cell = np.empty((1, 2), object)
    cell[:] = [[1.0, "x"]]
    content = {"text": "hello", "cell": cell, "z": np.array([1j]), "s": {"inner": {"deep": 1.0}, "t": "word"}}
    scipy.io.savemat(path, content)
    ours = load_mat5(path)
    assert ours["text"] == "char" and ours["cell"] == "cell" and ours["z"] == "complex array 1 x 1"
    assert ours["s"] == {"inner": "struct array 1 x 1", "t": "char"}


def big_endian(path):
    """A variable a = [258 772], int16 stored as such, written by a big-endian machine."""
    name, data = b"\0\x01\0\x01a\0\0\0", b"\0\x03\0\0\0\0\0\0"
    flags = b"\0\0\0\x06\0\0\0\x08" + b"\0\0\0\x0a\0\0\0\0"
    sides = b"\0\0\0\x05\0\0\0\x08" + b"\0\0\0\x01\0\0\0\x02"
    data = b"\0\0\0\x03\0\0\0\x04" + b"\x01\x02\x03\x04" + b"\0\0\0\0"
    body = flags + sides + name + data
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\0MI"
    path.write_bytes(header + b"\0\0\0\x0e" + len(body).to_bytes(4, "big") + body)


def test_big_endian(tmp_path):
    big_endian(tmp_path / "a.mat")
    theirs = scipy.io.loadmat(tmp_path / "a.mat")["a"]
    np.testing.assert_array_equal(load_mat5(tmp_path / "a.mat")["a"], [[258, 772]])
    np.testing.assert_array_equal(theirs, [[258, 772]])


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_noticed(tmp_path, compressed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": np.arange(40.0), "s": {"b": np.arange(30)}}, do_compression=compressed)
    whole = path.read_bytes()
    second = 128 + 8 + int.from_bytes(whole[132:136], "little")
    for size in set(range(126, len(whole), 3)) - {128, second}:
        rewrite(path, whole[:size])
        with pytest.raises(InputError, match="truncated or damaged"):
            load_mat5(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_never_escapes_as_another_error(tmp_path, compressed):
    """scipy's loadmat kills the process on some of these."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"TD": {"x": np.arange(9), "y": np.arange(9.0)}, "n": 1.0}, do_compression=compressed)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for at in rng.integers(124, len(whole), 3):
            damaged[at] ^= 1 << int(rng.integers(8))
        rewrite(path, damaged)
        try:
            load_mat5(path)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 100
