"""The operations on a GPU, as Triton kernels in integers; bit for bit what `reference` gives.

Without a GPU the same kernels run, slowly, under Triton's interpreter (TRITON_INTERPRET=1 before triton is first imported), on
tensors on the CPU: that is how they are tested.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.ops import reference
from spikeseg.ops.reference.training import SILENT
from spikeseg.ops.types import WTA_MODES, LayerRun, Plasticity, PlasticityForm, PoolRun

from . import inference_kernels, neuron_kernels, training_kernels
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
from .training import SIDE, select_options, selection, winner_rows

ROWS = 64
MOST_STEPS, MOST_NEURONS = 2**9, 2**28


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


def select_winners(
    first: Tensor, potential: Tensor, n_steps: int, *, mode: str, radius: int, max_winners: int | None = None
) -> Tensor:
    """See `reference.select_winners`. Raises ValueError for more steps or neurons than a key has room for."""
    if mode not in WTA_MODES:
        raise ValueError(f"unknown winner-take-all mode {mode!r}; one of {', '.join(WTA_MODES)}")
    if n_steps > MOST_STEPS or first.numel() >= MOST_NEURONS:
        raise ValueError(
            f"{n_steps} steps of {first.numel()} neurons; this backend ranks up to {MOST_STEPS} of fewer than {MOST_NEURONS}"
        )
    maps, height, width = first.shape
    heights = neuron_kernels.TOP.value - torch.round(potential.double() * SCALE).to(torch.int64)
    rank = first.to(torch.int64) << neuron_kernels.HEIGHT_BITS.value | heights
    address = torch.arange(first.numel(), device=first.device).reshape(first.shape)
    keys = torch.where(first < n_steps, rank << neuron_kernels.ADDRESS_BITS.value | address, neuron_kernels.NONE.value)
    rows, cols = -(-height // SIDE), -(-width // SIDE)
    tiles = keys.new_full((padded_maps(maps), rows * SIDE, cols * SIDE), neuron_kernels.NONE.value)
    tiles[:maps, :height, :width] = keys
    tiles = tiles.reshape(-1, rows, SIDE, cols, SIDE).permute(1, 3, 2, 4, 0).reshape(rows * cols, SIDE * SIDE, -1).contiguous()
    best = tiles.amin(1)
    cursor = keys.new_tensor([0, 1, 1, 0])
    limit, options = select_options(mode, (maps, height, width), max_winners)
    winners, n_winners = selection(keys.device, limit, maps)
    with launching_on(keys.device):
        training_kernels.select[(1,)](
            tiles, best, winners, n_winners, cursor, 0, len(tiles), cols, height, width, radius, limit, **options
        )  # fmt: skip
    return winner_rows(winners[: maps if options["BY_MAP"] else int(n_winners)], (height, width))


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
