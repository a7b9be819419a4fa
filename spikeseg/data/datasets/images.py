"""Grey images with classes: MNIST's idx files, a folder per class, scikit-learn's digits."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeseg.errors import InputError

from .entry import checked_root, combined, files_below, fingerprint

PARTS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")
IDX_UNSIGNED_BYTE = 8


@dataclass(frozen=True)
class Images:
    """Images of one size.

    Attributes:
        pixels: uint8 (N, H, W).
        labels: int64 (N,), indices of classes.
    """

    pixels: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class ImageSet:
    """Training and test images.

    Attributes:
        train, test: disjoint.
        classes: their names.
        fingerprint: of everything that was read.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    fingerprint: str


def load_mnist(root: str | Path) -> ImageSet:
    """MNIST's four files below ``root``, gzipped or not: ``train*images*idx3*``, ``train*labels*idx1*`` and those of ``t10k`` or
    ``test``. Format: http://yann.lecun.com/exdb/mnist/

    Raises InputError: a file is missing, there are several, or one is truncated or no idx file.
    """
    root = checked_root(root, "MNIST")
    files = list(files_below(root))
    paths: list[Path] = []
    parts = []
    for part, names in (("train", ("train",)), ("test", ("t10k", "test"))):
        images, labels = (_one(root, files, part, names, kind) for kind in ("idx3", "idx1"))
        pixels, numbers = read_idx(images), read_idx(labels)
        if pixels.ndim != 3 or not pixels.size or numbers.shape != pixels.shape[:1]:
            raise InputError(f"{images}: {pixels.shape}, {labels}: {numbers.shape}; expected images (N, H, W) and labels (N,)")
        parts.append(Images(pixels, numbers.astype(np.int64)))
        paths += [images, labels]
    if parts[0].pixels.shape[1:] != parts[1].pixels.shape[1:]:
        raise InputError(f"{root}: training and test images differ in size")
    count = 1 + max(int(part.labels.max(initial=0)) for part in parts)
    return ImageSet(parts[0], parts[1], tuple(map(str, range(count))), combined(*map(fingerprint, paths)))


def _one(root: Path, files: Sequence[Path], part: str, names: tuple[str, ...], kind: str) -> Path:
    found = [path for path in files if kind in path.name and any(path.name.startswith(name) for name in names)]
    if len(found) != 1:
        listed = ", ".join(str(path.relative_to(root)) for path in found) or "none"
        raise InputError(f"{root}: expected one {part} file named like {names[0]}-...-{kind}-ubyte[.gz], found {listed}")
    return found[0]


