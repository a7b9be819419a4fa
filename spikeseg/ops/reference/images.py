"""Images in plain torch: latency code, layers whose neurons fire at most once, potentials at the end; what the others must give.

Source: Kheradpisheh et al. 2018, sections 2.1 to 2.4.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import SingleSpikeLayer

from .convolution import convolve
from .layers import pooled_size


def check_grid(grid: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise ValueError unless every cell of the grid holds a neuron."""
    if not (1 <= grid[0] <= size[0] and 1 <= grid[1] <= size[1]):
        raise ValueError(f"a grid of {grid[0]} x {grid[1]} cells over maps of {size[0]} x {size[1]} neurons")


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
    half = kernel.shape[-1] // 2
    grey = F.pad(torch.from_numpy(np.ascontiguousarray(images)).double()[:, None], (half,) * 4, mode="replicate")
    response = (F.conv2d(grey, snap(kernel).double()[None, None])[:, 0] * SCALE).round().to(torch.int64)
    dense = np.zeros((len(images), steps, 2, *images.shape[1:]), np.uint8)
    for n, strength in enumerate(response.numpy()):
        sides = np.concatenate([-strength.ravel(), strength.ravel()])
        sites = np.flatnonzero((sides > 0) & (sides >= contrast * SCALE))
        ranked = sites[np.argsort(-sides[sites], kind="stable")]
        when = np.arange(len(ranked)) * steps // max(len(ranked), 1)
        dense[n].reshape(steps, -1)[when, ranked] = 1
    return SpikeLists.of(dense)


def fire_once(lists: SpikeLists, layer: SingleSpikeLayer) -> SpikeLists:
    """Spikes of a layer of IF neurons, each of which fires at most once, after its pool.

    A neuron fires in the step in which its potential, the sum of the weights of all spikes so far, reaches its threshold. With
    `inhibit` it is the one of highest potential at its position (of equals the lowest map), and the others there fire no more.
    An output of the pool fires with the first of its inputs.

    Args:
        lists: (T, C_in, H, W), each input fires at most once.

    Returns:
        (T, C_out, H', W').
    """
    steps, _, height, width = lists.shape
    maps, (kernel, stride) = len(layer.weight), layer.pool
    size = (pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    pads = (0, (size[1] - 1) * stride + kernel - width, 0, (size[0] - 1) * stride + kernel - height)
    dense = torch.from_numpy(lists.dense()).float()
    theta = snap(layer.threshold)[None, :, None, None]
    found = torch.zeros(lists.samples, steps, maps, *size)
    potential = torch.zeros(lists.samples, maps, height, width)
    open_ = torch.ones_like(potential, dtype=torch.bool)
    seen = torch.zeros(lists.samples, maps, *size, dtype=torch.bool)
    for t in range(steps):
        potential += snap(convolve(dense[:, t], snap(layer.weight)))
        fired = (potential >= theta) & open_
        if layer.inhibit:
            rank = potential.masked_fill(~fired, -torch.inf)
            first = torch.zeros_like(fired).scatter_(1, rank.argmax(1, keepdim=True), True)
            open_ &= ~fired.any(1, keepdim=True)
            fired &= first
        else:
            open_ &= ~fired
        pooled = F.max_pool2d(F.pad(fired.float(), pads), kernel, stride) > 0
        found[:, t] = pooled & ~seen
        seen |= pooled
    return SpikeLists.of(found.numpy())


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
    potential = snap(convolve(torch.from_numpy(lists.dense()).float().sum(1), snap(weight)))
    y, x = torch.arange(height) * grid[0] // height, torch.arange(width) * grid[1] // width
    cell = (y[:, None] * grid[1] + x).flatten().expand(*potential.shape[:2], -1)
    found = torch.full((*potential.shape[:2], grid[0] * grid[1]), -torch.inf)
    found.scatter_reduce_(2, cell, potential.flatten(2), "amax")
    return found.reshape(*potential.shape[:2], *grid).numpy()
