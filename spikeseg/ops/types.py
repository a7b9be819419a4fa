"""Arguments and results of the operations, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists

WTA_MODES = ("global", "local", "both")


class LayerRun(NamedTuple):
    """A layer over T steps: spikes 0/1 and pre-reset potentials (T, B, C, H, W); state V (B, C, H, W) afterwards."""

    spikes: Tensor
    potentials: Tensor
    state: Tensor


class PoolRun(NamedTuple):
    """Pooled spikes 0/1 (T, B, C, H', W') and int64 index of the kept input in H*W (-1 where nothing spiked)."""

    spikes: Tensor
    indices: Tensor


class PooledSpikes(NamedTuple):
    """The output spikes of a layer, behind its pool: input of the next one.

    Attributes:
        lists: the spikes.
        kept: int32, one entry per spike: the pooling index, row * W + column in the layer before its pool; None without a pool.
    """

    lists: SpikeLists
    kept: np.ndarray | None

    def part(self, first: int, last: int) -> PooledSpikes:
        """Samples first to last - 1; nothing is copied."""
        offsets, steps = self.lists.offsets, self.lists.shape[0]
        inside = slice(int(offsets[first * steps] - offsets[0]), int(offsets[last * steps] - offsets[0]))
        return PooledSpikes(self.lists.part(first, last), None if self.kept is None else self.kept[inside])

    def since(self, step: int) -> PooledSpikes:
        """The same samples without the spikes of steps before this one."""
        late = self.lists.since(step)
        return PooledSpikes(self.lists.only(late), None if self.kept is None else self.kept[late])

    def of_maps(self, maps: Collection[int] | None) -> PooledSpikes:
        """The spikes of some maps alone; None: of all."""
        if maps is None:
            return self
        chosen = np.isin(self.lists.sites // (self.lists.shape[2] * self.lists.shape[3]), sorted(maps))
        return PooledSpikes(self.lists.only(chosen), None if self.kept is None else self.kept[chosen])


class Layer(NamedTuple):
    """A spiking convolution, as `encode` runs it.

    Attributes:
        weight: master weights (C_out, C_in, K, K) float32.
        threshold: (C_out,) float32.
        mode, leak: the membrane (`spikeseg.core.neurons`), leak on the grid.
        pool: (kernel, stride) of the pool behind it, or None.
    """

    weight: Tensor
    threshold: Tensor
    mode: LeakMode
    leak: float
    pool: tuple[int, int] | None


class SingleSpikeLayer(NamedTuple):
    """A convolution of IF neurons that fire at most once in a sample, with the pool behind it.

    Attributes:
        weight: master weights (C_out, C_in, K, K) float32.
        threshold: (C_out,) float32.
        pool: (kernel, stride); (1, 1) for none.
        inhibit: whether the first neuron to fire at a position silences those of the other maps there.
    """

    weight: Tensor
    threshold: Tensor
    pool: tuple[int, int]
    inhibit: bool


class BlockThreshold(NamedTuple):
    """Thresholds that differ by sample and position: at (y, x) of sample n, ``values[n, :, y // block, x // block]``.

    Attributes:
        values: (N, C, hb, wb) float32, on the grid.
        block: pixels.
    """

    values: Tensor
    block: int

    def expand(self, size: tuple[int, int]) -> Tensor:
        """(N, C, H, W) of a frame of size (H, W)."""
        full = self.values.repeat_interleave(self.block, -2).repeat_interleave(self.block, -1)
        return full[..., : size[0], : size[1]]


class NeuronHomeostasis(NamedTuple):
    """Homeostasis of the competition: a threshold per neuron that its potential must reach to take part."""

    target_rate: float
    lr: float
    low: float
    high: float


class MapHomeostasis(NamedTuple):
    """Homeostasis per feature map: theta, added to the layer's threshold.

    theta += plus per win, then decays by (theta - rest) / tau, within rest..top."""

    rest: float
    plus: float
    tau: float
    top: float


class PlasticityForm(IntEnum):
    """How a weight depends on itself when it changes."""

    MULTIPLICATIVE = 0
    """Soft bounds: ``w + rate * (w * (1 - w))``."""
    ADDITIVE = 1
    """``w + rate``."""
    CUSTOM = 2
    """As `Plasticity.update` says."""


class Plasticity(NamedTuple):
    """How STDP changes the weights of a map that won; the result is clamped to weight_min..weight_max.

    Attributes:
        form: how the change depends on the weight.
        lr_plus: rate of a synapse whose input fired at or before the winner.
        lr_minus: rate, as a positive number, of every other synapse: its input fired later, never, or lies outside the frame.
        weight_min, weight_max: bounds of the weights.
        update: the rule of `PlasticityForm.CUSTOM`, and of that form alone. It takes the map's weights (C_in, K, K) float32 and
            ``early``, bool of the same shape (whether each synapse's input fired at or before the winner), both on the network's
            device, returns the new weights and changes neither argument.
    """

    form: PlasticityForm
    lr_plus: float
    lr_minus: float
    weight_min: float
    weight_max: float
    update: Callable[[Tensor, Tensor], Tensor] | None = None


class TrainingRule(NamedTuple):
    """How a layer learns: its neurons, its plasticity, its competition and its homeostasis.

    Attributes:
        mode, leak: leak of the membrane potential (`spikeseg.core.neurons`), on the grid.
        base: the layer's threshold before homeostasis; theta of a map is added to it.
        plasticity: how winners' weights change.
        wta, radius, max_winners: winner-take-all, see `select_winners`.
        competition: homeostasis per neuron, or None.
        maps: homeostasis per map, or None.
        dead_recovery: whether training stops when a map is dead, so that the caller can reset it.
        dead_threshold: a map is dead that has won in less than this share of the samples since its last reset.
        dead_warmup: samples after a reset before which no map counts as dead.
        batch_size: samples that are run under the same weights and thresholds.
    """

    mode: LeakMode
    leak: float
    base: float
    plasticity: Plasticity
    wta: str
    radius: int
    max_winners: int | None
    competition: NeuronHomeostasis | None
    maps: MapHomeostasis | None
    dead_recovery: bool
    dead_threshold: float
    dead_warmup: int
    batch_size: int


@dataclass
class LearningState:
    """What learning changes, in place. All tensors lie on one device, that of the network.

    Attributes:
        weight: (C_out, C_in, K, K) float32, the layer's.
        threshold: (C_out,) float32, the layer's: base + theta.
        theta: (C_out,) float32, how far homeostasis has raised the threshold of each map.
        wins: (C_out,) int64, wins of each map.
        recent_wins: (C_out,) int64, wins of each map since its last reset.
        seen: (C_out,) int64, samples since each map's last reset.
        competition: (C_out, H, W) float32, threshold that each neuron's potential must reach to compete; None where
            `TrainingRule.competition` is None, or before the first sample.
    """

    weight: Tensor
    threshold: Tensor
    theta: Tensor
    wins: Tensor
    recent_wins: Tensor
    seen: Tensor
    competition: Tensor | None = None

    @classmethod
    def fresh(cls, weight: Tensor, threshold: Tensor, theta: float = 0.0) -> LearningState:
        """The state before the first sample.

        Args:
            weight: the layer's; learning changes it.
            threshold: the layer's; learning changes it.
            theta: of every map.
        """
        counts = [torch.zeros(len(weight), dtype=torch.int64, device=weight.device) for _ in range(3)]
        return cls(weight, threshold, torch.full((len(weight),), theta, device=weight.device), *counts)

    def to(self, device: torch.device | str) -> LearningState:
        """The state on a device; tensors that lie there already are not copied."""
        moved: dict[str, Any] = {name: None if part is None else part.to(device) for name, part in vars(self).items()}
        return LearningState(**moved)

    def check_device(self) -> None:
        """Raise ValueError unless all tensors lie where the weight does."""
        for name, tensor in vars(self).items():
            if tensor is not None and tensor.device != self.weight.device:
                raise ValueError(f"{name} lies on {tensor.device}, but the weight on {self.weight.device}; move one of them")

    def dead(self, rule: TrainingRule) -> Tensor:
        """Which maps are dead under this rule: (C_out,) bool."""
        return (self.seen >= rule.dead_warmup) & (self.recent_wins < rule.dead_threshold * self.seen)

    def competing(self, rule: TrainingRule, size: tuple[int, int]) -> Tensor | None:
        """Thresholds of the competition, made at the first call; None where the rule has none.

        Args:
            rule: whether there are any, and where they begin.
            size: (H, W) of the layer.

        Raises:
            ValueError: another size than before.
        """
        if rule.competition is None:
            return None
        shape = (len(self.weight), *size)
        if self.competition is None:
            self.competition = torch.full(shape, float(rule.competition.low), device=self.weight.device)
        if tuple(self.competition.shape) != shape:
            raise ValueError(
                f"wta.enable_homeostasis keeps a threshold for every neuron of {tuple(self.competition.shape)}, but this sample "
                f"gives {shape}; switch it off for recordings of several sizes, or set data.input_height and input_width"
            )
        return self.competition


FAR = np.int32(1 << 30)
"""Left and top edge of an empty box."""


class Nodes(NamedTuple):
    """Spikes of a layer, or events, as nodes of the trace.

    Attributes:
        sites: int32 (n,), flat index (c*H + y)*W + x, behind the pool.
        steps: int32 (n,), the step of the trace; rising.
        fired: int32 (n,), the step of the spike: without delay connections, the last up to the step of the trace.
        shape: (C, H, W) of the sites.
    """

    sites: np.ndarray
    steps: np.ndarray
    fired: np.ndarray
    shape: tuple[int, int, int]


class Links(NamedTuple):
    """From each of n nodes to those below that it reaches; of nodes at one site only to the last, which leads on to the others.

    Attributes:
        offsets: int64 (n + 1,) into targets and weights.
        targets: int32, node below.
        weights: float32 > 0, of the synapse.
        earlier: int32, for each node below the one before it at the same site that is reached as well; -1 where there is none.
    """

    offsets: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    earlier: np.ndarray


class Cones(NamedTuple):
    """The cones of all spikes of one sample, as lists on the host.

    Attributes:
        nodes: of the events, then of each layer from the first to the last.
        links: from each layer to the one before it.
        reach: float64 (T + 1,), factor of a weight by the number of steps back; 0: not reached.
        device: where the network lies, and where cones are followed.
    """

    nodes: list[Nodes]
    links: list[Links]
    reach: np.ndarray
    device: torch.device = torch.device("cpu")

    @property
    def steps(self) -> int:
        """T of the sample."""
        return len(self.reach) - 1


class Groups(NamedTuple):
    """Values of the members of several groups.

    Attributes:
        starts: int64 (groups + 1,); the members of group g are ``members[starts[g]:starts[g + 1]]``.
        members: int32, numbers of nodes or of cells; each once per group.
        values: float64, one of each member.
    """

    starts: np.ndarray
    members: np.ndarray
    values: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """int64, the group of each member."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
