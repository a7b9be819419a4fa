"""The operations on a GPU, as Triton kernels in integers; bit for bit what `reference` gives.

Without a GPU the same kernels run, slowly, under Triton's interpreter (TRITON_INTERPRET=1 before triton is first imported), on
tensors on the CPU: that is how they are tested.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.ops import reference
from spikeseg.ops.reference.training import SILENT
from spikeseg.ops.types import LayerRun, Plasticity, PlasticityForm, PoolRun

from . import inference_kernels, training_kernels
from .memory import (
    EXACT,
    NEVER,
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


def layer_forward(
    spikes: Tensor, weight: Tensor, threshold: Tensor, mode: LeakMode, leak: float, state: Tensor | None = None
) -> LayerRun:
    """See `reference.layer_forward`."""
    steps, batch, _, height, width = spikes.shape
    maps = len(weight)
    geometry = Geometry.of(weight, (height, width))
    counts = geometry.padded(spikes.transpose(0, 1).to(torch.int32))
    weights = tabulated(weight, weight_parts(weight))
    theta = in_units(threshold).contiguous()
    strides = (0, 1, 0)
    if theta.dim() == 4:
        theta = theta.expand(batch, maps, height, width).contiguous()
        strides = (maps * height * width, height * width, 1)
    shape = (batch, maps, height, width)
    after = spikes.new_zeros(shape, dtype=torch.float32) if state is None else state.float().clone().contiguous()
    fired, potentials = (torch.empty(steps, *shape, dtype=torch.float32, device=spikes.device) for _ in range(2))
    if spikes.numel():
        cols = columns(maps)
        with launching_on(spikes.device):
            inference_kernels.forward[(batch * -(-height * width // ROWS), -(-maps // cols))](
                counts, geometry.taps, weights, theta, after, fired, potentials,
                steps * geometry.sites, geometry.sites, geometry.row,
                maps, height, width, *strides, leak_units(mode, leak), batch, steps,
                MODE=int(mode.code), INPUT_PARTS=parts_of(int(counts.abs().max())), WEIGHT_PARTS=weights.shape[1],
                TAPS=len(geometry.taps), CHUNK=chunk(weight[0].numel()), MAPS=padded_maps(maps), ROWS=ROWS, COLS=cols,
                **EXACT,
            )  # fmt: skip
    return LayerRun(fired, potentials, after)


def pool(spikes: Tensor, potentials: Tensor, kernel: int, stride: int) -> PoolRun:
    """See `reference.pool`."""
    *lead, height, width = spikes.shape
    shape = (*lead, pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    fired = torch.empty(shape, dtype=torch.float32, device=spikes.device)
    indices = torch.empty(shape, dtype=torch.int64, device=spikes.device)
    cells, planes = shape[-2] * shape[-1], spikes[..., 0, 0].numel()
    if planes:
        block = min(256, power_of_two(cells))
        with launching_on(spikes.device):
            inference_kernels.pool_dense[(planes, -(-cells // block))](
                spikes.float().contiguous(), potentials.float().contiguous(), fired, indices,
                height, width, *shape[-2:], stride, POOL=kernel, CELLS=block, **EXACT,
            )  # fmt: skip
    return PoolRun(fired.to(spikes.dtype), indices)


def stdp_update(weight: Tensor, pre_first: Tensor, winners: Tensor, plasticity: Plasticity) -> None:
    """See `reference.stdp_update`; float32 weights."""
    if weight.dtype != torch.float32:
        raise ValueError(f"this backend learns float32 weights, not {weight.dtype}")
    if not len(winners):
        return
    if plasticity.form is PlasticityForm.CUSTOM:
        reference.stdp_update(weight, pre_first, winners, plasticity)
        return
    geometry = Geometry.of(weight, (pre_first.shape[-2], pre_first.shape[-1]))
    first = torch.ceil(pre_first.double()).clamp(max=SILENT).to(torch.int32)
    learned = weight.detach().contiguous()
    with launching_on(weight.device):
        training_kernels.apply_stdp[(len(weight),)](
            learned, geometry.padded(first, NEVER), geometry.taps,
            winners.to(weight.device, torch.int32).contiguous(), len(winners),
            torch.tensor(plasticity[1:5], dtype=torch.float32, device=weight.device),
            geometry.row, weight[0].numel(), FORM=int(plasticity.form), BLOCK=min(1024, power_of_two(weight[0].numel())),
            **EXACT,
        )  # fmt: skip
    weight.detach().copy_(learned)
