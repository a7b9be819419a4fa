"""The other side: the same network in dense torch and Norse, as a competent user of both would write it for speed.

Every tensor is dense. Weights and thresholds are rounded to the grid, which takes no time beside a convolution and makes results
comparable bit for bit. Convolutions run with channels-last weights, on a CPU up to twice as fast as torch's default. Two paths:

- `DenseLearner`: one layer in training. One convolution over all T steps at once, then neurons step by step, the winners of each
  step, and STDP on all winners' patches at once. The competition is that of `spikeseg.ops.reference.select_winners`.
- `norse_box` and `norse_exact`: the encoder step by step, convolution, Norse cell and pool.

Norse is imported where its cells are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeseg.core.grid import HALF_STEP, snap
from spikeseg.core.neurons import LeakMode
from spikeseg.ops.types import Layer, LearningState, PlasticityForm, TrainingRule

# -- training ---------------------------------------------------------------------------------------


class DenseLearner:
    """Trains a layer without leak, or with a subtractive one, by mode 'both' with one winner per map, as the demo's conv2.

    Args:
        state: weights, thresholds and theta, changed in place; the counters are left alone.
        rule: how to learn; without competition thresholds, dead maps and batches.
        norse: neurons are Norse's IAFCell instead of a handful of torch calls in place.
        batched: one convolution over all steps; otherwise one per step, none after the step in which the last map won (the
            early stop of our own kernels, lent to torch).
    """

    def __init__(self, state: LearningState, rule: TrainingRule, *, norse: bool = False, batched: bool = True) -> None:
        known = rule.mode in (LeakMode.NONE, LeakMode.SUBTRACTIVE) and rule.wta == "both" and rule.max_winners is None
        if (
            not known
            or rule.plasticity.form is PlasticityForm.CUSTOM
            or rule.competition
            or rule.maps is None
            or rule.batch_size != 1
        ):
            raise ValueError("this learner knows the demo's rule alone")
        self.state, self.rule, self.norse, self.batched = state, rule, norse, batched

    def learn(self, spikes: Tensor) -> list[tuple[int, int, int, int]]:
        """Learn from one sample (T, C, H, W) float32; -> its winners (step, map, row, column)."""
        with torch.inference_mode():
            winners = self._winners(spikes)
            self._apply_stdp(spikes, winners)
            self._adapt(winners)
        return winners

    def _winners(self, spikes: Tensor) -> list[tuple[int, int, int, int]]:
        state, steps = self.state, len(spikes)
        weight = snap(state.weight).to(memory_format=torch.channels_last)
        self._theta = snap(state.threshold)[:, None, None]
        bias = torch.full((len(weight),), -self.rule.leak) if self.rule.mode is LeakMode.SUBTRACTIVE else None
        half = weight.shape[-1] // 2
        conv = lambda part: F.conv2d(part, weight, bias, padding=half)  # noqa: E731
        currents = conv(spikes) if self.batched else None
        neurons: Callable[[Tensor, Tensor], Tensor] = self._cell() if self.norse else self._in_place
        competition = _Competition(self.rule.radius)
        v = None
        for t in range(steps):
            current = conv(spikes[t : t + 1])[0] if currents is None else currents[t]
            v = torch.zeros_like(current) if v is None else v
            competition.step(t, neurons(current, v))
            if not self.batched and len(competition.winners) == len(weight):
                break
        return competition.winners

    def _in_place(self, current: Tensor, v: Tensor) -> Tensor:
        """One step, v changed; -> potentials of those that fired, 0 elsewhere."""
        v.add_(current)
        if self.rule.mode is LeakMode.SUBTRACTIVE:
            v.clamp_(min=0)
        fired = v >= self._theta
        potential = v * fired
        v.masked_fill_(fired, 0)
        return potential

    def _cell(self) -> Callable[[Tensor, Tensor], Tensor]:
        from norse.torch import IAFCell, IAFFeedForwardState
        from norse.torch.functional.iaf import IAFParameters

        cell = IAFCell(IAFParameters(v_th=self._theta - HALF_STEP, v_reset=torch.zeros(())))

        def step(current: Tensor, v: Tensor) -> Tensor:
            z, after = cell(current, IAFFeedForwardState(v=v))
            potential = z * (v + current)
            v.copy_(after.v if self.rule.mode is LeakMode.NONE else after.v.clamp_(min=0))
            return potential

        return step

    def _apply_stdp(self, spikes: Tensor, winners: list[tuple[int, int, int, int]]) -> None:
        if not winners:
            return
        steps = len(spikes)
        kernel = self.state.weight.shape[-1]
        at = torch.arange(steps, dtype=spikes.dtype)[:, None, None, None]
        first = torch.where(spikes > 0, at, float(steps)).amin(0)
        half = kernel // 2
        padded = F.pad(first, (half, half, half, half), value=float(steps))
        t, maps, rows, columns = torch.tensor(winners).T
        fields = padded.unfold(1, kernel, 1).unfold(2, kernel, 1)[:, rows, columns].transpose(0, 1)  # (n, C, K, K)
        w = self.state.weight[maps]
        stdp = self.rule.plasticity
        rate = torch.where(fields <= t[:, None, None, None], stdp.lr_plus, -stdp.lr_minus)
        w = w + (rate * (w * (1 - w)) if stdp.form is PlasticityForm.MULTIPLICATIVE else rate)
        self.state.weight[maps] = w.clamp_(stdp.weight_min, stdp.weight_max)

    def _adapt(self, winners: list[tuple[int, int, int, int]]) -> None:
        maps, theta = self.rule.maps, self.state.theta
        assert maps is not None
        if winners:
            theta[[m for _, m, _, _ in winners]] += maps.plus
        theta.sub_((theta - maps.rest) / maps.tau).clamp_(maps.rest, maps.top)
        torch.add(theta, self.rule.base, out=self.state.threshold)


class _Competition:
    """Winners of one sample: one per map, none within `radius` of another."""

    def __init__(self, radius: int) -> None:
        self.radius = radius
        self.winners: list[tuple[int, int, int, int]] = []
        self._won: list[int] = []

    def step(self, t: int, potential: Tensor) -> None:
        """Winners among those that fire in step t, by potential (maps, H, W), 0 where silent; changed."""
        if not potential.any():
            return
        maps, height, width = potential.shape
        for _, _, y, x in self.winners:
            self._silence(potential, y, x)
        flat = potential.flatten(1) if potential.is_contiguous() else potential.contiguous().flatten(1)
        potential = flat.view(maps, height, width)
        flat[self._won] = 0
        best, at = (column.tolist() for column in flat.max(1))
        while (m := max(range(maps), key=best.__getitem__)) is not None and best[m] > 0:
            y, x = divmod(at[m], width)
            self.winners.append((t, m, y, x))
            self._won.append(m)
            best[m] = 0.0
            self._silence(potential, y, x)
            for other in range(maps):
                row, column = divmod(at[other], width)
                if best[other] > 0 and abs(row - y) <= self.radius and abs(column - x) <= self.radius:
                    value, address = flat[other].max(0)
                    best[other], at[other] = value.item(), int(address)

    def _silence(self, potential: Tensor, y: int, x: int) -> None:
        r = self.radius
        potential[:, max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1] = 0


# -- inference --------------------------------------------------------------------------------------


class NorsePath(nn.Module):
    """Convolution, Norse cell and pool of each layer, step by step.

    Args:
        layers: weights, rounded here, thresholds and pools.
        cell: makes the cell of a layer, from its thresholds (C, 1, 1) or, where they differ by position, (C, H, W).
        state: makes a cell's state from V.
        bias: what the convolution adds, by layer.
        floor: whether potentials stop at 0.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        cell: Callable[[Layer, Tensor], nn.Module],
        state: Callable[[Tensor], Any],
        bias: Callable[[Layer], float],
        floor: bool,
    ) -> None:
        super().__init__()
        self.convolutions, self.cells, self.pools = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self._state, self._floor = state, floor
        for layer in layers:
            maps, channels, kernel = layer.weight.shape[:3]
            convolution = nn.Conv2d(channels, maps, kernel, padding=kernel // 2, bias=bias(layer) != 0.0)
            convolution.weight.data = snap(layer.weight).to(memory_format=torch.channels_last)
            if convolution.bias is not None:
                convolution.bias.data.fill_(bias(layer))
            self.convolutions.append(convolution)
            theta = snap(layer.threshold)
            self.cells.append(cell(layer, (theta if theta.dim() == 3 else theta[:, None, None]) - HALF_STEP))
            self.pools.append(nn.Identity() if layer.pool is None else nn.MaxPool2d(*layer.pool, ceil_mode=True))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """(T, B, P, H, W) float32 to the spikes of every layer behind its pool, (T, B, C, H', W')."""
        with torch.inference_mode():
            states: list[Any] = [None] * len(self.cells)
            outputs: list[list[Tensor]] = [[] for _ in self.cells]
            for x in frames:
                for i, (convolution, cell, pool) in enumerate(zip(self.convolutions, self.cells, self.pools, strict=True)):
                    current = convolution(x)
                    state = self._state(torch.zeros_like(current)) if states[i] is None else states[i]
                    z, states[i] = cell(current, state)
                    if self._floor:
                        states[i].v.clamp_(min=0)
                    x = pool(z)
                    outputs[i].append(x)
            return [torch.stack(steps) for steps in outputs]


def norse_box(layers: Sequence[Layer]) -> NorsePath:
    """LIFBoxCell as it comes: a potential decays by the share of itself that the layer's leak is of its threshold.

    Other dynamics than ours, which lose a constant per step, so other spikes; here for its speed."""
    from norse.torch import LIFBoxCell, LIFBoxFeedForwardState, LIFBoxParameters

    def cell(layer: Layer, theta: Tensor) -> nn.Module:
        # V' = V + a (I - V) is a times u' = (1 - a) u + I; what arrives in one step must exceed threshold and leak, as with ours
        a = min(max(layer.leak / float(layer.threshold.mean()), 0.01), 1.0)
        return LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(a), v_th=a * (theta + layer.leak)), dt=1.0)

    return NorsePath(layers, cell, LIFBoxFeedForwardState, lambda _: 0.0, floor=False)


def norse_exact(layers: Sequence[Layer]) -> NorsePath:
    """IAFCell with our subtractive leak: the leak is the convolution's bias, the floor a clamp. The same spikes as ours."""
    from norse.torch import IAFCell, IAFFeedForwardState
    from norse.torch.functional.iaf import IAFParameters

    if any(layer.mode is LeakMode.MULTIPLICATIVE for layer in layers):
        raise ValueError("layers of this path leak by a constant, or not at all")

    def cell(_: Layer, theta: Tensor) -> nn.Module:
        return IAFCell(IAFParameters(v_th=theta, v_reset=torch.zeros(())))

    def bias(layer: Layer) -> float:
        return -layer.leak if layer.mode is LeakMode.SUBTRACTIVE else 0.0

    return NorsePath(layers, cell, IAFFeedForwardState, bias, floor=True)
