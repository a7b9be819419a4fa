"""Spike-timing dependent plasticity on shared kernels [Kheradpisheh 2018, eq. 3]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikeseg.config.sections import Config, ConvergenceConfig, STDPConfig
from spikeseg.models.layers import initial_weights
from spikeseg.ops import backend as ops_backend

from .convergence import convergence_index
from .rules import plasticity

C_L_THRESHOLD = ConvergenceConfig().c_l_threshold


def winners_per_map(winner_mask: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """One winner per map, from the mask that `WTAInhibition` returns for a step (modes 'global' and 'both').

    Args:
        winner_mask: (C, H, W) or (1, C, H, W) bool, at most one True per map.
        step: the step at which they fired.

    Returns:
        (times, y, x), each (C,): float32 with inf for a map without a winner, int64, int64.

    Raises:
        ValueError: a map with several winners (mode 'local'): pass those with `winner_map`.
    """
    mask = winner_mask.reshape(winner_mask.shape[-3:])
    if int(mask.flatten(1).sum(1).max()) > 1:
        raise ValueError("a map has several winners; take mask.nonzero() and pass its columns with winner_map")
    won = mask.flatten(1).any(1)
    position = mask.flatten(1).to(torch.uint8).argmax(1)
    times = torch.where(won, float(step), torch.inf)
    return times, position // mask.shape[-1], position % mask.shape[-1]


class STDPLearner:
    """Applies the learning rule to a layer's weights, in place, by the operation that training uses on the weights' device.

    On a GPU that is a CUDA kernel; a custom rule runs there as the torch that it is.

    Under the default rule a synapse whose input fired at or before the winner gets w += lr_plus * w(1-w), every other one
    w -= lr_minus * w(1-w) (without soft bounds: the bare rates); clamped to [weight_min, weight_max]. `stdp.rule` names others.

    Args:
        config: the rule, its rates and bounds; the section's defaults unless given.

    Attributes:
        convergence_history: C_l of the weight that was handed in, after each update of it.
    """

    def __init__(self, config: STDPConfig | None = None) -> None:
        self.config = STDPConfig() if config is None else config
        self.convergence_history: list[float] = []
        self._plasticity = plasticity(self.config)

    def initialize_weights(self, shape: Sequence[int], device: torch.device | str = "cpu", seed: int = Config.seed) -> Tensor:
        """Weights of this shape, float32, from N(weight_init_mean, weight_init_std), clamped to the bounds."""
        return initial_weights(shape, self.config, seed).to(device)

    def compute_update(self, weight: Tensor, pre_spike_times: Tensor, post_spike_time: float | Tensor) -> Tensor:
        """By how much one map's weights would change, which are left as they are.

        Args:
            weight: one map's kernels (C_in, K, K), K odd.
            pre_spike_times: first-spike steps of their inputs, the same shape; inf where silent.
            post_spike_time: the winner's step.

        Raises:
            ValueError: other shapes.
        """
        if weight.dim() != 3 or weight.shape != pre_spike_times.shape or weight.shape[-1] % 2 == 0:
            shapes = f"weight {tuple(weight.shape)} and pre_spike_times {tuple(pre_spike_times.shape)}"
            raise ValueError(f"{shapes}: must both be (C_in, K, K), K odd")
        changed, middle = weight[None].clone(), weight.shape[-1] // 2
        winner = torch.tensor([[int(post_spike_time), 0, middle, middle]])
        self._update(changed, pre_spike_times, winner)
        return changed[0] - weight

    def update(self, weight: Tensor, pre_spike_times: Tensor, winners: Tensor) -> None:
        """Update for the winners of one sample.

        Args:
            weight: (C_out, C_in, K, K) float32, changed in place.
            pre_spike_times: first-spike steps of the layer's input (C_in, H, W); inf (floats) or n_steps and more (integers)
                where silent.
            winners: (n, 4) int64 rows (step, map, row, column), applied in order.
        """
        self._update(weight, pre_spike_times, winners)
        self.convergence_history.append(self.get_convergence(weight))

    def _update(self, weight: Tensor, pre_spike_times: Tensor, winners: Tensor) -> None:
        ops_backend("auto", weight.device).stdp_update(weight, pre_spike_times, winners, self._plasticity)

    def update_weights_for_winner(
        self,
        weight: Tensor,
        pre_spike_times: Tensor,
        post_spike_time: float | Tensor,
        winner_y: int | Tensor,
        winner_x: int | Tensor,
        kernel_size: int,
        winner_map: int | Tensor | None = None,
    ) -> None:
        """Update for the winners of one step, in a loop of your own.

        Args:
            weight: a layer's kernels (C_out, C_in, K, K), or one map's (C_in, K, K); float32, changed in place.
            pre_spike_times: first-spike steps of the layer's input (C_in, H, W), inf where silent. For conv2 these are
                `layer_spike_times["conv1"]`: conv1 after its pool.
            post_spike_time: the winner's step. A number for one winner; a tensor (C_out,) for one winner per map, inf for a map
                without one (`winners_per_map` makes it from a winner mask); a tensor (n,) together with `winner_map`.
            winner_y: its row, in the same form.
            winner_x: its column, in the same form.
            kernel_size: K, checked against the weight.
            winner_map: the winners' maps, a number or a tensor (n,); or the mask that `WTAInhibition` returns for the step,
                (C, H, W) or (1, C, H, W) bool, which tells the map that won at each place. Needed unless one of the other forms
                says it.

        Raises:
            ValueError: another kernel size than the weight's, a winner outside its map, or no way to tell its map.
        """
        if weight.shape[-1] != kernel_size:
            raise ValueError(f"kernel_size is {kernel_size}, but the weight is {tuple(weight.shape)}")
        kernels = weight if weight.dim() == 4 else weight[None]
        time, y, x = (torch.as_tensor(v).reshape(-1) for v in (post_spike_time, winner_y, winner_x))
        if isinstance(winner_map, Tensor) and winner_map.dtype == torch.bool:
            maps = _maps_at(winner_map, y, x)
        elif winner_map is not None:
            maps = torch.as_tensor(winner_map).reshape(-1)
        elif len(y) == len(kernels):
            maps = torch.arange(len(kernels))
        else:
            raise ValueError(
                f"{len(y)} winner(s) for {len(kernels)} maps: which map won is not told; pass winner_map (its number, or the "
                "winner mask), one map's kernel weight[m], or one winner per map"
            )
        rows = torch.stack(torch.broadcast_tensors(time.cpu().double(), maps.cpu(), y.cpu(), x.cpu()), dim=1)
        rows = rows[torch.isfinite(rows[:, 0])].to(torch.int64)
        height, width = pre_spike_times.shape[-2:]
        inside = (rows[:, 1] >= 0) & (rows[:, 1] < len(kernels)) & (rows[:, 2] >= 0) & (rows[:, 2] < height)
        if not bool((inside & (rows[:, 3] >= 0) & (rows[:, 3] < width)).all()):
            raise ValueError(f"a winner lies outside {len(kernels)} maps of {height}x{width} (the size of pre_spike_times)")
        self.update(kernels, pre_spike_times, rows)

    def has_converged(self, weight: Tensor, threshold: float = C_L_THRESHOLD) -> bool:
        """Whether C_l, the mean of w(1-w), is below the threshold [Kheradpisheh 2018, eq. 4]."""
        return self.get_convergence(weight) < threshold

    def get_convergence(self, weight: Tensor) -> float:
        """C_l, see `convergence_index`."""
        return convergence_index(weight)


def _maps_at(winner_mask: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The map that won at each place (n,), from a mask with one winner there. Raises ValueError where it has none or several."""
    mask = winner_mask.reshape(winner_mask.shape[-3:])
    inside = (y >= 0) & (y < mask.shape[1]) & (x >= 0) & (x < mask.shape[2])
    won = mask[:, y[inside].long(), x[inside].long()]
    if not bool(inside.all()) or not bool((won.sum(0) == 1).all()):
        places = list(zip(y.tolist(), x.tolist(), strict=True))
        raise ValueError(f"the winner mask has not one winner at each (row, column) of {places}; pass their maps as winner_map")
    return won.to(torch.uint8).argmax(0)
