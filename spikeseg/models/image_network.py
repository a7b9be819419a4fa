"""A network for images: layers of neurons that fire at most once; the last one's potentials are read [Kheradpisheh 2018]."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.sections import ImagesConfig, STDPConfig
from spikeseg.core.grid import check_range
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import SingleSpikeLayer

Change = Callable[[SpikeLists], SpikeLists]
"""What a control does to the input of a layer."""


def unchanged(lists: SpikeLists) -> SpikeLists:
    """The input as it is."""
    return lists


class ImageNetwork:
    """Layers that learn one after the other; weights are drawn from the STDP section's normal distribution.

    Args:
        config: sizes, thresholds and pools.
        stdp: mean, deviation and bounds of the weights.
        in_channels: of the first layer's input.
        seed: of the weights.

    Attributes:
        config: as given.
        weights: (C_out, C_in, K, K) float32 of each layer.
        backend: which operations run it, see `spikeseg.ops`; the result is the same with each.

    Raises:
        InputError: sizes under which potentials could leave the exact range.
    """

    def __init__(self, config: ImagesConfig, stdp: STDPConfig, *, in_channels: int = 2, seed: int = 42) -> None:
        self.config, self.backend = config, "auto"
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

    @property
    def device(self) -> torch.device:
        """Where the weights lie, and the network runs."""
        return self.weights[0].device

    def to(self, device: torch.device | str) -> ImageNetwork:
        """Move the weights; -> the network itself."""
        self.weights = [weight.to(device) for weight in self.weights]
        return self

    def layer(self, number: int) -> SingleSpikeLayer:
        """One of the layers, counted from 0."""
        c, weight = self.config, self.weights[number]
        threshold = torch.full((c.maps[number],), c.thresholds[number], device=weight.device)
        return SingleSpikeLayer(weight, threshold, (c.pools[number], c.strides[number]), True)

    def inputs(self, lists: SpikeLists, change: Change = unchanged) -> Iterator[SpikeLists]:
        """The input of each layer, one after the other. A layer runs when the next one's input is asked for, with the weights
        that it has then.

        Args:
            lists: input of the first layer.
            change: done to each of them, for controls.
        """
        for number in range(len(self.weights)):
            if number:
                lists = self._ops().fire_once(lists, self.layer(number - 1))
            lists = change(lists)
            yield lists

    def features(self, lists: SpikeLists, change: Change = unchanged) -> np.ndarray:
        """The last layer's potentials after the last step, the highest of each map in each cell.

        Args:
            lists: input of the first layer.
            change: done to the input of each layer, for controls.

        Returns:
            (N, maps * grid * grid) float32.

        Raises:
            InputError: a grid finer than the maps.
        """
        *_, last = self.inputs(lists, change)
        try:
            potentials = self._ops().final_potentials(last, self.weights[-1], (self.config.grid, self.config.grid))
        except ValueError as error:
            raise InputError(f"images.grid: {error}; choose a coarser one") from None
        features: np.ndarray = potentials.reshape(last.samples, math.prod(potentials.shape[1:]))
        return features

    def _ops(self) -> ModuleType:
        return ops_backend(self.backend, self.device)
