"""Whether a network fits a chip of the Speck family (DYNAP-CNN cores), and the integers that it would hold.

Limits: documentation of sinabs 3, "Overview", Chip Resources (docs/speck/overview.md), "Available Network Architecture"
(docs/speck/faqs/available_network_arch.md), and memory per core as in `sinabs.backend.dynapcnn.chips`; integers as in its
`discretize`: one factor for weights, leak and threshold of a layer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from spikeseg.core.grid import SCALE, snap_number
from spikeseg.core.leak import LeakMode
from spikeseg.errors import InputError

from .description import Description, PlainLayer

if TYPE_CHECKING:
    from spikeseg.core.sparse import SparseFrames
    from spikeseg.models import SpikeSEG

WEIGHT_MAX = 2**7 - 1
"""Weights and leaks have 8 bits, with a sign."""
STATE_MAX = 2**15 - 1
"""Potentials and thresholds have 16."""
SIDE, INPUT_SIDE = 64, 128
"""Of the maps of a layer, and of what enters it, at most, pixels."""
KERNEL, PADDING, MAPS = 16, 7, 1024
POOLS = (1, 2, 4)
"""Sides of a sum pool, its stride the same."""
FAN_OUT = 2
"""Layers that a layer can send to."""
KI = 1024
CORES = tuple(zip(*([size * KI for size in row] for row in (
    (16, 16, 16, 32, 32, 64, 64, 16, 16), (64, 64, 64, 32, 32, 16, 16, 16, 16),
)), strict=True))  # fmt: skip
"""Of each core: entries of kernel memory, entries of neuron memory."""
BIASES = 1024
"""Entries of each core."""

DIFFERENT = (
    "the chip has no steps: spikes are handled one by one, so that a neuron can fire several times within what is one step here",
    "its pools add: each spike goes on, where here one or more of a window within a step are one",
    "thresholds are fixed: they follow neither background nor drive",
    "the leak needs the slow clock, one tick per step; it is the same number for all neurons of a map",
)
"""What the chip does otherwise, whatever fits; not simulated."""


class Check(NamedTuple):
    """A limit: what it is of, what is needed, what there is."""

    name: str
    needed: int
    allowed: int

    @property
    def holds(self) -> bool:
        """Whether it fits."""
        return self.needed <= self.allowed


@dataclass(frozen=True)
class ChipLayer:
    """A layer in the chip's integers; a neuron fires where its potential reaches the threshold.

    Attributes:
        name: 'conv1', 'conv2', 'conv3'.
        weight: int8 (C_out, C_in, K, K).
        leak: int8 (C_out,), 0 or less, added once a step.
        threshold: 16 bits.
        kernel, neurons: entries of memory that it takes.
        checks: limits that it meets or not.
        faults: what the chip cannot do at all, in words.
        core: where it lies; None where it has no place.
    """

    name: str
    weight: np.ndarray
    leak: np.ndarray
    threshold: int
    kernel: int
    neurons: int
    checks: tuple[Check, ...]
    faults: tuple[str, ...]
    core: int | None = None

    @property
    def fits(self) -> bool:
        """Whether it can lie on the chip."""
        return self.core is not None and not self.faults and all(check.holds for check in self.checks)

    @property
    def synapses(self) -> int:
        """Operations that a spike at its input brings."""
        maps, _, kernel = self.weight.shape[:3]
        return int(maps * kernel**2)


def fitted(network: Description) -> list[ChipLayer]:
    """The layers of a network on the chip, for frames of `network.size`; each is given the smallest core that holds it."""
    layers = [_layer(layer, size) for layer, size in zip(network.layers, network.sizes, strict=True)]
    cores = _placed([(layer.kernel, layer.neurons) for layer in layers])
    return [_with_core(layer, core) for layer, core in zip(layers, cores, strict=True)]


def integers(layer: PlainLayer) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights int8, leak int8 and threshold of a layer, of which weights and leak of each map are over its own threshold.

    One factor makes them integers: as large as 8 bits for weights and leak, and 16 for the threshold, allow.
    """
    over = layer.threshold.astype(np.float64)
    weight = layer.weight / over[:, None, None, None]
    leak = (layer.leak if layer.mode.has_floor else 0.0) / over
    largest = max(float(np.abs(weight).max(initial=0)), float(leak.max(initial=0)), WEIGHT_MAX / STATE_MAX)
    factor = WEIGHT_MAX / largest
    return np.round(weight * factor).astype(np.int8), -np.round(leak * factor).astype(np.int8), round(factor)


def quantised(model: SpikeSEG, chip: Sequence[ChipLayer]) -> SpikeSEG:
    """A network with the chip's integers in place of its weights, thresholds and leaks, in units near those of the network.

    The unit of a map is a whole multiple of the grid, so that its sums are those of the integers. A layer of ours has one leak:
    units are chosen so that those of its maps come out alike, to within half a unit.

    Args:
        model: any network with layers of the same shape.
        chip: see `fitted`.
    """
    other = copy.deepcopy(model)
    for spec, layer in zip(other.encoder.specs, chip, strict=True):
        own = other.encoder.layer(spec.name)
        theta = own.threshold.cpu().double().numpy()
        units = np.maximum(1, np.round(theta / layer.threshold * SCALE))
        if layer.leak.any():
            units = np.where(layer.leak, np.maximum(1, np.round(own.leak * SCALE / np.minimum(layer.leak, -1) * -1)), units)
            own.leak = snap_number(float((units * -layer.leak).mean()) / SCALE)
        elif own.mode.has_floor:
            own.mode, own.leak = LeakMode.NONE, 0.0
        weight = layer.weight * (units / SCALE)[:, None, None, None]
        own.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
        own.threshold.copy_(torch.from_numpy((layer.threshold * units / SCALE).astype(np.float32)))
    return other


