"""When a layer stops learning, and which of its maps are near-duplicates."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikeseg.config.sections import ConvergenceConfig

NEAR_DUPLICATE_COSINE = 0.95


def convergence_index(weight: Tensor) -> float:
    """C_l, the mean of w(1-w): 0 when every synapse is at 0 or 1 [Kheradpisheh 2018, eq. 4]."""
    exact = weight.detach().cpu().double()
    return float((exact * (1 - exact)).mean())


def near_duplicates(weight: Tensor, cosine: float = NEAR_DUPLICATE_COSINE) -> Tensor:
    """Which maps resemble an earlier one: (C_out,) bool, True where the cosine with any map of lower index exceeds `cosine`."""
    flat = torch.nn.functional.normalize(weight.double().flatten(1), dim=1)
    alike = (flat @ flat.T > cosine).tril(-1)
    return alike.any(1)


@dataclass
class Convergence:
    """Decides whether a layer has learned enough, from its weights every `check_interval` samples and after every epoch.

    Attributes:
        config: thresholds and patience.
        wins: wins per map so far.
        best: lowest C_l at the end of an epoch.
        stale: epochs since then.
    """

    config: ConvergenceConfig
    wins: Tensor
    best: float = float("inf")
    stale: int = 0
    last_check: Tensor | None = field(default=None, repr=False)

    def check(self, weight: Tensor) -> str | None:
        """The reason to stop: C_l reached, or enough maps have won often enough and their weights stand still; else None."""
        weight = weight.cpu()  # sums come out the same wherever the network lies
        index = convergence_index(weight)
        if index < self.config.c_l_threshold:
            return f"C_l = {index:.4f} < {self.config.c_l_threshold:g}"
        before, self.last_check = self.last_check, weight.clone()
        if before is None:
            return None
        change = (weight - before).abs().flatten(1).mean(1)
        settled = (self.wins.cpu() >= self.config.min_wins_per_neuron) & (change < self.config.delta_threshold)
        share = float(settled.double().mean())
        if share >= self.config.target_ratio:
            return f"{share:.0%} of the maps have won {self.config.min_wins_per_neuron} times and stand still"
        return None

    def after_epoch(self, weight: Tensor) -> str | None:
        """The reason to stop after `patience` epochs without a lower C_l, or None."""
        index = convergence_index(weight)
        if index < self.best:
            self.best, self.stale = index, 0
        else:
            self.stale += 1
        if self.stale >= self.config.patience:
            return f"no lower C_l than {self.best:.4f} for {self.stale} epochs"
        return None