def read_idx(path: str | Path) -> np.ndarray:
    """The array of unsigned bytes in an idx file, gzipped or not. Raises InputError: truncated, longer, or no idx file."""
    try:
        content = Path(path).read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        zeros, kind, axes = struct.unpack_from(">HBB", content)
        if zeros or kind != IDX_UNSIGNED_BYTE or not 1 <= axes <= 4:
            raise InputError(f"{path}: no idx file of unsigned bytes (begins with {content[:4].hex()})")
        shape = struct.unpack_from(f">{axes}I", content, 4)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path}: truncated, damaged or unreadable ({error}); get the file again") from error
    wanted, found = math.prod(shape), len(content) - 4 - 4 * axes
    if wanted != found or math.prod(filter(None, shape)) >= 2**63:  # no array's size, even if a side of it is 0
        raise InputError(f"{path}: holds {found} bytes of data, declares {shape}; truncated or damaged: get the file again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def load_digits(seed: int, test_ratio: float) -> ImageSet:
    """scikit-learn's handwritten digits (1797 of 8 x 8, 16 grey values), dealt into training and test by the seed."""
    from sklearn.datasets import load_digits as digits

    held = digits()
    pixels = np.rint(held.images * (255.0 / 16.0)).astype(np.uint8)
    classes = tuple(map(str, range(10)))
    train, test = _dealt(held.target, classes, seed, test_ratio)
    labels = held.target.astype(np.int64)
    one, other = (Images(pixels[rows], labels[rows]) for rows in (train, test))
    return ImageSet(one, other, classes, combined("scikit-learn digits", str(seed), str(test_ratio)))


def load_folders(root: str | Path, size: tuple[int | None, int | None], seed: int, test_ratio: float) -> ImageSet:
    """A folder of images per class below ``root``; or below its folders train and test, which then are the parts, else the seed
    deals the images of each class.

    Args:
        size: (height, width) that images are brought to; None: a side that is not given keeps the proportions, both not given:
            images stay as they are, and must be of one size.

    Raises InputError: no such folder, fewer than two classes, a file that is no image, or images of several sizes.
    """
    root = checked_root(root, "image")
    if not root.is_dir():
        raise InputError(f"{root}: a file; expected a folder of images per class")
    fixed = all((root / part).is_dir() for part in PARTS)
    tops = {part: root / part for part in PARTS} if fixed else {"": root}
    found = {part: _by_class(top) for part, top in tops.items()}
    classes = sorted(set().union(*found.values()))
    if len(classes) < 2:
        raise InputError(f"{root}: holds {len(classes)} folders of images; expected one per class, two at least")
    absent = sorted(set(classes) - set(found["train"])) if fixed else []
    if absent or not all(found.values()):
        raise InputError(f"{root}: no images in {'train/' + absent[0] if absent else 'test'}")
    read, marks = {}, []
    for part, by_class in found.items():
        paths = [path for name in classes for path in by_class.get(name, ())]
        read[part] = [_read_image(path, size) for path in paths], [classes.index(path.parent.name) for path in paths]
        marks += [f"{part}/{path.parent.name} {fingerprint(path)}" for path in paths]
    shapes = {image.shape for pixels, _ in read.values() for image in pixels}
    if len(shapes) != 1:
        raise InputError(f"{root}: images of several sizes ({sorted(shapes)[:3]}); set images.height and images.width")
    parts = {part: Images(np.stack(pixels), np.array(labels, np.int64)) for part, (pixels, labels) in read.items()}
    if not fixed:
        rows = _dealt(parts[""].labels, classes, seed, test_ratio)
        parts = {part: Images(parts[""].pixels[r], parts[""].labels[r]) for part, r in zip(PARTS, rows, strict=True)}
    mark = combined(*marks, *classes, str(size), *(() if fixed else (str(seed), str(test_ratio))))
    return ImageSet(parts["train"], parts["test"], tuple(classes), mark)


def _by_class(top: Path) -> dict[str, list[Path]]:
    folders = sorted(folder for folder in top.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    found = {folder.name: [path for path in sorted(folder.iterdir()) if _is_image(path)] for folder in folders}
    return {name: paths for name, paths in found.items() if paths}


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _read_image(path: Path, size: tuple[int | None, int | None]) -> np.ndarray:
    """uint8 (H, W), grey."""
    from skimage.io import imread
    from skimage.transform import resize

    try:
        grey = imread(path, as_gray=True)
    except Exception as error:  # libraries that read damaged files raise errors of any kind
        raise InputError(f"{path}: cannot be read as an image ({' '.join(str(error).split())})") from error
    grey = grey[0] if grey.ndim == 3 and len(grey) == 1 else grey  # a GIF of one picture
    if grey.ndim != 2 or not grey.size or not np.isfinite(grey).all():
        raise InputError(f"{path}: an image of shape {grey.shape} or with values that are not finite; expected rows and columns")
    values = np.asarray(grey, np.float64)
    if grey.dtype.kind == "u":
        values = values / np.iinfo(grey.dtype).max
    elif values.max() > 1.0:
        values = values / values.max()
    height, width = size
    if height or width:
        rows, columns = grey.shape
        wanted = (height or max(1, round(rows * (width or 1) / columns)), width or max(1, round(columns * (height or 1) / rows)))
        values = resize(values, wanted, anti_aliasing=True)
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


def _dealt(labels: np.ndarray, classes: Sequence[str], seed: int, test_ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of training and test, sorted: of each class this share is for testing, one at least.

    Raises InputError when a class has a single image."""
    rng = np.random.default_rng((seed, 1))
    test: list[int] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise InputError(f"class {classes[label]} has {len(rows)} image; expected two at least, one of them to test with")
        count = min(len(rows) - 1, max(1, round(test_ratio * len(rows))))
        test += rng.permutation(rows)[:count].tolist()
    held = np.zeros(len(labels), bool)
    held[test] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
