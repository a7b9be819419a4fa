"""Whole samples through a chain of layers on a GPU: lists of spikes go up, lists come down, words of step bits stay there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.types import BlockThreshold, Layer, PooledSpikes

from . import inference_kernels
from .memory import (
    EXACT,
    STEP_BITS,
    Geometry,
    chunk,
    columns,
    in_units,
    launching_on,
    leak_units,
    padded_maps,
    power_of_two,
    tabulated,
    unit_table,
    weight_parts,
)
from .transfers import Download, Transfers

ROWS = 64
ROOM = 2**26
"""Bytes of a layer's output that a group of samples may take: enough samples to fill a card, few enough to copy one group while
the next is computed."""
MOST_PROGRAMS = 2**31 - 1
"""Of a launch."""
LARGEST_WINDOW = 8
BLOCK = 256
"""Sites that a program lists, of one warp."""
LISTED = 1024
"""Sites of a list that a program unpacks at a time."""
SCAN = 128
"""Sites in reach of a tile that are looked at at a time."""
EVENT_COLUMNS = 16
"""Maps of a program that adds weights event by event, at most: its warp of 32 lanes holds their potentials in registers."""
MOST_LISTED = 2048
"""Sites in reach of a tile that can be listed, at most."""
PRODUCTS, EVENT, EVENT_MAP = 1500, 30, 6
"""Instructions of warps, as compiled for sm_80 and sm_90: of the products of a step with one chunk of synapses; of an event, and
more for each map. Event by event goes what takes fewer."""
PLANES = (1, 2, 4, 8, 16, 24)
"""Bits that counts may take; few numbers, as the kernels are compiled for each."""


def encode(
    frames: np.ndarray | SparseFrames, layers: Sequence[Layer], first_threshold: BlockThreshold | None = None, *, threads: int = 1
) -> list[PooledSpikes]:
    """See `reference.encode`; `threads` is without effect.

    Raises:
        ValueError: more than 32 steps, windows of a pool larger than 8 x 8, or a leak off the grid.
    """
    del threads
    steps = frames.shape[1]
    if steps > STEP_BITS:
        raise ValueError(f"samples of {steps} steps; this backend keeps a sample's steps in {STEP_BITS} bits")
    with launching_on(layers[0].weight.device), torch.no_grad():
        return _encode(frames, layers, first_threshold)


def _encode(
    frames: np.ndarray | SparseFrames, layers: Sequence[Layer], first_threshold: BlockThreshold | None
) -> list[PooledSpikes]:
    samples, steps, height, width = len(frames), frames.shape[1], frames.shape[3], frames.shape[4]
    chain, size = [], (height, width)
    for layer in layers:
        chain.append(_PooledLayer(layer, size, steps))
        size = chain[-1].out_size
    peak = int((frames.counts if isinstance(frames, SparseFrames) else frames).max(initial=0))
    planes = next(bits for bits in PLANES if peak < 1 << bits)
    transfers = Transfers(layers[0].weight.device)
    at_once = max(1, min(layer.most_samples for layer in chain))
    groups = []
    for start in range(0, max(1, samples), at_once):
        last = min(start + at_once, samples)
        part = frames.part(start, last) if isinstance(frames, SparseFrames) else frames[start:last]
        values = None if first_threshold is None else BlockThreshold(first_threshold.values[start:last], first_threshold.block)
        groups.append(_Group(part, values, chain, transfers))
    found: list[list[PooledSpikes]] = []
    for i in range(len(groups) + 2):  # one group computes, the one before is listed, the one before that is copied down
        if i < len(groups):
            groups[i].begin(planes)
        if 0 < i <= len(groups):
            groups[i - 1].compact()
        if i > 1:
            found.append(groups[i - 2].collect())
    return [_joined(parts) for parts in zip(*found, strict=True)]


def _joined(parts: Sequence[PooledSpikes]) -> PooledSpikes:
    kept = [part.kept for part in parts if part.kept is not None]
    return PooledSpikes(SpikeLists.joined([part.lists for part in parts]), np.concatenate(kept) if kept else None)


class _Fired(NamedTuple):
    """What a layer said, on the device: step bits, padded by `half`, pooling indices, where the spikes come in the lists."""

    words: Tensor
    half: int
    kept: Tensor
    counts: Tensor
    ends: Tensor


class _Group:
    """Some samples on their way through the chain, in three parts, so that copies and computing of several groups overlap."""

    def __init__(
        self,
        frames: np.ndarray | SparseFrames,
        threshold: BlockThreshold | None,
        chain: Sequence[_PooledLayer],
        transfers: Transfers,
    ) -> None:
        self._frames, self._threshold, self._chain, self._transfers = frames, threshold, chain, transfers
        self._fired: list[_Fired] = []
        self._lists: list[Download] = []

    def begin(self, planes: int) -> None:
        """Upload the samples and launch all layers; the numbers of spikes are on their way down."""
        chain, threshold = self._chain, self._threshold
        words = self._uploaded(planes)
        for i, layer in enumerate(chain):
            theta, block = in_units(layer.layer.threshold)[None, :, None, None], max(layer.size)
            if i == 0 and threshold is not None:
                theta, block = in_units(threshold.values.to(words.device)), threshold.block
            half = chain[i + 1].geometry.half if i + 1 < len(chain) else 0
            self._fired.append(layer.run(words, theta.contiguous(), block, half))
            words = self._fired[-1].words[:, None]
        self._offsets = self._transfers.down(*(_offsets(fired) for fired in self._fired))

    def compact(self) -> None:
        """Once the numbers of spikes are known: launch what lists them; the lists are on their way down."""
        self._rows = self._offsets.arrays()
        for layer, fired, rows in zip(self._chain, self._fired, self._rows, strict=True):
            self._lists.append(self._transfers.down(*layer.listed(fired, int(rows[-1]))))
        self._fired = []

    def collect(self) -> list[PooledSpikes]:
        """The spikes of every layer."""
        found = []
        for layer, rows, lists in zip(self._chain, self._rows, self._lists, strict=True):
            sites, *kept = lists.arrays()
            found.append(PooledSpikes(SpikeLists(rows, sites, layer.out_shape), kept[0] if kept else None))
        self._lists = []
        return found

    def _uploaded(self, planes: int) -> Tensor:
        """Step bits int32 (N, planes, sites)."""
        frames = self._frames if isinstance(self._frames, SparseFrames) else SparseFrames.of(self._frames)
        geometry, up = self._chain[0].geometry, self._transfers.up
        offsets, sites, (steps, *_) = frames.lists
        words = torch.zeros(len(frames), planes, geometry.sites, dtype=torch.int32, device=self._transfers.device)
        listed, counts = up(sites), up(frames.counts.astype(np.int32, copy=False)) if planes > 1 else None
        if len(offsets) > 1:
            inference_kernels.fill_planes[(len(offsets) - 1,)](
                up(offsets), listed, listed if counts is None else counts, words, geometry.sites, geometry.height,
                geometry.width, geometry.half, steps, PLANES=planes, BLOCK=LISTED, **EXACT,
            )  # fmt: skip
        return words


def _offsets(fired: _Fired) -> Tensor:
    """int64 (N * T + 1,), of the lists."""
    ends = fired.ends.reshape(-1, fired.ends.shape[-1])[:, -1]
    return torch.cat([ends.new_zeros(1), ends])


class _PooledLayer:
    """One layer of a chain, with its pool, at one frame size."""

    def __init__(self, layer: Layer, size: tuple[int, int], steps: int) -> None:
        self.layer, self.size, self.maps, self.steps = layer, size, len(layer.weight), steps
        self.kernel, self.stride = layer.pool or (1, 1)
        if self.kernel > LARGEST_WINDOW:
            raise ValueError(
                f"a pool over {self.kernel} x {self.kernel}; this backend pools up to {LARGEST_WINDOW} x {LARGEST_WINDOW}"
            )
        self.out_size = (pooled_size(size[0], self.kernel, self.stride), pooled_size(size[1], self.kernel, self.stride))
        self.out_shape = (steps, self.maps, *self.out_size)
        self.cells = self.maps * self.out_size[0] * self.out_size[1]
        self.parts = -(-self.cells // BLOCK)
        self.geometry = Geometry.of(layer.weight, size)
        self.weights = tabulated(layer.weight, weight_parts(layer.weight))
        self.table = unit_table(layer.weight)
        self.leak = leak_units(layer.mode, layer.leak)
        window = power_of_two(self.kernel**2)
        cells = ROWS // window
        self.tile = (cells // power_of_two(round(cells**0.5)), power_of_two(round(cells**0.5)))
        self.tiles = -(-self.out_size[0] // self.tile[0]), -(-self.out_size[1] // self.tile[1])
        synapses, reach = layer.weight[0].numel(), layer.weight.shape[-1] - 1
        halo = layer.weight.shape[1] * math.prod((side - 1) * self.stride + self.kernel + reach for side in self.tile)
        self.narrow = min(EVENT_COLUMNS, power_of_two(self.maps))
        products = steps * -(-synapses // chunk(synapses)) * -(-self.maps // columns(self.maps)) * PRODUCTS
        events = products // (-(-self.maps // self.narrow) * (EVENT + EVENT_MAP * self.narrow))
        self.few = max(16, min(MOST_LISTED, power_of_two(min(halo, events))))
        self.options: dict[str, Any] = {
            "STEPS": steps, "MODE": int(layer.mode.code), "KERNEL": layer.weight.shape[-1], "POOL": self.kernel,
            "STRIDE": self.stride, "WINDOW": window, "CELL_ROWS": self.tile[0], "CELL_COLUMNS": self.tile[1],
            "POOLED": layer.pool is not None, "WEIGHT_PARTS": self.weights.shape[1], "TAPS": len(self.geometry.taps),
            "CHUNK": chunk(synapses), "MAPS": padded_maps(self.maps), "FEW": self.few, "EVENTS": events, "SCAN": SCAN, **EXACT,
        }  # fmt: skip

    @property
    def most_samples(self) -> int:
        """How many fit into ROOM, and into one launch."""
        return min(ROOM // max(1, self.steps * self.cells), MOST_PROGRAMS // max(self.tiles[0] * self.tiles[1], self.parts))

    def run(self, words: Tensor, theta: Tensor, block: int, out_half: int) -> _Fired:
        """What fires where.

        Args:
            words: int32 (N, planes, sites), step bits of the input.
            theta: int32 (N or 1, maps, rows, columns) of blocks.
            block: side of a block, pixels.
            out_half: zeros beside the output's words, as the next layer's kernel reaches.
        """
        samples, device = len(words), words.device
        tiles, (height, width) = self.tiles[0] * self.tiles[1], self.out_size
        room = (height + 2 * out_half) * (width + 2 * out_half)
        fired = torch.zeros(samples, self.maps * room, dtype=torch.int32, device=device)
        kept = torch.empty((samples, self.steps, self.cells if self.layer.pool else 0), dtype=torch.uint8, device=device)
        counts = torch.zeros(samples, self.steps, self.parts, dtype=torch.int32, device=device)
        if samples and self.steps:
            programs = samples * tiles * -(-self.maps // self.narrow)
            lists, busy = (torch.empty(n, dtype=torch.int32, device=device) for n in (programs * 3 * self.few, samples * tiles))
            for by_event, cols, warps in ((True, self.narrow, 1), (False, columns(self.maps), 8)):
                inference_kernels.infer[(samples * tiles, -(-self.maps // cols))](
                    words, self.geometry.taps, self.weights, self.table, theta, fired, kept, lists, busy,
                    self.geometry.sites, self.geometry.channels, self.maps, *self.size,
                    block, theta.stride(0) if len(theta) > 1 else 0, theta.stride(1), theta.stride(2),
                    height, width, out_half, self.leak, tiles, self.tiles[1], PLANES=words.shape[1],
                    BY_EVENT=by_event, COLS=cols, num_warps=warps, **self.options,
                )  # fmt: skip
            inference_kernels.tally[(samples * self.parts,)](
                fired, counts, self.cells, height, width, out_half, self.parts, STEPS=self.steps, BLOCK=BLOCK, num_warps=1,
                **EXACT,
            )  # fmt: skip
        ends = counts.reshape(-1).cumsum(0, dtype=torch.int64).reshape(counts.shape)
        return _Fired(fired, out_half, kept, counts, ends)

    def listed(self, fired: _Fired, spikes: int) -> list[Tensor]:
        """Addresses and, behind a pool, pooling indices of so many spikes, int32."""
        samples, (height, width) = len(fired.words), self.out_size
        sites, kept = (torch.empty(spikes, dtype=torch.int32, device=fired.words.device) for _ in range(2))
        if samples and self.steps:
            inference_kernels.list_spikes[(samples * self.parts,)](
                fired.words, fired.kept, fired.ends, fired.counts, sites, kept, self.cells, height, width, fired.half, self.parts,
                self.size[1], STEPS=self.steps, POOL=self.kernel, STRIDE=self.stride, POOLED=self.layer.pool is not None,
                BLOCK=BLOCK, num_warps=1, **EXACT,
            )  # fmt: skip
        return [sites] if self.layer.pool is None else [sites, kept]
