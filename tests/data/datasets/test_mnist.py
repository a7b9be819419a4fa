"""MNIST: idx files; how they are read and refused."""

import gzip
import struct
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewriting import rewrite

from spikeseg.data.datasets.mnist import load_mnist, read_idx
from spikeseg.errors import InputError

PACK = partial(gzip.compress, mtime=0)
"""Without the time, which would stand in the tests' names and differ between processes."""


def idx(array, kind=8, zeros=0):
    return struct.pack(f">HBB{array.ndim}I", zeros, kind, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def made(n=5, size=(3, 4), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size)).astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a-idx3-ubyte"


@pytest.mark.parametrize("pack", [bytes, PACK], ids=["bytes", "gzip"])
def test_idx_comes_back(path, pack):
    for array in (made(), made()[:, 0, 0], made()[..., None], np.zeros((0, 28, 28), np.uint8)):
        rewrite(path, pack(idx(array)))
        np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize("pack", [bytes, PACK], ids=["bytes", "gzip"])
def test_every_truncation_of_an_idx_file_is_noticed(path, pack):
    content = pack(idx(made()))
    for size in range(len(content)):
        rewrite(path, content[:size])
        with pytest.raises(InputError) as caught:
            read_idx(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (idx(made()) + b"\0", r"holds 61 bytes of data, declares \(5, 3, 4\)"),
        (idx(made(), kind=13), "no idx file of unsigned bytes"),
        (idx(made(), zeros=1), "no idx file of unsigned bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), r"holds 0 bytes of data, declares \(2147483648, 2147483648, 214"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 2**32 - 1, 2**32 - 1), "holds 0 bytes of data, declares"),
        (struct.pack(">HBB4I", 0, 8, 4, 2**32 - 1, 0, 2**32 - 1, 1), "holds 0 bytes of data, declares"),
        (struct.pack(">HBB", 0, 8, 0) + b"\0", "no idx file of unsigned bytes"),
        (struct.pack(">HBB5I", 0, 8, 5, 1, 1, 1, 1, 1) + b"\0", "no idx file of unsigned bytes"),
        (b"\x1f\x8b nonsense", "truncated, damaged or unreadable"),
        (PACK(idx(made())) + b"beyond", "truncated, damaged or unreadable"),
        (PACK(idx(made()) + b"\0"), "holds 61 bytes of data, declares"),
        (PACK(b""), "truncated, damaged or unreadable"),
    ],
)
def test_other_files_are_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(path.with_name("none"))


def test_a_declared_size_is_not_taken_from_memory(path):
    path.write_bytes(struct.pack(">HBB2I", 0, 8, 2, 2**31, 2**31) + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="holds 100 bytes of data, declares"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, PACK], ids=["bytes", "gzip"])
def test_damaged_idx_files_are_errors_or_arrays_of_the_declared_shape(path, pack):
    content, rng, errors = pack(idx(made())), np.random.default_rng(0), 0
    for _ in range(1000):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        rewrite(path, damaged)
        try:
            found = read_idx(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            errors += 1
        else:
            inside = gzip.decompress(damaged) if damaged[:2] == b"\x1f\x8b" else damaged
            declared = struct.unpack_from(f">{inside[3]}I", inside, 4)
            assert found.dtype == np.uint8 and found.shape == declared
            assert found.tobytes() == inside[4 + 4 * len(declared) :]
    assert 100 < errors < 1000


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 2**16, 2**31, 2**32 - 1]), min_size=1, max_size=4), st.binary(max_size=24))
def test_any_head_over_any_bytes_is_an_error_or_the_array(tmp_path_factory, shape, rest):
    path = tmp_path_factory.getbasetemp() / "any-idx"
    rewrite(path, struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + rest)
    try:
        found = read_idx(path)
    except InputError:
        assert int(np.prod(shape, dtype=object)) != len(rest) or max(shape) > 2**15
    else:
        assert found.shape == tuple(shape) and found.tobytes() == rest


@pytest.fixture
def mnist(tmp_path):
    for name, n, seed in (("train", 6, 0), ("t10k", 4, 1)):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(made(n, seed=seed)))
        labels = np.arange(n, dtype=np.uint8)
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(PACK(idx(labels)))
    (tmp_path / "README.txt").write_text("digits")
    return tmp_path


def test_the_four_files_of_mnist(mnist):
    found = load_mnist(mnist)
    np.testing.assert_array_equal(found.train.pixels, made(6))
    np.testing.assert_array_equal(found.test.pixels, made(4, seed=1))
    assert found.train.labels.tolist() == list(range(6)) and found.test.labels.dtype == np.int64
    assert found.classes == tuple("012345")
    before = found.fingerprint
    assert load_mnist(mnist).fingerprint == before
    (mnist / "t10k-images-idx3-ubyte").write_bytes(idx(made(4, seed=9)))
    assert load_mnist(mnist).fingerprint != before


def test_files_of_mnist_in_folders_below(mnist):
    before = load_mnist(mnist).fingerprint
    (mnist / "raw").mkdir()
    (mnist / ".old").mkdir()
    (mnist / ".old" / "train-images-idx3-ubyte").write_bytes(b"hidden")
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz"):
        (mnist / name).rename(mnist / "raw" / name)
    assert load_mnist(mnist).fingerprint == before
    (mnist / "train-images-idx3-ubyte").write_bytes(idx(made()))
    with pytest.raises(InputError, match=r"found train-images-idx3-ubyte, raw/train-images-idx3-ubyte$"):
        load_mnist(mnist)


def test_files_of_mnist_without_images_are_refused(mnist):
    (mnist / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 3, 4))))
    (mnist / "t10k-labels-idx1-ubyte.gz").write_bytes(PACK(idx(np.zeros(0))))
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte: \(0, 3, 4\)"):
        load_mnist(mnist)


def test_files_of_mnist_that_are_missing_doubled_or_disagree(mnist):
    (mnist / "train10k-images-idx3-ubyte").write_bytes(idx(made()))
    with pytest.raises(InputError, match=r"one train file named like train-...-idx3.*found train-images.*, train10k"):
        load_mnist(mnist)
    (mnist / "train10k-images-idx3-ubyte").unlink()
    (mnist / "t10k-labels-idx1-ubyte.gz").rename(mnist / "x.gz")
    with pytest.raises(InputError, match=r"one test file named like t10k-...-idx1.*found none"):
        load_mnist(mnist)
    (mnist / "x.gz").rename(mnist / "t10k-labels-idx1-ubyte.gz")
    (mnist / "t10k-images-idx3-ubyte").write_bytes(idx(made(3)))
    with pytest.raises(InputError, match=r"\(3, 3, 4\).*\(4,\); expected images"):
        load_mnist(mnist)
    (mnist / "t10k-images-idx3-ubyte").write_bytes(idx(made(4, (5, 5))))
    with pytest.raises(InputError, match="differ in size"):
        load_mnist(mnist)
