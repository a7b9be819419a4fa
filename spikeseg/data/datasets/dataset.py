"""What is registered under a dataset's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from .entry import Entry
    from .images import ImageSet


class ImageOptions(NamedTuple):
    """Settings for images, from the configuration.

    Attributes:
        size: (height, width) in pixels; None: as they are.
        seed, test_ratio: how they are split into training and test, where the dataset has no split of its own.
        group: regular expression that finds in a file's name which object it shows; an object's images stay in one part. None:
            images are split one by one.
    """

    size: tuple[int | None, int | None]
    seed: int
    test_ratio: float
    group: str | None = None


class Entries(Protocol):
    """Lists recordings."""

    def __call__(self, root: str | Path, *, sensor: str = "all") -> list[Entry]:
        """The recordings below `root`, of this sensor ("all", "ATIS", "DAVIS"). Raises InputError, naming the root, if there are
        none."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Recordings, or images with classes. It is registered in `spikeseg.registries.DATASETS`, or by an entry point of the group
    ``spikeseg.datasets``.

    Attributes:
        entries: lists recordings; None: it holds images.
        images: reads images, from the root (or "") and the options; None: it holds recordings.
        labelled: whether its recordings tell where objects are, so that a network can be evaluated on them.
        settings: built-in configuration for `classify`; None: its recordings have no classes.
        needs_root: whether it lies in a folder of the user's.
        resizes: whether `images` gives them in the size asked for.
        groups: whether `images` can keep the images of an object together.
        layouts: whether `entries` takes a `layout` (spikeseg.data.readers.Layout): its files may leave columns and units open.
        identified: describes the files of its recordings, by path; such as whether they are the published ones.
        classes: of its recordings, in their order; empty: those that its entries name, sorted.
        frame: (width, height) in which recordings of several sizes are seen by `classify`; None: they are of one size.
        own_split: whether `prepare` keeps to the parts that its entries name, too, not `classify` alone.
    """

    entries: Entries | None = None
    images: Callable[[str, ImageOptions], ImageSet] | None = None
    labelled: bool = True
    settings: str | None = None
    needs_root: bool = True
    resizes: bool = False
    groups: bool = False
    layouts: bool = False
    identified: Callable[[Sequence[Entry]], dict[str, str]] | None = None
    classes: tuple[str, ...] = ()
    frame: tuple[int, int] | None = None
    own_split: bool = False

    def __post_init__(self) -> None:
        if (self.entries is None) == (self.images is None):
            raise ValueError("a dataset has entries (recordings) or images")
