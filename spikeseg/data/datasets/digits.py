"""scikit-learn's handwritten digits: nothing to download."""

from __future__ import annotations

import numpy as np

from .dataset import Dataset
from .entry import combined
from .images import Images, ImageSet, dealt


def load_digits(seed: int, test_ratio: float) -> ImageSet:
    """scikit-learn's handwritten digits (1797 of 8 x 8, 16 grey values), split into training and test by the seed."""
    from sklearn.datasets import load_digits as fetch

    digits = fetch()
    pixels = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    classes = tuple(map(str, range(10)))
    train, test = dealt(digits.target, classes, seed, test_ratio)
    labels = digits.target.astype(np.int64)
    parts = [Images(pixels[rows], labels[rows]) for rows in (train, test)]
    return ImageSet(parts[0], parts[1], classes, combined("scikit-learn digits", str(seed), str(test_ratio)))


DATASET = Dataset(
    images=lambda _root, options: load_digits(options.seed, options.test_ratio),
    needs_root=False,
    settings="kheradpisheh2018_digits",
)
