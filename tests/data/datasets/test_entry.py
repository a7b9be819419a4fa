"""Fingerprints and names of recordings."""

import hashlib

import pytest

from spikeseg.data.datasets.entry import combined, fingerprint, unique_names
from spikeseg.data.datasets.folders import files_below
from spikeseg.errors import InputError


def test_small_files_are_hashed_whole(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    assert fingerprint(path) == hashlib.sha256(b"content").hexdigest()


def test_a_change_anywhere_in_a_large_file_counts(tmp_path):
    """Above 64 MiB, too, of which places alone were once looked at."""
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(80 * 2**20)
    before = fingerprint(path)
    with path.open("r+b") as file:
        file.seek(70 * 2**20)
        file.write(b"x")
    assert fingerprint(path) != before


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        fingerprint(tmp_path / "none")


def test_parts_are_kept_apart():
    assert combined("a", "bc") != combined("ab", "c")


def test_names_grow_only_as_far_as_needed(tmp_path):
    def names(*paths, **options):
        return list(unique_names(tmp_path, [tmp_path / path for path in paths], **options).values())

    assert names("x/a.mat", "y/b.mat") == ["a", "b"]
    assert names("x/a.mat", "y/a.mat") == ["x_a", "y_a"]
    assert names("x/a.mat", "x/a.npy") == ["x_a.mat", "x_a.npy"]
    assert names("x_a.mat", "x/a.mat") == ["x_a", "a"]
    assert names("x_y.m", "x/y.m", "x/x_y.m", "y.m", "x_y.m_2") == [
        "x_y.m",
        "x_y.m_2",
        "x_x_y.m",
        "y.m",
        "x_y.m_2_2",
    ]
    assert names("Train/7/1.bin", full=True) == ["Train_7_1"]


def test_a_root_that_is_a_file_has_its_own_name(tmp_path):
    path = tmp_path / "a.mat"
    assert unique_names(path, [path]) == {path: "a"}
    assert unique_names(path, [path], full=True) == {path: "a"}


def test_hidden_files_are_left_out_and_the_rest_sorted(tmp_path):
    for name in ("b/2", "b/1", ".hidden/x", "a", ".x", "c/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path, _ in files_below(tmp_path)] == ["a", "b/1", "b/2", "c/d/e"]
