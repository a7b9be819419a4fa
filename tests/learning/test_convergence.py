import pytest
import torch

from spikeseg.config.sections import ConvergenceConfig
from spikeseg.learning import Convergence, convergence_index, near_duplicates


def convergence(wins=(20, 20), **changes):
    return Convergence(ConvergenceConfig(**changes), torch.tensor(wins))


def test_convergence_index_is_the_mean_of_w_times_one_minus_w():
    assert convergence_index(torch.tensor([0.0, 1.0, 0.5, 0.25])) == pytest.approx((0.25 + 0.1875) / 4)


def test_stops_when_the_weights_are_decided():
    assert convergence().check(torch.ones(2, 4)) == "C_l = 0.0000 < 0.01"


def test_stops_when_enough_maps_stand_still():
    weight = torch.full((2, 4), 0.5)
    c = convergence(target_ratio=0.5)
    assert c.check(weight) is None  # nothing to compare with yet
    moved = weight.clone()
    moved[0] += 0.1
    assert "50% of the maps" in c.check(moved)
    assert convergence(wins=(20, 3), target_ratio=1.0).check(weight) is None
    impatient = convergence(wins=(20, 3), target_ratio=1.0)
    impatient.check(weight)
    assert impatient.check(weight) is None  # a map that has won too little does not count as settled


def test_stops_after_epochs_without_progress():
    c = convergence(patience=2)
    better, worse = torch.full((2, 4), 0.7), torch.full((2, 4), 0.5)
    assert c.after_epoch(worse) is None and c.after_epoch(better) is None and c.after_epoch(worse) is None
    assert c.after_epoch(worse) == "no lower C_l than 0.2100 for 2 epochs"


def test_near_duplicates_counts_the_later_of_two_alike_maps():
    weight = torch.eye(4)[[0, 1, 0, 2]].reshape(4, 1, 2, 2)
    assert near_duplicates(weight).tolist() == [False, False, True, False]
