"""Learning: winners, STDP and the training step, event-driven, in integers; bit for bit what `reference` gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import reference
from spikeseg.ops.reference.training import SILENT
from spikeseg.ops.types import WTA_MODES, LearningState, Plasticity, PlasticityForm, TrainingRule

from . import competition_kernels, training_kernels
from .arguments import CappedNeurons, Contest, InputSpikes, Learned, RuleNumbers, SortedInput, Stdp, TrainingScratch, WinnerRule
from .memory import Membranes, aligned, as_array

_NONE = np.empty((0, 0, 0), np.float32)


def select_winners(
    first: Tensor, potential: Tensor, n_steps: int, *, mode: str, radius: int, max_winners: int | None = None
) -> Tensor:
    """See `reference.select_winners`."""
    steps = as_array(first, np.int64).reshape(-1)
    units = np.rint(as_array(potential, np.float64).reshape(-1) * SCALE).astype(np.int64)
    maps, height, width = first.shape
    rule = _winner_rule(mode, radius, first.shape, max_winners)
    contest = _contest((maps, height, width), rule, room=0, half=0, with_thresholds=False)
    candidates = np.flatnonzero(steps < n_steps)
    of_map = candidates // (height * width)
    keys = (2**31 - units[candidates] << 31) | candidates  # as `competition_kernels.key`
    n_winners = 0
    for t in np.unique(steps[candidates]).tolist():
        now = steps[candidates] == t
        n_keys = np.bincount(of_map[now], minlength=maps)
        by_maps = np.zeros((maps, max(1, int(n_keys.max()))), np.int64)
        by_maps[np.arange(by_maps.shape[1]) < n_keys[:, None]] = keys[now]
        n_winners = competition_kernels.greedy(contest._replace(keys=by_maps, n_keys=n_keys), n_winners, t)
    return torch.from_numpy(contest.winners[:n_winners].astype(np.int64))


def _winner_rule(mode: str, radius: int, shape: Sequence[int], max_winners: int | None) -> WinnerRule:
    """The competition among neurons (C, H, W)."""
    if mode not in WTA_MODES:
        raise ValueError(f"unknown winner-take-all mode {mode!r}; one of {', '.join(WTA_MODES)}")
    by_map, by_position = mode != "local", mode != "global"
    most = int(shape[0]) if by_map else int(shape[1] * shape[2])
    return WinnerRule(most if max_winners is None else min(most, max_winners), by_map, by_position, radius)


def _contest(shape: tuple[int, int, int], rule: WinnerRule, *, room: int, half: int, with_thresholds: bool) -> Contest:
    """A competition among neurons (C, H, W), with room for so many candidates of a map; with_thresholds: of the competition."""
    maps, height, width = shape
    return Contest(
        rule=rule,
        keys=np.zeros((maps, room), np.int64),
        n_keys=np.zeros(maps, np.int64),
        won=np.zeros(maps, np.bool_),
        inhibited=np.zeros((height, width), np.bool_),
        spent=np.zeros((height, width, maps) if with_thresholds else (0, 0, 0), np.bool_),
        competing=_NONE,
        winners=np.zeros((rule.limit, 4), np.int32),
        half=half,
    )


def stdp_update(weight: Tensor, pre_first: Tensor, winners: Tensor, plasticity: Plasticity) -> None:
    """See `reference.stdp_update`; float32 weights."""
    if plasticity.form is PlasticityForm.CUSTOM:
        reference.stdp_update(weight, pre_first, winners, plasticity)
        return
    changed = as_array(weight)
    first = pre_first if pre_first.is_floating_point() else pre_first.double()
    steps = np.minimum(as_array(first, np.float64), SILENT).astype(np.int32)
    stdp = _stdp(plasticity)
    for t, *position in winners.tolist():
        training_kernels.apply_stdp(changed, (min(t, SILENT - 1), *position), steps, stdp)
    weight.copy_(torch.from_numpy(changed))


def _stdp(plasticity: Plasticity) -> Stdp:
    form, plus, minus, low, high, _ = plasticity
    return Stdp(int(form), np.float32(plus), np.float32(-minus), np.float32(low), np.float32(high))


class Training:
    """The training step, sample after sample; see `reference.Training`. The network lies on the CPU."""

    def __init__(self, state: LearningState, rule: TrainingRule) -> None:
        self.state, self.rule = state, rule
        if state.weight.device.type != "cpu" or state.weight.dtype != torch.float32 or not state.weight.is_contiguous():
            raise ValueError("the cpu backend learns float32 weights on the CPU, in one piece")
        self._scratch: dict[tuple[int, int], _Scratch] = {}
        self._stale = np.ones(len(state.weight), np.bool_)
        self._progress = np.zeros(7, np.int64)
        self._progress[training_kernels.CALM] = True
        self._rule = RuleNumbers(
            stdp=_stdp(rule.plasticity),
            batch_size=rule.batch_size,
            base=np.float32(rule.base),
            maps=np.array([] if rule.maps is None else rule.maps, np.float32),
            competition=np.array([] if rule.competition is None else rule.competition, np.float32),
            dead_threshold=np.float32(rule.dead_threshold),
            dead_warmup=rule.dead_warmup if rule.dead_recovery else -1,
        )

    def run(self, lists: SpikeLists, order: np.ndarray) -> int:
        """See `reference.Training.run`."""
        state, rule = self.state, self.rule
        steps, _, height, width = lists.shape
        thresholds = state.competing(rule, (height, width))
        if (height, width) not in self._scratch:
            self._scratch[height, width] = _Scratch(state.weight, (height, width), rule)
        self._stale[:] = True  # the caller may have changed the weights
        order = np.asarray(order, np.int64)
        most = int((lists.offsets[(order + 1) * steps] - lists.offsets[order * steps]).max(initial=0))
        scratch, contest = self._scratch[height, width].ready(steps, most)
        if thresholds is not None:
            contest = contest._replace(competing=thresholds.numpy())
        learned = Learned(
            weight=state.weight.numpy(),
            threshold=state.threshold.numpy(),
            theta=state.theta.numpy(),
            wins=state.wins.numpy(),
            recent_wins=state.recent_wins.numpy(),
            seen=state.seen.numpy(),
            stale=self._stale,
            progress=self._progress,
        )
        spikes = InputSpikes(lists.offsets, lists.sites, scratch.inputs.times[:0])
        done = 0
        while done < len(order):
            done = training_kernels.train(done, order, spikes, steps, scratch, contest, learned, self._rule)
            if rule.plasticity.form is PlasticityForm.CUSTOM:
                winners = torch.from_numpy(contest.winners[: self._progress[training_kernels.WINNERS]])
                reference.stdp_update(state.weight, torch.from_numpy(scratch.first_input), winners, rule.plasticity)
            if self._progress[training_kernels.DEAD]:
                break
        return done


class _Scratch:
    """What training works on at one frame size."""

    def __init__(self, weight: Tensor, size: tuple[int, int], rule: TrainingRule) -> None:
        maps, channels, kernel = weight.shape[:3]
        self._membranes = Membranes(weight, size, rule.mode, rule.leak)
        neurons = self._membranes.neurons
        self._theta, self._patch = aligned(self._membranes.length), aligned(maps * kernel)
        self._first_input = np.zeros((channels, *size), np.int32)
        self._capped = CappedNeurons(
            v=aligned(*neurons.v.shape, dtype=np.uint16),
            table=aligned(*neurons.table.shape, dtype=np.uint16),
            theta=self._theta,
            below=aligned(len(self._theta), dtype=np.uint16),
            patch_below=aligned(len(self._patch), dtype=np.uint16),
            lifted=np.zeros(size[0], np.int64),
            leak=neurons.leak,
        )
        winner_rule = _winner_rule(rule.wta, rule.radius, (maps, *size), rule.max_winners)
        self._contest = _contest(
            (maps, *size),
            winner_rule,
            room=size[0] * size[1],
            half=kernel // 2,
            with_thresholds=rule.competition is not None,
        )

    def ready(self, steps: int, spikes: int) -> tuple[TrainingScratch, Contest]:
        """As the kernels take it, for samples of up to so many steps and spikes."""
        m = self._membranes
        inputs: SortedInput = m.sorted_input(steps, spikes)
        sparse = m.sparse_rate * steps
        scratch = TrainingScratch(
            m.neurons, self._capped, self._theta, self._patch, m.fine, m.whole, sparse, inputs, self._first_input
        )
        return scratch, self._contest
