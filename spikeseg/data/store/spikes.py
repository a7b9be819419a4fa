"""The cache of spikes: the output of the frozen layers below the one in training, sample by sample, as lists of addresses.

    spikes_{T}x{C}x{H}x{W}/sites     int32 (uint16 where C*H*W <= 65536) (n,): flat index (c*H + y)*W + x of each spike,
                                     sample by sample, step by step, rising within a step
    spikes_{T}x{C}x{H}x{W}/counts    uint32 (N*T,): spikes of each step

The attribute "contents" of the root lists the groups in the order of the samples, as runs [T, C, H, W, count].
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .arrays import COLUMNS, ArrayReader, ArrayWriter, Writer

if TYPE_CHECKING:
    from spikeseg.core.sparse import SpikeLists

KIND = "spikeseg spikes, version 2"


def group_of(shape: tuple[int, int, int, int]) -> str:
    """Name of the group that holds the samples of a shape (T, C, H, W)."""
    return "spikes_" + "x".join(map(str, shape))


class SpikeWriter(Writer):
    """Writes the cache in bounded memory.

        with SpikeWriter(path, attrs) as writer:
            writer.add(lists)

    The folder can be opened once the block has ended without an exception. Equal samples give equal bytes, however they are
    shared out over calls.

    Args:
        path: a folder that does not exist yet.
        attrs: anything that JSON can hold, given back by ``Spikes.attrs``.

    Raises InputError when the folder exists or cannot be made.
    """

    def __init__(self, path: str | Path, attrs: Mapping[str, Any] | None = None) -> None:
        self.attrs = dict(attrs or {})
        self._out = ArrayWriter(path, KIND)
        self._runs: list[tuple[tuple[int, int, int, int], int]] = []

    def add(self, lists: SpikeLists) -> None:
        """Append samples of one shape. Raises ValueError for lists whose parts do not belong together."""
        shape, counts, sites = lists.shape, np.diff(lists.offsets), lists.sites
        size = prod(shape[1:])
        whole = len(counts) == lists.samples * shape[0] and counts.min(initial=0) >= 0 and int(counts.sum()) == len(sites)
        if not whole or (len(sites) and not 0 <= sites.min() <= sites.max() < size):
            raise ValueError(f"lists of {len(counts)} steps and {len(sites)} spikes do not hold samples of shape {shape}")
        if not lists.samples:
            return
        group, dtype = group_of(shape), np.uint16 if size <= 2**16 else np.int32
        self._out.append(f"{group}/sites", sites.astype(dtype), COLUMNS, "spike")
        self._out.append(f"{group}/counts", counts.astype(np.uint32), COLUMNS, "step", units="spikes")
        if self._runs and self._runs[-1][0] == shape:
            self._runs[-1] = (shape, self._runs[-1][1] + lists.samples)
        else:
            self._runs.append((shape, lists.samples))

    def _finish(self) -> None:
        self._out.finish({"attrs": self.attrs, "runs": [[*shape, count] for shape, count in self._runs]})


class _Run(NamedTuple):
    """Consecutive samples of one shape: `first` to `last` - 1 of the cache are rows `row`, `row` + 1, ... of their group."""

    shape: tuple[int, int, int, int]
    first: int
    last: int
    row: int


class Spikes:
    """Reads the cache: ``len(spikes)``, samples in bulk with ``read``, or one with ``spikes[i]``.

    Attributes:
        attrs: what the writer was given.

    Everything raises InputError, naming the file, when one is missing or damaged.
    """

    def __init__(self, arrays: ArrayReader) -> None:
        self._in = arrays
        self.attrs: dict[str, Any] = arrays.contents["attrs"]
        self._runs: list[_Run] = []
        rows: dict[tuple[int, int, int, int], int] = {}
        for steps, channels, height, width, count in arrays.contents["runs"]:
            shape, first = (steps, channels, height, width), len(self)
            row = rows.get(shape, 0)
            self._runs.append(_Run(shape, first, first + count, row))
            rows[shape] = row + count
        self._offsets = {shape: self._begins(shape, count) for shape, count in rows.items()}

    def _begins(self, shape: tuple[int, int, int, int], count: int) -> np.ndarray:
        """Where the spikes of each step of a group of `count` samples begin: int64 (count*T + 1,)."""
        begins = np.zeros(count * shape[0] + 1, np.int64)
        np.cumsum(self._in.read(f"{group_of(shape)}/counts", 0, count * shape[0]), dtype=np.int64, out=begins[1:])
        return begins

    @classmethod
    def open(cls, path: str | Path) -> Spikes:
        """Open a cache, after checking that every file is there; reads the counts, not the sites."""
        return cls(ArrayReader(path, KIND))

    def __len__(self) -> int:
        return self._runs[-1].last if self._runs else 0

    def __getitem__(self, i: int) -> np.ndarray:
        """Sample i, uint8 (T, C, H, W) of 0 and 1, to look at. Raises IndexError outside 0 to len - 1."""
        if not 0 <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        (lists,) = self.read(i, i + 1)
        sample: np.ndarray = lists.dense()[0]
        return sample

    def spike_counts(self) -> np.ndarray:
        """Spikes of each sample, in order: int64 (N,)."""
        counts = [np.diff(self._offsets[run.shape][self._steps(run)][:: run.shape[0]]) for run in self._runs]
        return np.concatenate(counts) if counts else np.zeros(0, np.int64)

    def blocks(self, max_spikes: int) -> list[tuple[int, int]]:
        """Cut all samples into blocks (first, end) for ``read``: each is closed by the sample that brings it to
        `max_spikes` spikes or more, and the last one by the end of the cache. So blocks depend on the samples alone.

        Raises ValueError for max_spikes < 1.
        """
        from spikeseg.core.sparse import block_ranges

        return block_ranges(self.spike_counts(), max_spikes)

    def read(self, first: int, last: int) -> list[SpikeLists]:
        """Samples first to last - 1, in order: one list per stretch of equal shape, each in one read from disk.

        Raises IndexError outside 0 to len.
        """
        if not 0 <= first <= last <= len(self):
            raise IndexError(f"samples {first} to {last} of {len(self)}")
        from spikeseg.core.sparse import SpikeLists

        lists: list[SpikeLists] = []
        for run in self._runs[bisect_right(self._runs, first, key=lambda run: run.last) :]:
            if first >= last:
                break
            end, name = min(last, run.last), f"{group_of(run.shape)}/sites"
            steps = self._steps(_Run(run.shape, first, end, run.row + first - run.first))
            offsets = self._offsets[run.shape][steps]
            sites = self._in.read(name, int(offsets[0]), int(offsets[-1])).astype(np.int32, copy=False)
            if len(sites) and not 0 <= sites.min() <= sites.max() < prod(run.shape[1:]):
                raise self._in.damaged(name, f"an address outside samples of {run.shape}")
            lists.append(SpikeLists(offsets - offsets[0], sites, run.shape))
            first = end
        return lists

    def _steps(self, run: _Run) -> slice:
        """The offsets of a run, the end included."""
        steps = run.shape[0]
        return slice(run.row * steps, (run.row + run.last - run.first) * steps + 1)
