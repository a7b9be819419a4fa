"""Norse cells against the plain recurrence, bit for bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.neurons import LeakMode, plain_step, step

MODES = [(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.25), (LeakMode.MULTIPLICATIVE, snap(torch.tensor(0.9)).item())]


def integer_recurrence(current, threshold, mode, leak):
    """The definition in integers of 2**-12: (T, N) in, spikes and potentials out."""
    units, theta, lam = [(v.double() * SCALE).round().long() for v in (current, threshold, torch.tensor(leak))]
    v = torch.zeros_like(units[0])
    spikes, potentials = [], []
    for i in units:
        if mode is LeakMode.MULTIPLICATIVE:
            product = lam * v
            low, rest = product >> 12, product & 4095
            kept = low + ((rest > 2048) | ((rest == 2048) & (low % 2 == 1))).long()
            u = kept + i
        elif mode is LeakMode.SUBTRACTIVE:
            u = (v + i - lam).clamp(min=0)
        else:
            u = v + i
        fired = u >= theta
        v = torch.where(fired, 0, u)
        spikes.append(fired)
        potentials.append(u)
    return torch.stack(spikes), torch.stack(potentials)


def run(current, threshold, mode, leak, step=step):
    v = torch.zeros_like(current[0])
    spikes, potentials = [], []
    for i in current:
        z, u, v = step(i, v, threshold, mode, leak)
        spikes.append(z)
        potentials.append(u)
    return torch.stack(spikes), torch.stack(potentials)


@pytest.mark.parametrize(("mode", "leak"), MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("step", "shape"), [(step, (1,)), (step, (7, 3)), (step, (2, 3, 5, 11)), (plain_step, (2, 3, 5, 11))])
def test_equal_to_the_plain_recurrence(mode, leak, dtype, step, shape):
    g = torch.Generator().manual_seed(3)
    current = snap(torch.randn((12, *shape), generator=g, dtype=dtype))
    threshold = snap(torch.rand(shape, generator=g, dtype=dtype) + 0.5)
    spikes, potentials = run(current, threshold, mode, leak, step)
    want_spikes, want_potentials = integer_recurrence(current, threshold, mode, leak)
    assert torch.equal(spikes.bool(), want_spikes)
    assert torch.equal((potentials.double() * SCALE).long(), want_potentials)
    assert want_spikes.any() and not want_spikes.all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-(2**20), 2**21), min_size=1, max_size=10),
    st.integers(1, 2**22),
    st.sampled_from(MODES),
)
def test_equal_to_the_plain_recurrence_for_any_grid_values(units, theta, how):
    current = torch.tensor(units, dtype=torch.float64).div(SCALE).float()[:, None]
    threshold = torch.tensor([theta / SCALE])
    spikes, potentials = run(current, threshold, *how)
    want_spikes, want_potentials = integer_recurrence(current, threshold, *how)
    assert torch.equal(spikes.bool(), want_spikes)
    if want_potentials.abs().max() < 2**24:
        assert torch.equal((potentials.double() * SCALE).long(), want_potentials)


def test_a_tie_at_the_threshold_fires_and_half_a_step_below_does_not_exist():
    threshold = torch.tensor([2.0, 2.0, 2000.0, 2000.0])
    current = torch.tensor([2.0, 2.0 - 1 / SCALE, 2000.0, 2000.0 - 1 / SCALE])
    spikes, potential, state = step(current, torch.zeros(4), threshold, LeakMode.NONE, 0.0)
    assert spikes.tolist() == [1, 0, 1, 0]
    assert potential.tolist() == current.tolist()
    assert state.tolist() == [0, current[1], 0, current[3]]


@pytest.mark.parametrize(("mode", "leak"), MODES)
def test_silence_stays_silent(mode, leak):
    spikes, potentials = run(torch.zeros(10, 4), torch.ones(4), mode, leak)
    assert not spikes.any() and not potentials.any()


def test_the_subtractive_membrane_has_a_floor_at_rest():
    current = torch.tensor([[-3.0], [0.0], [1.0]])
    _, potentials = run(current, torch.tensor([5.0]), LeakMode.SUBTRACTIVE, 0.25)
    assert potentials[:, 0].tolist() == [0.0, 0.0, 0.75]


def test_nothing_asks_for_gradients_and_nothing_is_changed():
    state, current = torch.zeros(3), torch.ones(3)
    for mode, leak in MODES:
        spikes, potential, after = step(current, state, torch.tensor(2.0), mode, leak)
        assert not (spikes.requires_grad or potential.requires_grad or after.requires_grad)
    assert state.tolist() == [0, 0, 0] and current.tolist() == [1, 1, 1]
