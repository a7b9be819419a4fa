"""The encoder: conv1, pool1, conv2, pool2, conv3; classification spikes come out of conv3 [Kirkland 2020]."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spikeseg.config.layer_spec import LayerSpec
from spikeseg.config.sections import HomeostasisConfig, ModelConfig
from spikeseg.core.grid import LIMIT, check_range
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.errors import InputError
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.reference.layers import first_spike_steps
from spikeseg.ops.types import BlockThreshold, Layer, PooledSpikes

from .adaptive_threshold import adaptive_threshold, lowered_threshold
from .filters import dog_bank, gabor_bank, pyramid
from .layers import SpikePool2d, SpikingConv2d


class SpikeLocation(NamedTuple):
    """Where and when a neuron of conv3 fired; `sample` and `step` are 0 where the output has no such axis."""

    step: int
    sample: int
    class_id: int
    y: int
    x: int


@dataclass(frozen=True)
class EncoderOutput:
    """What one call of the encoder gives. Leading axes follow the input: a step (C, H, W) gives (C', H', W'), a sequence
    (T, C, H, W) gives (T, ...), a batch of sequences (T, B, C, H, W) gives (T, B, ...).

    Attributes:
        classification_spikes: spikes of conv3, 0/1 float32.
        layer_spikes: by 'conv1', 'pool1', 'conv2', 'pool2', 'conv3' (and 'input'), 0/1 float32.
        layer_membranes: pre-reset potentials of 'conv1', 'conv2', 'conv3', float32.
        layer_spike_times: step of each first spike since `reset_state`, inf where none, float32, without the time axis, **of the
            layer's output as the next layer sees it: after its pool** for 'conv1' and 'conv2' (what STDP of the next layer takes
            as `pre_spike_times`), of its own neurons for 'conv3'.
        pooling_indices: by 'pool1', 'pool2': int64 row * W + column of the input kept, -1 where the output is silent.
    """

    classification_spikes: Tensor
    layer_spikes: dict[str, Tensor]
    layer_membranes: dict[str, Tensor]
    layer_spike_times: dict[str, Tensor]
    pooling_indices: dict[str, Tensor]

    @property
    def n_classification_spikes(self) -> int:
        """How many neurons of conv3 fired, over all steps and samples."""
        return int(self.classification_spikes.sum())

    @property
    def has_spikes(self) -> bool:
        """Whether any neuron of conv3 fired."""
        return self.n_classification_spikes > 0

    def get_spike_locations(self) -> list[SpikeLocation]:
        """Every classification spike, by step, sample, class, row and column of conv3."""
        spikes = self.classification_spikes
        axes = [SpikeLocation._fields.index(axis) for axis in ("step", "sample")[: spikes.dim() - 3]]
        places = spikes.nonzero().cpu()
        rows = torch.zeros(len(places), len(SpikeLocation._fields), dtype=torch.int64)
        rows[:, [*axes, 2, 3, 4]] = places
        return [SpikeLocation(*row) for row in rows.tolist()]

    def map(self, change: Callable[[Tensor], Tensor], times: Callable[[Tensor], Tensor]) -> EncoderOutput:
        """A copy with `change` applied to every tensor with a time axis and `times` to the first-spike times."""
        return replace(
            self,
            classification_spikes=change(self.classification_spikes),
            layer_spikes={k: change(v) for k, v in self.layer_spikes.items()},
            layer_membranes={k: change(v) for k, v in self.layer_membranes.items()},
            layer_spike_times={k: times(v) for k, v in self.layer_spike_times.items()},
            pooling_indices={k: change(v) for k, v in self.pooling_indices.items()},
        )


class Encoder(nn.Module):
    """Three spiking convolutions; conv1 has fixed filters, conv2 and conv3 are learned.

    Neurons keep their state from call to call until `reset_state`.

    Attributes:
        conv1, conv2, conv3: (C1, P, K, K), (C2, C1, K, K) and (n_classes, C2, K, K) spiking convolutions.
        pool1, pool2: behind conv1 and conv2.
        specs: the layers in order, as the configuration describes them.
        backend: which kernels run it, see `spikeseg.ops`; the result is the same with each.
        drives: by learned layer the drive that it was trained under (`adaptive_threshold.typical_drive`); with
            `model.adaptive_thresholds` its thresholds are lowered where it is driven less. A layer that is missing keeps them.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        in_channels: int = 2,
        max_input: float = 1.0,
        max_weight: float = 1.0,
        homeostasis: HomeostasisConfig | None = None,
    ) -> None:
        super().__init__()
        self.config, self.in_channels = config, in_channels
        self.backend = "auto"
        self.drives: dict[str, float] = {}
        self._rest, top = (0.0, 0.0) if homeostasis is None else homeostasis.range
        self.specs = config.layers()
        self._by_name = {spec.name: spec for spec in self.specs}
        self.conv1, self.conv2, self.conv3 = _convolutions(self.specs, in_channels, LeakMode(config.leak_mode))
        self.pool1, self.pool2 = (SpikePool2d(spec.pool.kernel, spec.pool.stride) for spec in self.specs if spec.pool is not None)
        bank = dog_bank if config.use_dog_filters else gabor_bank
        filters: Tensor = pyramid(bank, config.conv1_channels, in_channels, config.kernel_sizes[0], config.conv1_scales)
        if not bool(torch.isfinite(filters).all()):
            raise InputError(f"model.conv1_channels: {config.conv1_channels}, fewer filters fit {config.kernel_sizes[0]} px")
        self.conv1.weight.copy_(filters)
        for spec in self.specs:
            weight = self.layer(spec.name).weight
            try:
                check_range(
                    spec.name,
                    fan_in=weight[0].numel(),
                    max_weight=max(1.0, max_weight if spec.learned else float(weight.abs().max())),
                    max_threshold=spec.threshold + (top if spec.learned else 0.0),
                    max_input=max_input if spec is self.specs[0] else 1.0,
                )
            except ValueError as error:
                raise InputError(f"model: {error}") from None
        self.reset_state()

    def layer(self, name: str) -> SpikingConv2d:
        """The convolution of this name."""
        convolution: SpikingConv2d = getattr(self, self._by_name[name].name)
        return convolution

    def upto(self, name: str) -> tuple[LayerSpec, ...]:
        """The layers from the input to this one."""
        return self.specs[: self._by_name[name].index]

    def pool_after(self, name: str) -> SpikePool2d | None:
        """The pool behind a layer; None behind the last."""
        pool = self._by_name[name].pool
        return None if pool is None else getattr(self, pool.name)

    def reset_state(self) -> None:
        """Bring every neuron to rest and start counting steps at 0: the beginning of a sample."""
        self._state: dict[str, Tensor] = {}
        self._first: dict[str, Tensor] = {}
        self._steps = 0

    def forward(self, frames: Tensor, background: Tensor | None = None, upto: str = "conv3") -> EncoderOutput:
        """Run on from the present state.

        With `model.adaptive_thresholds` those of learned layers follow the drive of the frames of this call.

        Args:
            frames: one step (P, H, W), a sequence (T, P, H, W) or a batch of sequences (T, B, P, H, W); whole numbers. Frames of
                one channel, grey values or merged polarities, are rounded to whole events, and none below 0; each is then an
                event of every polarity that the network has.
            background: background events per pixel and step ([B,] P, h, w), in blocks (`spikeseg.data.frames.background`); used
                when `model.background_adaptive` is on, and None means none is known: the thresholds stay as they are.
            upto: the last layer to run (its pool included).

        Raises:
            ValueError: wrong number of axes or channels, or another frame size than since `reset_state`.
        """
        if not 3 <= frames.dim() <= 5:
            raise ValueError(f"frames must be (P, H, W), (T, P, H, W) or (T, B, P, H, W), not {tuple(frames.shape)}")
        if frames.shape[-3] == 1:
            frames = (frames.clamp(min=0) + 0.5).floor().expand(*frames.shape[:-3], self.in_channels, *frames.shape[-2:])
        if frames.shape[-3] != self.in_channels:
            raise ValueError(f"frames have {frames.shape[-3]} channels, the network takes {self.in_channels}")
        lead = frames.dim() - 3
        sequence = frames.reshape((1, 1, *frames.shape) if lead == 0 else frames.shape)
        if lead == 1:
            sequence = frames[:, None]
        out = self._run(sequence.to(self.conv1.weight.dtype), background, upto)
        if lead == 2:
            return out
        if lead == 1:
            return out.map(lambda v: v[:, 0], lambda v: v[0])
        return out.map(lambda v: v[0, 0], lambda v: v[0])

    def _run(self, spikes: Tensor, background: Tensor | None, upto: str) -> EncoderOutput:
        layer_spikes, membranes, times, indices = {"input": spikes}, {}, {}, {}
        ops = ops_backend(self.backend, spikes.device)
        for spec in self.upto(upto):
            name, layer, threshold = spec.name, self.layer(spec.name), None
            if spec is self.specs[0]:
                size = (spikes.shape[-2], spikes.shape[-1])
                adapted = self._adapted(background, size)
                _check_counts(float(spikes.max()) if spikes.numel() else 0.0, layer, adapted)
                threshold = None if adapted is None else adapted.expand(size)
            elif self._lowers(spec):
                below = SpikeLists.of(spikes.transpose(0, 1).cpu().numpy())
                threshold = self._lowered(spec, below).expand((spikes.shape[-2], spikes.shape[-1]))
            state = self._state.get(name)
            if state is not None and state.shape != (spikes.shape[1], state.shape[1], *spikes.shape[-2:]):
                raise ValueError("frames changed their size or batch within a sample; call reset_state() first")
            run = layer(spikes, state, threshold, ops)
            self._state[name] = run.state
            layer_spikes[name], membranes[name], spikes = run.spikes, run.potentials, run.spikes
            pool = self.pool_after(name)
            if pool is not None:
                pooled = pool(run.spikes, run.potentials, ops)
                layer_spikes[spec.output], indices[spec.output] = pooled
                spikes = pooled.spikes
            times[name] = self._first_times(name, spikes)
        self._steps += spikes.shape[0]
        return EncoderOutput(spikes, layer_spikes, membranes, times, indices)

    def infer(
        self,
        frames: np.ndarray | SparseFrames,
        background: np.ndarray | None = None,
        upto: str = "conv3",
        threads: int = 1,
        *,
        pooled: bool = True,
    ) -> dict[str, PooledSpikes]:
        """Spikes alone, of whole samples from rest; batched, and without touching the present state.

        Args:
            frames: (N, T, P, H, W) whole numbers, as the cache of frames holds them, or as lists.
            background: (N, P, h, w) float32, see `forward`.
            upto: the last layer to run.
            threads: samples run side by side.
            pooled: whether its pool is run, too.

        Returns:
            by 'pool1', 'pool2', 'conv3': the spikes with their pooling indices, address by address; those of the last layer
            without its pool by its own name.

        Raises:
            ValueError: wrong number of axes or channels.
            InputError: counts beyond the exact range.
        """
        if len(frames.shape) != 5 or frames.shape[2] != self.in_channels:
            raise ValueError(f"frames {frames.shape}, must be (N, T, {self.in_channels}, H, W)")
        layers = self.chain(upto, pooled)
        known = None if background is None else torch.from_numpy(background)
        adapted = self._adapted(known, (frames.shape[-2], frames.shape[-1]))
        counts = frames.counts if isinstance(frames, SparseFrames) else frames
        _check_counts(float(counts.max(initial=0)), self.conv1, adapted)
        encode, specs = ops_backend(self.backend, self.conv1.weight.device).encode, self.upto(upto)
        encoded: list[PooledSpikes] = []
        cuts = [k for k, spec in enumerate(specs) if self._lowers(spec)]  # before layers whose input has to be known
        for first, last in itertools.pairwise([0, *cuts, len(specs)]):
            if first:
                below = encoded[-1].lists
                adapted = self._lowered(specs[first], below)
                frames = SparseFrames(below, np.ones(len(below.sites), np.int32))
            encoded += encode(frames, layers[first:last], adapted, threads=threads)
        names = [*(spec.output for spec in specs[:-1]), specs[-1].output if pooled else upto]
        return dict(zip(names, encoded, strict=True))

    def chain(self, upto: str = "conv3", pooled: bool = True) -> list[Layer]:
        """The layers up to this one, as the batched operations take them; pooled: with its pool."""
        layers = []
        for spec in self.upto(upto):
            layer, pool = self.layer(spec.name), self.pool_after(spec.name)
            behind = None if pool is None or (spec.name == upto and not pooled) else (pool.kernel, pool.stride)
            layers.append(Layer(layer.weight, layer.threshold, layer.mode, layer.leak, behind))
        return layers

    def _adapted(self, background: Tensor | None, size: tuple[int, int]) -> BlockThreshold | None:
        """Thresholds of conv1 under this background; None where they are the layer's own."""
        if background is None or not self.config.background_adaptive:
            return None
        known = background if background.dim() == 4 else background[None]
        return adaptive_threshold(self.conv1.threshold, self.conv1.weight, known, size, self.config.background_sigmas)

    def _lowers(self, spec: LayerSpec) -> bool:
        """Whether a layer's thresholds follow its drive."""
        return self.config.adaptive_thresholds and self.drives.get(spec.name, 0.0) > 0

    def _lowered(self, spec: LayerSpec, below: SpikeLists) -> BlockThreshold:
        """Thresholds of a learned layer under this input."""
        threshold, rest = self.layer(spec.name).threshold, spec.threshold + self._rest
        return lowered_threshold(threshold, rest, self.drives[spec.name], below)

    def _first_times(self, name: str, spikes: Tensor) -> Tensor:
        steps = first_spike_steps(spikes)
        now = torch.where(steps < spikes.shape[0], steps + self._steps, torch.inf).to(torch.float32)
        earlier = self._first.get(name)
        self._first[name] = now if earlier is None else torch.minimum(earlier, now)
        return self._first[name]


def _convolutions(specs: tuple[LayerSpec, ...], in_channels: int, mode: LeakMode) -> list[SpikingConv2d]:
    """The convolutions without weights, at their base thresholds."""
    convolutions = []
    for spec in specs:
        convolutions.append(SpikingConv2d(in_channels, spec.channels, spec.kernel, mode=mode, leak=spec.leak))
        convolutions[-1].threshold.fill_(spec.threshold)
        in_channels = spec.channels
    return convolutions


def _check_counts(top: float, layer: SpikingConv2d, adapted: BlockThreshold | None) -> None:
    """Refuse event counts so high that conv1's potentials could leave the exact range. top: the highest of the frames."""
    theta = float(layer.threshold.max() if adapted is None or not adapted.values.numel() else adapted.values.max())
    reach = top * float(layer.weight.abs().flatten(1).sum(1).max()) + theta
    if reach >= LIMIT:
        raise InputError(
            f"frames: a pixel counts {top:g} events in one step, so that potentials could reach {reach:g}, but exact arithmetic "
            f"ends at {LIMIT:g}; use shorter steps (data.timestep_ms) or binary frames (data.normalize: true)"
        )
