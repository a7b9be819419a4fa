import pytest
import torch

from spikeseg.learning import STDPConfig, STDPLearner, winners_per_map


@pytest.fixture
def learner():
    return STDPLearner(STDPConfig(lr_plus=0.25, lr_minus=0.125))


def times(shape=(2, 6, 6), seed=0):
    t = torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(seed)).float()
    return torch.where(t < 4, t, torch.inf)


def test_one_winner_of_a_known_map(learner):
    weight, pre = torch.full((3, 2, 3, 3), 0.5), times()
    learner.update_weights_for_winner(weight, pre, post_spike_time=2, winner_y=3, winner_x=2, kernel_size=3, winner_map=1)
    early = pre[:, 2:5, 1:4] <= 2
    assert torch.equal(weight[1], torch.where(early, 0.5 + 0.25 * 0.25, 0.5 - 0.125 * 0.25))
    assert (weight[[0, 2]] == 0.5).all()


def test_all_forms_of_the_call_agree(learner):
    pre, mask = times(), torch.zeros(3, 6, 6, dtype=torch.bool)
    mask[0, 1, 1] = mask[2, 4, 5] = True
    weights = [torch.full((3, 2, 3, 3), 0.6) for _ in range(3)]
    t, y, x = winners_per_map(mask[None], 2)
    learner.update_weights_for_winner(weights[0], pre, t, y, x, 3)
    maps, ys, xs = mask.nonzero(as_tuple=True)
    learner.update_weights_for_winner(weights[1], pre, 2, ys, xs, 3, winner_map=maps)
    for m, row, column in mask.nonzero().tolist():
        learner.update_weights_for_winner(weights[2][m], pre, torch.tensor(2.0), row, column, kernel_size=3)
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])
    assert (weights[0][1] == 0.6).all() and not (weights[0][0] == 0.6).all()


def test_winners_that_never_fired_change_nothing(learner):
    weight = torch.full((3, 2, 3, 3), 0.6)
    learner.update_weights_for_winner(weight, times(), torch.full((3,), torch.inf), torch.zeros(3), torch.zeros(3), 3)
    assert (weight == 0.6).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 5}, "kernel_size is 5, but the weight is"),
        ({"winner_map": None}, "pass winner_map"),
        ({"winner_y": 6}, "outside 3 maps of 6x6"),
        ({"winner_map": 3}, "outside 3 maps of 6x6"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused(learner, change, message):
    call = {"post_spike_time": 1, "winner_y": 2, "winner_x": 2, "kernel_size": 3, "winner_map": 0, **change}
    weight = torch.full((3, 2, 3, 3), 0.6)
    with pytest.raises(ValueError, match=message):
        learner.update_weights_for_winner(weight, times(), **call)
    assert (weight == 0.6).all()


def test_several_winners_of_one_map_need_their_map():
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, 0, 0] = mask[0, 3, 3] = True
    with pytest.raises(ValueError, match="several winners"):
        winners_per_map(mask, 0)


def test_weights_stay_within_their_bounds():
    learner = STDPLearner(STDPConfig(lr_plus=0.9, lr_minus=0.9, use_soft_bounds=False, weight_min=0.2, weight_max=0.7))
    weight = torch.full((1, 2, 3, 3), 0.5)
    learner.update(weight, times(), torch.tensor([[2, 0, 3, 3]]))
    assert torch.equal(weight.unique(), torch.tensor([0.2, 0.7]))


def test_has_converged(learner):
    assert learner.has_converged(torch.tensor([0.0, 1.0, 1.0, 0.001]))
    assert not learner.has_converged(torch.full((4,), 0.5))
    assert learner.has_converged(torch.full((4,), 0.5), threshold=0.3)


@pytest.mark.parametrize(("paper", "rates"), [("igarss2023", (0.04, 0.03)), ("kheradpisheh2018", (0.004, 0.003))])
def test_rates_of_the_papers(paper, rates):
    config = STDPConfig.from_paper(paper)
    assert (config.lr_plus, config.lr_minus) == rates


def test_the_mask_tells_the_map_of_a_single_winner(learner):
    pre, mask = times(), torch.zeros(1, 3, 6, 6, dtype=torch.bool)
    mask[0, 1, 3, 2] = mask[0, 2, 0, 0] = True
    weight, expected = torch.full((3, 2, 3, 3), 0.6), torch.full((3, 2, 3, 3), 0.6)
    learner.update_weights_for_winner(weight, pre, 2, winner_y=3, winner_x=2, kernel_size=3, winner_map=mask)
    learner.update_weights_for_winner(expected, pre, 2, winner_y=3, winner_x=2, kernel_size=3, winner_map=1)
    assert torch.equal(weight, expected) and not torch.equal(weight[1], weight[0])
    mask[0, 0, 3, 2] = True
    for y, x in ((3, 2), (1, 1), (-1, 0)):
        with pytest.raises(ValueError, match="not one winner at each"):
            learner.update_weights_for_winner(weight, pre, 2, winner_y=y, winner_x=x, kernel_size=3, winner_map=mask)
    with pytest.raises(ValueError, match=r"which map won is not told; pass winner_map \(its number, or the winner mask\)"):
        learner.update_weights_for_winner(weight, pre, 2, winner_y=3, winner_x=2, kernel_size=3)


def test_an_update_can_be_looked_at_before_it_is_made(learner):
    weight, pre = learner.initialize_weights((2, 3, 3), seed=1) - 0.3, times((2, 3, 3))
    before = weight.clone()
    change = learner.compute_update(weight, pre, torch.tensor(2.0))
    assert torch.equal(weight, before) and learner.convergence_history == []
    soft = before * (1 - before)
    assert torch.allclose(change, torch.where(pre <= 2, 0.25 * soft, -0.125 * soft), atol=1e-6)
    learner.update_weights_for_winner(weight, pre, 2, winner_y=1, winner_x=1, kernel_size=3)
    assert torch.equal(weight, before + change)
    with pytest.raises(ValueError, match=r"must both be \(C_in, K, K\)"):
        learner.compute_update(weight, pre[:, :2], 2)


def test_the_history_of_c_l(learner):
    weight = learner.initialize_weights((3, 2, 3, 3))
    assert weight.shape == (3, 2, 3, 3) and abs(float(weight.mean()) - 0.8) < 0.01
    assert torch.equal(weight, learner.initialize_weights((3, 2, 3, 3)))
    for step in range(3):
        learner.update_weights_for_winner(weight, times(), step, winner_y=2, winner_x=2, kernel_size=3, winner_map=0)
    assert len(learner.convergence_history) == 3
    assert (
        learner.convergence_history[-1] == learner.get_convergence(weight) == pytest.approx(float((weight * (1 - weight)).mean()))
    )
    assert STDPLearner().config == STDPConfig()
