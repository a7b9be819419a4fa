"""split(): by recording, seeded, whatever the order of names."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeseg.data.splits import split
from spikeseg.errors import InputError

ratios = st.floats(0, 1)


def names(n):
    return [f"DAVIS_{index:04d}" for index in range(n)]


@given(st.integers(0, 40), ratios, ratios, st.integers(0, 5))
def test_every_recording_is_in_one_part(n, train, test, seed):
    parts = split(names(n), train, test, seed)
    assert sorted(parts) == names(n)
    assert set(parts.values()) <= {"train", "val", "test"}
    count = Counter(parts.values())
    if n >= 2:
        assert count["train"] >= 1
    if n >= 3 and test > 0:
        assert count["test"] >= 1
    if test == 0:
        assert count["test"] == 0


@given(st.permutations(names(9)), st.integers(0, 3))
def test_order_of_names_does_not_matter(shuffled, seed):
    assert split(shuffled, 0.8, 0.2, seed) == split(names(9), 0.8, 0.2, seed)


@pytest.mark.parametrize(
    ("n", "train", "test", "expected"),
    [
        (24, 0.9, 0.2, {"test": 5, "train": 17, "val": 2}),
        (10, 0.5, 0.5, {"test": 5, "train": 3, "val": 2}),
        (50, 1.0, 0.29, {"test": 15, "train": 35}),
        (3, 0.9, 0.01, {"test": 1, "train": 2}),
        (3, 0.0, 1.0, {"test": 2, "train": 1}),
        (2, 0.9, 0.2, {"train": 2}),
        (2, 0.9, 0.9, {"test": 1, "train": 1}),
        (1, 0.9, 0.2, {"train": 1}),
        (1, 0.9, 1.0, {"test": 1}),
        (0, 0.9, 0.2, {}),
    ],
)
def test_counts(n, train, test, expected):
    assert Counter(split(names(n), train, test, 42).values()) == expected


def test_seed_draws_another_test_split():
    drawn = {frozenset(n for n, part in split(names(20), 0.9, 0.2, s).items() if part == "test") for s in range(8)}
    assert len(drawn) > 4


def test_fixed_for_good():
    """One seed means one split in every version: a change here would spoil the comparison of results."""
    parts = split(names(6), 0.75, 0.3, 42)
    assert [parts[name] for name in names(6)] == ["train", "val", "test", "train", "test", "train"]


def test_two_of_a_name_are_refused():
    with pytest.raises(InputError, match="a"):
        split(["a", "b", "a"], 0.9, 0.2, 0)


@pytest.mark.parametrize(("train", "test"), [(1.1, 0.2), (-0.1, 0.2), (0.9, 2), (0.9, float("nan"))])
def test_ratios_outside_their_range(train, test):
    with pytest.raises(InputError, match="0 to 1"):
        split(names(4), train, test, 0)


@given(st.integers(2, 40), ratios.filter(lambda test: test <= 0.9), st.integers(0, 5), st.integers(2, 6))
def test_folds_hold_out_every_recording_once_and_leave_the_test_split_as_it_is(n, test, seed, folds):
    plain = {name for name, part in split(names(n), 0.7, test, seed).items() if part == "test"}
    if n - len(plain) < folds:
        with pytest.raises(InputError, match=r"data\.folds.*leaves"):
            split(names(n), 0.7, test, seed, folds=folds, fold=1)
        return
    parts = [split(names(n), 0.7, test, seed, folds=folds, fold=k) for k in range(1, folds + 1)]
    held = [name for part in parts for name in part if part[name] == "val"]
    assert sorted(held) == sorted(set(names(n)) - plain)
    assert all({name for name in part if part[name] == "test"} == plain and list(part) == names(n) for part in parts)
    sizes = [Counter(part.values())["val"] for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("folds", "fold", "key"), [(1, 1, "folds"), (0, 2, "folds"), (3, 0, "fold"), (3, 4, "fold")])
def test_a_fold_that_is_none_is_refused(folds, fold, key):
    with pytest.raises(InputError, match=rf"data\.{key}: "):
        split(names(9), 0.9, 0.2, 0, folds=folds, fold=fold)
