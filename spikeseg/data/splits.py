"""Train, validation and test by recording, never by window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from spikeseg.errors import InputError


def split(names: Iterable[str], train_ratio: float, test_ratio: float, seed: int) -> dict[str, str]:
    """Recording -> "train", "val" or "test".

    ``test_ratio`` of all is set apart first; ``train_ratio`` of the remainder trains, the rest validates.
    Counts are rounded half up. With two recordings or more, train is never empty; with three or more and a
    test_ratio above 0, neither is test.

    Drawn in the order of SHA-256 over seed and name: independent of the order of ``names``, of the platform
    and of library versions. The result is sorted by name.

    Raises InputError if a ratio is outside 0 to 1 or a name occurs twice.
    """
    for key, ratio in (("data.train_ratio", train_ratio), ("data.test_ratio", test_ratio)):
        if not 0 <= ratio <= 1:
            raise InputError(f"{key}: {ratio}; allowed: 0 to 1")
    names = list(names)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"splits: recordings named twice: {', '.join(twice[:3])}; names must be unique")
    drawn = sorted(names, key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
    n = len(drawn)
    n_test = _rounded(test_ratio * n)
    if n >= 3 and test_ratio > 0:
        n_test = max(n_test, 1)
    if n >= 2:
        n_test = min(n_test, n - 1)
    rest = n - n_test
    n_train = _rounded(train_ratio * rest)
    if n >= 2:
        n_train = max(n_train, 1)
    parts = ["test"] * n_test + ["train"] * n_train + ["val"] * (rest - n_train)
    return dict(sorted(zip(drawn, parts, strict=True)))


def _rounded(value: float) -> int:
    """Half up; a hair below a half, as 0.29 * 50 gives, counts as the half."""
    return int(value + 0.5 + 1e-9)
