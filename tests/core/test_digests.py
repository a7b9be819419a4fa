"""Digests are taken once, and again when a file has changed; what cannot be remembered is taken again."""

import hashlib
import os

import pytest

from spikeseg.core import digests


@pytest.fixture
def taken(monkeypatch):
    """The files that were hashed, in order; nothing is known beforehand, and every change is long ago."""
    names, take = [], digests._taken

    def counted(file):
        names.append(os.path.basename(file.name))
        return take(file)

    later = digests.now_ns() + 10**12
    monkeypatch.setattr(digests, "_taken", counted)
    monkeypatch.setattr(digests, "now_ns", lambda: later)
    monkeypatch.setattr(digests, "_known", {})
    monkeypatch.setattr(digests, "_kept", [])
    return names


def new_process(folder):
    digests.forget()
    digests.keep_in(folder)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large\n\udcff.raw"
    path.write_bytes(bytes(digests.SMALL_BYTES + 1))
    return path


def test_a_file_is_hashed_once(taken, large, tmp_path):
    new_process(tmp_path)
    expected = hashlib.sha256(large.read_bytes()).hexdigest()
    assert [digests.sha256_of(large) for _ in range(3)] == [expected] * 3 and len(taken) == 1
    new_process(tmp_path)
    assert digests.sha256_of(large) == expected and len(taken) == 1


@pytest.mark.parametrize("change", ["content", "time kept", "another file", "size"])
def test_whatever_changes_is_hashed_again(taken, large, tmp_path, change):
    new_process(tmp_path)
    digests.sha256_of(large)
    info, content = large.stat(), bytearray(large.read_bytes())
    content[-1] ^= 1
    if change == "another file":
        (tmp_path / "new").write_bytes(content)
        os.replace(tmp_path / "new", large)
    else:
        large.write_bytes(content + bytes(change == "size"))
    if change != "content":
        os.utime(large, ns=(info.st_atime_ns, info.st_mtime_ns))
    new_process(tmp_path)
    assert digests.sha256_of(large) == hashlib.sha256(large.read_bytes()).hexdigest() and len(taken) == 2


def test_a_file_that_has_just_changed_is_not_trusted(taken, large, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "now_ns", lambda: large.stat().st_mtime_ns)
    new_process(tmp_path)
    digests.sha256_of(large)
    digests.sha256_of(large)
    assert len(taken) == 2


@pytest.mark.parametrize("trouble", ["flipped", "cut", "folder", "missing", "no json"])
def test_what_is_remembered_wrongly_is_taken_again(taken, large, tmp_path, trouble):
    kept = tmp_path / digests.FILE
    new_process(tmp_path)
    expected = digests.sha256_of(large)
    content = kept.read_bytes()
    if trouble == "flipped":
        kept.write_bytes(content.replace(expected.encode(), b"0" * 64))
    elif trouble == "cut":
        kept.write_bytes(content[:-9])
    elif trouble == "no json":
        kept.write_bytes(b"\n\xff\xfe x\n\n00000000 \n")
    else:
        kept.unlink()
        if trouble == "folder":
            kept.mkdir()
    new_process(tmp_path)
    assert digests.sha256_of(large) == expected and len(taken) == 2
    new_process(tmp_path)
    assert digests.sha256_of(large) == expected and len(taken) == (3 if trouble == "folder" else 2)


def test_many_changes_do_not_let_the_file_grow(taken, large, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "SLACK", 3)
    new_process(tmp_path)
    for k in range(20):
        os.utime(large, ns=(k, k))
        digests.sha256_of(large)
    assert len((tmp_path / digests.FILE).read_bytes().split()) > 20
    new_process(tmp_path)
    assert (tmp_path / digests.FILE).read_bytes().count(b"\n") == 1
    digests.sha256_of(large)
    assert len(taken) == 20


def test_a_wrong_memory_calls_no_sound_file_damaged(taken, large):
    true = digests.sha256_of(large)
    name = os.path.realpath(large)
    digests._known[name] = (digests._known[name][0], "0" * 64)
    assert digests.is_intact(large, true) and not digests.is_intact(large, "1" * 64)


def test_a_small_file_is_hashed_by_every_process(taken, tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"s")
    for _ in range(2):
        new_process(tmp_path)
        digests.sha256_of(path)
    assert len(taken) == 2 and not (tmp_path / digests.FILE).exists()


def test_only_a_very_large_file_makes_the_folder(taken, large, tmp_path, monkeypatch):
    new_process(tmp_path / "cache")
    digests.sha256_of(large)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(digests, "LARGE_BYTES", 1)
    digests.sha256_of(large, afresh=True)
    assert (tmp_path / "cache" / digests.FILE).is_file() and len(taken) == 2
