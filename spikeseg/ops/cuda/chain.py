"""Whole samples through a chain of layers on a GPU: batched inference, one launch a layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SparseFrames, SpikeLists, dense
from spikeseg.ops.types import BlockThreshold, Layer, PooledSpikes

from . import neuron_kernels
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
    parts_of,
    power_of_two,
    tabulated,
    weight_parts,
)

ROWS = 64
ROOM = 2**28
"""Bytes of output, one a site and step, that a group of samples may take."""
LARGEST_WINDOW = 8


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
        return _encode(dense(frames), layers, first_threshold)


def _encode(frames: np.ndarray, layers: Sequence[Layer], first_threshold: BlockThreshold | None) -> list[PooledSpikes]:
    samples, steps = frames.shape[:2]
    chain, size = [], (frames.shape[3], frames.shape[4])
    for layer in layers:
        chain.append(_PooledLayer(layer, size))
        size = chain[-1].out_size
    group = max(1, ROOM // max(steps * pooled.maps * pooled.cells for pooled in chain))
    parts: list[list[PooledSpikes]] = [[] for _ in chain]
    for start in range(0, max(1, samples), group):
        part = frames[start : start + group]
        values = None if first_threshold is None else first_threshold.values[start : start + group]
        planes = chain[0].padded(_uploaded(part, layers[0].weight.device))
        peak = int(part.max(initial=0))
        if peak <= 1:
            planes, peak = _words(planes), 0
        for i, pooled in enumerate(chain):
            theta, block = in_units(pooled.layer.threshold)[None, :, None, None], max(pooled.size)
            if i == 0 and values is not None and first_threshold is not None:
                theta, block = in_units(values.to(planes.device)), first_threshold.block
            after = chain[i + 1].geometry if i + 1 < len(chain) else None
            outputs, planes = pooled.run(planes, steps, peak, theta, block, after)
            peak = 0
            parts[i].append(pooled.listed(outputs))
    return [_joined(part) for part in parts]


def _uploaded(frames: np.ndarray, device: torch.device) -> Tensor:
    """uint8 where the counts fit, else int32."""
    whole = np.uint8 if frames.dtype == bool or frames.max(initial=0) < 256 else np.int32
    return torch.from_numpy(np.ascontiguousarray(frames, dtype=whole)).to(device)


def _words(planes: Tensor) -> Tensor:
    """0 and 1 (N, T, sites) -> int32 (N, sites) of step bits."""
    words = torch.zeros(len(planes), planes.shape[2], dtype=torch.int32, device=planes.device)
    for t in range(planes.shape[1]):
        words |= planes[:, t].to(torch.int32) << t
    return words


def _joined(parts: list[PooledSpikes]) -> PooledSpikes:
    kept = [part.kept for part in parts if part.kept is not None]
    return PooledSpikes(SpikeLists.joined([part.lists for part in parts]), np.concatenate(kept) if kept else None)


class _PooledLayer:
    """One layer of a chain, with its pool, at one frame size."""

    def __init__(self, layer: Layer, size: tuple[int, int]) -> None:
        self.layer, self.size, self.maps = layer, size, len(layer.weight)
        self.kernel, self.stride = layer.pool or (1, 1)
        if self.kernel > LARGEST_WINDOW:
            raise ValueError(
                f"a pool over {self.kernel} x {self.kernel}; this backend pools up to {LARGEST_WINDOW} x {LARGEST_WINDOW}"
            )
        self.out_size = (pooled_size(size[0], self.kernel, self.stride), pooled_size(size[1], self.kernel, self.stride))
        self.cells = self.out_size[0] * self.out_size[1]
        self.geometry = Geometry.of(layer.weight, size)
        self.weights = tabulated(layer.weight, weight_parts(layer.weight))
        self.leak = leak_units(layer.mode, layer.leak)

    def padded(self, planes: Tensor) -> Tensor:
        return self.geometry.padded(planes)

    def run(
        self, planes: Tensor, steps: int, peak: int, theta: Tensor, block: int, after: Geometry | None
    ) -> tuple[Tensor, Tensor]:
        """What fires where: outputs uint8 (N, T, maps * cells), and words of step bits for the layer `after`.

        Args:
            planes: words (N, sites), or counts up to `peak` (N, T, sites).
            steps: T.
            peak: highest count; 0 where planes are words.
            theta: int32 (N or 1, maps, rows, columns) of blocks.
            block: side of a block, pixels.
            after: where the synapses of the next layer lie in its input; None behind the last one.
        """
        samples, cols = len(planes), columns(self.maps)
        geometry = self.geometry
        out_half = 0 if after is None else after.half
        out_row = self.out_size[1] + 2 * out_half
        out_plane = (self.out_size[0] + 2 * out_half) * out_row
        words = torch.zeros(samples, self.maps * out_plane, dtype=torch.int32, device=planes.device)
        outputs = torch.empty(samples, steps, self.maps * self.cells, dtype=torch.uint8, device=planes.device)
        window = power_of_two(self.kernel**2)
        theta = theta.contiguous()
        if samples and steps:
            neuron_kernels.infer[(-(-self.cells // (ROWS // window)), -(-self.maps // cols), samples)](
                planes, geometry.taps, self.weights, theta, outputs, words,
                geometry.sites * (steps if peak else 1), geometry.sites, geometry.row,
                self.maps, *self.size, block, theta.stride(0) if len(theta) > 1 else 0, theta.stride(1), theta.stride(2),
                *self.out_size, self.stride, words.shape[1], out_plane, out_row, out_half, self.leak,
                STEPS=steps, MODE=int(self.layer.mode.code), POOL=self.kernel, WINDOW=window, BITS=peak == 0,
                INPUT_PARTS=parts_of(peak), WEIGHT_PARTS=self.weights.shape[1], TAPS=len(geometry.taps),
                CHUNK=chunk(self.layer.weight[0].numel()), MAPS=padded_maps(self.maps), ROWS=ROWS, COLS=cols,
                **EXACT,
            )  # fmt: skip
        return outputs, words

    def listed(self, outputs: Tensor) -> PooledSpikes:
        """Outputs as lists on the host."""
        samples, steps = outputs.shape[:2]
        rows = outputs.reshape(samples * steps, self.maps * self.cells)
        step, site = torch.nonzero(rows, as_tuple=True)
        counts = torch.bincount(step, minlength=len(rows)).cpu().numpy()
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        lists = SpikeLists(offsets, site.to(torch.int32).cpu().numpy(), (steps, self.maps, *self.out_size))
        if self.layer.pool is None:
            return PooledSpikes(lists, None)
        within, cell = rows[step, site].long() - 1, site % self.cells
        row = cell // self.out_size[1] * self.stride + within // self.kernel
        column = cell % self.out_size[1] * self.stride + within % self.kernel
        return PooledSpikes(lists, (row * self.size[1] + column).to(torch.int32).cpu().numpy())
