"""Maps that stopped winning get another chance: recovery, the part of homeostasis that draws random numbers.

Thresholds per map are adapted by the training step itself (`spikeseg.ops.reference.map_homeostasis`); they are part of the
checkpoint and are those of inference. `wta.enable_homeostasis` is another mechanism, per neuron, for the competition during
learning alone (`spikeseg.ops.reference.competition_homeostasis`).
"""

from __future__ import annotations

import torch

from spikeseg.ops.types import LearningState, TrainingRule


def recover(state: LearningState, rule: TrainingRule, boost: float, generator: torch.Generator) -> int:
    """Shake the weights of dead maps by N(0, boost), bring their thresholds to rest and start their counts anew.

    Args:
        state: changed in place.
        rule: which maps count as dead.
        boost: standard deviation of the noise (`homeostasis.recovery_boost`).
        generator: CPU generator; drawn from only when a map is dead.

    Returns:
        how many maps were dead.
    """
    if not rule.dead_recovery:
        return 0
    dead = state.dead(rule)
    for m in dead.nonzero()[:, 0].tolist():
        noise = torch.randn(state.weight[m].shape, generator=generator) * boost
        state.weight[m] = (state.weight[m] + noise.to(state.weight.device)).clamp(
            rule.plasticity.weight_min, rule.plasticity.weight_max
        )
        state.theta[m] = 0.0 if rule.maps is None else rule.maps.rest
        state.recent_wins[m] = state.seen[m] = 0
    return int(dead.sum())
