"""What the GPU day compares, bit for bit: learning, inference, the two modules, images. Every case runs on any backend.

A case is a series of samples (rounds of the modules, stages of images) with a digest of all that each leaves behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from gpu_day_inputs import DEMO, chain, clustered, digest, drawn, first_state, recover, spikes_as_tensors

from spikeseg.core.grid import snap
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.types import (
    BlockThreshold,
    LearningState,
    NeuronHomeostasis,
    PlasticityForm,
    PooledSpikes,
    SingleSpikeLayer,
    TrainingRule,
)

Tensors = dict[str, np.ndarray]
SAME_WHEN_TINY = ("conv3, 45x60", "64x64", "181x239", "HD, 360x640", "encode 128x128", "encode HD", "trace 181x239, decay 1",
                  "modules, global")  # fmt: skip
"""Cases that differ from others in nothing but their size."""
DISTINCT = 60
"""Samples that are drawn; the order takes them again and again."""


def tensors_of(state: LearningState) -> Tensors:
    """All that learning changes, on the host."""
    return {name: part.detach().cpu().numpy().copy() for name, part in vars(state).items() if part is not None}


@dataclass(frozen=True)
class Training:
    """A layer that learns.

    Attributes:
        name: of the case.
        shapes: (T, C, H, W) of the input; where there are several, calls take them in turn.
        rule: how to learn.
        maps, kernel: of the layer.
        samples: learned in all.
        densities: share of sites that spike; where there are several, calls take them in turn.
        chunk: samples of a call.
    """

    name: str
    shapes: tuple[tuple[int, int, int, int], ...] = ((10, 4, 90, 120),)
    rule: TrainingRule = DEMO
    maps: int = 36
    kernel: int = 5
    samples: int = 500
    densities: tuple[float, ...] = (0.004,)
    chunk: int = 150

    @cached_property
    def inputs(self) -> list[SpikeLists]:
        """One for each shape and density."""
        count = min(self.samples, DISTINCT)
        kinds = [(shape, density) for shape in self.shapes for density in self.densities]
        return [clustered(20 + i, count, shape, density) for i, (shape, density) in enumerate(kinds)]

    @property
    def input_tensors(self) -> Tensors:
        """For a digest of what is learned from."""
        tensors = {k: v for i, lists in enumerate(self.inputs) for k, v in spikes_as_tensors(lists, f"input{i}").items()}
        return tensors | {"weight": first_state(self.rule, self.maps, self.shapes[0][1], self.kernel, "cpu").weight.numpy()}

    @property
    def stride(self) -> int:
        """Samples from one digest to the next."""
        return self.rule.batch_size

    def calls(self, first: int, last: int, at_most: int) -> Iterator[tuple[SpikeLists, np.ndarray, int]]:
        """(input, indices, position of the first) of the calls for samples first to last - 1."""
        order = np.random.default_rng(3).integers(0, self.inputs[0].samples, self.samples)
        while first < last:
            number = first // self.chunk
            end = min(last, (number + 1) * self.chunk, first + at_most)
            yield self.inputs[number % len(self.inputs)], order[first:end], first
            first = end

    def learn(self, training: Any, first: int, last: int, at_most: int | None = None) -> Iterator[int]:
        """Learn these samples; yields how many are learned, after each call."""
        for lists, indices, position in self.calls(first, last, at_most or self.chunk):
            done = 0
            while done < len(indices):
                done += training.run(lists, indices[done:])
                if self.rule.dead_recovery:
                    recover(training.state, self.rule, position + done)
            yield position + done

    def begin(self, ops: ModuleType, device: torch.device | str, state: LearningState | None = None) -> Any:
        """The backend's training, at the start or from a state."""
        fresh = first_state(self.rule, self.maps, self.shapes[0][1], self.kernel, device)
        return ops.Training(fresh if state is None else state, self.rule)

    def after(self, ops: ModuleType, device: torch.device | str, samples: int) -> LearningState:
        """The state after so many samples, learned in long calls."""
        training = self.begin(ops, device)
        for _ in self.learn(training, 0, samples):
            pass
        state: LearningState = training.state
        return state

    def digests(self, ops: ModuleType, device: torch.device | str, samples: int) -> list[str]:
        """After every `stride` samples."""
        training = self.begin(ops, device)
        return [digest(tensors_of(training.state)) for _ in self.learn(training, 0, samples, self.stride)]


