"""Fixed filters of the first layer: differences of Gaussians and Gabors, one kernel per map and polarity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.config.layer_spec import scaled_kernel

DOG_SIGMA = 0.15
"""Sigma of the finest centre, in sides of the kernel."""
SURROUND = 2.0
"""Sigma of a surround, in sigmas of its centre [Kheradpisheh 2018, section 2.1]."""
GABOR_ASPECT = 0.5
"""Width of a Gabor's envelope across the bar over its length along it."""


def normalised(kernel: Tensor) -> Tensor:
    """Zero mean over the support, positive part summing to 1. (K, K) -> (K, K).

    A threshold then reads as a share of a fully driven centre.
    """
    kernel = kernel - kernel.mean()
    return kernel / kernel.clamp(min=0).sum()


def _grid(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return y, x


def dog_kernel(size: int, sigma: float) -> Tensor:
    """ON-centre difference of Gaussians, centre sigma, surround 2 sigma (pixels). -> (size, size) float64.

    Source: Kheradpisheh et al. 2018, section 2.1 (their surround is twice the centre too).
    """
    y, x = _grid(size)
    squared = x**2 + y**2

    def gaussian(s: float) -> Tensor:
        return torch.exp(-squared / (2 * s**2)) / (2 * math.pi * s**2)

    return normalised(gaussian(sigma) - gaussian(SURROUND * sigma))


def gabor_kernel(size: int, orientation_deg: float) -> Tensor:
    """Even Gabor, a bright bar at the given angle from the x axis (y points down). -> (size, size) float64.

    Wavelength size px, envelope size/4 px, aspect 0.5: one bar with its two flanks fits the kernel.
    """
    y, x = _grid(size)
    angle = math.radians(orientation_deg)
    across = -x * math.sin(angle) + y * math.cos(angle)
    along = x * math.cos(angle) + y * math.sin(angle)
    envelope = torch.exp(-(across**2 + (GABOR_ASPECT * along) ** 2) / (2 * (size / 4) ** 2))
    return normalised(envelope * torch.cos(2 * math.pi * across / size))


def dog_bank(n_maps: int, in_channels: int, size: int) -> Tensor:
    """DoG filters that are all different. -> (n_maps, in_channels, size, size) float32.

    Map 2s is the OFF centre and map 2s+1 the ON centre of scale s, with centre sigma 0.15 * size * 2**s and a surround twice as
    wide: centres of 0.75 and 1.5 px for the usual four maps of 5x5. With two input channels (OFF first, ON second) a centre looks
    at its own polarity alone; with one channel the OFF centre is the negative of the ON centre.
    """
    bank = torch.zeros(n_maps, in_channels, size, size, dtype=torch.float64)
    for m in range(n_maps):
        scale, on_centre = divmod(m, 2)
        kernel = dog_kernel(size, DOG_SIGMA * size * 2**scale)
        if in_channels == 2:
            bank[m, on_centre] = kernel
        else:
            bank[m, :] = kernel if on_centre else normalised(-kernel)
    return bank.float()


def gabor_bank(n_maps: int, in_channels: int, size: int) -> Tensor:
    """Gabor filters at n_maps orientations (4: 0, 45, 90, 135 degrees), the same on every polarity.

    -> (n_maps, in_channels, size, size) float32.
    """
    kernels = [gabor_kernel(size, 180.0 * m / n_maps) for m in range(n_maps)]
    return torch.stack(kernels)[:, None].repeat(1, in_channels, 1, 1).float()


def edge_bank(sizes: Sequence[int], orientations: int) -> Tensor:
    """Gabor filters of several sizes, each at 180 / n * (m + 1/2) degrees. -> (len(sizes) * orientations, K, K) float64.

    Four of them lie at 22.5, 67.5, 112.5 and 157.5 degrees, none along rows or columns [Masquelier & Thorpe 2007]. Zeros surround
    the smaller filters; the positive part of each sums to 1.
    """
    largest = max(sizes)
    kernels = [
        F.pad(gabor_kernel(size, 180.0 * (m + 0.5) / orientations), ((largest - size) // 2,) * 4)
        for size in sizes
        for m in range(orientations)
    ]
    return torch.stack(kernels)


def pyramid(bank: Callable[[int, int, int], Tensor], n_maps: int, in_channels: int, size: int, scales: Sequence[int]) -> Tensor:
    """A bank at several scales, one after the other. -> (n_maps * len(scales), in_channels, K, K) float32, K of the largest.

    At scale s the kernels reach s times as far, and zeros surround those of the smaller scales. Their positive part sums to s, so
    that noise drives the filters of every scale alike and one threshold and one leak suit them all.

    Args:
        bank: `dog_bank` or `gabor_bank`.
        n_maps: of the bank at one scale.
        in_channels: polarities.
        size: side of its kernels at scale 1, odd.
        scales: 1 or more.
    """
    largest = scaled_kernel(size, max(scales))
    parts = []
    for scale in scales:
        side = scaled_kernel(size, scale)
        parts.append(F.pad(scale * bank(n_maps, in_channels, side), ((largest - side) // 2,) * 4))
    return torch.cat(parts)
