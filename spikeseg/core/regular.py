"""Regular files, told from all else that a folder may hold before anything is opened: a pipe would wait for its writer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from spikeseg.errors import InputError

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
ANNEX = "/annex/objects/"
"""Begins what git-annex leaves instead of a file whose content is elsewhere; its links lead through it."""
LFS = b"version https://git-lfs.github.com/spec/"
"""Begins what Git LFS leaves instead of a file."""
HEAD_BYTES = 512
"""Of a file are looked at: a pointer is shorter, and formats are told by less."""


def require_regular(path: str | Path) -> None:
    """Raises InputError unless a path is a regular file or a link to one, saying what there is instead; nothing is opened."""
    if fault := fault_of(path):
        raise InputError(f"{path}: {fault}")


def fault_of(path: str | Path) -> str:
    """Why a path is no regular file, as `require_regular` says it behind the path; "" where it is one."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return _of_link(path, error) or f"cannot be read ({error.strerror or error})"
    except ValueError as error:  # a zero byte
        return f"cannot be read ({error})"
    if stat.S_ISREG(mode):
        return ""
    return f"is {KINDS.get(stat.S_IFMT(mode), 'neither a file nor a folder')}; expected a regular file"


def _of_link(path: str | Path, error: OSError) -> str:
    """What is wrong with a link that leads nowhere; "" where the path is no such link."""
    try:
        target = os.readlink(path)
    except OSError:
        return ""
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself"
    if error.errno != errno.ENOENT:
        return ""
    return _not_fetched(path) if ANNEX.strip("/") in target.replace("\\", "/") else f"is a link to {target}, which is not there"


def _not_fetched(path: str | Path) -> str:
    return f"its content is not here (git-annex); `git annex get {Path(path).name}` in its folder fetches it"


def require_content(path: str | Path) -> bytes:
    """The first HEAD_BYTES of a regular file.

    Raises InputError, naming the remedy, where it stands in for one that git-annex or Git LFS keeps elsewhere; and if it is no
    regular file (`require_regular`) or cannot be read."""
    require_regular(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if head.startswith(ANNEX.encode()):
        raise InputError(f"{path}: {_not_fetched(path)}")
    if head.startswith(LFS):
        raise InputError(f"{path}: its content is not here (a Git LFS pointer); `git lfs pull` in its folder fetches it")
    return head
