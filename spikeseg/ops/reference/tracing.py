"""Spikes traced back to the pixels that caused them, in plain torch: the meaning of `trace`.

Each convolution is undone by its transpose (the same rounded weights), each pool by the index it kept at the same step, and every
level is gated by the network's own spikes, so only input that took part can light up [Kirkland 2020].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.grid import snap
from spikeseg.core.sparse import SparseFrames, SparseMap
from spikeseg.core.sparse import dense as as_dense
from spikeseg.ops.types import Layer, PooledSpikes

from .convolution import convolve


def trace(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> list[SparseMap]:
    """Saliency of every pixel at every step.

    With delay connections the activity traced at a step reaches spikes of that and of earlier steps of the same sample, weakened
    by `decay` per step; it lands at exactly the steps and pixels at which events fell. All ways from a spike to an event take
    equally many steps. So the spikes of each step are traced without decay, by sums that are exact on the grid in any order, and
    what arrives is weakened and added up last, in a fixed order: every backend gives the same bits. Without delay connections,
    what is traced at a step stays at that step, and gates and pooling indices are those of the last spike up to it. Inhibiting
    synapses (the negative surround of a filter) did not cause a spike, so nothing is traced through them.

    Args:
        frames: (N, T, P, H, W), what the spikes came from, or as lists.
        layers: the chain that gave them.
        spikes: of every layer, as `encode` returns them; the last layer's are traced, and may be a part of those it fired.
        delay_connections: see above.
        decay: factor per step, 0 to 1.

    Returns:
        of each sample its saliency (T, H, W) float32, >= 0; summed in float64, at each event over the steps of the spikes, from
        its own on, then over polarities.
    """
    frames, device = as_dense(frames), layers[0].weight.device
    given, _ = _dense(spikes[-1], device)
    reach = reach_of(len(given), decay, delay_connections=delay_connections)
    if exact(reach):
        total = arrived(frames, layers, spikes, given, decay if delay_connections else None)
    else:
        total = torch.zeros(len(given), len(frames), *frames.shape[2:], dtype=torch.float64, device=device)
        for t in given.flatten(1).any(1).nonzero()[:, 0].tolist():
            source = torch.zeros_like(given)
            source[t] = given[t]
            weight = torch.from_numpy(reach[t::-1].copy()).to(device).reshape(-1, 1, 1, 1, 1)
            total[: t + 1] += weight * arrived(frames, layers, spikes, source, 1.0)[: t + 1]
    return [SparseMap.of(sample) for sample in over_polarities(total).float().cpu().numpy()]


def one_by_one(trace: Callable[..., list[SparseMap]]) -> Callable[..., list[list[SparseMap]]]:
    """`trace_sets` by a backend's `trace`."""

    def trace_sets(
        frames: np.ndarray | SparseFrames,
        layers: Sequence[Layer],
        spikes: Sequence[PooledSpikes],
        sets: Sequence[Collection[int] | None],
        *,
        delay_connections: bool,
        decay: float,
    ) -> list[list[SparseMap]]:
        """`trace` of each of several sets of the last layer's maps: of their spikes alone; None: of all."""
        of_sets = ([*spikes[:-1], spikes[-1].of_maps(own)] for own in sets)
        return [trace(frames, layers, own, delay_connections=delay_connections, decay=decay) for own in of_sets]

    return trace_sets


trace_sets = one_by_one(trace)


def over_polarities(values: Tensor) -> Tensor:
    """(T, N, P, H, W) -> (N, T, H, W), added up one after the other."""
    total = values[:, :, 0]
    for polarity in range(1, values.shape[2]):
        total = total + values[:, :, polarity]
    return total.transpose(0, 1)


def reach_of(steps: int, decay: float, *, delay_connections: bool) -> np.ndarray:
    """Factor of what is traced by the number of steps back: float64 (steps + 1,); 0: not reached."""
    reach = np.zeros(steps + 1)
    reach[0] = 1.0
    if delay_connections:
        reach[1:] = np.cumprod(np.full(steps, decay))
    return reach


def exact(reach: np.ndarray) -> bool:
    """Whether sums under these factors stay on the grid, so that their order does not matter."""
    return bool(((reach == 0) | (reach == 1)).all())


def arrived(
    frames: np.ndarray, layers: Sequence[Layer], spikes: Sequence[PooledSpikes], traced: Tensor, decay: float | None
) -> Tensor:
    """What arrives at the events: float64 (T, N, P, H, W).

    Args:
        frames: dense.
        layers: see `trace`.
        spikes: see `trace`.
        traced: spikes of the last layer, (T, N, C, H, W).
        decay: what a step passes on to the one before; None: nothing, and gates and pooling indices are those of the last spike
            up to the step.
    """
    for i in range(len(layers) - 1, -1, -1):
        if i:
            gate, indices = _dense(spikes[i - 1], traced.device)
        else:
            gate, indices = torch.from_numpy(frames > 0).to(traced.device).transpose(0, 1).double(), None
        traced = _transpose(traced, layers[i].weight.double())
        if decay is None:
            gate, indices = _so_far(gate, indices)
        else:
            traced = _reach_back(traced, decay)
        traced = traced * gate
        if indices is not None:
            below = frames.shape[-2:] if i == 1 else spikes[i - 2].lists.shape[-2:]
            traced = _unpool(traced, indices, (int(below[0]), int(below[1])))
    return traced


def _dense(pooled: PooledSpikes, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Spikes (T, N, C, H, W) float64 and pooling indices, -1 where silent."""
    dense = pooled.lists.dense()
    values = torch.from_numpy(dense).to(device).transpose(0, 1).double()
    if pooled.kept is None:
        return values, None
    kept = np.full(dense.size, -1, np.int64)
    kept[np.flatnonzero(dense)] = pooled.kept
    return values, torch.from_numpy(kept.reshape(dense.shape)).to(device).transpose(0, 1)


def _transpose(values: Tensor, weight: Tensor) -> Tensor:
    """Transposed 'same' convolution, (T, N, C_out, H, W) -> (T, N, C_in, H, W): one with turned kernels. Silence is skipped."""
    steps, batch, _, height, width = values.shape
    flat = values.flatten(0, 1)
    out = flat.new_zeros((steps * batch, weight.shape[1], height, width))
    busy = flat.flatten(1).any(1).nonzero()[:, 0]
    if len(busy):
        out[busy] = convolve(flat[busy], snap(weight).clamp(min=0).flip(-2, -1).transpose(0, 1))
    return out.reshape(steps, batch, *out.shape[1:])


def _reach_back(values: Tensor, decay: float) -> Tensor:
    """What each step receives from itself and all later steps: out[s] = sum over t >= s of decay**(t - s) * values[t]."""
    out = values.clone()
    for t in range(len(out) - 2, -1, -1):
        out[t] += decay * out[t + 1]
    return out


def _so_far(gate: Tensor, indices: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Gates of all spikes up to each step, and the pooling index of the last of them."""
    reached = gate.cummax(0).values
    if indices is None:
        return reached, None
    kept = indices.clone()
    for t in range(1, len(kept)):
        kept[t] = torch.where(kept[t] < 0, kept[t - 1], kept[t])
    return reached, kept


def _unpool(values: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Put every pooled value back where it came from; (T, N, C, H', W') -> (T, N, C, *size)."""
    out = values.new_zeros((*values.shape[:3], size[0] * size[1]))
    out.scatter_add_(3, indices.clamp(min=0).flatten(3), values.flatten(3))
    return out.unflatten(3, size)
