import numpy as np
import pytest
import torch

from spikeseg.core.grid import SCALE, check_range, snap, snap_number


def test_snap_rounds_to_the_nearest_multiple_ties_to_even():
    values = torch.tensor([0.0, 0.4, 0.5, 0.6, 1.5, 2.5, -0.5, -1.5]) / SCALE
    assert (snap(values) * SCALE).tolist() == [0, 0, 0, 1, 2, 2, 0, -2]


def test_snap_number_agrees_with_snap():
    values = torch.rand(1000, dtype=torch.float64) * 20 - 10
    assert [snap_number(v) for v in values.tolist()] == snap(values).tolist()


def test_sums_on_the_grid_do_not_depend_on_the_order():
    weights = snap(torch.rand(4000, generator=torch.Generator().manual_seed(1)))
    exact = np.round(weights.double().numpy() * SCALE).astype(np.int64).sum() / SCALE
    for seed in range(5):
        order = torch.randperm(4000, generator=torch.Generator().manual_seed(seed))
        total = torch.zeros(())
        for w in weights[order]:
            total = total + w
        assert total.item() == exact


def test_a_layer_that_could_leave_the_exact_range_is_refused_with_its_numbers():
    check_range("conv3", fan_in=36 * 49, max_weight=1.0, max_threshold=100.0)
    with pytest.raises(ValueError, match=r"conv3: potentials could reach 4100 .*2000 inputs.*4096"):
        check_range("conv3", fan_in=2000, max_weight=2.0, max_threshold=100.0)
    with pytest.raises(ValueError, match="threshold"):
        check_range("conv2", fan_in=100, max_weight=1.0, max_threshold=2048.0)
