"""The user's own pictures: a folder per class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spikeseg.core.regular import require_content
from spikeseg.data.readers.recording_path import usable_name
from spikeseg.errors import InputError, one_line

from .dataset import Dataset
from .entry import checked_root, combined, fingerprint
from .images import Images, ImageSet, dealt

PARTS = ("train", "test")
UNREAD = "cannot be read"
"""In the place of the fingerprint of an image that cannot be opened."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")


def load_folders(
    root: str | Path, size: tuple[int | None, int | None], seed: int, test_ratio: float, group: str | None = None
) -> ImageSet:
    """A folder of images per class below ``root``; or below its folders train and test, which then are the split; else the
    images of each class are split at random, or its objects, where ``group`` tells them.

    Args:
        root: the folder.
        size: (height, width) that images are brought to; None: a side that is not given keeps the proportions, both not given:
            images stay as they are, and must be of one size.
        seed: of the split.
        test_ratio: share of each class that is for testing.
        group: regular expression that finds in a file's name which object it shows: its first group in brackets, or else all that
            it matches.

    What cannot be read is left out and named in `ImageSet.skipped`.

    Raises InputError: no such folder, fewer than two classes, a class without an image that can be read, images of several sizes;
    with ``group``, a name in which nothing is found, a class of one object, or an object in train and in test.
    """
    root = checked_root(root, "image")
    if not root.is_dir():
        raise InputError(f"{root}: a file; expected a folder of images per class")
    fixed = all((root / part).is_dir() for part in PARTS)
    tops = {part: root / part for part in PARTS} if fixed else {"": root}
    paths_of = {part: _by_class(top) for part, top in tops.items()}
    classes = sorted(set().union(*paths_of.values()))
    if len(classes) < 2:
        raise InputError(f"{root}: holds {len(classes)} folders of images; expected one per class, two at least")
    absent = sorted(set(classes) - set(paths_of["train"])) if fixed else []
    if absent or not all(paths_of.values()):
        raise InputError(f"{root}: no images in {'train/' + absent[0] if absent else 'test'}")
    read: dict[str, tuple[list[np.ndarray], list[int], list[str]]] = {}
    fingerprints, skipped = [], dict[str, str]()
    for part, by_class in paths_of.items():
        pixels, labels, objects = read.setdefault(part, ([], [], []))
        for path in (path for name in classes for path in by_class.get(name, ())):
            mark, shown = UNREAD, "" if group is None else _object(path, group)
            try:
                mark = fingerprint(path)
                pixels.append(_read_image(path, size))
                labels.append(classes.index(path.parent.name))
                objects.append(shown)
            except InputError as error:
                skipped[one_line(str(path.relative_to(root)))] = str(error)
            fingerprints.append(f"{part}/{path.parent.name} {mark}" + (f" {shown}" if group is not None else ""))
        for name in by_class:
            reasons = [why for path, why in skipped.items() if Path(path).parent == Path(one_line(str(Path(part, name))))]
            if reasons and labels.count(classes.index(name)) < (1 if fixed else 2):
                raise InputError(f"{root}: too few images of {name} can be read; {reasons[0]}")
    shapes = {image.shape for pixels, *_ in read.values() for image in pixels}
    if len(shapes) != 1:
        raise InputError(f"{root}: images of several sizes ({sorted(shapes)[:3]}); set images.height and images.width")
    parts = {
        part: Images(np.stack(pixels), np.array(labels, np.int64), None if group is None else np.array(objects))
        for part, (pixels, labels, objects) in read.items()
    }
    if not fixed:
        rows = dealt(parts[""].labels, classes, seed, test_ratio, parts[""].objects)
        parts = {part: parts[""].chosen(r) for part, r in zip(PARTS, rows, strict=True)}
    elif group is not None:
        _check_apart(root, classes, parts)
    whole = combined(*fingerprints, *classes, str(size), *(() if fixed else (str(seed), str(test_ratio))))
    return ImageSet(parts["train"], parts["test"], tuple(map(usable_name, classes)), whole, skipped)


def _object(path: Path, group: str) -> str:
    """Which object a file shows, by its name. Raises InputError where the name does not tell."""
    if (found := re.search(group, path.name)) is None:
        raise InputError(f"images.group: {group!r} finds nothing in the name {one_line(path.name)} ({path.parent})")
    return str(found.group(1) or "") if found.re.groups else found.group()


def _check_apart(root: Path, classes: Sequence[str], parts: Mapping[str, Images]) -> None:
    """Raise InputError for an object in train and in test."""
    objects = []
    for part in PARTS:
        shown = parts[part].objects
        assert shown is not None
        objects.append(set(zip(parts[part].labels.tolist(), shown.tolist(), strict=True)))
    if both := sorted(objects[0] & objects[1]):
        label, name = both[0]
        raise InputError(f"{root}: images.group finds {one_line(name)} of class {classes[label]} in train and in test")


def _by_class(top: Path) -> dict[str, list[Path]]:
    folders = sorted(folder for folder in top.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    by_class = {folder.name: [path for path in sorted(folder.iterdir()) if _is_image(path)] for folder in folders}
    return {name: paths for name, paths in by_class.items() if paths}


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _read_image(path: Path, size: tuple[int | None, int | None]) -> np.ndarray:
    """uint8 (H, W), grey."""
    from skimage.io import imread
    from skimage.transform import resize

    require_content(path)
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


DATASET = Dataset(
    images=lambda root, options: load_folders(root, *options),
    settings="kheradpisheh2018_caltech",
    resizes=True,
    groups=True,
)
