"""Files and folders that are written whole or not at all; what a disk refuses is one line with its path and sizes.

What is being written is called ``.<name>.partial-<n>``, and its writer holds a lock (flock) on it until it has its own name. So
one that nobody holds was left by a process that is gone, on whichever machine, and `remove_partials` removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from spikeseg.errors import WriteError

from .dry_run import DryRun, is_dry

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, a quota and a limit that a file has reached."""
PARTIAL = re.compile(r"\..+\.partial-[0-9]+(-[0-9a-z]+)?", re.DOTALL)
NAME_BYTES = 200
"""Of longer names a digest stands in the name of the partial file: file systems take 255 bytes."""
UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))

Content = bytes | str | Callable[[BinaryIO], Any]
"""Of a file: the bytes, the text (UTF-8), or a function that writes into the open binary file."""


# -- what the operating system refuses -----------------------------------------------------------------


def refusal(path: Path, error: OSError, needed: int | None = None) -> WriteError:
    """The error of a path that cannot be written; where the disk is full, with the bytes that are needed and free."""
    reason = (error.strerror or str(error)).lower()
    if error.errno not in FULL:
        return WriteError(f"cannot write {path}: {reason}; choose a folder you can write to")
    sizes = [f"{_size(needed)} needed"] if needed else []
    with contextlib.suppress(OSError, StopIteration):
        folder = next(folder for folder in Path(path).absolute().parents if folder.exists())
        sizes.append(f"{_size(shutil.disk_usage(folder).free)} free")
    room = f" ({', '.join(sizes)})" if sizes else ""
    return WriteError(
        f"cannot write {path}: {reason}{room}; free some, or write to another disk (cache_dir, output_dir, --output)"
    )


def _size(count: int) -> str:
    return next((f"{count / unit:.1f} {name}" for unit, name in UNITS if count >= unit), f"{count} bytes")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write at path into a one-line WriteError."""
    try:
        yield
    except OSError as error:
        raise refusal(path, error) from error


def make_folder(path: Path) -> Path:
    """path as an existing folder; WriteError when it cannot be made."""
    if is_dry() and not path.is_dir():
        raise DryRun(f"make the folder {path}")
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


class Sink(io.BufferedIOBase):
    """A new file that takes whatever is written, and remembers the first refusal of the operating system.

    Libraries written in C end the process, or hide the reason, when a write fails. This one goes on counting, so that `size` is
    what the file needs.

    Attributes:
        path: what is named in errors.
        error: the first refusal, or None.
        size: bytes of the file as it should be.
    """

    def __init__(self, path: Path, file: io.FileIO, *, at_once: bool = False) -> None:
        """at_once: raise the refusal as a WriteError right away, and keep what was written before, but nothing of the data that
        found no room: for writers in Python that go on for long."""
        super().__init__()
        self.path, self.size = path, 0
        self.error: OSError | None = None
        self._file, self._at, self._at_once = file, 0, at_once

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + (0, self._at, self.size)[whence]
        if self.error is None:
            self._file.seek(self._at)
        return self._at

    def write(self, data: Any) -> int:
        """Write all of it, see the class. Raises WriteError where refusals are raised at once."""
        count = memoryview(data).nbytes
        left = memoryview(data).cast("B") if count else memoryview(b"")
        self._at += count
        self.size = max(self.size, self._at)
        try:
            while self.error is None and len(left):
                left = left[self._file.write(left) :]
        except OSError as error:
            self.error = error
            if self._at_once:
                with contextlib.suppress(OSError):
                    self._file.truncate(self._at - count)
                raise self.refused() from error
        return count

    def sync(self) -> None:
        """Wait until the disk has it. Raises OSError."""
        os.fsync(self._file.fileno())

    def refused(self) -> WriteError:
        """The error of what was refused; what is there of a file that comes whole is given back first, and counts as free."""
        assert self.error is not None
        if not self._at_once:
            with contextlib.suppress(OSError, ValueError):
                self._file.truncate(0)
        return refusal(self.path, self.error, self.size)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Sink]:
    """A new file to write into part by part, in a folder that nobody reads yet: neither flushed to the disk nor renamed.

    Raises WriteError: it cannot be written, as soon as that shows."""
    with writing(path):
        file = open(path, "wb", buffering=0)
    try:
        yield Sink(path, file, at_once=True)
    finally:
        with writing(path):
            file.close()


# -- files that are written whole ------------------------------------------------------------------------


def atomic_write(path: Path, content: Content) -> Path:
    """Write a whole file or nothing: temporary file beside it, fsync, rename.

    Args:
        path: the file; its folder is made where it is missing.
        content: what it will hold (``lambda file: torch.save(state, file)``).

    Raises:
        WriteError: path cannot be written.
    """
    path = Path(path)
    if is_dry():
        if not callable(content) and path.is_file() and path.read_bytes() == _as_bytes(content):
            return path
        raise DryRun(f"write {path}")
    make_folder(path.parent)
    with writing(path):
        partial, handle = _new_partial(path.parent, path.name, folder=False)
    with open(handle, "wb", buffering=0) as file:
        sink = Sink(path, file)
        try:
            _fill(sink, content)
            if sink.error is None:
                _publish(partial, path, sink)
        finally:
            if _is_at(file.fileno(), partial):
                partial.unlink()
    if sink.error is not None:
        raise sink.refused() from sink.error
    return path


def write_new(path: Path, content: Content) -> None:
    """Write a file in a folder that nobody reads yet, see `new_file`. Raises WriteError when it cannot be written."""
    with writing(path), open(path, "wb", buffering=0) as file:
        sink = Sink(path, file)
        _fill(sink, content)
        if sink.error is not None:
            raise sink.refused() from sink.error


def _fill(sink: Sink, content: Content) -> None:
    if not callable(content):
        sink.write(_as_bytes(content))
        return
    try:
        content(cast(BinaryIO, sink))
    except OSError as error:
        sink.error = sink.error or error


def _publish(partial: Path, path: Path, sink: Sink) -> None:
    """Flush the partial file to the disk and give it its name; what is refused then, the sink remembers, too."""
    try:
        sink.sync()
        os.replace(partial, path)
        fsync_folder(path.parent)
    except OSError as error:
        sink.error = error


def _as_bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def share_file(old: Path, new: Path) -> None:
    """Give a file a second name, or a copy where the disk knows no such names. Raises WriteError where new cannot be written."""
    with writing(new):
        try:
            os.link(old, new)
        except OSError:
            shutil.copyfile(old, new)


def fsync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- partial files and folders -----------------------------------------------------------------------------


@contextlib.contextmanager
def partial_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder in parent to write into, removed at the end unless it was renamed. Raises WriteError: it cannot be made."""
    with writing(parent):
        partial, handle = _new_partial(parent, name, folder=True)
    try:
        yield partial
    finally:
        if _is_at(handle, partial):
            shutil.rmtree(partial, ignore_errors=True)
        os.close(handle)


