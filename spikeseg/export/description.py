"""What is carried out of a network: its layers as plain arrays, and what another program cannot know of it.

At inference a neuron of ours is the membrane of `spikeseg.core.neurons` and no more: it may fire at every step, and nothing
inhibits it (that the first spike alone counts, and that winners inhibit, is training). What a file leaves out are its losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from spikeseg.core.grid import GRID_BITS, snap, snap_number
from spikeseg.core.leak import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.errors import InputError
from spikeseg.models.adaptive_threshold import adaptive_threshold

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.models import SpikeSEG

LARGEST_SIDE = 8192
"""Of a frame, pixels."""
LARGEST_RATE = 1000.0
"""Background events per pixel, polarity and step."""


class PlainLayer(NamedTuple):
    """A spiking convolution.

    Attributes:
        name: 'conv1', 'conv2', 'conv3'.
        weight: float32 (C_out, C_in, K, K), on the grid, 'same' padding.
        threshold: float32 (C_out,) above 0, on the grid; a neuron fires that reaches it.
        mode: how the membrane forgets.
        leak: on the grid: what a step takes away (subtractive), or the factor of what it leaves (multiplicative).
        pool: (kernel, stride) of the max pool behind it, or None.
    """

    name: str
    weight: np.ndarray
    threshold: np.ndarray
    mode: LeakMode
    leak: float
    pool: tuple[int, int] | None


class Loss(NamedTuple):
    """Something of a network that a file does not carry.

    Attributes:
        name: in one word.
        text: what that means, in a sentence.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Description:
    """A network without anything that is not in the file.

    Attributes:
        layers: from the input to the classes.
        size: (H, W) of the frames.
        losses: what is left out.
        notes: for whoever runs it: "input", "step_ms", "steps", "class_names".
    """

    layers: tuple[PlainLayer, ...]
    size: tuple[int, int]
    losses: tuple[Loss, ...] = ()
    notes: dict[str, Any] | None = None

    @property
    def in_channels(self) -> int:
        """Polarities."""
        return int(self.layers[0].weight.shape[1])

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(H, W) of the maps of each layer, before its pool."""
        sizes = [self.size]
        for layer in self.layers[:-1]:
            height, width = sizes[-1]
            sizes.append(
                (height, width) if layer.pool is None else (pooled_size(height, *layer.pool), pooled_size(width, *layer.pool))
            )
        return sizes

    def geometry(self) -> dict[str, Any]:
        """All but the weights and thresholds, as JSON takes it."""
        layers = [
            {
                "name": layer.name,
                "maps": len(layer.weight),
                "kernel": layer.weight.shape[-1],
                "leak_mode": layer.mode.value,
                "leak": layer.leak,
                "pool": None if layer.pool is None else {"kernel": layer.pool[0], "stride": layer.pool[1]},
            }
            for layer in self.layers
        ]
        return {
            "format": FORMAT,
            "version": VERSION,
            "grid": 2.0**-GRID_BITS,
            "size": list(self.size),
            "polarities": self.in_channels,
            "layers": layers,
            "notes": self.notes or {},
            "losses": {loss.name: loss.text for loss in self.losses},
        }


FORMAT, VERSION = "spikeseg-export", 1


def describe(
    model: SpikeSEG, config: Config, size: tuple[int, int] | None = None, *, background: float | None = None
) -> Description:
    """What can be carried out of a network.

    Args:
        model: the network.
        config: that it runs under.
        size: (H, W) of the frames; None: `frame_size`.
        background: events per pixel, polarity and step, to which conv1's thresholds are raised once and for all, as
            `model.background_adaptive` raises them window by window; None: they stay as they are.

    Raises:
        InputError: a size or a rate that no network runs at, or a threshold of 0, at which neurons fire without input.
    """
    size = frame_size(config) if size is None else size
    for side in size:
        if not 1 <= side <= LARGEST_SIDE:
            raise InputError(f"size: found {size[1]}x{size[0]}, sides must be 1 to {LARGEST_SIDE} px")
    encoder = model.encoder
    layers = []
    for spec, layer in zip(encoder.specs, encoder.chain(), strict=True):
        threshold = layer.threshold
        if spec is encoder.specs[0] and background is not None:
            threshold = _raised(model, background)
        theta = snap(threshold.detach().cpu().double()).float().numpy()
        if not (theta > 0).all():
            raise InputError(
                f"{spec.name}.threshold[{int(theta.argmin())}]: 0 on the grid of 2^-{GRID_BITS}: it fires at every step, without "
                "input, which other programs do not say the same way; train with a threshold above 0"
            )
        if layer.mode is not LeakMode.NONE and not (layer.mode.has_floor or layer.mode.loses_share):
            raise InputError(f"model.leak_mode: {layer.mode.value}, which no format of export knows")
        weight = snap(layer.weight.detach().cpu()).numpy()
        layers.append(PlainLayer(spec.name, weight, theta, layer.mode, layer.leak, layer.pool))
    return Description(tuple(layers), size, tuple(_losses(model, config, background)), _notes(config))


def frame_size(config: Config) -> tuple[int, int]:
    """(H, W) of the frames where nobody says it: the configuration's, or a DAVIS240C's."""
    from spikeseg.data.sensors import SENSOR_SIZES

    width, height = SENSOR_SIZES["DAVIS240C"]
    return config.data.input_height or height, config.data.input_width or width


def _raised(model: SpikeSEG, background: float) -> torch.Tensor:
    """Thresholds of conv1 over an even background."""
    if not 0 <= background <= LARGEST_RATE:
        raise InputError(f"background: found {background:g}, must be 0 to {LARGEST_RATE:g} events per pixel, polarity and step")
    encoder = model.encoder
    if not encoder.config.background_adaptive:
        raise InputError("background: this network's thresholds do not follow it (model.background_adaptive: false)")
    even = torch.full((1, encoder.in_channels, 1, 1), background)
    conv1 = encoder.conv1
    return adaptive_threshold(conv1.threshold, conv1.weight, even, (1, 1), encoder.config.background_sigmas).values[0, :, 0, 0]


def _losses(model: SpikeSEG, config: Config, background: float | None) -> list[Loss]:
    """What the layers alone do not say."""
    losses = []
    section = model.encoder.config
    if section.background_adaptive:
        fixed = "as trained" if background is None else f"for an even background of {background:g} events per pixel and step"
        losses.append(Loss("background", f"thresholds of conv1 follow the local background (background_adaptive); here: {fixed}"))
    lowered = [name for name in model.encoder.drives if section.adaptive_thresholds]
    if lowered:
        names = " and ".join(lowered)
        losses.append(Loss("drive", f"thresholds of {names} fall where little arrives (adaptive_thresholds); here: as trained"))
    losses.append(Loss("decoder", "the trace from classes back to pixels, and objects and tracks"))
    if config.model.motion:
        losses.append(Loss("motion", "the motion layer, which finds points too faint for the network"))
    return losses


def _notes(config: Config) -> dict[str, Any]:
    counted = "1 where there is an event" if config.data.normalize else "counts of events"
    return {
        "input": f"(polarity, y, x), OFF first; {counted} in each step; potentials are 0 before the first step of a window",
        "step_ms": config.data.timestep_ms,
        "steps": config.data.n_timesteps,
    }


def from_geometry(geometry: dict[str, Any], arrays: dict[str, np.ndarray], source: str) -> Description:
    """The description that `Description.geometry` and the arrays of a file stand for.

    Args:
        geometry: as read.
        arrays: 'conv1.weight', 'conv1.threshold', ...
        source: for messages.

    Raises:
        InputError: anything is missing, of another type or shape, or no number.
    """
    try:
        if (geometry["format"], geometry["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {geometry['format']} {geometry['version']}")
        layers, channels = [], int(geometry["polarities"])
        for entry in geometry["layers"]:
            name, mode, maps, kernel = str(entry["name"]), LeakMode(entry["leak_mode"]), int(entry["maps"]), int(entry["kernel"])
            pool = None if entry["pool"] is None else (int(entry["pool"]["kernel"]), int(entry["pool"]["stride"]))
            weight = _checked(arrays, f"{name}.weight", (maps, channels, kernel, kernel))
            threshold = _checked(arrays, f"{name}.threshold", (maps,))
            layers.append(PlainLayer(name, weight, threshold, mode, snap_number(float(entry["leak"])), pool))
            channels = maps
        height, width = geometry["size"]
        losses = tuple(Loss(str(name), str(text)) for name, text in geometry["losses"].items())
        return Description(tuple(layers), (int(height), int(width)), losses, dict(geometry["notes"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{source}: not a network that spikeseg exported ({type(error).__name__}: {error})") from None


def _checked(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = arrays[name]
    if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} is {array.dtype} {array.shape}, must be finite float32 {shape}")
    return array
