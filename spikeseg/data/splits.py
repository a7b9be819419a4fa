"""Train, validation and test by recording, never by window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from spikeseg.core.kinds import kind_of
from spikeseg.data.readers.recording_path import MEMBER, RecordingPath
from spikeseg.errors import InputError


def split(
    names: Iterable[str], train_ratio: float, test_ratio: float, seed: int, *, folds: int = 0, fold: int = 0
) -> dict[str, str]:
    """Recording -> "train", "val" or "test".

    ``test_ratio`` of all is set apart first; ``train_ratio`` of the remainder trains, the rest
    validates. With ``folds`` of 1 or more, the remainder is dealt out in turn to that many folds instead: fold number ``fold``
    (from 1) validates, the others train.
    Counts are rounded half up. With two recordings or more, train is never empty; with three or more and a
    test_ratio above 0, neither is test.

    Drawn in the order of SHA-256 over seed and name: independent of the order of ``names``, of the platform
    and of library versions. The result is sorted by name.

    Raises InputError if a ratio is outside 0 to 1, a name occurs twice, the fold is none of the folds, or the remainder does not
    fill them.
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
    if folds or fold:
        return _dealt(drawn, n_test, folds, fold)
    n_train = _rounded(train_ratio * rest)
    if n >= 2:
        n_train = max(n_train, 1)
    parts = ["test"] * n_test + ["train"] * n_train + ["val"] * (rest - n_train)
    return dict(sorted(zip(drawn, parts, strict=True)))


def read_list(path: str | Path) -> list[str]:
    """The lines of a file that lists recordings, without empty ones and those that begin with #.

    Raises InputError where it cannot be read, or lists none or one twice."""
    try:
        lines = [line.strip() for line in Path(path).expanduser().read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is {kind_of(path)}; expected text, a name or path a line"
        raise InputError(f"{path}: cannot be read as a list of recordings ({reason})") from None
    listed = [line for line in lines if line and not line.startswith("#")]
    if not listed:
        raise InputError(f"{path}: lists no recording; name one a line, by its name or its path")
    if twice := [line for line in listed if listed.count(line) > 1]:
        raise InputError(f"{path}: lists {twice[0]} twice")
    return listed


def split_by_lists(names: Iterable[str], listed: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Recording -> the split whose list names it, "test" where none does. The result is sorted by name.

    Args:
        names: of the recordings.
        listed: split -> names or paths; a path stands for the recording that is called like its file, whatever its folder.

    Raises InputError where a list names what is no recording, or one that is in the other list.
    """
    parts = dict.fromkeys(sorted(names), "test")
    for own, lines in listed.items():
        for line in lines:
            name = line if line in parts else RecordingPath(*line.rsplit(MEMBER, 1)).name
            if name not in parts:
                some = f"one of {len(parts)} recordings, such as {next(iter(parts))}" if parts else "a recording; there is none"
                raise InputError(f"data.{own}_recordings: lists {line}, must be {some}")
            if parts[name] != "test":
                raise InputError(f"data.{own}_recordings: lists {line}, which is already one that {parts[name]} has")
            parts[name] = own
    return parts


def _dealt(drawn: list[str], n_test: int, folds: int, fold: int) -> dict[str, str]:
    """The split of one fold, of names in the order in which they were drawn."""
    rest = drawn[n_test:]
    if folds < 2:
        raise InputError(f"data.folds: {folds}; allowed: 0, for none (data.fold is then 0, too), or 2 and more")
    if not 1 <= fold <= folds:
        raise InputError(f"data.fold: {fold}; allowed: 1 to data.folds ({folds})")
    if len(rest) < folds:
        raise InputError(
            f"data.folds: {folds}, but the test split (data.test_ratio) leaves {len(rest)} of {len(drawn)} recordings; "
            "ask for fewer folds or prepare more recordings"
        )
    parts = dict.fromkeys(drawn[:n_test], "test")
    parts |= {name: "val" if i % folds == fold - 1 else "train" for i, name in enumerate(rest)}
    return dict(sorted(parts.items()))


def _rounded(value: float) -> int:
    """Half up; a hair below a half, as 0.29 * 50 gives, counts as the half."""
    return int(value + 0.5 + 1e-9)
