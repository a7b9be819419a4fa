"""The meaning of every operation, in plain torch. Time first, batch second: (T, B, C, H, W).

Everything here is exact on the grid of `spikeseg.core.grid`, so faster backends must agree bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.neurons import LeakMode, step
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.core.sparse import dense as as_dense
from spikeseg.ops.types import (
    WTA_MODES,
    BlockThreshold,
    Layer,
    LayerRun,
    LearningState,
    MapHomeostasis,
    NeuronHomeostasis,
    Plasticity,
    PlasticityForm,
    PooledSpikes,
    PoolRun,
    TrainingRule,
)

from .convolution import convolve
from .tracing import trace

__all__ = [
    "Training",
    "at_first_spike",
    "competition_homeostasis",
    "convolve",
    "currents",
    "encode",
    "first_spike_steps",
    "layer_forward",
    "map_homeostasis",
    "pool",
    "pooled_size",
    "select_winners",
    "stdp_update",
    "trace",
]

SILENT = 2**31 - 1
"""Step of an input that never fires, in integers: later than any, and exact in the float64 through which torch pads."""


def currents(spikes: Tensor, weight: Tensor) -> Tensor:
    """Synaptic input of every neuron at every step: 'same' convolution with the rounded weights.

    Args:
        spikes: (T, B, C_in, H, W), whole numbers.
        weight: master weights (C_out, C_in, K, K), K odd.

    Returns:
        (T, B, C_out, H, W), multiples of 2**-12 whatever algorithm the convolution used.
    """
    steps, batch = spikes.shape[:2]
    flat = spikes.reshape(steps * batch, *spikes.shape[2:]).to(weight.dtype)
    out = snap(convolve(flat, snap(weight)))
    return out.reshape(steps, batch, *out.shape[1:])


def layer_forward(
    spikes: Tensor, weight: Tensor, threshold: Tensor, mode: LeakMode, leak: float, state: Tensor | None = None
) -> LayerRun:
    """Convolution, then neurons, step by step.

    Args:
        spikes: (T, B, C_in, H, W).
        weight: (C_out, C_in, K, K).
        threshold: (C_out,), or (B, C_out, H, W) where it differs by position; rounded here.
        mode, leak: the membrane, see `spikeseg.core.neurons`.
        state: V to go on from, (B, C_out, H, W); rest when None.
    """
    current = currents(spikes, weight)
    theta = snap(threshold.to(current.dtype))
    if theta.dim() == 1:
        theta = theta[:, None, None]
    v = torch.zeros_like(current[0]) if state is None else state
    potentials, fired = torch.empty_like(current), torch.empty_like(current)
    for t in range(current.shape[0]):
        fired[t], potentials[t], v = step(current[t], v, theta, mode, leak)
    return LayerRun(fired, potentials, v)


def first_spike_steps(spikes: Tensor) -> Tensor:
    """Step of each neuron's first spike; T where it never fired. (T, ...) -> (...) int64."""
    steps = spikes.shape[0]
    first = torch.full(spikes.shape[1:], steps, dtype=torch.int64, device=spikes.device)
    for t in range(steps - 1, -1, -1):
        first.masked_fill_(spikes[t] > 0, t)
    return first


def at_first_spike(values: Tensor, first: Tensor) -> Tensor:
    """Values (T, ...) at each neuron's first spike; 0 where it never fired. -> (...)."""
    steps = values.shape[0]
    picked = values.gather(0, first.clamp(max=steps - 1)[None])[0]
    return torch.where(first < steps, picked, torch.zeros_like(picked))


