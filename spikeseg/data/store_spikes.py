"""The cache of spikes: what the frozen layers below the one in training say to each sample.

    spikes_{T}x{C}x{H}x{W}/spikes    bool (N, T, C, H, W), one sample per chunk

The attribute "contents" of the root lists the groups in the order of the samples, as runs [group, count].
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.data.store_arrays import SAMPLES, ArrayReader, ArrayWriter, Finished

KIND = "spikeseg spikes, version 1"


class SpikeWriter(Finished):
    """Writes the cache in bounded memory.

        with SpikeWriter(path, attrs) as writer:
            writer.add(spikes)

    The folder can be opened once the block has ended without an exception. Equal input gives equal bytes.

    Args:
        path: a folder that does not exist yet.
        attrs: anything that JSON can hold, given back by ``Spikes.attrs``.

    Raises InputError when the folder exists or cannot be made.
    """

    def __init__(self, path: str | Path, attrs: Mapping[str, Any] | None = None) -> None:
        self.attrs = dict(attrs or {})
        self._out = ArrayWriter(path, KIND)
        self._runs: list[tuple[str, int]] = []

    def add(self, spikes: np.ndarray) -> None:
        """Append samples (n, T, C, H, W) of 0 and 1. Raises ValueError for another number of axes."""
        if spikes.ndim != 5:
            raise ValueError(f"spikes {spikes.shape}, must be (n, T, C, H, W)")
        group = "spikes_" + "x".join(map(str, spikes.shape[1:]))
        self._out.append(f"{group}/spikes", spikes.astype(bool), SAMPLES, "sample step map y x", units="1")
        if self._runs and self._runs[-1][0] == group:
            self._runs[-1] = (group, self._runs[-1][1] + len(spikes))
        else:
            self._runs.append((group, len(spikes)))

    def _finish(self) -> None:
        self._out.finish({"attrs": self.attrs, "runs": [list(run) for run in self._runs]})


class Spikes:
    """Reads the cache: ``len(spikes)``, ``spikes[i]`` -> uint8 (T, C, H, W), or whole runs of one size with ``runs``.

    Attributes:
        attrs: what the writer was given.

    Reading raises InputError, naming the file, when one is missing or damaged.
    """

    def __init__(self, arrays: ArrayReader) -> None:
        self._in = arrays
        self.attrs: dict[str, Any] = arrays.contents["attrs"]
        self._groups = [str(group) for group, _ in arrays.contents["runs"]]
        self._ends = list(accumulate(int(count) for _, count in arrays.contents["runs"]))
        self._rows: list[int] = []
        seen: dict[str, int] = {}
        for group, count in arrays.contents["runs"]:
            self._rows.append(seen.get(group, 0))
            seen[group] = seen.get(group, 0) + count

    @classmethod
    def open(cls, path: str | Path) -> Spikes:
        """Open a cache, after checking that every file is there. Raises InputError otherwise."""
        return cls(ArrayReader(path, KIND))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, i: int) -> np.ndarray:
        """Sample i, uint8 (T, C, H, W). Raises IndexError outside 0 to len - 1."""
        if not 0 <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        run = bisect_right(self._ends, i)
        row = self._rows[run] + i - (self._ends[run - 1] if run else 0)
        sample: np.ndarray = self._read(run, row, row + 1)[0]
        return sample

    def runs(self, count: int = 64) -> Iterator[np.ndarray]:
        """All samples in order, in bulk: uint8 (n, T, C, H, W) of one size each, n <= count."""
        for run, end in enumerate(self._ends):
            row, begin = self._rows[run], self._ends[run - 1] if run else 0
            for first in range(0, end - begin, count):
                yield self._read(run, row + first, row + min(first + count, end - begin))

    def _read(self, run: int, first: int, last: int) -> np.ndarray:
        spikes: np.ndarray = self._in.read(f"{self._groups[run]}/spikes", first, last).view(np.uint8)
        return spikes
