"""A layer over dense spikes, and a pool: event-driven, in integers; bit for bit what `reference` gives."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.ops.types import LayerRun, PoolRun

from . import inference_kernels
from .arguments import InputSpikes
from .memory import Membranes, as_array, in_units


def layer_forward(
    spikes: Tensor, weight: Tensor, threshold: Tensor, mode: LeakMode, leak: float, state: Tensor | None = None
) -> LayerRun:
    """See `reference.layer_forward`."""
    steps, batch, _, height, width = spikes.shape
    maps = len(weight)
    membranes = Membranes(weight, (height, width), mode, leak, row_by_row=True)
    membranes.tabulate(as_array(weight))
    theta = in_units(threshold if threshold.dim() == 4 else threshold[None, :, None, None])
    theta = np.broadcast_to(theta, (batch, maps, height, width))
    after = torch.zeros(batch, maps, height, width) if state is None else state.detach().float().clone()
    fired, potentials = torch.empty(steps, batch, maps, height, width), torch.empty(steps, batch, maps, height, width)
    for b in range(batch):
        counted = as_array(spikes[:, b], np.int32).reshape(steps, -1)
        when, sites = np.nonzero(counted)
        offsets = np.searchsorted(when, np.arange(-1, steps + 1))  # a step ahead of the first, for the past
        sample = InputSpikes(offsets, sites.astype(np.int32), counted[when, sites])
        out_spikes, out_potentials = (np.empty((steps, maps, height, width), np.float32) for _ in range(2))
        inference_kernels.run_dense(
            sample, membranes.neurons, np.ascontiguousarray(theta[b]), membranes.whole,
            membranes.sorted_input(steps + 1, len(sites)), after[b].numpy(), out_spikes, out_potentials,
        )  # fmt: skip
        fired[:, b], potentials[:, b] = torch.from_numpy(out_spikes), torch.from_numpy(out_potentials)
    return LayerRun(fired, potentials, after)


def pool(spikes: Tensor, potentials: Tensor, kernel: int, stride: int) -> PoolRun:
    """See `reference.pool`."""
    *lead, height, width = spikes.shape
    shape = (*lead, pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    fired, indices = torch.empty(shape), torch.empty(shape, dtype=torch.int64)
    flat = (as_array(spikes).reshape(-1, height, width), as_array(potentials).reshape(-1, height, width))
    inference_kernels.pool_dense(*flat, kernel, stride, fired.flatten(0, -3).numpy(), indices.flatten(0, -3).numpy())
    return PoolRun(fired, indices)
