"""Spikes traced back on a GPU, event-driven: lists go up, each spike gathers from those above, lists of saliency come down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.sparse import SparseFrames, SparseMap, SpikeLists
from spikeseg.ops import reference
from spikeseg.ops.reference.tracing import one_by_one, reach_of
from spikeseg.ops.types import Layer, PooledSpikes

from . import tracing_kernels
from .memory import EXACT, in_units, launching_on, power_of_two
from .transfers import Transfers

ROOM = 2**28
"""Bytes that a group of samples may take on the device, on average."""
ACTIVITY = 1024
"""Numbers of activity that a program of one warp holds, at most: two registers a number."""
WARP = 32
LARGEST = 2.0**63
"""Activity stays below this."""


def trace(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> list[SparseMap]:
    """See `reference.trace`. Groups of samples whose activity may leave 63 bits are left to it."""
    events = frames.lists if isinstance(frames, SparseFrames) else SpikeLists.of(frames)
    levels = [PooledSpikes(events, None), *spikes]
    steps, samples = events.shape[0], len(frames)
    whole = delay_connections and decay == 1  # nothing is weakened
    lanes = 1 if whole else power_of_two(steps)
    reach = None if whole or not delay_connections else reach_of(steps, decay, delay_connections=True)
    taken = sum(4 * samples * math.prod(lists.shape[1:]) + 8 * lanes * len(lists.sites) for lists, _ in levels)
    at_once = max(1, min(samples, ROOM * samples // max(1, taken)))
    maps: list[SparseMap] = []
    with launching_on(layers[0].weight.device), torch.no_grad():
        transfers = Transfers(layers[0].weight.device)
        descents = [_Descent(layer, steps, lanes, delay_connections) for layer in layers]
        for first in range(0, samples, at_once):
            last = min(first + at_once, samples)
            parts = [level.part(first, last) for level in levels]
            found = _traced(parts, descents, reach, transfers)
            if found is None:
                part = frames.part(first, last) if isinstance(frames, SparseFrames) else frames[first:last]
                found = reference.trace(part, layers, parts[1:], delay_connections=delay_connections, decay=decay)
            maps += found
    return maps


trace_sets = one_by_one(trace)


class _Nodes(NamedTuple):
    """Spikes of a layer, or events, on the device; what of them `tracing_kernels.descend` reads.

    Attributes:
        sites, rows, until, starts, neurons: see there; until and starts are empty where nobody reads them.
        shape: (C, H, W), behind the pool.
    """

    sites: Tensor
    rows: Tensor
    until: Tensor
    starts: Tensor
    neurons: Tensor
    shape: tuple[int, int, int]


def _nodes(level: PooledSpikes, transfers: Transfers, *, above: bool, delayed: bool) -> _Nodes:
    """above: whether anything is gathered from them; then those of a site lie side by side, by step, and so they do without
    delay connections. Else they come in the order of their list."""
    (offsets, listed, (steps, *shape)), cells = level.lists, math.prod(level.lists.shape[1:])
    sites = transfers.up(listed)
    rows = torch.repeat_interleave(transfers.up(np.diff(offsets)), output_size=len(listed)).to(torch.int32)
    neurons = sites % (shape[1] * shape[2]) if level.kept is None else transfers.up(level.kept)
    starts = until = sites[:0]
    if above or not delayed:
        key, order = torch.sort(rows // steps * cells + sites, stable=True)
        sites, rows, neurons = sites[order], rows[order], neurons[order]
        if above:
            counts = torch.zeros(level.lists.samples * cells + 1, dtype=torch.int32, device=key.device)
            starts = counts.index_add_(0, key + 1, torch.ones_like(rows)).cumsum(0, dtype=torch.int32)
        if not delayed:
            until = torch.full_like(rows, steps)
            until[:-1] = torch.where(key[1:] == key[:-1], rows[1:] % steps, steps)
    return _Nodes(sites, rows, until, starts, neurons, (shape[0], shape[1], shape[2]))


class _Descent:
    """A convolution and the pool behind it, as traces go down through them."""

    def __init__(self, layer: Layer, steps: int, lanes: int, delayed: bool) -> None:
        self.steps, self.lanes, self.delayed = steps, lanes, delayed
        self.pool, self.stride = layer.pool or (1, 1)
        self.weights = in_units(layer.weight).clamp(min=0).contiguous()
        ways = steps * (-(-self.pool // self.stride)) ** 2  # from spikes of a neuron to one below; pools may overlap
        self.most = self.weights.double().sum((0, 2, 3)).max() * ways
        """Bound on what arrives at one spike, for each unit of the largest activity above: float64 ()."""

    def run(self, below: _Nodes, above: _Nodes, values: Tensor) -> Tensor:
        """What arrives below: int64 (spikes below, lanes)."""
        number = len(below.sites)
        arrived = values.new_empty((number, self.lanes))
        nodes = min(WARP, max(1, ACTIVITY // self.lanes))
        tracing_kernels.descend[(-(-number // nodes),)](
            below.sites, below.rows, below.until, above.starts, above.rows, above.neurons, values, self.weights, arrived,
            number, self.steps, below.shape[0], above.shape[0], *below.shape[1:], *above.shape[1:],
            KERNEL=self.weights.shape[-1], POOL=self.pool, STRIDE=self.stride, LANES=self.lanes, DELAYED=self.delayed,
            NODES=nodes, num_warps=1, **EXACT,
        )  # fmt: skip
        return arrived


def _traced(
    levels: Sequence[PooledSpikes], descents: Sequence[_Descent], reach: np.ndarray | None, transfers: Transfers
) -> list[SparseMap] | None:
    """Saliency of each sample; None where activity may have left its 63 bits.

    Args:
        levels: the events, then the spikes of each layer.
        descents: through each layer.
        reach: by which what arrives is weakened; None: by nothing.
        transfers: to and from the device.
    """
    lists, steps, lanes = levels[0].lists, descents[0].steps, descents[0].lanes
    shape = (steps, *lists.shape[2:])
    if not all(len(level.lists.sites) for level in levels):
        return [SparseMap(shape, np.zeros(0, np.int64), np.zeros(0, np.float32)) for _ in range(lists.samples)]
    nodes = [_nodes(level, transfers, above=i > 0, delayed=descents[0].delayed) for i, level in enumerate(levels)]
    lane = nodes[-1].rows % steps if lanes > 1 else torch.zeros_like(nodes[-1].rows)
    values = (lane[:, None] == torch.arange(lanes, device=lane.device)).long()
    fits = torch.ones(1, dtype=torch.bool, device=lane.device)
    for descent, below, above in zip(descents[::-1], nodes[-2::-1], nodes[:0:-1], strict=True):
        fits &= values.max() * descent.most < LARGEST
        values = descent.run(below, above, values)
    if reach is None or lanes == 1:
        totals = values.double()
    else:
        totals = values.new_empty(len(values), dtype=torch.float64)
        tracing_kernels.weaken[(-(-len(totals) // WARP),)](
            values, nodes[0].rows, torch.from_numpy(reach).to(lane.device), totals, len(totals), steps,
            LANES=lanes, NODES=WARP, num_warps=1, **EXACT,
        )  # fmt: skip
    totals *= SCALE ** -len(descents)
    pixels, saliency = _over_polarities(totals.reshape(len(values), -1), nodes[0], steps)
    index, value, fitted = transfers.down(pixels, saliency, fits).arrays()
    size = math.prod(shape)
    bounds = np.searchsorted(index, size * np.arange(lists.samples + 1)).tolist()
    maps = [SparseMap(shape, index[bounds[n] : bounds[n + 1]] - n * size, value[bounds[n] : bounds[n + 1]].copy())
            for n in range(lists.samples)]  # fmt: skip
    return maps if fitted[0] else None


def _over_polarities(totals: Tensor, events: _Nodes, steps: int) -> tuple[Tensor, Tensor]:
    """Saliency above 0: int64 indices (sample * steps + step) * H*W + y*W + x, rising, and float32.

    Args:
        totals: float64 (events, 1), what arrives at each event, or (events, lanes), at each step.
        events: which.
        steps: T.
    """
    (polarities, height, width), lanes = events.shape, totals.shape[1]
    flat = totals.flatten()
    where = flat.nonzero()[:, 0]
    event = where // lanes
    rows, sites = events.rows[event].long(), events.sites[event].long()
    if lanes > 1:
        rows += where % lanes - rows % steps
    plane = height * width
    pixels, order = torch.sort(rows * plane + sites % plane, stable=True)  # polarity by polarity, as events come
    arrived = flat[where[order]]
    total = arrived.clone()
    for polarity in range(1, polarities):  # of a pixel's first event: those of other polarities come behind it
        total[:-polarity] += torch.where(pixels[polarity:] == pixels[:-polarity], arrived[polarity:], 0.0)
    saliency = total.float()
    kept = saliency > 0
    kept[1:] &= pixels[1:] != pixels[:-1]
    return pixels[kept], saliency[kept]
