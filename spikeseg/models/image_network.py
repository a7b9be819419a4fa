"""A network for images: layers of neurons that fire at most once; the last one's potentials are read [Kheradpisheh 2018]."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.sections import ImagesConfig, STDPConfig
from spikeseg.core.grid import check_range
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.ops.cpu import images as cpu_images
from spikeseg.ops.reference import images as reference_images
from spikeseg.ops.types import SingleSpikeLayer

BACKENDS = {"reference": reference_images, "cpu": cpu_images}


Change = Callable[[SpikeLists], SpikeLists]


def _unchanged(lists: SpikeLists) -> SpikeLists:
    return lists


class ImageNetwork:
    """Layers that learn one after the other; weights are drawn from the STDP section's normal distribution.

    Attributes:
        config: sizes, thresholds and pools.
        weights: (C_out, C_in, K, K) float32 of each layer.
        backend: 'cpu' or 'reference'; the result is the same with each.

    Raises InputError for sizes under which potentials could leave the exact range.
    """

    def __init__(self, config: ImagesConfig, stdp: STDPConfig, *, in_channels: int = 2, seed: int = 42) -> None:
        self.config, self.backend = config, "cpu"
        self.weights: list[Tensor] = []
        channels = in_channels
        for layer, (maps, kernel, threshold) in enumerate(zip(config.maps, config.kernels, config.thresholds, strict=True)):
            generator = torch.Generator().manual_seed(seed * 1000 + layer)
            shape = (maps, channels, kernel, kernel)
            drawn = torch.normal(stdp.weight_init_mean, stdp.weight_init_std, shape, generator=generator)
            self.weights.append(drawn.clamp(stdp.weight_min, stdp.weight_max))
            try:
                reach = max(abs(stdp.weight_min), abs(stdp.weight_max))
                check_range(f"images: layer {layer + 1}", fan_in=drawn[0].numel(), max_weight=reach, max_threshold=threshold)
            except ValueError as error:
                raise InputError(str(error)) from None
            channels = maps

    def layer(self, number: int) -> SingleSpikeLayer:
        """One of the layers, counted from 0."""
        c = self.config
        threshold = torch.full((c.maps[number],), c.thresholds[number])
        return SingleSpikeLayer(self.weights[number], threshold, (c.pools[number], c.strides[number]), True)

    def inputs(self, lists: SpikeLists, change: Change = _unchanged) -> Iterator[SpikeLists]:
        """What each layer is given, one after the other: ``lists`` for the first. A layer runs when the next one's input is asked
        for, with the weights that it has then.

        change: done to each of them, for controls."""
        for number in range(len(self.weights)):
            if number:
                lists = BACKENDS[self.backend].fire_once(lists, self.layer(number - 1))
            lists = change(lists)
            yield lists

    def features(self, lists: SpikeLists, change: Change = _unchanged) -> np.ndarray:
        """The last layer's potentials after the last step, the highest of each map in each cell: (N, maps * grid * grid) float32.

        Raises InputError for a grid finer than the maps."""
        *_, last = self.inputs(lists, change)
        try:
            found = BACKENDS[self.backend].final_potentials(last, self.weights[-1], (self.config.grid, self.config.grid))
        except ValueError as error:
            raise InputError(f"images.grid: {error}; choose a coarser one") from None
        return found.reshape(last.samples, math.prod(found.shape[1:]))
