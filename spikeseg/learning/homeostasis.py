"""Homeostasis per feature map: a map that wins gets a higher threshold, and every threshold decays back to rest.

This is the mechanism of the `homeostasis` section, used by the layer trainer; its thresholds go into the checkpoint and are those
of inference. `wta.enable_homeostasis` is another one, per neuron, for the competition during learning alone
(`spikeseg.learning.wta`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeseg.sections import HomeostasisConfig


class MapHomeostasis:
    """Adaptive part theta_m of a layer's thresholds; the layer fires at base + theta_m.

    Attributes:
        theta: (C,) float32, theta_rest <= theta <= theta_max.
        wins: (C,) int64, wins since the map's last reset.
        seen: (C,) int64, samples since then.
    """

    def __init__(self, n_maps: int, config: HomeostasisConfig) -> None:
        self.config = config
        self.theta = torch.full((n_maps,), config.theta_rest if config.enabled else 0.0)
        self.wins = torch.zeros(n_maps, dtype=torch.int64)
        self.seen = torch.zeros(n_maps, dtype=torch.int64)

    def after_sample(self, won: Tensor) -> None:
        """Account for one sample. won: (C,) int64 wins of each map in it."""
        self.wins += won
        self.seen += 1
        if not self.config.enabled:
            return
        c = self.config
        raised = self.theta + c.theta_plus * won
        decayed = raised - (raised - c.theta_rest) / c.tau_theta
        self.theta = decayed.clamp(c.theta_rest, c.theta_max)

    def dead(self) -> Tensor:
        """(C,) bool: maps past the warm-up whose share of samples won stays under `dead_threshold`."""
        warmed = self.seen >= self.config.dead_warmup
        return warmed & (self.wins < self.config.dead_threshold * self.seen)

    def recover(self, weight: Tensor, bounds: tuple[float, float], generator: torch.Generator) -> int:
        """Shake the weights of dead maps by N(0, recovery_boost), bring their thresholds to rest and start their counts anew.

        Args:
            weight: (C, ...) float32, changed in place.
            bounds: (weight_min, weight_max).
            generator: CPU generator; drawn from only when a map is dead.

        Returns:
            how many maps were dead.
        """
        if not self.config.dead_neuron_recovery:
            return 0
        dead = self.dead()
        for m in dead.nonzero()[:, 0].tolist():
            noise = torch.randn(weight[m].shape, generator=generator) * self.config.recovery_boost
            weight[m] = (weight[m] + noise.to(weight.device)).clamp(*bounds)
            self.theta[m] = self.config.theta_rest if self.config.enabled else 0.0
            self.wins[m] = self.seen[m] = 0
        return int(dead.sum())

    def state_dict(self) -> dict[str, Tensor]:
        """What `load_state_dict` needs to go on."""
        return {"theta": self.theta.clone(), "wins": self.wins.clone(), "seen": self.seen.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a saved state."""
        self.theta, self.wins, self.seen = (state[k].clone() for k in ("theta", "wins", "seen"))
