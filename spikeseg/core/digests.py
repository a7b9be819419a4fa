"""SHA-256 of files, taken again only when a file has changed: its size, its times, or the file itself (inode).

What was taken is remembered in this process and, of larger files, in one file that `keep_in` names. Every line of it has a
checksum, and what cannot be read or written there is only taken again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from spikeseg.errors import InputError

from . import interrupts
from .dry_run import is_dry
from .files import atomic_write

FILE = ".digests"
SMALL_BYTES = 2**16
"""Files up to this size are hashed by every process: that takes no longer than looking them up."""
LARGE_BYTES = 64 * 2**20
"""Files from this size on are worth making a folder for what is remembered."""
BLOCK_BYTES = 2**22
SETTLED_NS = 2 * 10**9
"""A file that changed so shortly before it was hashed may change again without another time; its digest is not remembered, ns."""
SLACK = 1000
"""Lines beyond twice those that count, after which the file is written anew."""

State = tuple[int, int, int, int]
"""Size (bytes), times of the last change of content and of the entry (ns), inode."""

_known: dict[str, tuple[State, str]] = {}
_kept: list[Path] = []
"""The file that is added to, if there is one."""


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of all of a manifest's entries but "sha256", which holds it."""
    entries = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def sha256_of(path: str | Path, *, afresh: bool = False) -> str:
    """SHA-256 of a file's content, in hexadecimal; remembered from when it was last taken, unless the file has changed since.

    Args:
        path: the file.
        afresh: take it, whatever is remembered.

    Raises OSError: it cannot be read."""
    name = os.path.realpath(path)
    with open(path, "rb") as file:
        state = _state(file.fileno())
        if not afresh and name in _known and _known[name][0] == state:
            return _known[name][1]
        digest = _taken(file)
        settled = _state(file.fileno()) == state and now_ns() - max(state[1], state[2]) > SETTLED_NS
    if settled:
        _known[name] = state, digest
        if state[0] > SMALL_BYTES:
            _add(name, state, digest)
    else:
        _known.pop(name, None)
    return digest


def _taken(file: BinaryIO) -> str:
    """Block by block, so that a file of many GB does not have to be finished once it is begun."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        interrupts.check()
        digest.update(block)
    return digest.hexdigest()


def is_intact(path: Path, sha256: str) -> bool:
    """Whether a file's content has this SHA-256. Raises OSError: it cannot be read."""
    return sha256_of(path) == sha256 or sha256_of(path, afresh=True) == sha256


def now_ns() -> int:
    """The time that times of files are compared with, ns."""
    return time.time_ns()


def keep_in(folder: str | Path) -> None:
    """Remember what is taken from now on in a file in this folder, and use what is remembered there."""
    path = Path(folder).absolute() / FILE
    if path in _kept:
        return
    _kept[:] = [path]
    try:
        lines = path.read_bytes().split(b"\n")[1:]
    except OSError:
        return
    entries = dict(entry for entry in map(_entry, lines) if entry)
    _known.update(entries)
    if len(lines) > 2 * len(entries) + SLACK and not is_dry():
        with contextlib.suppress(InputError):
            atomic_write(path, b"".join(_line(name, *entry) for name, entry in entries.items()))


def forget() -> None:
    """Remember nothing, and use no file any more."""
    _known.clear()
    _kept.clear()


def _state(handle: int) -> State:
    info = os.fstat(handle)
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino


def _line(name: str, state: State, digest: str) -> bytes:
    """What is added to the file; it begins a line, so that one that was cut off spoils no other."""
    content = json.dumps([name, *state, digest]).encode()
    return b"\n%08x %s" % (zlib.crc32(content), content)


def _entry(line: bytes) -> tuple[str, tuple[State, str]] | None:
    """What a line remembers; None where it is damaged."""
    try:
        checksum, content = line.split(b" ", 1)
        if int(checksum, 16) != zlib.crc32(content):
            return None
        name, size, changed, entry_changed, inode, digest = json.loads(content)
    except ValueError:
        return None
    return name, ((size, changed, entry_changed, inode), digest)


def _add(name: str, state: State, digest: str) -> None:
    """Add a line to the file, at once, so that several processes may; nothing where it cannot be written, or nothing may be."""
    for path in [] if is_dry() else _kept:
        with contextlib.suppress(OSError):
            if state[0] >= LARGE_BYTES:
                path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(handle, _line(name, state, digest))
            finally:
                os.close(handle)