def remove_partials(folder: Path, *, below: bool = False) -> int:
    """Remove what processes that are gone were writing in a folder, and in those below it where asked to; -> how many.

    What cannot be removed stays, and in a `dry_run` everything; a folder that is not there holds none."""
    removed = 0
    for path in [] if is_dry() else list_partials(folder, below=below):
        handle = _abandoned(path)
        if handle is None:
            continue
        with contextlib.suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed += 1
        os.close(handle)
    return removed


def list_partials(folder: Path, *, below: bool = False) -> list[Path]:
    """What has the name of something that is being written, sorted; whether somebody writes it or nobody."""
    found: list[Path] = []
    for top, folders, names in os.walk(folder):
        partial = [name for name in (*folders, *names) if PARTIAL.fullmatch(name)]
        found += [Path(top) / name for name in partial]
        folders[:] = [name for name in folders if name not in partial] if below else []
    return sorted(found)


def _new_partial(parent: Path, name: str, *, folder: bool) -> tuple[Path, int]:
    """A new, empty file or folder, and an open handle that holds its lock."""
    encoded = os.fsencode(name)
    if len(encoded) > NAME_BYTES:
        name = os.fsdecode(encoded[: NAME_BYTES - 17]) + "-" + hashlib.sha256(encoded).hexdigest()[:16]
    for number in itertools.count():
        path = parent / f".{name}.partial-{number}"
        try:
            handle = _made(path, folder=folder)
        except _Unlockable:
            path.rmdir() if folder else path.unlink()
            path = parent / f".{name}.partial-{os.getpid()}-{_host()}"
            if folder:
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir()
            return path, os.open(path, os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        if handle is not None:
            return path, handle
    raise AssertionError("numbers do not end")


def _made(path: Path, *, folder: bool) -> int | None:
    """A handle of path, made and emptied; None where somebody else writes there."""
    if folder:
        try:
            path.mkdir()
        except FileExistsError:
            handle = _abandoned(path)
            if handle is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(handle)
            return None
        return _lock(path)
    try:
        handle = _lock(path, os.O_RDWR | os.O_CREAT)
    except PermissionError:
        if path.exists():  # another user's
            return None
        raise
    if handle is not None:
        os.ftruncate(handle, 0)
    return handle


def _is_at(handle: int, path: Path) -> bool:
    """Whether what is open lies at path; once it was renamed, somebody else may write there."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


class _Unlockable(Exception):
    """The file system has no locks."""


def _lock(path: Path, flags: int = os.O_RDONLY) -> int | None:
    """An open handle that holds the lock of path; None where another holds it, or it is no longer there.

    Raises _Unlockable, and OSError where path cannot be opened."""
    try:
        handle = os.open(path, flags, 0o666)
    except (FileNotFoundError, IsADirectoryError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, path):
            return handle
    except BlockingIOError:
        pass
    except OSError as error:
        os.close(handle)
        raise _Unlockable from error
    os.close(handle)
    return None


def _abandoned(path: Path) -> int | None:
    """A handle of a partial file or folder that nobody writes, locked where that is possible; None where somebody does."""
    try:
        return _lock(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        return None
    except _Unlockable:
        process, _, host = path.name.rpartition(".partial-")[2].partition("-")
        if host != _host() or _runs(int(process)):
            return None
        return os.open(path, os.O_RDONLY)


def _host() -> str:
    """This machine in the names of partial files, where the file system has no locks."""
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def _runs(process: int) -> bool:
    """Whether a process of this machine is alive."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
