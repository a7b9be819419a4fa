"""What the operations share: thresholds by block, dead maps, thresholds of the competition."""

import pytest
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.ops import reference
from spikeseg.ops.types import BlockThreshold, LearningState, NeuronHomeostasis, Plasticity, PlasticityForm, TrainingRule


def rule(**changes):
    numbers = {
        "mode": LeakMode.NONE, "leak": 0.0, "base": 1.0,
        "plasticity": Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0),
        "wta": "both", "radius": 1, "max_winners": None, "competition": None, "maps": None,
        "dead_recovery": True, "dead_threshold": 0.25, "dead_warmup": 8, "batch_size": 1,
    }  # fmt: skip
    return TrainingRule(**numbers | changes)


def state(maps, recent_wins, seen):
    counts = (torch.zeros(maps, dtype=torch.int64), torch.tensor(recent_wins), torch.tensor(seen))
    return LearningState(torch.zeros(maps, 1, 3, 3), torch.ones(maps), torch.zeros(maps), *counts)


def test_a_state_begins_with_no_win_where_the_weight_lies():
    weight, threshold = torch.ones(3, 1, 3, 3), torch.full((3,), 2.0)
    s = LearningState.fresh(weight, threshold, 0.5)
    assert s.weight is weight and s.threshold is threshold and s.competition is None
    assert s.theta.tolist() == [0.5] * 3 and s.theta.dtype == torch.float32
    assert all(counts.tolist() == [0, 0, 0] and counts.dtype == torch.int64 for counts in (s.wins, s.recent_wins, s.seen))
    elsewhere = LearningState.fresh(weight.to("meta"), threshold.to("meta"))
    elsewhere.competing(rule(competition=NeuronHomeostasis(0.1, 0.05, 1.5, 9.0)), (3, 4))
    assert {part.device.type for part in vars(elsewhere).values()} == {"meta"}
    assert {part.device.type for part in vars(s.to("meta")).values() if part is not None} == {"meta"}


@pytest.mark.parametrize("name", ["threshold", "theta", "wins", "recent_wins", "seen", "competition"])
def test_nothing_of_a_state_may_lie_elsewhere_than_the_weight(name):
    """Instead of being moved there, or back, at every sample."""
    s = LearningState.fresh(torch.ones(3, 1, 3, 3), torch.ones(3))
    s.check_device()
    setattr(s, name, torch.zeros(3, device="meta"))
    with pytest.raises(ValueError, match=f"{name} lies on meta, but the weight on cpu"):
        s.check_device()
    with pytest.raises(ValueError, match=f"{name} lies on meta"):
        reference.Training(s, rule())


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (6, 4), (2, 9)])
@pytest.mark.parametrize("block", [1, 2, 4])
def test_a_threshold_by_block_is_that_of_the_block_around_each_pixel(size, block):
    shape = (2, 3, -(-size[0] // block), -(-size[1] // block))
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    full = BlockThreshold(values, block).expand(size)
    assert full.shape == (2, 3, *size)
    for y in range(size[0]):
        for x in range(size[1]):
            assert torch.equal(full[..., y, x], values[..., y // block, x // block])


def test_a_map_is_dead_past_its_warm_up_and_under_its_share():
    s = state(5, recent_wins=[0, 0, 2, 1, 3], seen=[7, 8, 8, 8, 12])
    assert s.dead(rule()).tolist() == [False, True, False, True, False]  # a quarter of 8, and of 12, is not under a quarter


def test_thresholds_of_the_competition_start_at_their_lowest_and_stay():
    how = rule(competition=NeuronHomeostasis(0.1, 0.05, 1.5, 9.0))
    s = state(2, [0, 0], [0, 0])
    first = s.competing(how, (3, 4))
    assert first.shape == (2, 3, 4) and (first == 1.5).all() and s.competition is first
    first += 1
    assert s.competing(how, (3, 4)) is first
    with pytest.raises(ValueError, match=r"\(2, 3, 4\), but this sample gives \(2, 4, 3\)"):
        s.competing(how, (4, 3))
    assert state(2, [0, 0], [0, 0]).competing(rule(), (3, 4)) is None
