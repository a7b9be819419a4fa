"""Cached spikes in the order in which a layer learns from them, in bounded memory.

The cache is cut into blocks of about BLOCK_SPIKES spikes. An epoch goes through the blocks in random order, and through the
samples of a block in random order, so that a block is read once, in bulk, and never more than two are in memory: the one in use
and the next one, read meanwhile. The order depends on the seed and the samples alone, not on the memory of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from spikeseg.core.sparse import SpikeLists

BLOCK_SPIKES = 2**25
"""Spikes in a block, at least: 128 MiB in memory, some 8,000 samples of the demo."""


@dataclass(frozen=True)
class Block:
    """Consecutive samples of the cache.

    Attributes:
        lists: their spikes, one list per shape.
        shape: int64 (n,), the list that each sample is in.
        row: int64 (n,), its row in that list.
    """

    lists: list[SpikeLists]
    shape: np.ndarray
    row: np.ndarray

    @classmethod
    def read(cls, spikes: SpikeSource, first: int, last: int) -> Block:
        """Samples first to last - 1."""
        from spikeseg.core.sparse import SpikeLists

        parts = spikes.read(first, last)
        shapes = list(dict.fromkeys(part.shape for part in parts))
        shape = np.repeat([shapes.index(part.shape) for part in parts], [part.samples for part in parts])
        row = np.zeros(len(shape), np.int64)
        joined = []
        for number, common in enumerate(shapes):
            alike = [part for part in parts if part.shape == common]
            joined.append(alike[0] if len(alike) == 1 else SpikeLists.joined(alike))
            row[shape == number] = np.arange(joined[-1].samples)
        return cls(joined, shape, row)

    def stretches(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[SpikeLists, np.ndarray]]:
        """The samples of `order` (indices into the block) as lists and rows, whose batches hold one shape each."""
        shape, row = self.shape[order], self.row[order]
        changes = np.flatnonzero(np.diff(shape)) + 1
        if len(changes) and batch_size > 1:  # a batch of several shapes falls apart, but none reaches beyond its end
            changes = np.union1d(changes, np.arange(batch_size, len(order), batch_size))
        for part in np.split(np.arange(len(order)), changes):
            yield self.lists[shape[part[0]]], row[part]


class SpikeSource(Protocol):
    """Samples in order; `spikeseg.data.store.spikes.Spikes` on disk, `SpikesInMemory`."""

    def __len__(self) -> int:
        """How many samples there are."""

    def blocks(self, max_spikes: int) -> list[tuple[int, int]]:
        """Ranges (first, end) of samples, see `spikeseg.core.sparse.block_ranges`."""

    def read(self, first: int, last: int) -> list[SpikeLists]:
        """Samples first to last - 1, one list per stretch of equal shape."""


class SpikesInMemory:
    """Samples held in memory, in order.

    Args:
        parts: lists of samples, of one shape or of several.
    """

    def __init__(self, parts: Sequence[SpikeLists]) -> None:
        self._parts = parts
        self._ends = np.cumsum([part.samples for part in parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def blocks(self, max_spikes: int) -> list[tuple[int, int]]:
        """See `SpikeSource`."""
        from spikeseg.core.sparse import block_ranges

        counts = [np.diff(part.offsets[:: part.shape[0]]) for part in self._parts]
        return block_ranges(np.concatenate(counts) if counts else np.zeros(0, np.int64), max_spikes)

    def read(self, first: int, last: int) -> list[SpikeLists]:
        """See `SpikeSource`."""
        lists = []
        for part, end in zip(self._parts, self._ends.tolist(), strict=True):
            begin = end - part.samples
            if max(first, begin) < min(last, end):
                lists.append(part.part(max(first, begin) - begin, min(last, end) - begin))
        return lists


class Blocks:
    """All samples, block by block."""

    def __init__(self, spikes: SpikeSource) -> None:
        self.spikes = spikes
        self.ranges: Sequence[tuple[int, int]] = spikes.blocks(BLOCK_SPIKES)
        self._last_read: tuple[int, Block] | None = None

    def epoch(self, seed: Sequence[int], position: int = 0, *, shuffled: bool = True) -> Iterator[tuple[Block, np.ndarray]]:
        """Blocks in the order of an epoch, each with the order of its samples, from the given position on.

        Args:
            seed: of the order.
            position: samples that have been learned already.
            shuffled: whether the order is random, and not that of the cache.
        """
        order = np.random.default_rng(tuple(seed)).permutation if shuffled else np.arange
        inside = [order(last - first) for first, last in self.ranges]
        ahead = []
        for number in order(len(self.ranges)).tolist():
            if position < len(inside[number]):
                ahead.append((number, inside[number][position:]))
            position = max(0, position - len(inside[number]))
        with ThreadPoolExecutor(1) as reader:
            upcoming = reader.submit(self._read, ahead[0][0]) if ahead else None
            for k, (_, order) in enumerate(ahead):
                assert upcoming is not None
                block = upcoming.result()
                upcoming = reader.submit(self._read, ahead[k + 1][0]) if k + 1 < len(ahead) else None
                yield block, order

    def lists(self) -> Iterator[SpikeLists]:
        """All samples once, in order, one list per shape and block."""
        for number in range(len(self.ranges)):
            yield from self._read(number).lists

    def _read(self, number: int) -> Block:
        """A block; the last one is kept, so that a cache of a single block is read once."""
        if self._last_read is None or self._last_read[0] != number:
            self._last_read = None
            self._last_read = number, Block.read(self.spikes, *self.ranges[number])
        return self._last_read[1]
