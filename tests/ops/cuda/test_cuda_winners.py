"""Winner-take-all in Triton where the order of winners matters, against the reference."""

import numpy as np
import pytest
import torch

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []


def assert_same(triton_ops, meaning, device, first, strength, steps, **how):
    """The same winners in the same order; -> what they are: rows (step, map, row, column)."""
    first, potential = torch.as_tensor(first), torch.as_tensor(strength) / 4
    want = meaning.select_winners(first, potential, steps, **how)
    got = triton_ops.select_winners(first.to(device), potential.to(device), steps, **how)
    assert torch.equal(got.cpu(), want)
    return want.tolist()


def test_what_a_map_has_left_may_strike_a_best_that_no_other_best_is_near(triton_ops, meaning, device):
    """Map 0 strikes the best of map 1, whose next one strikes the best of map 2: bests alone do not tell who wins."""
    strength = np.zeros((4, 1, 12), int)
    for m, x, height in ((0, 1, 9), (1, 2, 8), (1, 8, 7), (2, 9, 6), (2, 4, 5), (3, 11, 4)):
        strength[m, 0, x] = height
    found = assert_same(triton_ops, meaning, device, (strength == 0).astype(int), strength, 1, mode="both", radius=1)
    assert found == [[0, 0, 0, 1], [0, 1, 0, 8], [0, 2, 0, 4], [0, 3, 0, 11]]


@pytest.mark.parametrize("mode", ["both", "local", "global"])
def test_maps_that_see_the_same_take_turns_until_the_limit(triton_ops, meaning, device, mode):
    first = np.broadcast_to(np.random.default_rng(0).integers(0, 3, (5, 9)), (6, 5, 9)).copy()
    found = assert_same(triton_ops, meaning, device, first, np.ones((6, 5, 9)), 2, mode=mode, radius=1, max_winners=3)
    assert [row[1] for row in found] == ([0, 0, 0] if mode == "local" else [0, 1, 2])
    assert len({tuple(row[2:]) for row in found}) == (1 if mode == "global" else 3)
