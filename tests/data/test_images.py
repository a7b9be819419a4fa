"""Images with classes: idx files, folders, digits; how they are read, refused and dealt."""

import gzip
import struct

import numpy as np
import pytest
from skimage.io import imsave

from spikeseg.data.images import load_digits, load_folders, load_mnist, read_idx
from spikeseg.errors import InputError


def idx(array, kind=8, zeros=0):
    return struct.pack(f">HBB{array.ndim}I", zeros, kind, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def made(n=5, size=(3, 4), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size)).astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a-idx3-ubyte"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_comes_back(path, pack):
    for array in (made(), made()[:, 0, 0], np.zeros((0, 28, 28), np.uint8)):
        path.write_bytes(pack(idx(array)))
        np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_truncation_of_an_idx_file_is_noticed(path, pack):
    content = pack(idx(made()))
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(InputError) as caught:
            read_idx(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (idx(made()) + b"\0", r"holds 61 bytes of data, declares \(5, 3, 4\)"),
        (idx(made(), kind=13), "no idx file of unsigned bytes"),
        (idx(made(), zeros=1), "no idx file of unsigned bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), r"declares \(2147483648, 2147483648, 2147483648\)"),
        (b"\x1f\x8b nonsense", "truncated, damaged or unreadable"),
    ],
)
def test_other_files_are_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(path)
    with pytest.raises(InputError, match="unreadable"):
        read_idx(path.with_name("none"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_damaged_idx_files_are_errors_or_arrays(path, pack):
    content, rng, errors = pack(idx(made())), np.random.default_rng(0), 0
    for _ in range(1000):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_idx(path).dtype == np.uint8
        except InputError as error:
            assert "\n" not in str(error)
            errors += 1
    assert 100 < errors < 1000 or (pack is gzip.compress and errors > 900)


@pytest.fixture
def mnist(tmp_path):
    for name, n, seed in (("train", 6, 0), ("t10k", 4, 1)):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(made(n, seed=seed)))
        labels = np.arange(n, dtype=np.uint8)
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
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


def pictures(root, classes="ab", n=5, size=(6, 8)):
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k, image in enumerate(made(n, size, seed=label)):
            imsave(root / name / f"{k}.png", image, check_contrast=False)
    return root


def test_a_folder_per_class_is_dealt_by_seed(tmp_path):
    root = pictures(tmp_path / "p", "abc")
    (root / "a" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    found = load_folders(root, (None, None), 42, 0.4)
    assert found.classes == ("a", "b", "c")
    assert np.bincount(found.train.labels).tolist() == [3, 3, 3] and np.bincount(found.test.labels).tolist() == [2, 2, 2]
    everything = {bytes(image) for part in (found.train, found.test) for image in part.pixels}
    assert everything == {bytes(image) for label in range(3) for image in made(5, (6, 8), seed=label)}
    for part in (found.train, found.test):
        for image, label in zip(part.pixels, part.labels, strict=True):
            assert any((image == one).all() for one in made(5, (6, 8), seed=int(label)))
    again, other = load_folders(root, (None, None), 42, 0.4), load_folders(root, (None, None), 43, 0.4)
    np.testing.assert_array_equal(again.test.pixels, found.test.pixels)
    assert again.fingerprint == found.fingerprint != other.fingerprint


def test_folders_train_and_test_are_the_parts(tmp_path):
    pictures(tmp_path / "p" / "train", n=4)
    pictures(tmp_path / "p" / "test", n=2)
    found = load_folders(tmp_path / "p", (None, None), 42, 0.9)
    assert len(found.train.labels) == 8 and len(found.test.labels) == 4
    assert load_folders(tmp_path / "p", (None, None), 1, 0.1).fingerprint == found.fingerprint


def test_images_become_grey_and_of_one_size(tmp_path):
    root = pictures(tmp_path / "p", n=2)
    imsave(root / "a" / "rgb.png", np.full((6, 8, 3), (255, 0, 0), np.uint8), check_contrast=False)
    imsave(root / "b" / "deep.png", np.full((6, 8), 2**15, np.uint16), check_contrast=False)
    found = load_folders(root, (None, None), 0, 0.34)
    values = {int(image[0, 0]) for part in (found.train, found.test) for image in part.pixels if (image == image[0, 0]).all()}
    assert values == {54, 128}  # luminance of red; half of 65535
    imsave(root / "a" / "large.png", made(1, (12, 16))[0], check_contrast=False)
    with pytest.raises(InputError, match=r"several sizes \(\[\(6, 8\), \(12, 16\)\]\); set images.height and images.width"):
        load_folders(root, (None, None), 0, 0.34)
    assert load_folders(root, (3, None), 0, 0.34).train.pixels.shape[1:] == (3, 4)
    assert load_folders(root, (3, 7), 0, 0.34).train.pixels.shape[1:] == (3, 7)


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(InputError, match="not found"):
        load_folders(tmp_path / "none", (None, None), 0, 0.2)
    with pytest.raises(InputError, match="holds 1 folders of images"):
        load_folders(pictures(tmp_path / "one", "a"), (None, None), 0, 0.2)
    with pytest.raises(InputError, match="has 1 image; expected two"):
        load_folders(pictures(tmp_path / "single", n=1), (None, None), 0, 0.2)
    root = pictures(tmp_path / "p")
    content = (root / "a" / "0.png").read_bytes()
    (root / "a" / "0.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"0.png: cannot be read as an image"):
        load_folders(root, (None, None), 0, 0.2)
    (root / "a" / "0.png").write_bytes(b"no image at all")
    with pytest.raises(InputError, match=r"0.png: cannot be read as an image"):
        load_folders(root, (None, None), 0, 0.2)


def test_digits_are_there_and_dealt_by_seed():
    found, other = load_digits(1, 0.2), load_digits(2, 0.2)
    assert found.train.pixels.shape[1:] == (8, 8) and len(found.train.labels) + len(found.test.labels) == 1797
    assert found.train.pixels.max() == 255 and len(found.classes) == 10
    assert (np.bincount(found.test.labels) > 30).all()
    assert found.fingerprint != other.fingerprint and (found.test.labels != other.test.labels).any()
