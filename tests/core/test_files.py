"""Files are written whole or not at all, what a full disk refuses is one line, and nothing is left by processes that are gone."""

import contextlib
import functools
import io
import multiprocessing
import os
import resource
import signal
import zipfile

import numpy as np
import pytest
import torch

from spikeseg.core import files
from spikeseg.core.files import atomic_write, new_file, partial_folder, remove_partials, write_new
from spikeseg.errors import InputError, WriteError


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
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*/folder: is a directory"):
        atomic_write(tmp_path / "folder", b"")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.parametrize("length", [200, 253, 255])
def test_long_names_can_be_written(tmp_path, length):
    assert atomic_write(tmp_path / ("n" * length), b"x").read_bytes() == b"x"
    with partial_folder(tmp_path, "n" * length) as partial:
        os.rename(partial, tmp_path / ("f" * length))
    assert sorted(map(len, os.listdir(tmp_path))) == [length, length]


# -- disks that are full ---------------------------------------------------------------------------------


@pytest.fixture
def limited():
    """A function that lets no file of this process grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def zipped(file):
    with zipfile.ZipFile(file, "w") as archive:
        for k in range(4):
            archive.writestr(zipfile.ZipInfo(f"{k}"), bytes(1000))
        with archive.open(zipfile.ZipInfo("last"), "w") as part:
            part.write(np.arange(300.0).data)


CONTENTS = {
    "bytes": b"x" * 5000,
    "text": "ä" * 3000,
    "torch": functools.partial(torch.save, {"a": torch.arange(2000.0), "b": torch.zeros(5)}),
    "zip": zipped,
    "numpy": lambda file: np.save(file, np.arange(1000)),
    "parts": lambda file: [file.write(b"x" * 100) for _ in range(50)],
}


def whole_size(content):
    """What a content takes where there is room."""
    buffer = io.BytesIO()
    if callable(content):
        content(buffer)
        return len(buffer.getvalue())
    return len(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("room", [0, 1, 700, 4096])
def test_no_room_is_one_line_with_path_and_size_and_the_old_file_stays(tmp_path, limited, kind, room):
    path, content = atomic_write(tmp_path / "file", "old"), CONTENTS[kind]
    size = whole_size(content)
    limited(room)
    for write in (atomic_write, write_new):
        target = path if write is atomic_write else tmp_path / "new"
        with pytest.raises(WriteError) as caught:
            write(target, content)
        line = str(caught.value)
        assert line.startswith(f"cannot write {target}: file too large ({files._size(size)} needed, ") and "\n" not in line, line
        assert "free); free some, or write to another disk (cache_dir" in line
    assert path.read_text() == "old" and sorted(os.listdir(tmp_path)) == ["file", "new"]
    limited(10**6)
    atomic_write(path, content)
    assert path.stat().st_size == size


def test_the_bytes_are_those_of_an_ordinary_file(tmp_path):
    for kind, content in CONTENTS.items():
        if callable(content):
            with (tmp_path / "plain").open("wb") as file:
                content(file)
            assert atomic_write(tmp_path / kind, content).read_bytes() == (tmp_path / "plain").read_bytes()


def test_a_file_of_parts_ends_at_the_first_that_finds_no_room(tmp_path, limited):
    limited(1050)
    written = 0
    with (
        pytest.raises(WriteError, match=r"cannot write .*/parts: file too large \(1.1 kB needed"),
        new_file(tmp_path / "parts") as file,
    ):
        for _ in range(50):
            file.write(b"x" * 100)
            written += 1
    assert written == 10 and (tmp_path / "parts").stat().st_size == 1000


@pytest.mark.parametrize("call", ["os.fsync", "os.replace"])
def test_room_that_ends_at_the_last_moment(tmp_path, monkeypatch, call):
    path = atomic_write(tmp_path / "file", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(call, full)
        with pytest.raises(WriteError, match=r"cannot write .*/file: no space left on device \(3 bytes needed, .* free\)"):
            atomic_write(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


# -- what processes leave that are gone --------------------------------------------------------------------


def _killed(folder, what):
    """Begin to write, and die."""

    def die(_):
        os.kill(os.getpid(), signal.SIGKILL)

    if what == "file":
        atomic_write(folder / "result.json", die)
    with partial_folder(folder, "detect") as partial:
        (partial / "half").write_text("x")
        die(None)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_a_killed_process_left_is_removed(tmp_path, what):
    child = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path, what))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and len(os.listdir(tmp_path)) == 1
    assert remove_partials(tmp_path) == 1 and os.listdir(tmp_path) == []


def test_what_is_being_written_stays(tmp_path):
    def look(file):
        file.write(b"x")
        assert remove_partials(tmp_path) == 0 and len(os.listdir(tmp_path)) == 2

    with partial_folder(tmp_path, "detect") as partial:
        atomic_write(tmp_path / "file", look)
        assert remove_partials(tmp_path) == 0 and partial.is_dir()
        with partial_folder(tmp_path, "detect") as other:
            assert other != partial and other.is_dir()
    assert os.listdir(tmp_path) == ["file"]


def test_a_writer_that_is_done_leaves_that_of_the_next_alone(tmp_path, monkeypatch):
    """The name of a partial file is free as soon as the file has its own."""
    with contextlib.ExitStack() as other:
        folder = partial_folder(tmp_path, "k")
        first = folder.__enter__()
        os.rename(first, tmp_path / "k")
        second = other.enter_context(partial_folder(tmp_path, "k"))
        folder.__exit__(None, None, None)
        assert first == second and second.is_dir()
    sync, made = files.fsync_folder, []

    def another_begins(path):
        sync(path)
        made.append(files._new_partial(tmp_path, "file", folder=False))

    monkeypatch.setattr(files, "fsync_folder", another_begins)
    atomic_write(tmp_path / "file", "x")
    ((partial, handle),) = made
    assert partial.exists()
    os.close(handle)


def test_only_what_is_called_so_is_removed_and_below_only_where_asked_to(tmp_path):
    others = [".a.partial", "a.partial-1", ".a.partial-x", ".partial-1", ".rsync.partial-1/mine"]
    left = [".detect.partial-12", ".conv2.manifest.json.partial-3", ".a\nb.partial-0", ".k.partial-9-old", "run/.x.pt.partial-1"]
    for name in (*others[:-1], *left):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert remove_partials(tmp_path) == 4 and (tmp_path / left[-1]).exists()
    assert remove_partials(tmp_path, below=True) == 1 and remove_partials(tmp_path / "none") == 0
    assert sorted(os.listdir(tmp_path)) == sorted([*others[:-1], "run"])


def test_a_file_takes_the_place_of_what_was_left_of_it(tmp_path):
    (tmp_path / ".file.partial-0").write_text("longer than what is written now")
    assert atomic_write(tmp_path / "file", "new").read_text() == "new" and os.listdir(tmp_path) == ["file"]
    (tmp_path / ".detect.partial-0" / "old").mkdir(parents=True)
    with partial_folder(tmp_path, "detect") as partial:
        assert os.listdir(partial) == []
    assert os.listdir(tmp_path) == ["file"]


def test_where_the_file_system_has_no_locks_the_process_counts(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", none)
    (tmp_path / f".gone.partial-{2**30}-{files._host()}").write_text("x")
    (tmp_path / f".elsewhere.partial-{2**30}-00000000").write_text("x")
    with partial_folder(tmp_path, "detect") as partial:
        atomic_write(tmp_path / "file", lambda file: remove_partials(tmp_path) and file.write(b"x"))
        assert partial.is_dir() and (tmp_path / "file").read_bytes() == b"x"
    assert sorted(os.listdir(tmp_path)) == [f".elsewhere.partial-{2**30}-00000000", "file"]
