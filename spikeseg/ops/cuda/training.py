"""The training step on a GPU: two launches a sample, or three a batch, many of them a CUDA graph, without synchronisation."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.reference.training import updated
from spikeseg.ops.types import LearningState, PlasticityForm, TrainingRule

from . import tile_kernels, training_kernels
from .memory import (
    EXACT,
    STEP_BITS,
    Geometry,
    by_tap,
    chunk,
    in_units,
    launching_on,
    leak_units,
    levels,
    padded_maps,
)
from .winners import MOST_NEURONS, STEP_SHIFT, Contest

SIDE: int = tile_kernels.SIDE.value
SLOTS = 32
"""Samples of a graph, or fewer where their spikes or candidates take more than `SLOT_BYTES`. The host checks for dead maps one
graph behind, so a map's death costs at most twice as many idle launches."""
SLOT_BYTES = 2**28
DENSE = 0.125
"""Share of the sites seen by a tile that spike in a step, above which the tile uses the tensor cores. By counts of instructions
of conv2 and conv3 both ways cost the same at about 0.15; not measured."""
KEPT_BYTES, KEPT_LISTS = 2**30, 16
"""Blocks of lists that are kept on the device, for recordings of several sizes that take turns."""
REGISTERS = 128
"""Of a thread, in `first_spikes`: 16 programs fit a multiprocessor then."""
COLUMNS, WARPS = 16, 1
"""Maps of a program at a tile, and its warps."""


def list_room(channels: int, kernel: int) -> int:
    """Spikes of a step for which a tile's list has room. 0 where an entry would not fit 32 bits."""
    side = SIDE + kernel - 1
    if (channels * kernel + side) * kernel + side >= 1 << 31 - 2 * place_bits(kernel):
        return 0
    return max(8, round(DENSE * channels * side**2))


def place_bits(kernel: int) -> int:
    """Bits of a row or column of what a tile sees; all ones lie beyond every neuron's reach."""
    return (SIDE + kernel - 1).bit_length()


