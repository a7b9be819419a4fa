"""The inputs that the maps of a network for images prefer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from . import new_figure, rendered

if TYPE_CHECKING:
    from spikeseg.models.image_network import ImageNetwork

SHOWN = 64
"""Maps of a layer that are drawn, the first ones."""


def preferred(network: ImageNetwork, layer: int, maps: int | None = None) -> np.ndarray:
    """The input each map of a layer (from 0) prefers, ON minus OFF or bright minus dark: float64 (maps, height, width).

    A map's weights, each replaced by the preferred input of the map below; below the first layer lie pixels, or Gabor filters.
    """
    config = network.config
    below, step = np.array([-1.0, 1.0])[:, None, None], 1  # OFF, ON
    if config.filters == "gabor":
        from spikeseg.models.filters import edge_bank

        below, step = edge_bank(config.gabor_sizes, config.gabor_orientations).numpy(), config.gabor_stride
    for number in range(layer + 1):
        weight = network.weights[number].cpu().numpy().astype(np.float64)
        if number == layer and maps is not None:
            weight = weight[:maps]
        kernel, (height, width) = weight.shape[-1], below.shape[-2:]
        shape = (len(weight), height + step * (kernel - 1), width + step * (kernel - 1))
        above = np.zeros(shape)
        for ky in range(kernel):
            for kx in range(kernel):
                part = np.tensordot(weight[:, :, ky, kx], below, 1)
                above[:, ky * step : ky * step + height, kx * step : kx * step + width] += part
        below = above
        step *= config.strides[number]
    return np.asarray(below)


def filters_png(network: ImageNetwork) -> bytes:
    """A picture of every layer's first maps, bright where ON is preferred, dark where OFF.

    Raises InputError where matplotlib is not installed."""
    layers = [preferred(network, number, SHOWN) for number in range(len(network.weights))]
    rows = [math.ceil(len(layer) / 16) for layer in layers]
    figure = new_figure(12, 0.8 * sum(rows) + 0.5 * len(rows))
    parts = figure.subfigures(len(layers), 1, height_ratios=rows, squeeze=False)[:, 0]
    for number, (part, layer) in enumerate(zip(parts, layers, strict=True)):
        part.suptitle(f"layer {number + 1}: {network.config.maps[number]} maps", fontsize=9)
        panels = part.subplots(rows[number], 16, squeeze=False).ravel()
        for panel in panels:
            panel.axis("off")
        for panel, pattern in zip(panels, layer, strict=False):
            reach = float(np.abs(pattern).max()) or 1.0
            panel.imshow(pattern, cmap="gray", vmin=-reach, vmax=reach)
    return rendered(figure, dpi=90)
