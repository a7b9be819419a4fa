"""Fingerprints and names of recordings."""

import hashlib

import pytest

from spikeseg.data.datasets import entry
from spikeseg.data.datasets.entry import combined, fingerprint, unique_names
from spikeseg.data.datasets.folders import files_below
from spikeseg.errors import InputError


def test_small_files_are_hashed_whole(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    assert fingerprint(path) == hashlib.sha256(b"content").hexdigest()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(entry, "WHOLE_BYTES", 64)
    monkeypatch.setattr(entry, "BLOCK_BYTES", 4)


@pytest.mark.parametrize(
    ("at", "noticed"),
    [(0, True), (3, True), (4, False), (63, False), (64, True), (130, True), (160, False), (199, True)],
)
@pytest.mark.usefixtures("small_blocks")
def test_large_files_by_samples(tmp_path, at, noticed):
    content = bytearray(range(200))
    (tmp_path / "a").write_bytes(content)
    content[at] ^= 1
    (tmp_path / "b").write_bytes(content)
    assert (fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")) == noticed


@pytest.mark.usefixtures("small_blocks")
def test_the_size_of_large_files_counts(tmp_path):
    (tmp_path / "a").write_bytes(bytes(200))
    (tmp_path / "b").write_bytes(bytes(201))
    (tmp_path / "c").write_bytes(bytes(64))
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")
    assert fingerprint(tmp_path / "c") == hashlib.sha256(bytes(64)).hexdigest()


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
