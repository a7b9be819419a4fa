"""How much memory a network takes, before any of it is taken.

The numbers of bytes are those of the cpu backend, measured with input under which every neuron fires (24 bytes for each spike
that a window can have, 12 for each neuron); what really happens in a recording takes less. Windows that are run together are as
many as BATCH_BYTES holds, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from spikeseg.core.memory import available
from spikeseg.core.sizes import pooled_size
from spikeseg.errors import InputError

from .network_sections import ModelConfig
from .sections import Config

BATCH_BYTES = 2**29
"""What windows that are run together may take, where they are more than one."""
AT_ONCE = 16
"""Windows that are run together, at most."""
BASE_BYTES = 750 * 2**20
"""Libraries, kernels while they are compiled, and two blocks of spikes in training."""
PER_WORKER = 250 * 2**20
"""A process that reads recordings."""
PER_CELL, PER_SPIKE, PER_NEURON, PER_WEIGHT = 20, 24, 12, 20
"""Bytes for a pixel and step of a window; for a neuron that may fire in a step, behind the pool; for a neuron; for a weight."""
COPIES = 4
"""Of a window, while it is cut and written."""
ADDRESSES = 2**31 - 1
"""Neurons of a layer, and pixels and steps of a window, at most: addresses take 32 bits."""

Size = tuple[int, int]
"""(height, width) of a frame, pixels."""


class LayerSize(NamedTuple):
    """A layer on frames of a size: its name, weights, neurons (with a border as wide as its kernel), and outputs per step."""

    name: str
    weights: int
    neurons: int
    outputs: int


def layer_sizes(model: ModelConfig, size: Size, in_channels: int) -> Iterator[LayerSize]:
    """The layers of a network on frames of this size."""
    height, width = size
    for layer in model.layers():
        neurons = layer.channels * (height + layer.kernel) * (width + layer.kernel)
        if layer.pool is not None:
            height, width = (pooled_size(side, layer.pool.kernel, layer.pool.stride) for side in (height, width))
        yield LayerSize(layer.name, layer.channels * in_channels * layer.kernel**2, neurons, layer.channels * height * width)
        in_channels = layer.channels


def window_bytes(model: ModelConfig, shape: tuple[int, int, int, int]) -> int:
    """Memory of one window of frames of a shape (T, P, H, W) and of all spikes that it can cause, bytes."""
    steps, channels, *size = shape
    spikes = sum(layer.outputs for layer in layer_sizes(model, (size[0], size[1]), channels))
    return PER_CELL * prod(shape) + PER_SPIKE * steps * spikes


def windows_at_once(model: ModelConfig, shape: tuple[int, int, int, int]) -> int:
    """How many windows of frames of a shape (T, P, H, W) are run together; no result depends on it."""
    return min(AT_ONCE, max(1, BATCH_BYTES // window_bytes(model, shape)))


def network_bytes(config: Config, size: Size) -> int:
    """What running or training the network takes at most on frames of this size, bytes."""
    return sum(size for _, size in _parts(config, size))


def require_network_memory(config: Config, size: Size) -> None:
    """Raise InputError, naming the estimate and the keys that make it large, where there is not enough memory for the network on
    frames of this size (height, width)."""
    data = config.data
    cells = data.n_timesteps * data.input_channels * prod(size)
    layers = [(f"{layer.name} of {layer.neurons} neurons", layer.neurons) for layer in _layers(config, size)]
    for what, addresses in (*layers, (f"a window of {cells} pixels and steps", cells)):
        if addresses > ADDRESSES:
            raise InputError(
                f"frames of {size[1]}x{size[0]}: {what}, at most {ADDRESSES} can be addressed; use smaller frames "
                "(data.input_height, data.input_width), fewer steps (data.n_timesteps) or fewer maps (model.conv2_channels)"
            )
    _require(list(_parts(config, size)), f"the network on frames of {size[1]}x{size[0]}")


def require_frames_memory(shape: tuple[int, int, int, int], bytes_per_cell: int, workers: int = 1) -> None:
    """Raise InputError, naming the estimate, where there is not enough memory to cut windows of frames of a shape (T, P, H, W) in
    so many processes."""
    size, window = shape[2:], prod(shape) * bytes_per_cell
    parts = [
        (f"{workers} processes (data.num_workers, --jobs)", workers * PER_WORKER),
        (
            f"{workers} x a window of {shape[0]} steps (data.n_timesteps) of {size[1]}x{size[0]} pixels "
            "(data.input_width, data.input_height)",
            workers * COPIES * window,
        ),
    ]
    _require(parts, f"frames of {size[1]}x{size[0]}")


def _layers(config: Config, size: Size) -> Iterator[LayerSize]:
    return layer_sizes(config.model, size, config.data.input_channels)


def _parts(config: Config, size: Size) -> Iterator[tuple[str, int]]:
    """What takes memory, in words that name the keys, and how much."""
    data, layers = config.data, list(_layers(config, size))
    shape = (data.n_timesteps, data.input_channels, *size)
    window, at_once = window_bytes(config.model, shape), windows_at_once(config.model, shape)
    threads = min(max(1, data.num_workers), at_once)
    neurons = sum(layer.neurons for layer in layers)
    most = max(layers, key=lambda layer: layer.weights)
    yield "libraries", BASE_BYTES
    yield (
        f"{at_once} x a window of {data.n_timesteps} steps (data.n_timesteps) of {size[1]}x{size[0]} pixels (data.input_width, "
        f"data.input_height) with {sum(layer.outputs for layer in layers)} outputs of layers (model.conv2_channels)",
        at_once * window,
    )
    yield f"{threads} x {neurons} neurons (data.num_workers, model.conv2_channels)", threads * neurons * PER_NEURON
    yield f"weights, most of {most.name} (model.kernel_sizes)", sum(layer.weights for layer in layers) * PER_WEIGHT
    yield "training", max(layer.neurons for layer in layers) * 4 * PER_NEURON


def _require(parts: list[tuple[str, int]], what: str) -> None:
    needed, there = sum(size for _, size in parts), available()
    if there is None or needed <= there:
        return
    reason = max(parts, key=lambda part: part[1])
    raise InputError(
        f"{what}: may take {_gib(needed)}, but this process can take {_gib(there)} more; most of it for {reason[0]}: "
        f"{_gib(reason[1])}"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.1f} MiB"
