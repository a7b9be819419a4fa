"""Files are written whole or not at all."""

import os

import pytest

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = atomic_write(tmp_path / "new" / "file", "first")

    def fails(file):
        file.write(b"half")
        raise KeyError("no more")

    with pytest.raises(KeyError):
        atomic_write(path, fails)
    assert path.read_text() == "first" and os.listdir(path.parent) == ["file"]
    assert atomic_write(path, lambda file: file.write(b"second")).read_bytes() == b"second"
    assert atomic_write(path, "ä").read_bytes() == "ä".encode()


def test_a_refusal_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot write .*choose a folder you can write to"):
        atomic_write(tmp_path / "file" / "below", b"")
