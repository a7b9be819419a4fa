"""Spikes as lists of addresses: what event-driven kernels read, and what the cache of spikes holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ANY_RESPONSE = float(np.finfo(np.float32).tiny)
"""The smallest threshold of saliency: any response reaches it, silence does not. A smaller one would be 0 in float32, the dtype
of saliency, and every pixel would reach it."""


class SpikeLists(NamedTuple):
    """The spikes of N samples of T steps, as lists of addresses.

    Attributes:
        offsets: int64 (N*T + 1,); those of sample n at step t are ``sites[offsets[n*T + t]:offsets[n*T + t + 1]]``.
        sites: int32 (n_spikes,), flat index (c*H + y)*W + x, rising within a step.
        shape: (T, C, H, W) of a sample.
    """

    offsets: np.ndarray
    sites: np.ndarray
    shape: tuple[int, int, int, int]

    @classmethod
    def of(cls, dense: np.ndarray) -> SpikeLists:
        """From samples (N, T, C, H, W); whatever is above 0 is a spike."""
        samples, steps, *site = dense.shape
        cells = math.prod(site)
        flat = np.flatnonzero(dense > 0)  # of one axis, which is quicker by far than of two
        offsets = np.searchsorted(flat, cells * np.arange(samples * steps + 1))
        sites = (flat % max(cells, 1)).astype(np.int32)
        return cls(offsets, sites, (steps, site[0], site[1], site[2]))

    @classmethod
    def joined(cls, parts: list[SpikeLists]) -> SpikeLists:
        """The samples of several lists of one shape, in order. Raises ValueError for lists of several shapes, or for none."""
        if len({part.shape for part in parts}) != 1:
            raise ValueError(f"lists of shapes {sorted({part.shape for part in parts})} cannot be joined, must be of one shape")
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(_offsets(counts), np.concatenate([part.sites for part in parts]), parts[0].shape)

    @property
    def samples(self) -> int:
        """N."""
        return (len(self.offsets) - 1) // self.shape[0]

    def part(self, first: int, last: int) -> SpikeLists:
        """Samples first to last - 1; the sites are not copied."""
        offsets = self.offsets[first * self.shape[0] : last * self.shape[0] + 1]
        return SpikeLists(offsets - offsets[0], self.sites[offsets[0] : offsets[-1]], self.shape)

    def only(self, kept: np.ndarray) -> SpikeLists:
        """The same samples with some of their spikes: bool (n_spikes,)."""
        index = np.flatnonzero(kept)
        return SpikeLists(np.searchsorted(index, self.offsets), self.sites[index], self.shape)

    def since(self, step: int) -> np.ndarray:
        """Which spikes come in this step of their sample or later: bool (n_spikes,)."""
        return np.repeat(np.arange(len(self.offsets) - 1) % self.shape[0] >= step, np.diff(self.offsets))

    def chosen(self, order: np.ndarray) -> SpikeLists:
        """Samples order[0], order[1], ...; copied."""
        return SpikeLists.joined([self.part(int(n), int(n) + 1) for n in order]) if len(order) else self.part(0, 0)

    def dense(self) -> np.ndarray:
        """uint8 (N, T, C, H, W) of 0 and 1."""
        steps, *site = self.shape
        rows = np.zeros((len(self.offsets) - 1, math.prod(site)), np.uint8)
        rows[np.repeat(np.arange(len(rows)), np.diff(self.offsets)), self.sites] = 1
        return rows.reshape(self.samples, steps, *site)


@dataclass(frozen=True)
class SparseFrames:
    """Frames (N, T, P, H, W), as lists.

    Attributes:
        lists: where they are above 0.
        counts: int32, the count at each address, 1 or more.
    """

    lists: SpikeLists
    counts: np.ndarray

    @classmethod
    def of(cls, frames: np.ndarray) -> SparseFrames:
        """From whole numbers (N, T, P, H, W)."""
        return cls(SpikeLists.of(frames), frames.reshape(-1)[np.flatnonzero(frames > 0)].astype(np.int32))

    @classmethod
    def joined(cls, parts: list[SparseFrames]) -> SparseFrames:
        """See `SpikeLists.joined`."""
        return cls(SpikeLists.joined([part.lists for part in parts]), np.concatenate([part.counts for part in parts]))

    def __len__(self) -> int:
        return self.lists.samples

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(N, T, P, H, W)."""
        return (len(self), *self.lists.shape)

    def part(self, first: int, last: int) -> SparseFrames:
        """Samples first to last - 1; nothing is copied."""
        steps, offsets = self.lists.shape[0], self.lists.offsets
        inside = slice(int(offsets[first * steps] - offsets[0]), int(offsets[last * steps] - offsets[0]))
        return SparseFrames(self.lists.part(first, last), self.counts[inside])

    def since(self, step: int) -> SparseFrames:
        """The same samples with nothing in the steps before this one."""
        kept = self.lists.since(step)
        return SparseFrames(self.lists.only(kept), self.counts[kept])

    def each(self) -> Iterator[SparseFrames]:
        """One sample after the other."""
        return (self.part(n, n + 1) for n in range(len(self)))

    def dense(self) -> np.ndarray:
        """(N, T, P, H, W): uint8 where that holds the counts, else int32."""
        samples, steps, *site = self.shape
        rows = np.zeros((samples * steps, math.prod(site)), np.uint8 if self.counts.max(initial=0) < 256 else np.int32)
        rows[np.repeat(np.arange(len(rows)), np.diff(self.lists.offsets)), self.lists.sites] = self.counts
        return rows.reshape(self.shape)


def dense(frames: np.ndarray | SparseFrames) -> np.ndarray:
    """Frames as an array, given as one or as lists."""
    return frames.dense() if isinstance(frames, SparseFrames) else frames


@dataclass(frozen=True)
class SparseMap:
    """A map (T, H, W) that is 0 nearly everywhere.

    Attributes:
        shape: (T, H, W).
        index: int64 (n,), flat indices of what is not 0, rising.
        value: float32 (n,).
    """

    shape: tuple[int, int, int]
    index: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, dense: np.ndarray) -> SparseMap:
        """From (T, H, W)."""
        flat = dense.reshape(-1)
        index = np.flatnonzero(flat)
        return cls((dense.shape[0], dense.shape[1], dense.shape[2]), index, flat[index])

    def dense(self) -> np.ndarray:
        """(T, H, W) float32."""
        flat = np.zeros(math.prod(self.shape), np.float32)
        flat[self.index] = self.value
        return flat.reshape(self.shape)


def block_ranges(spike_counts: np.ndarray, max_spikes: int) -> list[tuple[int, int]]:
    """Cut samples into blocks (first, end): each is closed by the sample that brings it to `max_spikes` spikes or more, and the
    last one by the end. So blocks depend on the samples alone.

    Args:
        spike_counts: int64 (N,), spikes of each sample.
        max_spikes: see above.

    Raises:
        ValueError: max_spikes below 1.
    """
    if max_spikes < 1:
        raise ValueError(f"blocks of {max_spikes} spikes, must be at least 1")
    ends = np.cumsum(spike_counts)
    ranges: list[tuple[int, int]] = []
    while (first := ranges[-1][1] if ranges else 0) < len(ends):
        before = ends[first - 1] if first else 0
        ranges.append((first, min(int(np.searchsorted(ends, before + max_spikes)) + 1, len(ends))))
    return ranges


def _offsets(counts: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
