"""Datasets of another package: `mine`, recordings of the night with labels, and `halves`, images with classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from spikeseg.data.datasets import Dataset, Entry, ImageOptions, fingerprint
from spikeseg.data.datasets.entry import combined
from spikeseg.data.datasets.images import Images, ImageSet
from spikeseg.data.readers import read
from spikeseg.data.readers.labels import read_labels
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError


def load(folder: Path, lenient: bool) -> Recording:
    """The recording of a folder: events.csv (t, x, y, p) with the labels of objects.csv (t_us, x, y, id)."""
    labels = read_labels(folder / "objects.csv")
    return replace(read(folder / "events.csv", labels=labels, lenient=lenient), name=folder.name)


def entries(root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """One recording per folder below the root. Raises InputError where there is none, or a sensor is asked for."""
    folders = sorted(path.parent for path in Path(root).glob("*/events.csv"))
    if not folders or sensor != "all":
        raise InputError(f"{root}: no folder holds events.csv of sensor {sensor}")
    return [
        Entry(
            name=folder.name,
            path=folder / "events.csv",
            fingerprint=combined(fingerprint(folder / "events.csv"), fingerprint(folder / "objects.csv")),
            load=partial(load, folder),
        )
        for folder in folders
    ]


def identified(found: Sequence[Entry]) -> dict[str, str]:
    """Which release the files are of."""
    return {str(entry.path): "first release" for entry in found}


DATASET = Dataset(entries, identified=identified)


def halves(_root: str, options: ImageOptions) -> ImageSet:
    """Twelve images whose left or right half is bright; the last four are for testing."""
    pixels = np.zeros((12, 8, 8), np.uint8)
    pixels[::2, :, :4], pixels[1::2, :, 4:] = 200, 200
    labels = np.arange(12) % 2
    return ImageSet(Images(pixels[:8], labels[:8]), Images(pixels[8:], labels[8:]), ("left", "right"), f"halves {options.seed}")


IMAGES = Dataset(images=halves, needs_root=False, settings="kheradpisheh2018_digits", resizes=True)
