"""The layers of the network, one entry each: the one list that everything about layers is derived from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class PoolSpec(NamedTuple):
    """A max pool behind a layer: its name ('pool1'), kernel and stride in neurons."""

    name: str
    kernel: int
    stride: int


@dataclass(frozen=True)
class LayerSpec:
    """A spiking convolution of the network.

    Attributes:
        name: 'conv1', 'conv2', 'conv3'.
        index: 1, 2, 3; the layer's random numbers are drawn from a stream of this number.
        channels: feature maps.
        kernel: side of the kernel in pixels.
        threshold: base threshold; homeostasis adds its theta to learned layers.
        leak: lost per step, see `ModelConfig.leaks`.
        pool: the pool behind it, None where there is none.
        learned: whether STDP makes its weights, which are then drawn at random; otherwise they are fixed filters (conv1).
    """

    name: str
    index: int
    channels: int
    kernel: int
    threshold: float
    leak: float
    pool: PoolSpec | None
    learned: bool

    @property
    def output(self) -> str:
        """The name of what the next layer sees: the pool's, or the layer's own."""
        return self.name if self.pool is None else self.pool.name


def scaled_kernel(kernel: int, scale: int) -> int:
    """Side of an odd kernel whose reach from its middle is `scale` times as far."""
    return 2 * (kernel // 2) * scale + 1
