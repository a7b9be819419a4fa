"""Competition, plasticity and homeostasis in plain torch, and the training step made of them: what the others must give.

Float32 in the order of operations written here, so that faster backends give the same bits.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import SCALE
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import (
    WTA_MODES,
    LearningState,
    MapHomeostasis,
    NeuronHomeostasis,
    Plasticity,
    PlasticityForm,
    TrainingRule,
)

from .layers import at_first_spike, first_spike_steps, layer_forward

SILENT = 2**31 - 1
"""Step of an input that never fires, in integers: later than any, and exact in the float64 through which torch pads."""


def select_winners(
    first: Tensor,
    potential: Tensor,
    n_steps: int,
    *,
    mode: str,
    radius: int,
    max_winners: int | None = None,
) -> Tensor:
    """Winner-take-all over one sample [Kheradpisheh 2018; Mozafari 2019].

    Candidates are first spikes, in the order: earliest step; highest pre-reset potential; lowest map, row, column.
    A winner removes every other candidate of its own map ('global'), every candidate of any map within `radius`
    (Chebyshev) of its position ('local'), or both ('both').

    Args:
        first: step of the first spike (C, H, W) int64, n_steps where silent.
        potential: pre-reset potential at that step (C, H, W).
        n_steps: T.
        mode: 'global', 'local' or 'both'.
        radius: in neurons, >= 0.
        max_winners: at most this many per sample; None is no limit.

    Returns:
        (n, 4) int64 rows (step, map, row, column), in the order in which they won.

    Raises:
        ValueError: unknown mode.
    """
    if mode not in WTA_MODES:
        raise ValueError(f"unknown winner-take-all mode {mode!r}; one of {', '.join(WTA_MODES)}")
    maps, rows, columns = torch.nonzero(first < n_steps, as_tuple=True)
    steps = first[maps, rows, columns]
    height = torch.round(potential[maps, rows, columns] * SCALE).to(torch.int64)
    order = torch.argsort((steps << 32) - height, stable=True)  # nonzero() already lists map, row, column upwards
    maps, rows, columns, steps = maps[order], rows[order], columns[order], steps[order]
    winners: list[Tensor] = []
    while len(steps) and (max_winners is None or len(winners) < max_winners):
        winner = torch.stack((steps[0], maps[0], rows[0], columns[0]))
        winners.append(winner)
        keep = torch.ones_like(steps, dtype=torch.bool)
        keep[0] = False
        if mode in ("global", "both"):
            keep &= maps != winner[1]
        if mode in ("local", "both"):
            keep &= ((rows - winner[2]).abs() > radius) | ((columns - winner[3]).abs() > radius)
        maps, rows, columns, steps = maps[keep], rows[keep], columns[keep], steps[keep]
    return torch.stack(winners) if winners else first.new_empty((0, 4))


def receptive_field(values: Tensor, row: int, column: int, kernel: int, fill: float) -> Tensor:
    """What a neuron at (row, column) sees of a (C, H, W) map under 'same' padding: (C, kernel, kernel)."""
    half = kernel // 2
    padded = F.pad(values, (half, half, half, half), value=fill)
    return padded[:, row : row + kernel, column : column + kernel]


def updated(weights: Tensor, early: Tensor, plasticity: Plasticity) -> Tensor:
    """The weights of a winning map after STDP.

    Args:
        weights: (C_in, K, K).
        early: bool, same shape, whether each synapse's input fired at or before the winner.
        plasticity: the rule.

    Raises:
        ValueError: a custom rule without its function.
    """
    if plasticity.form is PlasticityForm.CUSTOM:
        if plasticity.update is None:
            raise ValueError("PlasticityForm.CUSTOM needs Plasticity.update, the function that returns the new weights")
        changed = plasticity.update(weights, early)
    else:
        rate = torch.where(early, plasticity.lr_plus, -plasticity.lr_minus).to(weights.dtype)
        changed = weights + (rate * (weights * (1 - weights)) if plasticity.form is PlasticityForm.MULTIPLICATIVE else rate)
    return changed.clamp(plasticity.weight_min, plasticity.weight_max)


def stdp_update(weight: Tensor, pre_first: Tensor, winners: Tensor, plasticity: Plasticity) -> None:
    """STDP on the winners' shared kernels, in place [Kheradpisheh 2018, eq. 3].

    A synapse whose input fired at or before the winner's step is strengthened; all others, those that never fired and the padding
    included, are weakened: w += a * w(1-w) where the rule is multiplicative, w += a where it is additive, then clamped.
    Elementwise in the weight's own precision, in this order of operations: ``w + a * (w * (1 - w))``.

    Args:
        weight: (C_out, C_in, K, K), changed in place.
        pre_first: first-spike steps of the layer's input (C_in, H, W); silent inputs hold n_steps (integers) or inf.
        winners: rows (step, map, row, column), applied in order.
        plasticity: the rule.
    """
    kernel = weight.shape[-1]
    silent = torch.inf if pre_first.is_floating_point() else SILENT
    with torch.no_grad():
        for t, m, row, column in winners.tolist():
            weight[m] = updated(weight[m], receptive_field(pre_first, row, column, kernel, silent) <= t, plasticity)


def map_homeostasis(theta: Tensor, won: Tensor, rule: MapHomeostasis) -> None:
    """Homeostasis per map after one sample, in place: theta += plus * wins, then a step of decay to rest, within rest..top.

    Args:
        theta: (C,) float32.
        won: (C,) int64, wins of each map in the sample.
        rule: rest, plus, tau, top.
    """
    raised = theta + rule.plus * won
    decayed = raised - (raised - rule.rest) / rule.tau
    theta.copy_(decayed.clamp(rule.rest, rule.top))


def competition_homeostasis(thresholds: Tensor, winners: Tensor, rule: NeuronHomeostasis) -> None:
    """Homeostasis of the competition after one sample, in place: threshold += lr * (rate - target_rate), within low..high.

    Args:
        thresholds: (C, H, W) float32.
        winners: rows (step, map, row, column); their rate is 1, that of all others 0.
        rule: target rate, learning rate, bounds.
    """
    rate = torch.zeros_like(thresholds)
    rate[winners[:, 1], winners[:, 2], winners[:, 3]] = 1.0
    thresholds.copy_((thresholds + rule.lr * (rate - rule.target_rate)).clamp(rule.low, rule.high))


class Training:
    """The training step, sample after sample: run the layer, compete, update the winners' weights, adapt the thresholds.

    Args:
        state: changed in place by `run`.
        rule: how to learn.

    Raises:
        ValueError: tensors of the state that lie elsewhere than the weight.
    """

    def __init__(self, state: LearningState, rule: TrainingRule) -> None:
        state.check_device()
        self.state, self.rule = state, rule
        self._waiting: deque[tuple[Tensor, Tensor, Tensor]] = deque()  # first spikes, potentials and input of a batch cut short

    def run(self, lists: SpikeLists, order: np.ndarray) -> int:
        """Learn from samples order[0], order[1], ... of `lists`, in batches of `rule.batch_size`.

        The samples of a batch see the same weights and thresholds, and their updates are applied in order.

        Args:
            lists: the layer's input; the samples of one call are of one shape.
            order: indices of samples.

        Returns:
            how many samples were learned. Fewer than len(order) only when a map is dead after the last of them
            (`rule.dead_recovery`); then the caller changes its weights and calls again with the rest, and a batch cut short goes
            on under the weights that it began with.

        Raises:
            ValueError: another size of frames than before, where the competition has a threshold for every neuron.
        """
        with torch.no_grad():
            for learned in range(len(order)):
                if not self._waiting:
                    self._run_layer(lists, order[learned : learned + self.rule.batch_size])
                self._learn(*self._waiting.popleft(), n_steps=lists.shape[0])
                if self.rule.dead_recovery and bool(self.state.dead(self.rule).any()):
                    return learned + 1
        return len(order)

    def _run_layer(self, lists: SpikeLists, batch: np.ndarray) -> None:
        """Run the layer on a batch under the present weights and thresholds."""
        state, rule = self.state, self.rule
        dense = torch.from_numpy(lists.chosen(batch).dense()).to(state.weight).transpose(0, 1)
        run = layer_forward(dense, state.weight, state.threshold, rule.mode, rule.leak)
        first, pre = first_spike_steps(run.spikes), first_spike_steps(dense)
        pre = torch.where(pre < len(dense), pre, SILENT)
        self._waiting.extend(zip(first, at_first_spike(run.potentials, first), pre, strict=True))

    def _learn(self, first: Tensor, potential: Tensor, pre: Tensor, n_steps: int) -> None:
        state, rule = self.state, self.rule
        height, width = first.shape[-2:]
        competing = state.competing(rule, (height, width))
        if competing is not None:
            first = torch.where(potential >= competing.to(potential), first, n_steps)
        winners = select_winners(first, potential, n_steps, mode=rule.wta, radius=rule.radius, max_winners=rule.max_winners)
        stdp_update(state.weight, pre, winners, rule.plasticity)
        if competing is not None and rule.competition is not None:
            competition_homeostasis(competing, winners, rule.competition)
        won = torch.bincount(winners[:, 1], minlength=len(state.wins))
        state.wins += won
        state.recent_wins += won
        state.seen += 1
        if rule.maps is not None:
            map_homeostasis(state.theta, won, rule.maps)
        state.threshold.copy_(rule.base + state.theta)
