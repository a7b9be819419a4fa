"""Whole samples through a chain of layers on a CPU, spikes alone: batched inference."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import cpu_inference, cpu_kernels
from .cpu_memory import Membranes, aligned, as_array, in_units
from .lists import SpikeLists
from .reference import pooled_size
from .types import BlockThreshold, Layer, PooledSpikes


def encode(
    frames: np.ndarray, layers: Sequence[Layer], first_threshold: BlockThreshold | None = None, *, threads: int = 1
) -> list[PooledSpikes]:
    """See `reference.encode`; with several threads the samples run side by side."""
    parts = np.array_split(np.arange(len(frames)), max(1, min(threads, len(frames))))

    def work(part: np.ndarray) -> list[list[PooledSpikes]]:
        chain = Chain(layers, frames.shape[1:])
        return [chain.run(frames[n], first_threshold, n) for n in part.tolist()]

    if len(parts) == 1:
        results = work(parts[0])
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            results = [sample for done in pool.map(work, parts) for sample in done]
    if not results:
        return Chain(layers, frames.shape[1:]).nothing()
    return [_joined(list(spikes)) for spikes in zip(*results, strict=True)]


def _joined(samples: list[PooledSpikes]) -> PooledSpikes:
    kept = [one.kept for one in samples if one.kept is not None]
    return PooledSpikes(SpikeLists.joined([one.lists for one in samples]), np.concatenate(kept) if kept else None)


class Chain:
    """The layers with the scratch that one thread needs. shape: (T, P, H, W) of a sample."""

    def __init__(self, layers: Sequence[Layer], shape: tuple[int, ...]) -> None:
        steps, channels, height, width = shape
        self.steps = steps
        self._sites = np.zeros(steps * channels * height * width, np.int32)
        self._counts = np.zeros_like(self._sites)
        self.links: list[_Link] = []
        for layer in layers:
            self.links.append(_Link(layer, steps, (height, width)))
            height, width = self.links[-1].size

    def run(self, frames: np.ndarray, first_threshold: BlockThreshold | None, n: int) -> list[PooledSpikes]:
        """One sample (T, P, H, W), the n-th of those that the thresholds know."""
        found = []
        offsets, sites, counts = self._listed(frames)
        for i, link in enumerate(self.links):
            if i == 0 and first_threshold is not None:
                link.adapt(in_units(first_threshold.values[n]), first_threshold.block)
            found.append(link.run(offsets, sites, counts))
            offsets, sites, counts = found[-1].lists.offsets, found[-1].lists.sites, _ONCE
        return found

    def nothing(self) -> list[PooledSpikes]:
        """What no sample at all gives."""
        return [link.result(np.zeros(1, np.int64)) for link in self.links]

    def _listed(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat addresses of what is above 0, step by step, and how often; good until the next call."""
        rows = np.ascontiguousarray(frames).reshape(self.steps, -1)
        offsets = np.zeros(self.steps + 1, np.int64)
        cpu_inference.list_frames(rows, offsets, self._sites, self._counts)
        return offsets, self._sites[: offsets[-1]], self._counts[: offsets[-1]]


_ONCE = np.empty(0, np.int32)


class _Link:
    """One layer of a chain, with its pool."""

    def __init__(self, layer: Layer, steps: int, size: tuple[int, int]) -> None:
        self.input_size, self.steps = size, steps
        self.maps = len(layer.weight)
        self.pool = layer.pool or (0, 1)
        self.size = size if layer.pool is None else (pooled_size(size[0], *self.pool), pooled_size(size[1], *self.pool))
        self.membranes = Membranes(layer.weight, size, layer.mode, layer.leak)
        self.membranes.tabulate(as_array(layer.weight))
        self.half = layer.weight.shape[-1] // 2
        cells = self.maps * self.size[0] * self.size[1]
        self._cells = (np.zeros((steps, cells // 64 + 1), np.uint64), *(np.zeros((steps, cells), np.int32) for _ in range(2)))
        self._sites, self._kept = np.zeros(cells * steps, np.int32), np.zeros(cells * steps, np.int32)
        self.adapt(in_units(layer.threshold)[:, None, None], max(size))

    def adapt(self, thresholds: np.ndarray, block: int) -> None:
        """Thresholds int32 (maps, rows, columns) of blocks from now on."""
        columns = np.arange(self.input_size[1]) // block
        rows = thresholds[:, :, columns].transpose(1, 2, 0).reshape(thresholds.shape[1], -1)
        beside = ((0, 0), (self.half * self.maps, self.half * self.maps))
        self.theta = aligned(len(rows), self.membranes.length)
        self.theta[:] = np.pad(rows, beside, constant_values=cpu_kernels.NEVER)
        self.block = block
        flat, m = self.theta.reshape(-1), self.membranes
        self.patch = aligned(self.maps * m.table.shape[0])
        self.patch[:] = np.tile(thresholds[:, 0, 0], m.table.shape[0])
        self.exciting = thresholds.shape[1:] == (1, 1) and bool(cpu_kernels.excites(m.table, flat, *m.dynamics))
        self.restless = bool(cpu_kernels.restless(flat, *m.dynamics))

    def run(self, offsets: np.ndarray, sites: np.ndarray, counts: np.ndarray) -> PooledSpikes:
        """One sample's spikes, address by address."""
        out = np.zeros(self.steps + 1, np.int64)
        m = self.membranes
        once = not len(counts) or int(counts.max()) == 1
        cpu_inference.run_layer(
            offsets, sites, counts, self.steps, *self.input_size, m.v, m.table, self.theta, self.block, self.patch,
            self.exciting and once, *m.tiling(len(sites), self.steps), m.stamps, m.opened, *m.dynamics, self.restless,
            *m.sorting(self.steps, len(sites)), *self.pool, *self.size, *self._cells, out, self._sites, self._kept,
        )  # fmt: skip
        return self.result(out)

    def result(self, offsets: np.ndarray) -> PooledSpikes:
        """A copy of what lies in the scratch."""
        count = int(offsets[-1])
        lists = SpikeLists(offsets, self._sites[:count].copy(), (self.steps, self.maps, *self.size))
        return PooledSpikes(lists, self._kept[:count].copy() if self.pool[0] else None)
