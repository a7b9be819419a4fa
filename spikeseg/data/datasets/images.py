"""Images with classes: what image datasets give, and their split into training and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeseg.errors import InputError, one_line


@dataclass(frozen=True)
class Images:
    """Images of one size.

    Attributes:
        pixels: uint8 (N, H, W).
        labels: int64 (N,), indices of classes.
        objects: str (N,), the object that each shows, within its class; None where that is not told.
    """

    pixels: np.ndarray
    labels: np.ndarray
    objects: np.ndarray | None = None

    def chosen(self, rows: np.ndarray) -> Images:
        """Some of the images."""
        return Images(self.pixels[rows], self.labels[rows], None if self.objects is None else self.objects[rows])


@dataclass(frozen=True)
class ImageSet:
    """Training and test images.

    Attributes:
        train, test: disjoint.
        classes: their names.
        fingerprint: of everything that was read.
        skipped: images that could not be read, by path below the root, with the reason.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    fingerprint: str
    skipped: Mapping[str, str] = field(default_factory=dict)


def dealt(
    labels: np.ndarray, classes: Sequence[str], seed: int, test_ratio: float, objects: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of training and test, sorted: this share of each class is for testing, one image at least; or of its objects, with all
    images of each, where `objects` tells them, str (N,).

    Raises InputError when a class has a single image, or a single object."""
    rng = np.random.default_rng((seed, 1))
    test: list[int] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        units = rows if objects is None else np.unique(objects[rows])
        if len(units) < 2:
            what = "image" if objects is None else f"object by images.group ({one_line(units[0])})"
            raise InputError(f"class {classes[label]} has {len(units)} {what}; expected two at least, one of them to test with")
        kept_back = rng.permutation(units)[: min(len(units) - 1, max(1, round(test_ratio * len(units))))]
        test += kept_back.tolist() if objects is None else rows[np.isin(objects[rows], kept_back)].tolist()
    is_test = np.zeros(len(labels), bool)
    is_test[test] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
