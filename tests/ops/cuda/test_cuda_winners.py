"""Winner-take-all in rounds, in Triton, against the reference, which takes one winner after the other."""

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


def test_what_a_map_has_left_may_strike_what_nothing_else_does(triton_ops, meaning, device):
    """Map 0 strikes the best of map 1, whose next one strikes the best of map 2, which no map's best is near."""
    strength = np.zeros((4, 1, 12), int)
    strength[0, 0, 1], strength[1, 0, 2], strength[1, 0, 8], strength[2, 0, 9], strength[2, 0, 4], strength[3, 0, 11] = 9, 8, 7, 6, 5, 4
    how = {"mode": "both", "radius": 1}
    found = assert_same(triton_ops, meaning, device, (strength == 0).astype(int), strength, 1, **how)
    assert found == [[0, 0, 0, 1], [0, 1, 0, 8], [0, 2, 0, 4], [0, 3, 0, 11]]
    assert assert_same(triton_ops, meaning, device, (strength == 0).astype(int), strength, 1, max_winners=2, **how) == found[:2]


@pytest.mark.parametrize("mode", ["both", "local", "global"])
def test_maps_that_see_the_same_take_turns(triton_ops, meaning, device, mode):
    """More maps are struck at once than are looked at again in a round."""
    first = np.broadcast_to(np.random.default_rng(0).integers(0, 3, (5, 9)), (20, 5, 9))
    found = assert_same(triton_ops, meaning, device, first, np.ones((20, 5, 9)), 2, mode=mode, radius=1, max_winners=7)
    assert [row[1] for row in found] == ([0] * 7 if mode == "local" else list(range(7)))
