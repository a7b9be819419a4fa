"""Folders of pictures: how they are read, refused and dealt."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rewriting import rewrite
from skimage.io import imsave

from spikeseg.data.datasets.image_folders import SUFFIXES, load_folders
from spikeseg.errors import InputError


def made(n=5, size=(3, 4), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size)).astype(np.uint8)


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


def by_value(root, classes, names, start=0):
    """Images of one grey value each, so that every file can be told."""
    values = {}
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for k in range(names):
            values[start + len(values)] = name
            imsave(root / name / f"{k}.png", np.full((2, 3), start + len(values) - 1, np.uint8), check_contrast=False)
    return values


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_every_image_is_dealt_once_with_its_class(the_values, seed, ratio):
    root, values = the_values
    found = load_folders(root, (None, None), seed, ratio)
    parts = [{int(image[0, 0]): int(label) for image, label in zip(part.pixels, part.labels, strict=True)}
             for part in (found.train, found.test)]  # fmt: skip
    assert not parts[0].keys() & parts[1].keys()
    assert {value: found.classes[label] for part in parts for value, label in part.items()} == values
    counts = np.bincount(found.test.labels)
    assert counts.tolist() == [min(6, max(1, round(ratio * 7)))] * 3


@pytest.fixture(scope="module")
def the_values(tmp_path_factory):
    root = tmp_path_factory.mktemp("values")
    return root, by_value(root, "abc", 7)


def test_folders_train_and_test_are_the_parts(tmp_path):
    root = tmp_path / "p"
    known = [by_value(root / "train", "ab", 4), by_value(root / "test", "ab", 2, 100)]
    found = load_folders(root, (None, None), 42, 0.9)
    for part, values in zip((found.train, found.test), known, strict=True):
        told = {int(image[0, 0]): found.classes[label] for image, label in zip(part.pixels, part.labels, strict=True)}
        assert told == values
    assert load_folders(root, (None, None), 1, 0.1).fingerprint == found.fingerprint


def test_folders_train_and_test_have_to_hold_images_of_one_size(tmp_path):
    root = pictures(tmp_path / "p" / "train", n=2).parent
    pictures(root / "test", n=2, size=(12, 16))
    with pytest.raises(InputError, match=r"several sizes.*set images.height and images.width"):
        load_folders(root, (None, None), 0, 0.2)
    assert load_folders(root, (6, None), 0, 0.2).test.pixels.shape == (4, 6, 8)
    pictures(root / "test", "z")
    with pytest.raises(InputError, match="no images in train/z"):
        load_folders(root, (6, None), 0, 0.2)
    (root / "other").mkdir()
    (root / "test").rename(root / "other" / "test")
    (root / "test").mkdir()
    with pytest.raises(InputError, match="no images in test"):
        load_folders(root, (6, None), 0, 0.2)


def test_the_fingerprint_tells_content_class_part_size_and_seed_of_the_split(tmp_path):
    root, parts = tmp_path / "p", tmp_path / "q"
    by_value(root, "ab", 3)
    by_value(parts / "train", "ab", 3)
    by_value(parts / "test", "ab", 3, 50)

    def marks(root):
        ways = (None, 1, 0.4), (4, 1, 0.4), (None, 2, 0.4), (None, 1, 0.3)
        return [load_folders(root, (height, None), seed, ratio).fingerprint for height, seed, ratio in ways]

    assert len(set(marks(root))) == 4 and len(set(marks(parts))) == 2
    before = marks(root)[0], marks(parts)[0]
    (root / "a" / "2.png").rename(root / "b" / "-1.png")  # the order of all images stays
    (parts / "train" / "b" / "2.png").rename(parts / "test" / "a" / "-1.png")
    moved = marks(root)[0], marks(parts)[0]
    assert moved[0] != before[0] and moved[1] != before[1]
    imsave(root / "b" / "0.png", np.full((2, 3), 77, np.uint8), check_contrast=False)
    assert marks(root)[0] != moved[0]


def test_hidden_files_folders_and_other_files_are_left_out(tmp_path):
    root = pictures(tmp_path / "p")
    before = load_folders(root, (None, None), 0, 0.4)
    for name in ("._0.png", ".png", "notes.txt", "image"):
        (root / "a" / name).write_bytes(b"no image")
    (root / "a" / "folder.png").mkdir()
    (root / "empty").mkdir()
    (root / "top.png").write_bytes(b"no image")
    pictures(root / ".hidden")
    after = load_folders(root, (None, None), 0, 0.4)
    assert after.fingerprint == before.fingerprint and after.classes == ("a", "b") and len(after.train.labels) == 6


def read(tmp_path, array, suffix=".png", size=(None, None)):
    """What becomes of an image in a file of this kind."""
    for name in "ab":
        (tmp_path / name).mkdir(exist_ok=True)
        for k in range(2):
            imsave(tmp_path / name / f"{k}{suffix}", array, check_contrast=False)
    return load_folders(tmp_path, size, 0, 0.5).train.pixels[0]


@pytest.mark.parametrize(
    "suffix, array, wanted",
    [
        (".png", np.array([[0, 255], [128, 7]], np.uint8), [[0, 255], [128, 7]]),
        (".png", np.array([[0, 1], [1, 0]], np.uint8), [[0, 1], [1, 0]]),
        (".png", np.array([[0, 65535], [32768, 257]], np.uint16), [[0, 255], [128, 1]]),
        (".png", np.array([[0, 1], [1, 0]], np.uint16), [[0, 0], [0, 0]]),
        (".png", np.zeros((2, 2), np.uint16), [[0, 0], [0, 0]]),
        (".png", np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8), [[54, 182], [18, 255]]),
        (".png", np.array([[[255] * 4, [0, 0, 0, 255]], [[0] * 4, [9, 9, 9, 255]]], np.uint8), [[255, 0], [255, 9]]),
        (".tif", np.array([[0.0, 1.0], [0.5, 0.1]], np.float32), [[0, 255], [128, 26]]),
        (".tif", np.array([[-3.0, 10.0], [5.0, 1.0]], np.float64), [[0, 255], [128, 26]]),
        (".tif", np.array([[0, 4000], [2000, 400]], np.int32), [[0, 255], [128, 26]]),
        (".tif", np.array([[0, 65535], [32768, 257]], np.uint16), [[0, 255], [128, 1]]),
    ],
)  # fmt: skip
def test_grey_values(tmp_path, suffix, array, wanted):
    found = read(tmp_path, array, suffix)
    assert found.dtype == np.uint8 and found.tolist() == wanted


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_is_read(tmp_path, suffix):
    image = np.repeat(np.array([[0, 60], [120, 240]], np.uint8), 8, 0).repeat(8, 1)
    for name in "ab":
        (tmp_path / name).mkdir()
        for k in range(2):
            Image.fromarray(image).save(tmp_path / name / f"{k}{suffix}")
    found = load_folders(tmp_path, (None, None), 0, 0.5).train.pixels
    assert found.shape == (2, 16, 16) and np.abs(found.astype(int) - image).max() <= (4 if "jp" in suffix else 0)


def test_resizing_keeps_proportions_and_grey_values(tmp_path):
    image = np.zeros((20, 40), np.uint8)
    image[:, 20:] = 200
    assert read(tmp_path, image, size=(20, None)).tolist() == image.tolist()
    half = read(tmp_path, image, size=(10, None))
    assert half.shape == (10, 20) and half[0, 0] == 0 and abs(int(half[0, -1]) - 200) <= 1
    assert read(tmp_path, image, size=(None, 10)).shape == (5, 10)
    assert read(tmp_path, image, size=(None, 1)).shape == (1, 1)
    assert read(tmp_path, image, size=(3, 7)).shape == (3, 7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif", ".pgm"])
def test_damaged_images_are_errors_or_images(tmp_path, suffix):
    """Cut at every byte: an error, or everything was there; single bytes changed: an error or an image."""
    read(tmp_path, made(1, (4, 5))[0], ".png")
    path, rng = tmp_path / "a" / f"0{suffix}", np.random.default_rng(0)
    (tmp_path / "a" / "0.png").unlink()
    Image.fromarray(np.arange(0, 200, 10, dtype=np.uint8).reshape(4, 5)).save(path)
    content, whole, errors = path.read_bytes(), load_folders(tmp_path, (4, 5), 0, 0.5), 0
    cuts = [content[:size] for size in range(0, len(content), max(1, len(content) // 40))]
    changed = []
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        changed.append(bytes(damaged))
    for number, damaged in enumerate(cuts + changed):
        rewrite(path, damaged)
        try:
            found = load_folders(tmp_path, (4, 5), 0, 0.5)
        except InputError as error:
            assert str(error).startswith(f"{tmp_path}: too few images of a can be read; {path}: ") and "\n" not in str(error)
            errors += 1
        else:
            assert found.train.pixels.dtype == np.uint8
            if number < len(cuts):
                np.testing.assert_array_equal(found.train.pixels, whole.train.pixels)
                np.testing.assert_array_equal(found.test.pixels, whole.test.pixels)
    assert errors >= 0.8 * len(cuts)


def test_several_pictures_in_one_file_and_values_that_are_not_finite_are_left_out(tmp_path):
    root = pictures(tmp_path / "p")
    first, second = (Image.fromarray(image) for image in made(2, (6, 8)))
    first.save(root / "a" / "x.gif", save_all=True, append_images=[second])
    found = load_folders(root, (None, None), 0, 0.2)
    assert len(found.train.labels) == 8 and "x.gif: an image of shape (2, 6, 8)" in found.skipped["a/x.gif"]
    (root / "a" / "x.gif").unlink()
    for value in (np.nan, np.inf):
        imsave(root / "a" / "x.tif", np.full((6, 8), value, np.float32), check_contrast=False)
        assert "not finite" in load_folders(root, (None, None), 0, 0.2).skipped["a/x.tif"]


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
    (tmp_path / "file.png").write_bytes(b"no folder")
    with pytest.raises(InputError, match=r"file.png: a file; expected a folder"):
        load_folders(tmp_path / "file.png", (None, None), 0, 0.2)
    with pytest.raises(InputError, match="holds 1 folders of images"):
        load_folders(pictures(tmp_path / "one", "a"), (None, None), 0, 0.2)
    with pytest.raises(InputError, match="class a has 1 image; expected two"):
        load_folders(pictures(tmp_path / "single", n=1), (None, None), 0, 0.2)
    root = pictures(tmp_path / "p")
    for path in sorted((root / "a").iterdir()):
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"too few images of a can be read; .*0.png: cannot be read as an image"):
        load_folders(root, (None, None), 0, 0.2)


def test_what_is_no_file_costs_no_other_image(tmp_path):
    """A pipe would be waited for, a link to a device never ends, pointers of git-annex and Git LFS are no pictures."""
    root, sound = pictures(tmp_path / "p"), load_folders(pictures(tmp_path / "q"), (None, None), 0, 0.2)
    os.mkfifo(root / "a" / "pipe.png")
    for name, target in (
        ("zero", "/dev/zero"),
        ("gone", "nowhere"),
        ("self", "self.png"),
        ("annexed", "../.git/annex/objects/K"),
    ):
        (root / "b" / f"{name}.png").symlink_to(target)
    (root / "b" / "lfs.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (root / "b" / "annex.png").write_text("/annex/objects/MD5-s5--0.png\n")
    found = load_folders(root, (None, None), 0, 0.2)
    assert found.fingerprint != sound.fingerprint and found.classes == sound.classes
    for ours, theirs in ((found.train, sound.train), (found.test, sound.test)):
        assert np.array_equal(ours.pixels, theirs.pixels) and np.array_equal(ours.labels, theirs.labels)
    said = {"a/pipe.png": "pipe", "b/zero.png": "device", "b/gone.png": "link to nowhere", "b/self.png": "back to itself"}
    said |= {"b/annexed.png": "git annex get annexed.png", "b/annex.png": "git annex get", "b/lfs.png": "git lfs pull"}
    assert found.skipped.keys() == said.keys() and all(word in found.skipped[name] for name, word in said.items())


def of_objects(root, views=3):
    """Images of one grey value each, named by object: a1 to a4 of class a, b1 to b3 of class b; -> their object by value."""
    values = {}
    for name in ("a1", "a2", "a3", "a4", "b1", "b2", "b3"):
        (root / name[0]).mkdir(parents=True, exist_ok=True)
        for view in range(views):
            values[len(values)] = name
            imsave(root / name[0] / f"{name}-{view}.png", np.full((2, 3), len(values) - 1, np.uint8), check_contrast=False)
    return values


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_images_of_an_object_stay_together(the_objects, seed, ratio):
    root, values = the_objects
    found = load_folders(root, (None, None), seed, ratio, r"^(\w+?)-")
    parts = []
    for part in (found.train, found.test):
        told = [values[int(image[0, 0])] for image in part.pixels]
        assert told == part.objects.tolist() and {name: told.count(name) for name in told} == dict.fromkeys(told, 3)
        assert [found.classes[label] for label in part.labels] == [name[0] for name in told]
        parts.append(set(told))
    assert not parts[0] & parts[1] and parts[0] | parts[1] == set(values.values())
    counts = [sum(name[0] == of for name in parts[1]) for of in "ab"]
    assert counts == [min(n - 1, max(1, round(ratio * n))) for n in (4, 3)]


@pytest.fixture(scope="module")
def the_objects(tmp_path_factory):
    root = tmp_path_factory.mktemp("objects")
    return root, of_objects(root)


def test_how_objects_are_told(tmp_path):
    """By the pattern's first group in brackets, or else all that it matches; within a class."""
    root = tmp_path / "p"
    of_objects(root)
    for group in (r"^(\w+?)-", r"^\w\d"):
        assert set(load_folders(root, (None, None), 0, 0.5, group).train.objects) < {"a1", "a2", "a3", "a4", "b1", "b2", "b3"}
    views = load_folders(root, (None, None), 0, 0.3, r"\d(?=\.png)")
    assert len(set(views.test.objects)) <= 2 and len(views.test.pixels) == 7
    assert load_folders(root, (None, None), 0, 0.3).train.objects is None
    marks = {load_folders(root, (None, None), 0, 0.3, group).fingerprint for group in (None, r"^(\w+?)-", r"\d(?=\.png)")}
    assert len(marks) == 3
    with pytest.raises(InputError, match=r"images.group: 'x' finds nothing in the name a1-0.png"):
        load_folders(root, (None, None), 0, 0.3, "x")
    with pytest.raises(InputError, match=r"class a has 1 object by images.group \(a\); expected two at least"):
        load_folders(root, (None, None), 0, 0.3, r"^\w")


def test_an_object_in_train_and_in_test_is_refused(tmp_path):
    root = tmp_path / "p"
    for part in ("train", "test"):
        of_objects(root / part)
    with pytest.raises(InputError, match=r"images.group finds a1 of class a in train and in test"):
        load_folders(root, (None, None), 0, 0.3, r"^(\w+?)-")
    for path in (root / "test").rglob("*.png"):
        path.rename(path.with_name(f"x{path.name}"))
    assert set(load_folders(root, (None, None), 0, 0.3, r"^(\w+?)-").test.objects) >= {"xa1", "xb1"}
