"""The operations on a CPU: event-driven, in integers, compiled by numba; bit for bit what `reference` gives.

Compiled code is kept on disk (beside the package, or in NUMBA_CACHE_DIR), so only the first use compiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.reference import layers as reference
from spikeseg.ops.reference.layers import SILENT, pooled_size
from spikeseg.ops.types import WTA_MODES, LayerRun, LearningState, Plasticity, PlasticityForm, PoolRun, TrainingRule

from . import inference_kernels as cpu_inference
from . import neuron_kernels as cpu_kernels
from . import training_kernels as cpu_training
from .memory import Membranes, aligned, as_array, in_units


def layer_forward(
    spikes: Tensor, weight: Tensor, threshold: Tensor, mode: LeakMode, leak: float, state: Tensor | None = None
) -> LayerRun:
    """See `reference.layer_forward`."""
    steps, batch, _, height, width = spikes.shape
    maps = len(weight)
    scratch = Membranes(weight, (height, width), mode, leak)
    scratch.tabulate(as_array(weight))
    theta = in_units(threshold if threshold.dim() == 4 else threshold[None, :, None, None])
    theta = np.broadcast_to(theta, (batch, maps, height, width))
    after = torch.zeros(batch, maps, height, width) if state is None else state.detach().float().clone()
    fired, potentials = torch.empty(steps, batch, maps, height, width), torch.empty(steps, batch, maps, height, width)
    for b in range(batch):
        counted = as_array(spikes[:, b], np.int32).reshape(steps, -1)
        where, sites = np.nonzero(counted)
        offsets = np.searchsorted(where, np.arange(-1, steps + 1))  # a step ahead of the first, for the past
        out_spikes, out_potentials = (np.empty((steps, maps, height, width), np.float32) for _ in range(2))
        cpu_inference.run_dense(
            offsets, sites.astype(np.int32), counted[where, sites], scratch.v, scratch.table, np.ascontiguousarray(theta[b]),
            *scratch.whole, scratch.stamps, scratch.opened, *scratch.dynamics, *scratch.sorting(steps + 1, len(sites)),
            after[b].numpy(), out_spikes, out_potentials,
        )  # fmt: skip
        fired[:, b], potentials[:, b] = torch.from_numpy(out_spikes), torch.from_numpy(out_potentials)
    return LayerRun(fired, potentials, after)


def pool(spikes: Tensor, potentials: Tensor, kernel: int, stride: int) -> PoolRun:
    """See `reference.pool`."""
    *lead, height, width = spikes.shape
    shape = (*lead, pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    fired, indices = torch.empty(shape), torch.empty(shape, dtype=torch.int64)
    flat = (as_array(spikes).reshape(-1, height, width), as_array(potentials).reshape(-1, height, width))
    cpu_inference.pool_dense(*flat, kernel, stride, fired.flatten(0, -3).numpy(), indices.flatten(0, -3).numpy())
    return PoolRun(fired, indices)


def select_winners(
    first: Tensor, potential: Tensor, n_steps: int, *, mode: str, radius: int, max_winners: int | None = None
) -> Tensor:
    """See `reference.select_winners`."""
    by_map, by_place, limit = _competition(mode, first.shape, max_winners)
    steps = as_array(first, np.int64).reshape(-1)
    units = np.rint(as_array(potential, np.float64).reshape(-1) * SCALE).astype(np.int64)
    maps, height, width = first.shape
    won, inhibited = np.zeros(maps, np.bool_), np.zeros((height, width), np.bool_)
    winners = np.zeros((limit, 4), np.int32)
    candidates = np.flatnonzero(steps < n_steps)
    of_map = candidates // (height * width)
    keys = (2**31 - units[candidates] << 31) | candidates  # as `cpu_kernels.key`
    found = 0
    for t in np.unique(steps[candidates]).tolist():
        now = steps[candidates] == t
        n_keys = np.bincount(of_map[now], minlength=maps)
        by_maps = np.zeros((maps, max(1, int(n_keys.max()))), np.int64)
        by_maps[np.arange(by_maps.shape[1]) < n_keys[:, None]] = keys[now]
        found = cpu_kernels.greedy(by_maps, n_keys, won, inhibited, winners, found, t, limit, by_map, by_place, radius)
    return torch.from_numpy(winners[:found].astype(np.int64))


def _competition(mode: str, shape: Sequence[int], max_winners: int | None) -> tuple[bool, bool, int]:
    """Whether winners silence their map, whether their neighbourhood, and how many there can be."""
    if mode not in WTA_MODES:
        raise ValueError(f"unknown winner-take-all mode {mode!r}; one of {', '.join(WTA_MODES)}")
    by_map, by_place = mode != "local", mode != "global"
    most = int(shape[0]) if by_map else int(shape[1] * shape[2])
    return by_map, by_place, most if max_winners is None else min(most, max_winners)


def stdp_update(weight: Tensor, pre_first: Tensor, winners: Tensor, plasticity: Plasticity) -> None:
    """See `reference.stdp_update`; float32 weights."""
    if plasticity.form is PlasticityForm.CUSTOM:
        reference.stdp_update(weight, pre_first, winners, plasticity)
        return
    changed = as_array(weight)
    first = pre_first if pre_first.is_floating_point() else pre_first.double()
    early = np.minimum(as_array(first, np.float64), SILENT).astype(np.int32)
    rates, bounds, form = _rates_and_bounds(plasticity)
    for t, m, row, column in winners.tolist():
        cpu_training.apply_stdp(changed, m, row, column, min(t, SILENT - 1), early, rates, bounds, form)
    weight.copy_(torch.from_numpy(changed))


def _rates_and_bounds(plasticity: Plasticity) -> tuple[np.ndarray, np.ndarray, int]:
    """As `training_kernels.apply_stdp` takes them."""
    rates = np.array([-plasticity.lr_minus, plasticity.lr_plus], np.float32)
    return rates, np.array([plasticity.weight_min, plasticity.weight_max], np.float32), int(plasticity.form)


class Training:
    """The training step, sample after sample; see `reference.Training`. The network lies on the CPU."""

    def __init__(self, state: LearningState, rule: TrainingRule) -> None:
        self.state, self.rule = state, rule
        if state.weight.device.type != "cpu" or state.weight.dtype != torch.float32 or not state.weight.is_contiguous():
            raise ValueError("the cpu backend learns float32 weights on the CPU, in one piece")
        maps = len(state.weight)
        self._scratch: dict[tuple[int, int], _TrainingScratch] = {}
        self._stale = np.ones(maps, np.bool_)
        self._left = np.zeros(1, np.int64)
        self._wait, self._calm = np.zeros(1, np.int64), np.ones(1, np.bool_)
        self._last = np.zeros(2, np.int64)
        self._numbers = (
            *_rates_and_bounds(rule.plasticity),
            np.float32(rule.base),
            np.array([] if rule.maps is None else rule.maps, np.float32),
            np.array([] if rule.competition is None else rule.competition, np.float32),
            np.float32(rule.dead_threshold),
            rule.dead_warmup if rule.dead_recovery else -1,
        )

    def run(self, lists: SpikeLists, order: np.ndarray) -> int:
        """See `reference.Training.run`."""
        state, rule = self.state, self.rule
        steps, _, height, width = lists.shape
        competing = state.competing(rule, (height, width))
        if (height, width) not in self._scratch:
            self._scratch[height, width] = _TrainingScratch(state.weight, (height, width), rule)
        scratch = self._scratch[height, width]
        self._stale[:] = True  # the caller may have changed the weights
        by_map, by_place, limit = _competition(rule.wta, (len(state.weight), height, width), rule.max_winners)
        winners = np.zeros((limit, 4), np.int32)
        thresholds = np.empty((0, 0, 0), np.float32) if competing is None else competing.numpy()
        order = np.asarray(order, np.int64)
        most = int((lists.offsets[(order + 1) * steps] - lists.offsets[order * steps]).max(initial=0))
        m = scratch.membranes
        begin, columns, lines, _ = m.sorting(steps, most)
        given = (
            order, lists.offsets, lists.sites, steps,
            m.v, m.table, scratch.theta, scratch.patch, *m.fine, *m.whole, m.sparse_rate * steps, m.stamps, m.opened,
            *scratch.narrow, scratch.lifted, self._wait, self._calm, *m.dynamics,
            begin, columns, lines, scratch.first_input, scratch.keys, scratch.n_keys,
            scratch.won, scratch.inhibited, scratch.spent,
            thresholds, winners, limit, by_map, by_place, rule.radius,
            state.weight.numpy(), state.threshold.numpy(), state.theta.numpy(), state.wins.numpy(), state.recent_wins.numpy(),
            state.seen.numpy(), self._stale, self._left, self._last, rule.batch_size, *self._numbers,
        )  # fmt: skip
        done = 0
        while done < len(order):
            done = cpu_training.train(done, *given)
            if rule.plasticity.form is PlasticityForm.CUSTOM:
                won = torch.from_numpy(winners[: self._last[cpu_training.WINNERS]])
                reference.stdp_update(state.weight, torch.from_numpy(scratch.first_input), won, rule.plasticity)
            if self._last[cpu_training.DEAD]:
                break
        return done


class _TrainingScratch:
    def __init__(self, weight: Tensor, size: tuple[int, int], rule: TrainingRule) -> None:
        maps, channels = weight.shape[:2]
        self.membranes = Membranes(weight, size, rule.mode, rule.leak)
        self.theta = aligned(self.membranes.length)
        self.patch = aligned(len(weight) * weight.shape[-1])
        numbers = (self.membranes.v, self.membranes.table, self.theta, self.patch)
        self.narrow = tuple(aligned(*array.shape, dtype=np.uint16) for array in numbers)
        self.lifted = np.zeros(size[0], np.int64)
        self.first_input = np.zeros((channels, *size), np.int32)
        self.keys = np.zeros((maps, size[0] * size[1]), np.int64)
        self.n_keys = np.zeros(maps, np.int64)
        self.won = np.zeros(maps, np.bool_)
        self.inhibited = np.zeros(size, np.bool_)
        self.spent = np.zeros((*size, maps) if rule.competition is not None else (0, 0, 0), np.bool_)
