"""The weighted median."""

import numpy as np
import pytest

from spikeseg.core.median import weighted_median


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_weight_lies_up_to_it(seed):
    """Weights that are whole numbers: the lower median of values that come so often."""
    rng = np.random.default_rng(seed)
    values, weight = rng.normal(size=9), rng.integers(0, 4, 9)
    weight[0] += 1
    often = np.sort(np.repeat(values, weight))
    assert weighted_median(values, weight) == often[(len(often) - 1) // 2]


def test_one_value_is_its_own():
    assert weighted_median(np.array([3.5]), np.array([0.1])) == 3.5