def fixed_thresholds(model: SpikeSEG) -> SpikeSEG:
    """The same network; its thresholds follow nothing."""
    from dataclasses import replace

    other = copy.deepcopy(model)
    other.encoder.config = replace(other.encoder.config, background_adaptive=False, adaptive_thresholds=False)
    return other


def input_spikes(model: SpikeSEG, frames: SparseFrames) -> list[int]:
    """How many spikes enter each layer, events of pixels the first; as on the chip, every spike of a pool's window goes on.

    Args:
        model: with `fixed_thresholds`.
        frames: samples.
    """
    from spikeseg.core.sparse import SparseFrames
    from spikeseg.ops import backend

    encode = backend(model.encoder.backend, model.encoder.conv1.weight.device).encode
    counts = [int(frames.counts.sum())]
    with torch.no_grad():
        for layer in model.encoder.chain()[:-1]:
            counts.append(len(encode(frames, [layer._replace(pool=None)])[0].lists.sites))
            below = encode(frames, [layer])[0].lists
            frames = SparseFrames(below, np.ones(len(below.sites), np.int32))
    return counts


def tiles(size: tuple[int, int], tile: tuple[int, int]) -> int:
    """How many tiles, edge to edge, cover a frame; both (H, W)."""
    return math.prod(-(-whole // part) for whole, part in zip(size, tile, strict=True))


def check_tile(tile: tuple[int, int]) -> None:
    """Raise InputError for a tile, (H, W), that no chip takes in."""
    if not all(1 <= side <= INPUT_SIDE for side in tile):
        raise InputError(f"size: found {tile[1]}x{tile[0]}, must be at most {INPUT_SIDE}x{INPUT_SIDE} px, what a chip takes in")


def _layer(layer: PlainLayer, size: tuple[int, int]) -> ChipLayer:
    weight, leak, threshold = integers(layer)
    maps, channels, kernel = weight.shape[:3]
    memory = channels * 2 ** (math.ceil(math.log2(kernel**2)) + math.ceil(math.log2(maps)))
    neurons = maps * 2 ** sum(math.ceil(math.log2(side)) for side in size)
    checks = [
        Check("side of the kernel", kernel, KERNEL),
        Check("padding", kernel // 2, PADDING),
        Check("maps", maps, MAPS),
        Check("height of a map", size[0], SIDE),
        Check("width of a map", size[1], SIDE),
        Check("kernel memory", memory, max(core[0] for core in CORES)),
        Check("neuron memory", neurons, max(core[1] for core in CORES)),
        Check("leaks", maps, BIASES),
        Check("layers it sends to", 1, FAN_OUT),
    ]
    faults = []
    if layer.mode.loses_share:
        faults.append("its leak takes a share of the potential, the chip's a constant")
    elif layer.leak and not leak.all():
        faults.append(f"the leak of {int((leak == 0).sum())} of its maps is less than half of the smallest that 8 bits hold")
    if layer.pool is not None and (layer.pool[0] != layer.pool[1] or layer.pool[0] not in POOLS):
        faults.append(f"its pool is {layer.pool[0]}, every {layer.pool[1]} px; the chip's are 2 or 4, side by side")
    if not any(memory <= own and neurons <= other for own, other in CORES):
        faults.append("no core has both memories")
    return ChipLayer(layer.name, weight, leak, threshold, memory, neurons, tuple(checks), tuple(faults))


def _placed(needs: Sequence[tuple[int, int]]) -> list[int | None]:
    """A core of its own for each layer, None where there is none; of those that fit, the smallest."""
    cost = np.array(
        [
            [kernel + neurons if need[0] <= kernel and need[1] <= neurons else np.inf for kernel, neurons in CORES]
            for need in needs
        ]
    )
    unreachable = float(sum(map(sum, CORES))) * len(needs)
    rows, cores = linear_sum_assignment(np.where(np.isinf(cost), unreachable, cost))
    placed: list[int | None] = [None] * len(needs)
    for row, core in zip(rows.tolist(), cores.tolist(), strict=True):
        placed[row] = core if np.isfinite(cost[row, core]) else None
    return placed


def _with_core(layer: ChipLayer, core: int | None) -> ChipLayer:
    from dataclasses import replace

    crowded = core is None and not layer.faults and all(check.holds for check in layer.checks)
    return replace(layer, core=core, faults=(*layer.faults, "the cores that hold it are taken") if crowded else layer.faults)


def report(network: Description, chip: Sequence[ChipLayer], frame: tuple[int, int], field: int) -> dict[str, Any]:
    """What fits and what does not, as JSON takes it.

    Args:
        network: of one tile.
        chip: see `fitted`.
        frame: (H, W) of the whole frame.
        field: side of what a class sees, pixels.
    """
    layers = [
        {
            "name": layer.name,
            "fits": layer.fits,
            "core": layer.core,
            "maps": [len(layer.weight), *size],
            "kernel_memory": layer.kernel,
            "neuron_memory": layer.neurons,
            "threshold": layer.threshold,
            "weights": {"largest": int(np.abs(layer.weight.astype(int)).max()), "zero_share": float((layer.weight == 0).mean())},
            "leak": [int(layer.leak.min()), int(layer.leak.max())],
            "over": [check._asdict() for check in layer.checks if not check.holds],
            "faults": list(layer.faults),
        }
        for layer, size in zip(chip, network.sizes, strict=True)
    ]
    return {
        "chip": "speck",
        "fits": all(layer.fits for layer in chip),
        "tile": list(network.size),
        "frame": list(frame),
        "tiles": tiles(frame, network.size),
        "seam_px": field // 2,
        "layers": layers,
        "different": list(DIFFERENT),
    }
