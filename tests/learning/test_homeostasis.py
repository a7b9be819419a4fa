import torch

from spikeseg.learning import MapHomeostasis
from spikeseg.sections import HomeostasisConfig


def homeostasis(n=3, **changes):
    settings = {"theta_rest": 1.0, "theta_plus": 0.5, "tau_theta": 10.0, "theta_max": 2.0}
    settings |= {"dead_warmup": 5, "dead_threshold": 0.3}
    return MapHomeostasis(n, HomeostasisConfig(**{**settings, **changes}))


def test_a_win_raises_and_every_sample_decays_towards_rest():
    h = homeostasis()
    h.after_sample(torch.tensor([1, 0, 0]))
    assert torch.allclose(h.theta, torch.tensor([1.5 - 0.05, 1.0, 1.0]))
    h.after_sample(torch.tensor([0, 0, 0]))
    assert torch.allclose(h.theta[0], torch.tensor(1.45 - 0.045))


def test_theta_stays_between_rest_and_maximum():
    h = homeostasis()
    for _ in range(100):
        h.after_sample(torch.tensor([3, 0, 1]))
    assert h.theta.tolist() == [2.0, 1.0, 2.0]


def test_disabled_thresholds_stay_zero():
    h = homeostasis(enabled=False)
    h.after_sample(torch.tensor([1, 1, 1]))
    assert h.theta.tolist() == [0.0, 0.0, 0.0]


def test_maps_that_hardly_win_are_dead_after_the_warm_up():
    h = homeostasis()
    for _ in range(4):
        h.after_sample(torch.tensor([1, 0, 0]))
    assert not h.dead().any()
    h.after_sample(torch.tensor([1, 1, 0]))
    assert h.dead().tolist() == [False, True, True]  # 1 of 5 is under 30 %


def test_recovery_shakes_dead_maps_alone_seeded_and_starts_them_anew():
    weights = []
    for _ in range(2):
        h, weight = homeostasis(recovery_boost=0.2), torch.full((3, 2, 3, 3), 0.5)
        for _ in range(6):
            h.after_sample(torch.tensor([1, 1, 0]))
        assert h.recover(weight, (0.0, 1.0), torch.Generator().manual_seed(3)) == 1
        weights.append(weight)
        assert (weight[:2] == 0.5).all() and (weight[2] != 0.5).all() and 0.1 < weight[2].std() < 0.35
        assert h.seen.tolist() == [6, 6, 0] and h.theta[2] == 1.0 and not h.dead().any()
    assert torch.equal(*weights)


def test_recovery_can_be_switched_off():
    h, weight = homeostasis(dead_neuron_recovery=False), torch.full((3, 4), 0.5)
    for _ in range(6):
        h.after_sample(torch.tensor([0, 0, 0]))
    assert h.recover(weight, (0.0, 1.0), torch.Generator()) == 0 and (weight == 0.5).all()


def test_state_goes_round():
    h, other = homeostasis(), homeostasis()
    h.after_sample(torch.tensor([1, 0, 2]))
    other.load_state_dict(h.state_dict())
    h.after_sample(torch.tensor([1, 0, 0]))
    other.after_sample(torch.tensor([1, 0, 0]))
    assert torch.equal(h.theta, other.theta) and torch.equal(h.wins, other.wins)