def pooled_size(size: int, kernel: int, stride: int) -> int:
    """Outputs along one axis so that every input is seen: windows are added until the last one reaches the border."""
    return max(0, -(-(size - kernel) // stride)) + 1


def pool(spikes: Tensor, potentials: Tensor, kernel: int, stride: int) -> PoolRun:
    """Max pooling over spikes at each step; no border row or column is lost.

    The index kept is that of the spiking input with the highest pre-reset potential, then the lowest flat index (row * W +
    column).

    Args:
        spikes, potentials: (T, B, C, H, W).
        kernel, stride: in pixels, stride <= kernel.
    """
    height, width = spikes.shape[-2:]
    out_h, out_w = pooled_size(height, kernel, stride), pooled_size(width, kernel, stride)
    right = (out_w - 1) * stride + kernel - width
    below = (out_h - 1) * stride + kernel - height
    rank = potentials.masked_fill(spikes <= 0, -torch.inf).flatten(0, 1)
    rank = F.pad(rank, (0, right, 0, below), value=-torch.inf)
    best, place = F.max_pool2d(rank, kernel, stride, return_indices=True)  # of equals the lowest index
    fired = torch.isfinite(best)
    padded_width = width + right
    indices = torch.where(fired, place // padded_width * width + place % padded_width, -1)
    shape = (*spikes.shape[:3], out_h, out_w)
    return PoolRun(fired.to(spikes.dtype).reshape(shape), indices.reshape(shape))


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
    """
    raised = theta + rule.plus * won
    decayed = raised - (raised - rule.rest) / rule.tau
    theta.copy_(decayed.clamp(rule.rest, rule.top))


def competition_homeostasis(thresholds: Tensor, winners: Tensor, rule: NeuronHomeostasis) -> None:
    """Homeostasis of the competition after one sample, in place: threshold += lr * (rate - target_rate), within low..high.

    Args:
        thresholds: (C, H, W) float32.
        winners: rows (step, map, row, column); their rate is 1, that of all others 0.
    """
    rate = torch.zeros_like(thresholds)
    rate[winners[:, 1], winners[:, 2], winners[:, 3]] = 1.0
    thresholds.copy_((thresholds + rule.lr * (rate - rule.target_rate)).clamp(rule.low, rule.high))


class Training:
    """The training step, sample after sample: run the layer, compete, update the winners' weights, adapt the thresholds.

    Args:
        state: changed in place by `run`.
        rule: how to learn.
    """

    def __init__(self, state: LearningState, rule: TrainingRule) -> None:
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
            (`rule.dead_recovery`); then the caller shakes it and calls again with the rest, and a batch cut short goes on under
            the weights that it began with.

        Raises:
            ValueError: another size of frames than before, where the competition has a threshold for every neuron.
        """
        with torch.no_grad():
            for done in range(len(order)):
                if not self._waiting:
                    self._look(lists, order[done : done + self.rule.batch_size])
                self._learn(*self._waiting.popleft(), n_steps=lists.shape[0])
                if self.rule.dead_recovery and bool(self.state.dead(self.rule).any()):
                    return done + 1
        return len(order)

    def _look(self, lists: SpikeLists, batch: np.ndarray) -> None:
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
            competition_homeostasis(competing, winners.cpu(), rule.competition)
        won = torch.bincount(winners[:, 1].cpu(), minlength=len(state.wins))
        state.wins += won
        state.recent_wins += won
        state.seen += 1
        if rule.maps is not None:
            map_homeostasis(state.theta, won, rule.maps)
        state.threshold.copy_(rule.base + state.theta)


def encode(
    frames: np.ndarray | SparseFrames, layers: Sequence[Layer], first_threshold: BlockThreshold | None = None, *, threads: int = 1
) -> list[PooledSpikes]:
    """Whole samples through a chain of layers, from rest.

    Args:
        frames: (N, T, P, H, W) whole numbers, as the cache of frames holds them, or as lists.
        layers: conv1 and what follows.
        first_threshold: thresholds of the first layer by position, in place of its own.
        threads: samples run side by side (the `cpu` backend; here without effect).

    Returns:
        the output spikes of every layer, in order.
    """
    device = layers[0].weight.device
    spikes = torch.from_numpy(as_dense(frames).astype(np.float32)).to(layers[0].weight).transpose(0, 1)
    found = []
    for i, layer in enumerate(layers):
        threshold = layer.threshold
        if i == 0 and first_threshold is not None:
            threshold = first_threshold.expand((spikes.shape[-2], spikes.shape[-1])).to(device)
        run = layer_forward(spikes, layer.weight, threshold, layer.mode, layer.leak)
        spikes, kept = run.spikes, None
        if layer.pool is not None:
            spikes, indices = pool(run.spikes, run.potentials, *layer.pool)
            kept = indices.transpose(0, 1)[spikes.transpose(0, 1) > 0].to(torch.int32).cpu().numpy()
        lists = SpikeLists.of(spikes.transpose(0, 1).to(torch.uint8).cpu().numpy())
        found.append(PooledSpikes(lists, kept))
    return found
