"""Images with classes: what image datasets give, and their split into training and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeseg.errors import InputError


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
        skipped: images that could not be read, by path below the root, with the reason.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    fingerprint: str
    skipped: Mapping[str, str] = field(default_factory=dict)


def dealt(labels: np.ndarray, classes: Sequence[str], seed: int, test_ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of training and test, sorted: this share of each class is for testing, one image at least.

    Raises InputError when a class has a single image."""
    rng = np.random.default_rng((seed, 1))
    test: list[int] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise InputError(f"class {classes[label]} has {len(rows)} image; expected two at least, one of them to test with")
        count = min(len(rows) - 1, max(1, round(test_ratio * len(rows))))
        test += rng.permutation(rows)[:count].tolist()
    is_test = np.zeros(len(labels), bool)
    is_test[test] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