@dataclass(frozen=True)
class Series:
    """A case whose samples can be looked at one by one: subclasses say what each leaves."""

    name: str
    samples: int

    def results(self, ops: ModuleType, device: torch.device | str, first: int, last: int) -> Iterator[Tensors]:
        """What samples first to last - 1 leave."""
        raise NotImplementedError

    def digests(self, ops: ModuleType, device: torch.device | str, samples: int) -> list[str]:
        """Of each."""
        return [digest(found) for found in self.results(ops, device, 0, samples)]


@dataclass(frozen=True)
class Encoding(Series):
    """Frames through conv1, conv2, conv3 with their pools, conv1's thresholds by block.

    Attributes:
        size: (H, W).
        steps: T.
        counts: whether frames count up to 300 (most of them 1 or 2), else they are binary.
        lists: whether frames are handed over as lists.
        maps: of the layers.
        density: share of sites with events.
        threshold: of conv2 and conv3.
    """

    size: tuple[int, int] = (180, 240)
    steps: int = 10
    counts: bool = False
    lists: bool = False
    maps: tuple[int, int, int] = (4, 36, 10)
    density: float = 0.02
    threshold: float = 2.5

    @cached_property
    def frames(self) -> SparseFrames:
        """All samples."""
        spikes = clustered(40, self.samples, (self.steps, 2, *self.size), self.density)
        rng = np.random.default_rng(41)
        counts = np.ones(len(spikes.sites))
        if self.counts:
            counts = np.where(rng.random(len(counts)) < 0.02, rng.integers(2, 301, len(counts)), rng.integers(1, 3, len(counts)))
        return SparseFrames(spikes, counts.astype(np.int32))

    @property
    def input_tensors(self) -> Tensors:
        """For a digest of what is encoded."""
        weights = {f"conv{i + 1}": layer.weight.numpy() for i, layer in enumerate(chain("cpu", self.maps))}
        return spikes_as_tensors(self.frames.lists, "frames") | {"counts": self.frames.counts} | weights

    def results(self, ops: ModuleType, device: torch.device | str, first: int, last: int) -> Iterator[Tensors]:
        """Spikes of each layer behind its pool."""
        outputs = self._encoded(ops, device, first, last)
        for n in range(last - first):
            yield {k: v for i, out in enumerate(outputs) for k, v in _pooled(out.part(n, n + 1), f"conv{i + 1}").items()}

    def _encoded(self, ops: ModuleType, device: torch.device | str, first: int, last: int) -> list[PooledSpikes]:
        height, width = self.size
        blocks = drawn(42, self.samples, self.maps[0], -(-height // 16), -(-width // 16), low=1.2, high=2.2)
        threshold = BlockThreshold(snap(blocks[first:last]).to(device), 16)
        part = self.frames.part(first, last)
        frames = part if self.lists else part.dense()
        outputs: list[PooledSpikes] = ops.encode(frames, chain(device, self.maps, self.threshold), threshold)
        return outputs


@dataclass(frozen=True)
class Tracing(Encoding):
    """The same frames, the spikes of conv3 traced back to the pixels.

    Attributes:
        decay: factor per step.
    """

    decay: float = 0.9

    def results(self, ops: ModuleType, device: torch.device | str, first: int, last: int) -> Iterator[Tensors]:
        """Saliency of each sample."""
        outputs, layers = self._encoded(ops, device, first, last), chain(device, self.maps, self.threshold)
        frames = self.frames.part(first, last)
        for found in ops.trace(frames, layers, outputs, delay_connections=True, decay=self.decay):
            yield {"index": found.index, "value": found.value}


def _pooled(spikes: PooledSpikes, name: str) -> Tensors:
    lists = spikes.lists._replace(offsets=spikes.lists.offsets - spikes.lists.offsets[0])
    kept = {} if spikes.kept is None else {f"{name}.kept": spikes.kept}
    return spikes_as_tensors(lists, name) | kept


@dataclass(frozen=True)
class Modules(Series):
    """`WTAInhibition` and `STDPLearner`, round by round: each learns from the winners of random first spikes."""

    shape: tuple[int, int, int] = (36, 90, 120)
    channels: int = 4
    mode: str = "both"

    @property
    def input_tensors(self) -> Tensors:
        """For a digest of the first round's input."""
        first, potential, before = self._round(0)
        return {"first": first.numpy(), "potential": potential.numpy(), "inputs": before.numpy()}

    def _round(self, n: int) -> tuple[torch.Tensor, ...]:
        rng, steps = np.random.default_rng((50, n)), 10
        first = np.where(rng.random(self.shape) < 0.02, rng.integers(0, steps, self.shape), steps)
        potential = rng.integers(4096, 8 * 4096, self.shape) / 4096
        size = (self.channels, *self.shape[1:])
        before = np.where(rng.random(size) < 0.05, rng.integers(0, steps, size), np.inf)
        return (
            torch.from_numpy(first),
            torch.from_numpy(potential.astype(np.float32)),
            torch.from_numpy(before.astype(np.float32)),
        )

    def results(self, ops: ModuleType, device: torch.device | str, first: int, last: int) -> Iterator[Tensors]:
        """Winners, weights and thresholds of the competition. On a GPU the modules choose their operations themselves."""
        from spikeseg.config.sections import STDPConfig, WTAConfig, WTAMode
        from spikeseg.learning import stdp, wta

        config = WTAConfig(mode=WTAMode(self.mode), enable_homeostasis=True, threshold_min=1.0, threshold_max=6.0, max_winners=80,
                           homeostasis_lr=0.5)  # fmt: skip
        inhibition = wta.WTAInhibition(config, self.shape[0], self.shape[1:]).to(device)
        learner = stdp.STDPLearner(STDPConfig(lr_plus=0.25, lr_minus=0.125))
        weight = drawn(51, self.shape[0], self.channels, 5, 5).to(device)
        for n in range(last):
            steps, potential, before = (part.to(device) for part in self._round(n))
            with _on(ops, device):
                winners = inhibition.compete(steps, potential, 10)
                learner.update(weight, before, winners)
            if n >= first:
                yield {"winners": winners.cpu().numpy(), "weight": weight.cpu().numpy().copy(),
                       "thresholds": inhibition.thresholds.cpu().numpy().copy()}  # fmt: skip


@contextlib.contextmanager
def _on(ops: ModuleType, device: torch.device | str) -> Iterator[None]:
    """The modules call this backend; on a GPU they choose it themselves."""
    from spikeseg.learning import stdp, wta

    with contextlib.ExitStack() as patches:
        if torch.device(device).type != "cuda":
            for module in (stdp, wta):
                patches.enter_context(mock.patch.object(module, "ops_backend", lambda *_: ops))
        yield


@dataclass(frozen=True)
class Images(Series):
    """Images as spikes, a layer that learns from them, its first spikes behind the pool, potentials at the end: four stages."""

    images: int = 100
    size: tuple[int, int] = (28, 28)
    maps: int = 32
    learned: int = 150
    steps: int = 15
    samples: int = 4
    rule: TrainingRule = field(default=DEMO._replace(mode=LeakMode.NONE, leak=0.0, base=10.0, max_winners=5, maps=None))

    @cached_property
    def pictures(self) -> np.ndarray:
        """Grey discs and noise, uint8 (N, H, W)."""
        rng = np.random.default_rng(60)
        y, x = np.mgrid[: self.size[0], : self.size[1]]
        centre = rng.random((self.images, 2, 1, 1)) * np.array(self.size)[:, None, None]
        disc = (y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 < 36
        return (disc * 150 + rng.integers(0, 50, (self.images, *self.size))).astype(np.uint8)

    @property
    def input_tensors(self) -> Tensors:
        """For a digest of the images."""
        return {"images": self.pictures}

    def results(self, ops: ModuleType, device: torch.device | str, first: int, last: int) -> Iterator[Tensors]:
        """Of the stages."""
        kernel = torch.from_numpy(np.random.default_rng(61).integers(-4096, 4097, (7, 7)) / 4096).to(device)
        lists = ops.latency(self.pictures, kernel, 300.0, self.steps)
        state = first_state(self.rule, self.maps, 2, 5, device)
        stages: list[Tensors] = [spikes_as_tensors(lists, "latency")]
        if last > 1:
            ops.Training(state, self.rule).run(lists, np.arange(self.learned) % lists.samples)
            stages.append(tensors_of(state))
            layer = SingleSpikeLayer(state.weight, torch.full((self.maps,), 10.0, device=device), (2, 2), True)
            stages.append(spikes_as_tensors(ops.fire_once(lists, layer), "fire_once"))
            stages.append({"final_potentials": ops.final_potentials(lists, state.weight, (3, 3))})
        yield from stages[first:last]


Case = Training | Encoding | Modules | Images


def cases(dry: bool = False) -> dict[str, Case]:
    """All cases by name; dry: with tiny shapes."""
    competition = NeuronHomeostasis(0.1, 0.05, 1.0, 10.0)
    additive = DEMO.plasticity._replace(form=PlasticityForm.ADDITIVE, weight_min=0.2, weight_max=0.95)
    found: list[Case] = [
        Training("conv2, both"),
        Training("conv2, global", rule=DEMO._replace(wta="global", mode=LeakMode.NONE, leak=0.0)),
        Training("conv2, local", rule=DEMO._replace(wta="local", mode=LeakMode.MULTIPLICATIVE, leak=3001 / 4096)),
        Training("conv2, 5 winners, additive", rule=DEMO._replace(max_winners=5, plasticity=additive)),
        Training("conv2, batches of 7", rule=DEMO._replace(batch_size=7), chunk=147),
        Training("conv2, competition", rule=DEMO._replace(competition=competition, maps=None)),
        Training("conv2, dead maps", rule=DEMO._replace(dead_recovery=True, dead_threshold=0.7, dead_warmup=40)),
        Training("conv2, sparse and dense", densities=(0.001, 0.15), chunk=50),
        Training("conv3, 45x60", ((10, 36, 45, 60),), DEMO._replace(base=8.0), maps=10, kernel=7),
        Training("64x64", ((10, 4, 64, 64),)),
        Training("181x239", ((10, 4, 181, 239),)),
        Training("HD, 360x640", ((10, 4, 360, 640),)),
        Training("two sizes in turn", ((10, 4, 90, 120), (10, 4, 64, 64)), chunk=16),
        Encoding("encode 180x240", 32),
        Encoding("encode 180x240, counts", 32, counts=True),
        Encoding("encode 181x239, lists", 32, (181, 239), lists=True),
        Encoding("encode 128x128", 32, (128, 128)),
        Encoding("encode HD", 3, (720, 1280), lists=True),
        Tracing("trace 180x240, decay 0.9", 8),
        Tracing("trace 181x239, decay 1", 8, (181, 239), decay=1.0),
        *(Modules(f"modules, {mode}", 20, mode=mode) for mode in ("both", "global", "local")),
        Images("images"),
    ]
    if dry:
        found = [_tiny(case) for case in found if case.name not in SAME_WHEN_TINY]
    return {case.name: case for case in found}


def _tiny(case: Case) -> Case:
    if isinstance(case, Training):
        shapes = tuple((3, 2, 5 + 2 * i, 9) for i in range(len(case.shapes)))
        rule = case.rule._replace(base=1.0, dead_warmup=2, dead_threshold=0.4, batch_size=min(2, case.rule.batch_size), radius=1)
        return replace(case, shapes=shapes, rule=rule, maps=3, kernel=3, samples=3, chunk=2)
    if isinstance(case, Encoding):
        size = (case.size[0] % 7 + 8, case.size[1] % 5 + 9)
        density = 0.1 if isinstance(case, Tracing) else 0.3
        return replace(case, samples=2, size=size, steps=3, maps=(2, 3, 2), density=density, threshold=0.6)
    if isinstance(case, Modules):
        return replace(case, samples=2, shape=(3, 6, 7), channels=2)
    return replace(case, images=2, size=(7, 8), maps=3, learned=2, steps=3, rule=case.rule._replace(base=2.0, max_winners=2))
