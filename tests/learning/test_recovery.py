"""Noise that revives a dead map leaves weights within their bounds."""

import pytest
import torch

from spikeseg.config.sections import STDPConfig
from spikeseg.learning.homeostasis import recover_dead_maps
from spikeseg.learning.rules import plasticity
from spikeseg.ops.types import LearningState, TrainingRule


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.25, 0.75)])
def test_weights_stay_within_their_bounds_and_reach_both(bounds):
    low, high = bounds
    numbers = dict.fromkeys(TrainingRule._fields, 0.0)
    changed = plasticity(STDPConfig(weight_min=low, weight_max=high))
    rule = TrainingRule(
        **numbers | {"maps": None, "plasticity": changed, "dead_recovery": True, "dead_threshold": 0.5, "dead_warmup": 1}
    )
    weight, theta, wins = torch.full((2, 2, 5, 5), 0.5), torch.ones(2), torch.tensor([3, 0])
    state = LearningState(weight, theta.clone(), theta, wins, wins.clone(), torch.tensor([3, 3]))
    assert recover_dead_maps(state, rule, 2.0, torch.Generator().manual_seed(1)) == 1
    assert (float(state.weight[1].min()), float(state.weight[1].max())) == bounds and (state.weight[0] == 0.5).all()
