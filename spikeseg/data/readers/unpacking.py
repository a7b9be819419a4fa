"""Compressed pieces of files, unpacked up to a limit: a few bytes can hold gigabytes."""

from __future__ import annotations

from pathlib import Path

from spikeseg.errors import InputError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""The first bytes of a frame of Zstandard."""


def unzstd(path: Path, data: bytes, limit: int) -> bytes:
    """A frame of Zstandard (RFC 8878). Raises InputError: the package is missing, damage, more than ``limit`` bytes."""
    try:
        from backports import zstd
    except ImportError as error:
        raise InputError(f"{path}: Zstandard needs the package backports.zstd: pip install 'spikeseg[formats]'") from error
    unpacker = zstd.ZstdDecompressor()
    try:
        content = unpacker.decompress(data, limit + 1)
    except zstd.ZstdError as error:
        raise _damaged(path, "Zstandard", str(error)) from error
    return _whole(path, "Zstandard", content, unpacker.eof, limit)


def unlz4(path: Path, data: bytes, limit: int) -> bytes:
    """A frame of LZ4. Raises InputError as `unzstd` does."""
    try:
        from lz4.frame import LZ4FrameDecompressor
    except ImportError as error:
        raise InputError(f"{path}: LZ4 needs the package lz4: pip install 'spikeseg[formats]'") from error
    unpacker = LZ4FrameDecompressor()
    try:
        content = unpacker.decompress(data, limit + 1)
    except RuntimeError as error:
        raise _damaged(path, "LZ4", str(error)) from error
    return _whole(path, "LZ4", content, unpacker.eof, limit)


def _whole(path: Path, kind: str, content: bytes, at_end: bool, limit: int) -> bytes:
    if len(content) > limit:
        raise _damaged(path, kind, f"it unpacks to more than the {limit} bytes that are allowed here")
    if not at_end:
        raise _damaged(path, kind, "it is cut off")
    return content


def _damaged(path: Path, kind: str, reason: str) -> InputError:
    return InputError(f"{path}: a piece compressed by {kind} is damaged ({' '.join(reason.split())}); get the file again")
