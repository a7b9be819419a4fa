"""Homeostasis: its two sections as parameters of the training step, and the recovery of maps that stopped winning.

Thresholds per map are adapted by the training step itself (`spikeseg.ops.reference.training.map_homeostasis`); they are part of
the checkpoint and are those of inference. `wta.enable_homeostasis` is another mechanism, per neuron, for the competition during
learning alone (`spikeseg.ops.reference.training.competition_homeostasis`). Recovery is the part that draws random numbers.
"""

from __future__ import annotations

import torch

from spikeseg.config.sections import HomeostasisConfig, WTAConfig
from spikeseg.ops.types import LearningState, MapHomeostasis, NeuronHomeostasis, TrainingRule


def homeostasis_of_maps(config: HomeostasisConfig) -> MapHomeostasis | None:
    """The section `homeostasis` as parameters; None where it is off."""
    if not config.enabled:
        return None
    return MapHomeostasis(rest=config.theta_rest, plus=config.theta_plus, tau=config.tau_theta, top=config.theta_max)


def homeostasis_of_neurons(config: WTAConfig) -> NeuronHomeostasis | None:
    """The homeostasis of the section `wta` as parameters; None where it is off."""
    if not config.enable_homeostasis:
        return None
    return NeuronHomeostasis(
        target_rate=config.target_rate, lr=config.homeostasis_lr, low=config.threshold_min, high=config.threshold_max
    )


def recover_dead_maps(state: LearningState, rule: TrainingRule, noise_std: float, generator: torch.Generator) -> int:
    """Add noise from N(0, noise_std) to the weights of dead maps, set their thresholds to rest and their counts to zero.

    Args:
        state: changed in place.
        rule: which maps count as dead, and the bounds of the weights.
        noise_std: standard deviation of the noise (`homeostasis.recovery_boost`).
        generator: CPU generator; drawn from only when a map is dead.

    Returns:
        how many maps were dead.
    """
    if not rule.dead_recovery:
        return 0
    dead = state.dead(rule)
    low, high = rule.plasticity.weight_min, rule.plasticity.weight_max
    for m in dead.nonzero()[:, 0].tolist():
        noise = torch.randn(state.weight[m].shape, generator=generator) * noise_std
        state.weight[m] = (state.weight[m] + noise.to(state.weight.device)).clamp(low, high)
        state.theta[m] = 0.0 if rule.maps is None else rule.maps.rest
        state.recent_wins[m] = state.seen[m] = 0
    return int(dead.sum())
