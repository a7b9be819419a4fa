"""Images in plain torch: latency code, layers whose neurons fire at most once, potentials at the end; what the others must give.

Source: Kheradpisheh et al. 2018, sections 2.1 to 2.4. Computed where the kernel or the weights lie; lists lie on the host.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import SingleSpikeLayer

from .convolution import convolve

FILTER_MAX = 1024.0
"""Sum of a filter's absolute values, at most."""
BLOCK = 256
"""Images at a time: only theirs are laid out densely."""


def check_grid(grid: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise ValueError unless every cell of the grid holds a neuron."""
    if not (1 <= grid[0] <= size[0] and 1 <= grid[1] <= size[1]):
        raise ValueError(f"a grid of {grid[0]} x {grid[1]} cells over maps of {size[0]} x {size[1]} neurons")


def cells_of(grid: tuple[int, int], size: tuple[int, int], device: torch.device) -> Tensor:
    """int64 (H * W,), the cell of a grid (rows, columns) in which each neuron of a map (H, W) lies."""
    y, x = torch.arange(size[0]) * grid[0] // size[0], torch.arange(size[1]) * grid[1] // size[1]
    return (y[:, None] * grid[1] + x).flatten().to(device)


def check_filters(filters: Tensor) -> None:
    """Raise ValueError unless responses to grey values fit into 32 bits."""
    if (most := float(filters.abs().sum((1, 2)).max())) > FILTER_MAX:
        raise ValueError(f"filters: the absolute values of one sum to {most:g}, must be at most {FILTER_MAX:g}")


def latency(images: np.ndarray, kernel: Tensor, contrast: float, steps: int) -> SpikeLists:
    """Edges of grey images as spikes: the stronger, the earlier.

    A pixel whose response to the centre-surround kernel is `contrast` or more fires once, in channel 1 (ON) if the response is
    positive, else, at -contrast and less, in channel 0 (OFF): of the two only the stronger one. An image's spikes are ranked by
    strength (of equals: OFF first, then by row and column), and equal numbers of them go to each step: rank * steps // spikes.
    Outside an image lies its border, repeated.

    Args:
        images: (N, H, W) uint8.
        kernel: (K, K), rounded to the grid.
        contrast: of the same unit as the grey values.
        steps: T.

    Returns:
        (T, 2, H, W), OFF and ON.
    """
    parts = []
    for first in range(0, max(len(images), 1), BLOCK):
        grey = torch.from_numpy(np.ascontiguousarray(images[first : first + BLOCK])).to(kernel.device).double()[:, None]
        grey = F.pad(grey, (kernel.shape[-1] // 2,) * 4, mode="replicate")
        units = (convolve(grey, snap(kernel).double()[None, None], padded=True) * SCALE).round().to(torch.int64)
        parts.append(_ranked(torch.cat([-units, units], 1), contrast, steps))
    return SpikeLists.joined(parts)


def oriented_latency(images: np.ndarray, filters: Tensor, contrast: float, steps: int, pool: tuple[int, int]) -> SpikeLists:
    """Edges of grey images by orientation as spikes: the stronger, the earlier.

    The absolute response of each filter is pooled: the strongest of a window stays. At every position the filter of the strongest
    response (of equals the first) fires once, if the response is `contrast` or more. Ranks and steps are those of `latency`; of
    equals the first filter first, then by row and column. Outside an image lies its border, repeated.

    Source: Masquelier & Thorpe 2007, layers S1 and C1 (there the strongest of a position fires in each of several sizes; here one
    of all sizes).

    Args:
        images: (N, H, W) uint8.
        filters: (C, K, K), rounded to the grid.
        contrast: of the same unit as the grey values.
        steps: T.
        pool: (kernel, stride) of the windows, (1, 1) for none; windows are added until the last one reaches the border.

    Returns:
        (T, C, H', W').

    Raises:
        ValueError: filters of huge weights.
    """
    check_filters(filters)
    parts, size = [], images.shape[1:]
    kernel, stride = pool
    rows, columns = (pooled_size(side, kernel, stride) for side in size)
    pads = (0, (columns - 1) * stride + kernel - size[1], 0, (rows - 1) * stride + kernel - size[0])
    bank, at_once = snap(filters).double()[:, None], max(1, 2 * BLOCK // len(filters))
    priority = torch.arange(len(filters) - 1, -1, -1, device=filters.device)[None, :, None, None]
    for first in range(0, max(len(images), 1), at_once):
        grey = torch.from_numpy(np.ascontiguousarray(images[first : first + at_once])).to(filters.device).double()[:, None]
        grey = F.pad(grey, (filters.shape[-1] // 2,) * 4, mode="replicate")
        response = (convolve(grey, bank, padded=True).abs() * SCALE).round()
        strength = F.max_pool2d(F.pad(response, pads), kernel, stride).to(torch.int64)
        order = strength * len(filters) + priority
        parts.append(_ranked(strength * (order == order.amax(1, keepdim=True)), contrast, steps))
    return SpikeLists.joined(parts)


def _ranked(strength: Tensor, contrast: float, steps: int) -> SpikeLists:
    """Spikes of strengths, int64 (N, C, H, W) in units of the grid, ranked within each image; none of those below `contrast`."""
    samples, *site = strength.shape
    strength = strength.flatten(1)
    fires = (strength > 0) & (strength >= math.ceil(contrast * SCALE))
    image, rank = torch.nonzero(
        torch.arange(strength.shape[1], device=strength.device) < fires.sum(1, keepdim=True), as_tuple=True
    )
    ranked = strength.masked_fill(~fires, 0).argsort(stable=True, dim=1, descending=True)
    step = rank * steps // fires.sum(1)[image]
    dense = torch.zeros((samples, steps, strength.shape[1]), dtype=torch.uint8, device=strength.device)
    dense[image, step, ranked[image, rank]] = 1
    return SpikeLists.of(dense.reshape(samples, steps, *site).cpu().numpy())


def fire_once(lists: SpikeLists, layer: SingleSpikeLayer) -> SpikeLists:
    """Spikes of a layer of IF neurons, each of which fires at most once, after its pool.

    A neuron fires in the step in which its potential, the sum of the weights of all spikes so far, reaches its threshold. With
    `inhibit` it is the one of highest potential at its position (of equals the lowest map), and the others there fire no more.
    An output of the pool fires with the first of its inputs.

    Args:
        lists: (T, C_in, H, W), each input fires at most once.
        layer: weights, thresholds, pool.

    Returns:
        (T, C_out, H', W').
    """
    parts = (lists.part(first, min(first + BLOCK, lists.samples)) for first in range(0, max(lists.samples, 1), BLOCK))
    return SpikeLists.joined([SpikeLists.of(_fired_once(part, layer).cpu().numpy()) for part in parts])


def _fired_once(lists: SpikeLists, layer: SingleSpikeLayer) -> Tensor:
    """`fire_once`, as bool (N, T, C_out, H', W')."""
    steps, _, height, width = lists.shape
    maps, (kernel, stride), device = len(layer.weight), layer.pool, layer.weight.device
    size = (pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    pads = (0, (size[1] - 1) * stride + kernel - width, 0, (size[0] - 1) * stride + kernel - height)
    spikes = _dense(lists, device)
    threshold, weight = snap(layer.threshold)[None, :, None, None], snap(layer.weight)
    out = torch.zeros((lists.samples, steps, maps, *size), dtype=torch.bool, device=device)
    potential = torch.zeros((lists.samples, maps, height, width), device=device)
    may_fire = torch.ones_like(potential, dtype=torch.bool)
    fired_before = torch.zeros((lists.samples, maps, *size), dtype=torch.bool, device=device)
    for t in range(steps):
        potential += snap(convolve(spikes[:, t], weight))
        fired = (potential >= threshold) & may_fire
        if layer.inhibit:
            rank = potential.masked_fill(~fired, -torch.inf)
            strongest = torch.zeros_like(fired).scatter_(1, rank.argmax(1, keepdim=True), True)
            may_fire &= ~fired.any(1, keepdim=True)
            fired &= strongest
        else:
            may_fire &= ~fired
        pooled = F.max_pool2d(F.pad(fired.float(), pads), kernel, stride) > 0
        out[:, t] = pooled & ~fired_before
        fired_before |= pooled
    return out


def final_potentials(lists: SpikeLists, weight: Tensor, grid: tuple[int, int]) -> np.ndarray:
    """Potentials after the last step of neurons that never fire, the highest of each map in each cell of a grid.

    Args:
        lists: (T, C_in, H, W).
        weight: (C_out, C_in, K, K).
        grid: rows and columns of cells; position (y, x) lies in cell (y * rows // H, x * columns // W). (1, 1): of the whole map.

    Returns:
        (N, C_out, rows, columns) float32.

    Raises:
        ValueError: more cells than neurons.
    """
    _, _, height, width = lists.shape
    check_grid(grid, (height, width))
    cell = cells_of(grid, (height, width), weight.device)
    highest = np.empty((lists.samples, len(weight), *grid), np.float32)
    for first in range(0, lists.samples, BLOCK):
        part = lists.part(first, min(first + BLOCK, lists.samples))
        potential = snap(convolve(_dense(part, weight.device).sum(1), snap(weight))).flatten(2)
        cells = torch.full((*potential.shape[:2], grid[0] * grid[1]), -torch.inf, device=weight.device)
        cells.scatter_reduce_(2, cell.expand_as(potential), potential, "amax")
        highest[first : first + BLOCK] = cells.unflatten(2, grid).cpu().numpy()
    return highest


def _dense(lists: SpikeLists, device: torch.device) -> Tensor:
    """float32 (N, T, C, H, W) of 0 and 1."""
    return torch.from_numpy(lists.dense()).to(device).float()
