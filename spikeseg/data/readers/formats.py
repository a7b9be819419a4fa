"""Which format a file has: by its content, then by its name. The formats themselves are `spikeseg.registries.READERS`."""

from __future__ import annotations

import os
from pathlib import Path

from spikeseg.core.kinds import kind_of
from spikeseg.core.regular import require_content
from spikeseg.errors import InputError
from spikeseg.registries import READERS

from .unpacking import ZSTD_MAGIC

UNREAD_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"#!AER-DAT1", "AEDAT 1"),
    (b"\x1f\x8b", "gzip (unpack it first)"),
    (ZSTD_MAGIC, "Zstandard (unpack it first: `zstd -d FILE`)"),
)
"""First bytes -> format, as a message names it, of files that nothing here reads."""

UNREAD_SUFFIXES: dict[str, str] = {
    ".raw": "Prophesee .raw without a header",
    ".aedat": "AEDAT of unknown version",
}


def readable() -> str:
    """Every format that is read, for messages."""
    return ", ".join(reader.title for reader in READERS.values())


def detect(path: str | Path) -> str:
    """One of READERS. Raises InputError: no such file, a folder, empty, unknown, or not supported."""
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; expected a recording ({readable()})")
    head = require_content(path)
    if not head:
        raise InputError(f"{path}: is empty (0 bytes); expected a recording ({readable()})")
    name = _format(path, head)
    if not name:
        raise InputError(f"{path}: is in no format known here, but {kind_of(path)}; readable: {readable()}")
    if name not in READERS:
        raise InputError(f"{path}: format {name} is not supported; readable: {readable()}")
    return name


def _format(path: Path, head: bytes) -> str:
    """A name of READERS, a format that nothing here reads, or ""."""
    suffix = path.suffix.lower()
    for name, reader in READERS.items():
        if reader.recognises(path, head):
            return name
    unread = [title for signature, title in UNREAD_SIGNATURES if head.startswith(signature)]
    if unread or head.startswith(b"% "):
        return unread[0] if unread else _unread_prophesee(path)
    for name, reader in READERS.items():
        if suffix in reader.suffixes:
            return name
    if suffix in UNREAD_SUFFIXES:
        return UNREAD_SUFFIXES[suffix]
    return next((name for name, reader in READERS.items() if reader.guess is not None and reader.guess(head)), "")


def _unread_prophesee(path: Path) -> str:
    """By the lines that begin with %."""
    from .prophesee import read_header

    return f"Prophesee {read_header(path).encoding or '.raw of no encoding'}"
