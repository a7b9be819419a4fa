"""Noise that revives a dead map leaves weights within their bounds."""

import pytest
import torch

from spikeseg.config.sections import STDPConfig
from spikeseg.learning.homeostasis import recover_dead_maps
from spikeseg.learning.rules import plasticity
from spikeseg.ops.types import LearningState, TrainingRule


def revived(bounds, noise_std):
    """Weights of two maps, all 0.5 before, of which the second was dead."""
    changed = plasticity(STDPConfig(weight_min=bounds[0], weight_max=bounds[1]))
    numbers = dict.fromkeys(TrainingRule._fields, 0.0) | {"dead_recovery": True, "dead_threshold": 0.5, "dead_warmup": 1}
    rule = TrainingRule(**numbers | {"maps": None, "plasticity": changed})
    weight, theta, wins = torch.full((2, 2, 5, 5), 0.5), torch.ones(2), torch.tensor([3, 0])
    state = LearningState(weight, theta.clone(), theta, wins, wins.clone(), torch.tensor([3, 3]))
    assert recover_dead_maps(state, rule, noise_std, torch.Generator().manual_seed(1)) == 1
    return state.weight


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.25, 0.75)])
def test_weights_stay_within_their_bounds_and_reach_both(bounds):
    weight = revived(bounds, 2.0)
    assert (float(weight[1].min()), float(weight[1].max())) == bounds and (weight[0] == 0.5).all()


def test_the_noise_is_that_of_the_generator():
    drawn = torch.randn((2, 5, 5), generator=torch.Generator().manual_seed(1))
    assert torch.equal(revived((0.0, 1.0), 0.01)[1], 0.5 + drawn * 0.01)