class Training:
    """The training step, sample after sample; see `reference.Training`. float32 weights, up to 32 steps.

    Lists stay on the device, those of several blocks where calls take turns. From there they are unpacked, SLOTS samples at a
    time, into words of step bits, and into the spikes that each tile of neurons sees in each step.
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
        self._threshold, self._theta = (torch.zeros(maps, dtype=torch.float32, device=device) for _ in range(2))
        self._wins, self._recent, self._seen = (torch.zeros(maps, dtype=torch.int64, device=device) for _ in range(3))
        self._levels = levels(state.threshold, maps)
        self._master = by_tap(weight)
        self._weights = in_units(self._master)
        self._left = 0  # samples still to come of a batch that was cut short: they see the weights that it began with
        self._lists: list[_Lists] = []
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
        held = self._held(lists)
        if lists.shape not in self._scratch:
            self._scratch[lists.shape] = _Scratch(self, lists.shape)
        scratch = self._scratch[lists.shape]
        self._upload(scratch, competing)
        halt = self._learn(scratch, held, torch.from_numpy(order).to(self._cursor.device))
        self._download(scratch, competing)
        return min(len(order), halt + 1)

    def _held(self, lists: SpikeLists) -> _Lists:
        """These lists on the device; the ones used least recently make room."""
        found = next((held for held in self._lists if held.of(lists)), None) or _Lists(lists, self.state.weight.device)
        others = [held for held in self._lists if held is not found][: KEPT_LISTS - 1]
        while others and found.bytes + sum(held.bytes for held in others) > KEPT_BYTES:
            others.pop()
        self._lists = [found, *others]
        return found

    def _learn(self, scratch: _Scratch, lists: _Lists, order: Tensor) -> int:
        """Learn in groups of slots; -> position after which a map was dead, len(order) when none was."""
        count, batch = len(order), self.rule.batch_size
        begun = (batch - self._left) % batch  # samples of the batch in hand that came before these
        self._cursor.copy_(torch.tensor([0, count, count, begun]))
        halts: list[_Noted] = []
        for base in range(-(begun % scratch.together), count, scratch.slots):
            self._cursor[0] = base
            now = min(scratch.slots, count - base)
            scratch.unpack(lists, order, now)
            scratch.learn(base, now)
            if self.rule.dead_recovery:
                halts.append(_Noted(self._cursor[2]))
                if len(halts) > 1 and halts.pop(0).value() < count:  # of the graph before: this one is under way meanwhile
                    break
        return int(self._cursor[2])

    def tabulate(self, weight: Tensor) -> None:
        """What the next batch convolves with."""
        self._weights.copy_(in_units(by_tap(weight)))

    def _upload(self, scratch: _Scratch, competing: Tensor | None) -> None:
        """Weights, thresholds and counters as the caller left them; a batch that is to go on does so under its own."""
        state = self.state
        self._master.copy_(by_tap(state.weight))
        if self._left == 0:
            self.tabulate(state.weight)
            self._levels.copy_(levels(state.threshold, len(state.weight)))
        self._threshold.copy_(state.threshold)
        self._theta.copy_(state.theta)
        self._wins.copy_(state.wins)
        self._recent.copy_(state.recent_wins)
        self._seen.copy_(state.seen)
        if competing is not None:
            scratch.competing[..., : len(competing)] = competing.permute(1, 2, 0)

    def _download(self, scratch: _Scratch, competing: Tensor | None) -> None:
        state = self.state
        if self.rule.plasticity.form is not PlasticityForm.CUSTOM:
            maps, synapses = len(state.weight), state.weight[0].numel()
            state.weight.copy_(self._master[:synapses, :maps].t().reshape(state.weight.shape))
        state.threshold.copy_(self._threshold)
        state.theta.copy_(self._theta)
        state.wins.copy_(self._wins)
        state.recent_wins.copy_(self._recent)
        state.seen.copy_(self._seen)
        if competing is not None:
            competing.copy_(scratch.competing[..., : len(competing)].permute(2, 0, 1))


class _Noted:
    """A number on the device as it is now, on its way to the host."""

    def __init__(self, number: Tensor) -> None:
        self._event = torch.cuda.Event() if number.is_cuda else None
        self._number = torch.empty((), dtype=number.dtype, pin_memory=number.is_cuda)
        self._number.copy_(number, non_blocking=True)
        if self._event is not None:
            self._event.record()

    def value(self) -> int:
        """The number, once it is there; what was launched later is not waited for."""
        if self._event is not None:
            self._event.synchronize()
        return int(self._number)


class _Lists:
    """Lists of spikes on the device."""

    def __init__(self, lists: SpikeLists, device: torch.device) -> None:
        self._host = lists
        self.offsets = torch.from_numpy(np.ascontiguousarray(lists.offsets, np.int64)).to(device)
        self.sites = torch.from_numpy(np.ascontiguousarray(lists.sites, np.int32)).to(device)
        if not len(self.sites):
            self.sites = self.sites.new_zeros(1)
        self.bytes = self.offsets.nbytes + self.sites.nbytes

    def of(self, lists: SpikeLists) -> bool:
        """Whether these are the lists: the same arrays, not equal ones."""
        return lists.sites is self._host.sites and lists.offsets is self._host.offsets and lists.shape == self._host.shape


class _Scratch:
    """Device memory and launches for samples of one shape (T, C, H, W).

    Attributes:
        competing: float32 (H, W, padded maps), what a potential must reach to take part; of one element where there is none.
        together: samples of a launch: a batch, or the largest equal part of it that fits. One with thresholds of the competition,
            which change from sample to sample, and with a custom rule.
        slots: samples of a graph.
        graphs: whether to launch through a CUDA graph.
    """

    def __init__(self, training: Training, shape: tuple[int, int, int, int]) -> None:
        self._training, self._shape = training, shape
        state, rule = training.state, training.rule
        weight, device = state.weight, state.weight.device
        maps, kernel = len(weight), weight.shape[-1]
        steps, channels, height, width = shape
        self._geometry = geometry = Geometry.of(weight, (height, width))
        self._tiles = (-(-height // SIDE), -(-width // SIDE))
        tiles = self._tiles[0] * self._tiles[1]
        self._list_room = list_room(channels, kernel)
        room = padded_maps(maps)
        self._custom = rule.plasticity.form is PlasticityForm.CUSTOM
        fitting = min(SLOTS, SLOT_BYTES // (4 * room * (height + SIDE) * (width + 8 * SIDE)))  # of which the ranks are kept
        self.together = 1
        if rule.competition is None and not self._custom:
            self.together = max([1, *(n for n in range(1, fitting + 1) if rule.batch_size % n == 0)])
        self._contest = Contest(
            (maps, height, width), rule.wta, rule.radius, rule.max_winners, samples=self.together, device=device
        )
        slot_bytes = 4 * (geometry.sites + tiles * steps * (1 + self._list_room))
        self.slots = max(1, min(SLOTS, SLOT_BYTES // slot_bytes) // self.together) * self.together
        self._words = torch.zeros(self.slots, geometry.sites, dtype=torch.int32, device=device)
        self._counts = torch.zeros(self.slots, tiles, steps, dtype=torch.int32, device=device)
        entries = max(1, self.slots * tiles * steps * self._list_room)
        self._events = torch.zeros(entries, dtype=torch.int32, device=device)
        self.competing = torch.zeros((height, width, room) if rule.competition else (1,), dtype=torch.float32, device=device)
        self._leak = leak_units(rule.mode, rule.leak)
        self.graphs = weight.is_cuda
        self._graph: torch.cuda.CUDAGraph | None = None

    def unpack(self, lists: _Lists, order: Tensor, count: int) -> None:
        """The samples of the first `count` slots as words of step bits and as lists of tiles."""
        geometry, steps, kernel = self._geometry, self._shape[0], self._training.state.weight.shape[-1]
        self._words.zero_()
        self._counts.zero_()
        training_kernels.unpack[(count, steps)](
            lists.offsets, lists.sites, order, self._training._cursor, self._words, self._counts, self._events,
            geometry.sites, geometry.plane, geometry.row, geometry.height, geometry.width, geometry.half,
            *self._tiles, self._list_room, STEPS=steps, KERNEL=kernel, BITS=place_bits(kernel), BLOCK=512, **EXACT,
        )  # fmt: skip

    def learn(self, base: int, count: int) -> None:
        """Learn from the first `count` slots, of which the first is position `base` of the order; on a GPU all are launched, and
        those behind the end do nothing. With a custom rule there is no graph: its update runs in torch after each sample.
        """
        if self._custom:
            for slot in range(count):
                self._launch(slot)
                self._update(slot, base + slot)
                if int(self._training._cursor[2]) <= base + slot:
                    break
        elif self.graphs:
            if self._graph is None:
                self._graph = self._captured()
            self._graph.replay()
        else:
            for slot in range(0, count, self.together):
                self._launch(slot)

    def _captured(self) -> torch.cuda.CUDAGraph:
        cursor = self._training._cursor
        end = cursor[1].clone()
        cursor[1] = 0  # nothing to learn: this only compiles
        self._launch(0)
        cursor[1] = end
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with _no_collection(), torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may use the GPU
            for slot in range(0, self.slots, self.together):
                self._launch(slot)
        return graph

    def _update(self, slot: int, position: int) -> None:
        """A custom rule's part of a sample, after its launch: new weights of the winners and, behind a batch, of the table."""
        training, geometry = self._training, self._geometry
        weight, rule = training.state.weight, training.rule
        taps = geometry.taps[: weight[0].numel()].long()
        for rank, m, row, column in self._contest.rows().tolist():
            words = self._words[slot, row * geometry.row + column + taps].long()
            early = (words & (2 << (rank >> STEP_SHIFT - 32)) - 1) != 0  # any step up to the winner's
            weight[m] = updated(weight[m], early.reshape(weight[m].shape), rule.plasticity)
        if (position + 1 + int(training._cursor[3])) % rule.batch_size == 0:
            training.tabulate(weight)

    def _launch(self, slot: int) -> None:
        training, geometry, contest = self._training, self._geometry, self._contest
        state, rule = training.state, training.rule
        maps, kernel, synapses = len(state.weight), state.weight.shape[-1], state.weight[0].numel()
        room = padded_maps(maps)
        cols, grid = COLUMNS, self._tiles[0] * self._tiles[1]
        training_kernels.first_spikes[(grid, -(-maps // cols), self.together)](
            self._words, self._counts, self._events, geometry.taps, training._weights, training._levels, self.competing,
            contest.ranks, contest.tile_best, contest.row_best, training._cursor, slot,
            geometry.sites, geometry.row, self._list_room, maps, geometry.height, geometry.width, self._tiles[1],
            *contest.sizes[2:], self._leak, STEPS=self._shape[0], MODE=int(rule.mode.code),
            COMPETITION=rule.competition is not None, BY_POSITION=contest.options["BY_POSITION"], KERNEL=kernel,
            BITS=place_bits(kernel), TAPS=len(geometry.taps), CHUNK=chunk(synapses), MAPS=room, COLS=cols,
            num_warps=WARPS, maxnreg=REGISTERS, **EXACT,
        )  # fmt: skip
        parts = [(True, True)] if self.together == 1 else [(True, False), (False, True)]
        for select, learn in parts:
            training_kernels.settle[(self.together if select else 1,)](
                self._words, geometry.taps, training._master, training._weights, training._levels,
                contest.ranks, contest.tile_best, contest.row_best, contest.winners, contest.won, training._cursor, slot,
                training._numbers, training._threshold, training._theta, training._wins, training._recent, training._seen,
                geometry.sites, geometry.row, maps, *contest.sizes, rule.radius, contest.limit, contest.most, self.together,
                synapses, rule.dead_warmup, rule.batch_size, FORM=int(rule.plasticity.form), MAP_RULE=rule.maps is not None,
                RECOVERY=rule.dead_recovery, BLOCK=max(16, min(128, 2048 // room)), SELECT=select, LEARN=learn,
                **contest.options, **EXACT,
            )  # fmt: skip
        if rule.competition is not None:
            pixels, block = geometry.height * geometry.width, max(1, 2048 // room)
            training_kernels.adapt_competition[(-(-pixels // block),)](
                self.competing, contest.winners, contest.won, training._cursor, slot, training._numbers,
                pixels, geometry.width, *contest.sizes[4:], MAPS=room, BLOCK=block, **EXACT,
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
