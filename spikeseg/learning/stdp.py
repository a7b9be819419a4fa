"""Spike-timing dependent plasticity on shared kernels [Kheradpisheh 2018, eq. 3]."""

from __future__ import annotations

import torch
from torch import Tensor

from spikeseg.config.sections import ConvergenceConfig, STDPConfig
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

    Under the default rule a synapse whose input fired at or before the winner gets w += lr_plus * w(1-w), every other one
    w -= lr_minus * w(1-w) (without soft bounds: the bare rates); clamped to [weight_min, weight_max]. `stdp.rule` names others.

    Args:
        config: the rule, its rates and bounds.
    """

    def __init__(self, config: STDPConfig) -> None:
        self.config = config
        self._plasticity = plasticity(config)

    def update(self, weight: Tensor, pre_spike_times: Tensor, winners: Tensor) -> None:
        """Update for the winners of one sample.

        Args:
            weight: (C_out, C_in, K, K) float32, changed in place.
            pre_spike_times: first-spike steps of the layer's input (C_in, H, W); inf (floats) or n_steps and more (integers)
                where silent.
            winners: (n, 4) int64 rows (step, map, row, column), applied in order.
        """
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
            winner_map: the winners' maps, a number or a tensor (n,); needed unless one of the other forms says it.

        Raises:
            ValueError: another kernel size than the weight's, a winner outside its map, or no way to tell its map.
        """
        if weight.shape[-1] != kernel_size:
            raise ValueError(f"kernel_size is {kernel_size}, but the weight is {tuple(weight.shape)}")
        kernels = weight if weight.dim() == 4 else weight[None]
        time, y, x = (torch.as_tensor(v).reshape(-1) for v in (post_spike_time, winner_y, winner_x))
        if winner_map is not None:
            maps = torch.as_tensor(winner_map).reshape(-1)
        elif len(y) == len(kernels):
            maps = torch.arange(len(kernels))
        else:
            raise ValueError(
                f"{len(y)} winner(s) for {len(kernels)} maps: pass winner_map, one map's kernel weight[m], or one winner per map"
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
        return convergence_index(weight) < threshold
