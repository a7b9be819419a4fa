"""What is said to be written is on the disk before it appears under its name, and its name before the call returns."""

import os
import posix
from pathlib import Path

import pytest

from spikeseg.core.files import atomic_write
from spikeseg.pipelines.runtime.manifest import Ingredients
from spikeseg.pipelines.runtime.stage import run_stage


@pytest.fixture
def disk(monkeypatch):
    """What happened, in order: ("sync", inode, bytes) and ("rename", inode of what was renamed, name it got)."""
    happened = []

    def synced(handle):
        found = os.fstat(handle)
        happened.append(("sync", found.st_ino, found.st_size))
        posix.fsync(handle)

    def renamed(rename):
        def wrapped(old, new, **options):
            happened.append(("rename", os.stat(old).st_ino, Path(new).name))
            return rename(old, new, **options)

        return wrapped

    monkeypatch.setattr(os, "fsync", synced)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, renamed(getattr(os, name)))
    return happened


@pytest.mark.parametrize("content", [b"twelve bytes", "twelve bytes", lambda file: file.write(b"twelve bytes")])
def test_a_file_is_synced_whole_before_it_gets_its_name_and_the_folder_after(tmp_path, disk, content):
    path = atomic_write(tmp_path / "file", content)
    own = path.stat().st_ino
    named = disk.index(("rename", own, "file"))
    assert ("sync", own, 12) in disk[:named]
    assert any(step[:2] == ("sync", tmp_path.stat().st_ino) for step in disk[named:])


def test_every_file_of_a_stage_is_synced_before_the_folder_gets_its_name(tmp_path, disk):
    def build(folder):
        (folder / "below").mkdir()
        (folder / "a").write_bytes(b"1234567")
        (folder / "below" / "b").write_bytes(b"12345")
        return {}

    done = run_stage(tmp_path / "stage", Ingredients("stage", 1, {}, {}), build)
    named = disk.index(("rename", done.path.stat().st_ino, done.key))
    before = [step[:2] for step in disk[:named]]
    for path in (done.path, *done.path.rglob("*")):
        assert ("sync", path.stat().st_ino) in before, path
    assert {("sync", (done.path / "a").stat().st_ino, 7), ("sync", (done.path / "below" / "b").stat().st_ino, 5)} <= set(
        disk[:named]
    )
    assert ("sync", (tmp_path / "stage").stat().st_ino) in [step[:2] for step in disk[named:]]
