import pytest
import torch

from spikeseg.config.sections import HomeostasisConfig, STDPConfig, WTAConfig
from spikeseg.learning.homeostasis import homeostasis_of_maps, homeostasis_of_neurons, recover_dead_maps
from spikeseg.learning.rules import plasticity
from spikeseg.ops.reference.training import map_homeostasis
from spikeseg.ops.types import LearningState, MapHomeostasis, NeuronHomeostasis, TrainingRule

RULE = MapHomeostasis(rest=1.0, plus=0.5, tau=10.0, top=2.0)


def after(theta, *samples):
    theta = torch.tensor(theta)
    for won in samples:
        map_homeostasis(theta, torch.tensor(won), RULE)
    return theta


def test_a_win_raises_and_every_sample_decays_towards_rest():
    assert torch.allclose(after([1.0, 1.0, 1.0], [1, 0, 0]), torch.tensor([1.5 - 0.05, 1.0, 1.0]))
    assert torch.allclose(after([1.45, 1.0], [0, 0])[0], torch.tensor(1.45 - 0.045))


def test_theta_stays_between_rest_and_maximum():
    assert after([1.0, 1.0, 1.0], *[[3, 0, 1]] * 100).tolist() == [2.0, 1.0, 2.0]


def test_the_sections_in_numbers():
    assert homeostasis_of_maps(HomeostasisConfig(enabled=False)) is None
    section = HomeostasisConfig(theta_rest=1.0, theta_plus=0.5, tau_theta=10.0, theta_max=2.0)
    assert homeostasis_of_maps(section) == RULE
    assert homeostasis_of_neurons(WTAConfig(enable_homeostasis=False)) is None
    neurons = WTAConfig(enable_homeostasis=True, target_rate=0.2, homeostasis_lr=0.5, threshold_min=1.0, threshold_max=3.0)
    assert homeostasis_of_neurons(neurons) == NeuronHomeostasis(target_rate=0.2, lr=0.5, low=1.0, high=3.0)


def rule(**changes):
    numbers = dict.fromkeys(TrainingRule._fields, 0.0) | {"maps": RULE, "plasticity": plasticity(STDPConfig())}
    return TrainingRule(**numbers | {"dead_recovery": True, "dead_threshold": 0.3, "dead_warmup": 5} | changes)


def state(wins, seen):
    weight, theta = torch.full((len(wins), 2, 3, 3), 0.5), torch.full((len(wins),), 1.5)
    counts = [torch.tensor(wins), torch.tensor(wins), torch.tensor(seen)]
    return LearningState(weight, theta.clone(), theta, *counts)


@pytest.mark.parametrize(("seen", "dead"), [(4, [False] * 3), (5, [False, True, True])])
def test_maps_that_hardly_win_are_dead_after_the_warm_up(seen, dead):
    assert state([4, 1, 0], [seen] * 3).dead(rule()).tolist() == dead  # 1 of 5 is under 30 %


def test_recovery_adds_seeded_noise_to_dead_maps_alone_and_resets_their_counts():
    weights = []
    for _ in range(2):
        s = state([6, 6, 0], [6, 6, 6])
        assert recover_dead_maps(s, rule(), 0.2, torch.Generator().manual_seed(3)) == 1
        weights.append(s.weight)
        assert (s.weight[:2] == 0.5).all() and (s.weight[2] != 0.5).all() and 0.1 < s.weight[2].std() < 0.35
        assert s.seen.tolist() == [6, 6, 0] and s.theta.tolist() == [1.5, 1.5, 1.0] and not s.dead(rule()).any()
        assert s.wins.tolist() == [6, 6, 0]
    assert torch.equal(*weights)


def test_recovery_can_be_switched_off():
    s = state([0, 0], [6, 6])
    assert recover_dead_maps(s, rule(dead_recovery=False), 0.2, torch.Generator()) == 0 and (s.weight == 0.5).all()
