"""Images on a GPU: neurons that fire at most once, and potentials at the end, from the kernel of `layer_forward`.

The kernel gives every neuron's first spike and its potential there; which of them count is decided for all positions at once, in
torch, and lists go up and come down. The latency code stays the reference's torch: one convolution and one sort of each image.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.reference.images import cells_of, check_grid
from spikeseg.ops.reference.layers import at_first_spike, first_spike_steps
from spikeseg.ops.types import SingleSpikeLayer

from .layers import layer_forward

ROOM = 2**28
"""Bytes of spikes and potentials at a time."""
OUT_OF_REACH = float(2**18)
"""A threshold that no potential on the grid reaches."""


def fire_once(lists: SpikeLists, layer: SingleSpikeLayer) -> SpikeLists:
    """See `reference.images.fire_once`."""
    steps, _, height, width = lists.shape
    at_a_time = _images(steps * len(layer.weight) * height * width)
    with torch.no_grad():
        parts = [_fired_once(part, layer) for part in _parts(lists, at_a_time)]
    return SpikeLists.joined(parts)


def _fired_once(lists: SpikeLists, layer: SingleSpikeLayer) -> SpikeLists:
    steps, (kernel, stride) = lists.shape[0], layer.pool
    run = layer_forward(_dense(lists, layer.weight.device), layer.weight, layer.threshold, LeakMode.NONE, 0.0)
    first = first_spike_steps(run.spikes)  # of an unleaky neuron the same whoever silences it later
    if layer.inhibit:
        maps = first.shape[1]
        units = torch.round(at_first_spike(run.potentials, first).double() * SCALE).to(torch.int64)
        rank = ((first << 32) - units) * maps + torch.arange(maps, device=first.device)[:, None, None]
        first = torch.where(rank == rank.amin(1, keepdim=True), first, steps)
    height, width = first.shape[-2:]
    size = (pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    pads = (0, (size[1] - 1) * stride + kernel - width, 0, (size[0] - 1) * stride + kernel - height)
    late = F.pad(first.float(), pads, value=float(steps))
    return _listed((-F.max_pool2d(-late, kernel, stride)).to(torch.int64), steps)


def final_potentials(lists: SpikeLists, weight: Tensor, grid: tuple[int, int]) -> np.ndarray:
    """See `reference.images.final_potentials`."""
    _, _, height, width = lists.shape
    check_grid(grid, (height, width))
    cell = cells_of(grid, (height, width), weight.device)
    never = torch.full((len(weight),), OUT_OF_REACH, device=weight.device)
    highest = np.empty((lists.samples, len(weight), *grid), np.float32)
    done = 0
    with torch.no_grad():
        for part in _parts(lists, _images(max(lists.shape[0], len(weight)) * height * width)):
            counts = _dense(part, weight.device).sum(0, keepdim=True)  # without leak the order of steps does not matter
            potential = layer_forward(counts, weight, never, LeakMode.NONE, 0.0).potentials[0].flatten(2)
            cells = torch.full((*potential.shape[:2], grid[0] * grid[1]), -torch.inf, device=weight.device)
            cells.scatter_reduce_(2, cell.expand_as(potential), potential, "amax")
            highest[done : done + part.samples] = cells.unflatten(2, grid).cpu().numpy()
            done += part.samples
    return highest


def _images(neurons: int) -> int:
    """Images at a time, of so many neurons and steps."""
    return max(1, ROOM // max(1, 8 * neurons))


def _parts(lists: SpikeLists, count: int) -> list[SpikeLists]:
    """So many samples at a time; at least one part."""
    return [lists.part(start, min(start + count, lists.samples)) for start in range(0, max(lists.samples, 1), count)]


def _dense(lists: SpikeLists, device: torch.device) -> Tensor:
    """float32 (T, N, C, H, W) of 0 and 1, laid out on the device."""
    steps, *site = lists.shape
    samples, cells = lists.samples, math.prod(site)
    counts = torch.from_numpy(np.diff(lists.offsets)).to(device)
    row = torch.repeat_interleave(torch.arange(samples * steps, device=device), counts)
    sites = torch.from_numpy(np.ascontiguousarray(lists.sites)).to(device).long()
    dense = torch.zeros(steps * samples * cells, device=device)
    dense[(row % steps * samples + row // steps) * cells + sites] = 1.0
    return dense.reshape(steps, samples, *site)


def _listed(first: Tensor, steps: int) -> SpikeLists:
    """Lists of spikes, one a neuron, from the steps at which they fire: (N, C, H, W), `steps` where they do not."""
    samples, *site = first.shape
    cells = math.prod(site)
    when = first.reshape(samples, cells)
    sample, cell = torch.nonzero(when < steps, as_tuple=True)
    keys = ((sample * steps + when[sample, cell]) * cells + cell).sort().values
    bounds = torch.arange(samples * steps + 1, device=first.device) * cells
    offsets = torch.searchsorted(keys, bounds).cpu().numpy()
    sites = (keys % max(cells, 1)).to(torch.int32).cpu().numpy()
    return SpikeLists(offsets, sites, (steps, site[0], site[1], site[2]))
