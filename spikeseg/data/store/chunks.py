"""The files of an array's chunks, byte for byte as zarr writes them, made chunk by chunk from memory that stays in the cache.

Own code beside zarr's, because zarr 3.1 hands every chunk to its event loop and back, copies a file's rows three times, and so
took 1.0 to 1.4 ms for a window of frames (1 MB) of which 0.3 to 0.4 ms are zstd's (measured on one core, AMD EPYC). What is
written here is read by zarr alone, which the tests also let write the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeseg.core.files import make_folder, write_new

ZSTD_LEVEL = 3
FILE_BYTES = 256 * 2**20
"""A file's rows before compression, at most, unless a single chunk is larger."""
ABSENT = np.iinfo(np.uint64).max
"""Offset and length, in a shard's index, of a chunk beyond the end of the array."""


@dataclass(frozen=True)
class Layout:
    """How the rows of an array are cut: rows in a chunk, and chunks in a file (at most; 1 means no shards)."""

    chunk: int
    per_file: int = 1

    def rows_per_file(self, row_bytes: int) -> int:
        """Rows in a file: whole chunks, at least one."""
        fit = FILE_BYTES // max(1, row_bytes * self.chunk)
        return self.chunk * max(1, min(self.per_file, fit))


def write_file(path: Path, parts: Iterable[np.ndarray], row: np.ndarray, layout: Layout) -> None:
    """Write a file of an array: one chunk, or a shard of them with its index behind (offset and length of each, CRC-32C).

    Args:
        path: the file; its folder is made.
        parts: all of its rows, some at a time.
        row: an array like one of them.
        layout: of the array.

    Raises InputError: it cannot be written.
    """
    chunks = list(_encoded(parts, row, layout.chunk))
    count = layout.rows_per_file(row.nbytes) // layout.chunk
    if count > 1:
        chunks.append(_index([len(chunk) for chunk in chunks], count))
    make_folder(path.parent)
    write_new(path, b"".join(chunks))


def _encoded(parts: Iterable[np.ndarray], row: np.ndarray, size: int) -> Iterator[bytes]:
    """Chunks of so many rows, compressed; what the last one lacks is 0."""
    from numcodecs.zstd import Zstd

    codec = Zstd(level=ZSTD_LEVEL, checksum=True)
    chunk, filled = np.zeros((size, *row.shape), row.dtype.newbyteorder("<")), 0
    for rows in parts:
        first = 0
        while first < len(rows):
            last = min(first + size - filled, len(rows))
            if last - first == size and rows.flags.c_contiguous:
                yield codec.encode(rows[first:last])
            else:
                chunk[filled : filled + last - first] = rows[first:last]
                filled += last - first
                if filled == size:
                    yield codec.encode(chunk)
                    filled = 0
            first = last
    if filled:
        chunk[filled:] = 0
        yield codec.encode(chunk)


def _index(lengths: list[int], count: int) -> bytes:
    """Where each of a shard's chunks lies in its file."""
    import google_crc32c

    table = np.full((count, 2), ABSENT, "<u8")
    table[: len(lengths), 0] = np.cumsum([0, *lengths[:-1]])
    table[: len(lengths), 1] = lengths
    content = table.tobytes()
    return content + google_crc32c.value(content).to_bytes(4, "little")
