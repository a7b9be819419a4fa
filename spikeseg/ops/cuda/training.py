"""The fused training step on a GPU: three launches a sample, many samples a CUDA graph, no synchronisation in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.reference.training import updated
from spikeseg.ops.types import LearningState, PlasticityForm, TrainingRule

from . import neuron_kernels, training_kernels
from .memory import (
    EXACT,
    STEP_BITS,
    Geometry,
    chunk,
    columns,
    launching_on,
    leak_units,
    levels,
    padded_maps,
    power_of_two,
    tabulated,
    weight_parts,
)

SIDE: int = neuron_kernels.SIDE.value
NONE: int = neuron_kernels.NONE.value
SLOTS = 32
"""Samples of a graph. The host checks for dead maps after each graph, so a map's death costs at most this many idle launches."""
MOST_NEURONS = 2**28


def select_options(mode: str, shape: tuple[int, int, int], max_winners: int | None) -> tuple[int, dict[str, Any]]:
    """How many winners there can be among neurons (C, H, W), and how `training_kernels.select` is to find them."""
    by_map, maps = mode != "local", shape[0]
    most = maps if by_map else shape[1] * shape[2]
    limit = most if max_winners is None else min(most, max_winners)
    room = padded_maps(maps)
    return limit, {
        "BY_MAP": by_map, "BY_POSITION": mode != "global", "LIMITED": limit < most,
        "MAPS": room, "CHUNK": max(1, 4096 // room), "COLS": min(64, room), "num_warps": 8, **EXACT,
    }  # fmt: skip


def selection(device: torch.device, limit: int, maps: int) -> tuple[Tensor, Tensor]:
    """Room for winners, and for how many there are."""
    winners = torch.full((max(limit, padded_maps(maps)),), NONE, dtype=torch.int64, device=device)
    return winners, torch.zeros(1, dtype=torch.int32, device=device)


def winner_rows(keys: Tensor, size: tuple[int, int]) -> Tensor:
    """Keys of winners among neurons of size (H, W), or NONE, as rows (step, map, row, column) in the order in which they won."""
    height, width = size
    keys = keys[keys != NONE].sort().values
    address = keys & neuron_kernels.ADDRESS_MASK.value
    step = keys >> neuron_kernels.ADDRESS_BITS.value + neuron_kernels.HEIGHT_BITS.value
    return torch.stack((step, address // (height * width), address // width % height, address % width), 1)


class Training:
    """The training step, sample after sample; see `reference.Training`. float32 weights, up to 32 steps.

    Lists stay on the device as long as `run` is called with the same ones. From there they are unpacked, SLOTS samples at a time,
    into words of step bits: a sample in whole words would take 4 bytes a site, a list takes 4 bytes a spike.
    """

    def __init__(self, state: LearningState, rule: TrainingRule) -> None:
        state.check_device()
        self.state, self.rule = state, rule
        weight = state.weight
        if weight.dtype != torch.float32 or not weight.is_contiguous() or not state.threshold.is_contiguous():
            raise ValueError("the cuda backend learns float32 weights in one piece")
        maps, device = len(weight), weight.device
        none = (0.0,) * 4
        numbers = (*rule.plasticity[1:5], rule.base, rule.dead_threshold)
        self._numbers = torch.tensor(
            [*numbers, *(rule.maps or none), *(rule.competition or none)], dtype=torch.float32, device=device
        )
        self._cursor = torch.zeros(4, dtype=torch.int64, device=device)
        self._theta = torch.zeros(maps, dtype=torch.float32, device=device)
        self._wins, self._recent, self._seen = (torch.zeros(maps, dtype=torch.int64, device=device) for _ in range(3))
        self._levels = levels(state.threshold, maps)
        self._weights = tabulated(weight, self._parts())
        self._left = 0  # samples still to come of a batch that was cut short: they see the weights that it began with
        self._lists: _Lists | None = None
        self._scratch: dict[tuple[int, ...], _Scratch] = {}

    def run(self, lists: SpikeLists, order: np.ndarray) -> int:
        """See `reference.Training.run`.

        Raises:
            ValueError: also for samples of more than 32 steps, or of too many neurons.
        """
        steps, _, height, width = lists.shape
        maps = len(self.state.weight)
        if steps > STEP_BITS:
            raise ValueError(f"samples of {steps} steps; this backend keeps a sample's steps in {STEP_BITS} bits")
        if maps * height * width >= MOST_NEURONS:
            raise ValueError(f"{maps * height * width} neurons; this backend addresses fewer than {MOST_NEURONS}")
        competing = self.state.competing(self.rule, (height, width))
        if not len(order):
            return 0
        with launching_on(self.state.weight.device), torch.no_grad():
            done = self._run(lists, np.ascontiguousarray(order, np.int64), competing)
        over = done - self._left
        if over <= 0:
            self._left = -over
        else:
            begun = self._left + (over - 1) // self.rule.batch_size * self.rule.batch_size
            self._left = min(begun + self.rule.batch_size, len(order)) - done
        return done

    def _run(self, lists: SpikeLists, order: np.ndarray, competing: Tensor | None) -> int:
        self._refresh()
        if self._lists is None or not self._lists.hold(lists):
            self._lists = _Lists(lists, self.state.weight.device)
        if lists.shape not in self._scratch:
            self._scratch[lists.shape] = _Scratch(self, lists.shape)
        scratch = self._scratch[lists.shape]
        self._upload(scratch, competing)
        halt = self._learn(scratch, self._lists, torch.from_numpy(order).to(self._cursor.device))
        self._download(scratch, competing)
        return min(len(order), halt + 1)

    def _learn(self, scratch: _Scratch, lists: _Lists, order: Tensor) -> int:
        """Learn in groups of SLOTS; -> position after which a map was dead, len(order) when none was."""
        count, batch = len(order), self.rule.batch_size
        self._cursor.copy_(torch.tensor([0, count, count, batch - self._left]))
        for base in range(0, count, SLOTS):
            self._cursor[0] = base
            now = min(SLOTS, count - base)
            scratch.unpack(lists, order, now)
            scratch.learn(base, now)
            if self.rule.dead_recovery and int(self._cursor[2]) < count:
                break
        return int(self._cursor[2])

    def _parts(self) -> int:
        """Parts that hold all weights that learning can reach."""
        plasticity = self.rule.plasticity
        return weight_parts(self.state.weight, plasticity.weight_min, plasticity.weight_max)

    def _refresh(self) -> None:
        """Weights and thresholds as the caller left them, unless a batch is to go on under its own."""
        state = self.state
        parts = self._parts()
        if parts > self._weights.shape[1]:
            if self._left:
                raise ValueError("weights of 4 and more cannot come in within a batch that began with smaller ones")
            self._weights = tabulated(state.weight, parts)
            self._scratch.clear()
        if self._left == 0:
            self._weights.copy_(tabulated(state.weight, self._weights.shape[1]))
            self._levels.copy_(levels(state.threshold, len(state.weight)))

    def _upload(self, scratch: _Scratch, competing: Tensor | None) -> None:
        state = self.state
        self._theta.copy_(state.theta)
        self._wins.copy_(state.wins)
        self._recent.copy_(state.recent_wins)
        self._seen.copy_(state.seen)
        if competing is not None:
            scratch.competing.copy_(competing)

    def _download(self, scratch: _Scratch, competing: Tensor | None) -> None:
        state = self.state
        state.theta.copy_(self._theta)
        state.wins.copy_(self._wins)
        state.recent_wins.copy_(self._recent)
        state.seen.copy_(self._seen)
        if competing is not None:
            competing.copy_(scratch.competing)


class _Lists:
    """Lists of spikes on the device."""

    def __init__(self, lists: SpikeLists, device: torch.device) -> None:
        self._host = lists
        self.offsets = torch.from_numpy(np.ascontiguousarray(lists.offsets, np.int64)).to(device)
        self.sites = torch.from_numpy(np.ascontiguousarray(lists.sites, np.int32)).to(device)
        if not len(self.sites):
            self.sites = self.sites.new_zeros(1)

    def hold(self, lists: SpikeLists) -> bool:
        """Whether these are the lists: the same arrays, not equal ones."""
        return lists.sites is self._host.sites and lists.offsets is self._host.offsets and lists.shape == self._host.shape


class _Scratch:
    """Device memory and launches for samples of one shape (T, C, H, W); `graphs`: launch through a CUDA graph."""

    def __init__(self, training: Training, shape: tuple[int, int, int, int]) -> None:
        self._training, self._shape = training, shape
        state, rule = training.state, training.rule
        weight, device = state.weight, state.weight.device
        maps = len(weight)
        self._steps, _, height, width = shape
        self._geometry = Geometry.of(weight, (height, width))
        room = padded_maps(maps)
        self._tiles_x = -(-width // SIDE)
        self._tiles = -(-height // SIDE) * self._tiles_x
        self._limit, self._options = select_options(rule.wta, (maps, height, width), rule.max_winners)
        self._keep = bool(self._options["BY_POSITION"])
        self._words = torch.zeros(SLOTS, self._geometry.sites, dtype=torch.int32, device=device)
        self._keys = torch.full((self._tiles * SIDE**2 * room if self._keep else 1,), NONE, dtype=torch.int64, device=device)
        self._tile_best = torch.full((self._tiles, room), NONE, dtype=torch.int64, device=device)
        self._winners, self._n_winners = selection(device, self._limit, maps)
        self.competing = torch.zeros((maps, height, width) if rule.competition else (1,), dtype=torch.float32, device=device)
        self._leak = leak_units(rule.mode, rule.leak)
        self.graphs = weight.is_cuda
        self._graph: torch.cuda.CUDAGraph | None = None
        self._captured_for: tuple[int, int] | None = None

    def unpack(self, lists: _Lists, order: Tensor, count: int) -> None:
        """The next `count` samples as words of step bits."""
        geometry = self._geometry
        self._words.zero_()
        training_kernels.unpack[(count, self._steps)](
            lists.offsets, lists.sites, order, self._training._cursor, self._words,
            geometry.sites, geometry.plane, geometry.row, geometry.height, geometry.width, geometry.half,
            STEPS=self._steps, BLOCK=512, **EXACT,
        )  # fmt: skip

    def learn(self, base: int, count: int) -> None:
        """Learn from the first `count` slots, of which the first is position `base` of the order; on a GPU all are launched, and
        those behind the end do nothing. With a custom rule there is no graph: its update runs in torch after each sample.
        """
        if self._training.rule.plasticity.form is PlasticityForm.CUSTOM:
            for slot in range(count):
                self._launch(slot)
                self._update(slot, base + slot)
                if int(self._training._cursor[2]) <= base + slot:
                    break
            return
        if not self.graphs:
            for slot in range(count):
                self._launch(slot)
            return
        state = self._training.state
        addresses = (state.weight.data_ptr(), state.threshold.data_ptr())
        if self._graph is None or self._captured_for != addresses:
            self._graph, self._captured_for = self._captured(), addresses
        self._graph.replay()

    def _captured(self) -> torch.cuda.CUDAGraph:
        cursor = self._training._cursor
        end = cursor[1].clone()
        cursor[1] = 0  # nothing to learn: this only compiles
        self._launch(0)
        cursor[1] = end
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with _no_collection(), torch.cuda.graph(graph):
            for slot in range(SLOTS):
                self._launch(slot)
        return graph

    def _update(self, slot: int, position: int) -> None:
        """A custom rule's part of a sample, after its launches: new weights of the winners and, behind a batch, of the table."""
        training, geometry = self._training, self._geometry
        weight, rule = training.state.weight, training.rule
        keys = self._winners[: len(weight) if self._options["BY_MAP"] else int(self._n_winners)]
        taps = geometry.taps[: weight[0].numel()].long()
        for t, m, row, column in winner_rows(keys, (geometry.height, geometry.width)).tolist():
            words = self._words[slot, row * geometry.row + column + taps].long()
            early = (words & (2 << t) - 1) != 0  # any step up to t
            weight[m] = updated(weight[m], early.reshape(weight[m].shape), rule.plasticity)
        if (position + 1 + int(training._cursor[3])) % rule.batch_size == 0:
            training._weights.copy_(tabulated(weight, training._weights.shape[1]))

    def _launch(self, slot: int) -> None:
        training, geometry = self._training, self._geometry
        state, rule = training.state, training.rule
        maps, cols = len(state.weight), columns(len(state.weight))
        synapses = state.weight[0].numel()
        parts, room = training._weights.shape[1], padded_maps(maps)
        block = min(1024, power_of_two(synapses))
        by_map = self._options["BY_MAP"]
        neuron_kernels.first_spikes[(self._tiles, -(-maps // cols))](
            self._words, geometry.taps, training._weights, training._levels, self.competing, self._keys, self._tile_best,
            training._cursor, slot, geometry.sites, geometry.row,
            maps, geometry.height, geometry.width, self._tiles_x, self._leak,
            STEPS=self._steps, MODE=int(rule.mode.code), COMPETITION=rule.competition is not None, KEEP=self._keep,
            WEIGHT_PARTS=parts, TAPS=len(geometry.taps), CHUNK=chunk(synapses), MAPS=room, COLS=cols,
            **EXACT,
        )  # fmt: skip
        training_kernels.select[(1,)](
            self._keys, self._tile_best, self._winners, self._n_winners, training._cursor, slot,
            self._tiles, self._tiles_x, geometry.height, geometry.width, rule.radius, self._limit, **self._options,
        )  # fmt: skip
        groups = -(-geometry.height * geometry.width // block) if rule.competition is not None else 0
        training_kernels.learn[(maps, 1 + groups)](
            self._words, geometry.taps, state.weight, training._weights, self._winners, self._n_winners, training._cursor, slot,
            training._numbers, state.threshold, training._theta, training._levels,
            training._wins, training._recent, training._seen, self.competing,
            geometry.sites, geometry.row, geometry.height, geometry.width, synapses, rule.dead_warmup, rule.batch_size,
            BY_MAP=by_map, FORM=int(rule.plasticity.form), MAP_RULE=rule.maps is not None,
            COMPETITION=rule.competition is not None, RECOVERY=rule.dead_recovery, WEIGHT_PARTS=parts, MAPS=room, BLOCK=block,
            **EXACT,
        )  # fmt: skip


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: a kernel that is collected during a capture is unloaded, which breaks the capture."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
