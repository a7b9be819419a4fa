"""Interpolation in compiled loops, against numpy's."""

import numpy as np
import pytest

from spikeseg.core.compiled import compiled
from spikeseg.core.interpolation_kernels import knot_before, linear


@compiled()
def follow(t, times, values, out):
    knot = 0
    for i in range(len(t)):
        knot = knot_before(t[i], times, knot)
        out[i] = linear(t[i], times, values, knot)


@pytest.mark.parametrize("knots", [1, 2, 40])
def test_as_numpy_has_it_to_the_last_bit_at_knots_between_them_and_beyond(knots):
    rng = np.random.default_rng(knots)
    times = np.sort(rng.choice(rng.uniform(0, 9, 30), knots))  # some of them twice
    t, values, found = np.sort(np.concatenate([rng.uniform(-1, 10, 200), times])), rng.normal(size=knots), np.empty(200 + knots)
    follow(t, times, values, found)
    assert np.array_equal(found, np.interp(t, times, values))
