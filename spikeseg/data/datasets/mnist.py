"""MNIST: handwritten digits (LeCun et al. 1998, Proc. IEEE 86:2278), as the four idx files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikeseg.core.regular import require_content
from spikeseg.errors import InputError

from .dataset import Dataset
from .entry import checked_root, combined, fingerprint
from .folders import files_below
from .images import Images, ImageSet

IDX_UNSIGNED_BYTE = 8


def load_mnist(root: str | Path) -> ImageSet:
    """MNIST's four files below ``root``, gzipped or not: ``train*images*idx3*``, ``train*labels*idx1*`` and those of ``t10k`` or
    ``test``. Format: http://yann.lecun.com/exdb/mnist/

    Raises InputError: a file is missing, there are several, or one is truncated or no idx file.
    """
    root = checked_root(root, "MNIST")
    files = [path for path, _ in files_below(root)]
    paths: list[Path] = []
    parts = []
    for part, names in (("train", ("train",)), ("test", ("t10k", "test"))):
        images, labels = (_the_file(root, files, part, names, kind) for kind in ("idx3", "idx1"))
        pixels, numbers = read_idx(images), read_idx(labels)
        if pixels.ndim != 3 or not pixels.size or numbers.shape != pixels.shape[:1]:
            raise InputError(f"{images}: {pixels.shape}, {labels}: {numbers.shape}; expected images (N, H, W) and labels (N,)")
        parts.append(Images(pixels, numbers.astype(np.int64)))
        paths += [images, labels]
    if parts[0].pixels.shape[1:] != parts[1].pixels.shape[1:]:
        raise InputError(f"{root}: training and test images differ in size")
    count = 1 + max(int(part.labels.max(initial=0)) for part in parts)
    return ImageSet(parts[0], parts[1], tuple(map(str, range(count))), combined(*map(fingerprint, paths)))


def _the_file(root: Path, files: Sequence[Path], part: str, names: tuple[str, ...], kind: str) -> Path:
    """The one file whose name begins so and holds the kind. Raises InputError where there is none, or several."""
    paths = [path for path in files if kind in path.name and any(path.name.startswith(name) for name in names)]
    if len(paths) != 1:
        listed = ", ".join(str(path.relative_to(root)) for path in paths) or "none"
        raise InputError(f"{root}: expected one {part} file named like {names[0]}-...-{kind}-ubyte[.gz], found {listed}")
    return paths[0]


def read_idx(path: str | Path) -> np.ndarray:
    """The array of unsigned bytes in an idx file, gzipped or not. Raises InputError: truncated, longer, or no idx file."""
    require_content(path)
    try:
        content = Path(path).read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        zeros, kind, axes = struct.unpack_from(">HBB", content)
        if zeros or kind != IDX_UNSIGNED_BYTE or not 1 <= axes <= 4:
            raise InputError(f"{path}: no idx file of unsigned bytes (begins with {content[:4].hex()})")
        shape = struct.unpack_from(f">{axes}I", content, 4)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path}: truncated, damaged or unreadable ({error}); get the file again") from error
    declared, size = math.prod(shape), len(content) - 4 - 4 * axes
    if declared != size or math.prod(filter(None, shape)) >= 2**63:  # no array's size, even if a side of it is 0
        raise InputError(f"{path}: holds {size} bytes of data, declares {shape}; truncated or damaged: get the file again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


DATASET = Dataset(images=lambda root, _options: load_mnist(root), settings="kheradpisheh2018_mnist")
