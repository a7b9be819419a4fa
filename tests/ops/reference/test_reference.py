"""The reference operations against definitions written out neuron by neuron."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.neurons import LeakMode
from spikeseg.ops import backend
from spikeseg.ops import reference as ops
from spikeseg.ops.reference.layers import at_first_spike, currents, first_spike_steps, pooled_size
from spikeseg.ops.types import Plasticity, PlasticityForm


def random_spikes(seed, *shape, density=0.2):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density).float()


def test_backends_are_asked_for_by_name():
    assert backend("reference").__name__ == backend("reference", "cuda").__name__ == "spikeseg.ops.reference"
    assert backend("cpu").__name__ == backend("auto").__name__ == "spikeseg.ops.cpu"
    with pytest.raises(ValueError, match="unknown backend 'gpu'; one of auto, reference, cpu, cuda"):
        backend("gpu")


@pytest.mark.parametrize(("name", "device"), [("cpu", "cuda"), ("cpu", "cuda:1"), ("cuda", "cpu")])
def test_a_backend_is_never_swapped_for_one_that_runs_on_the_device(name, device):
    other = torch.device(device).type
    with pytest.raises(ValueError, match=f"backend '{name}' runs on a {name} device, but the network lies on '{other}'"):
        backend(name, device)


@pytest.mark.parametrize(("height", "width", "kernel"), [(5, 7, 3), (6, 9, 5), (1, 1, 7), (8, 8, 1)])
def test_currents_equal_the_sum_over_spikes_in_integers(height, width, kernel):
    spikes = random_spikes(0, 3, 2, 4, height, width)
    weight = torch.rand(6, 4, kernel, kernel, generator=torch.Generator().manual_seed(1))
    half = kernel // 2
    units = (snap(weight).double() * SCALE).round().long().numpy()
    padded = F.pad(spikes, (half,) * 4).long().numpy()
    want = np.zeros((3, 2, 6, height, width), np.int64)
    for dy in range(kernel):
        for dx in range(kernel):
            seen = padded[..., dy : dy + height, dx : dx + width]
            want += np.einsum("oc,tbchw->tbohw", units[:, :, dy, dx], seen)
    got = currents(spikes, weight)
    assert np.array_equal((got.double() * SCALE).long().numpy(), want)
    assert torch.equal(got.double(), currents(spikes, weight.double()).double())


def test_layer_forward_goes_on_from_its_state():
    spikes = random_spikes(2, 8, 1, 3, 6, 5)
    weight = torch.rand(4, 3, 3, 3)
    threshold = torch.tensor([1.0, 2.0, 3.0, 50.0])
    whole = ops.layer_forward(spikes, weight, threshold, LeakMode.SUBTRACTIVE, 0.125)
    first = ops.layer_forward(spikes[:3], weight, threshold, LeakMode.SUBTRACTIVE, 0.125)
    rest = ops.layer_forward(spikes[3:], weight, threshold, LeakMode.SUBTRACTIVE, 0.125, first.state)
    assert torch.equal(torch.cat((first.spikes, rest.spikes)), whole.spikes)
    assert torch.equal(rest.state, whole.state)
    assert whole.spikes[:, :, 0].any() and not whole.spikes[:, :, 3].any()


def test_first_spike_steps():
    spikes = torch.tensor([[0, 0, 1], [1, 0, 1], [1, 0, 0]]).float()
    first = first_spike_steps(spikes)
    assert first.tolist() == [1, 3, 0]
    values = torch.arange(9.0).reshape(3, 3) + 1
    assert at_first_spike(values, first).tolist() == [4.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("height", "width", "kernel", "stride"), [(4, 6, 2, 2), (5, 7, 2, 2), (7, 5, 3, 2), (1, 1, 2, 2), (6, 6, 3, 3)]
)
def test_pool_keeps_the_strongest_spiking_input_then_the_lowest_index(height, width, kernel, stride):
    spikes = random_spikes(4, 2, 2, 3, height, width, density=0.4)
    potentials = torch.randint(-2, 3, spikes.shape, generator=torch.Generator().manual_seed(5)).float()  # many ties
    got = ops.pool(spikes, potentials, kernel, stride)
    assert got.spikes.shape[-2:] == (pooled_size(height, kernel, stride), pooled_size(width, kernel, stride))
    seen = set()
    for t, b, c, i, j in np.ndindex(*got.spikes.shape):
        best = None
        for y in range(i * stride, min(height, i * stride + kernel)):
            for x in range(j * stride, min(width, j * stride + kernel)):
                seen.add((y, x))
                if spikes[t, b, c, y, x] and (best is None or potentials[t, b, c, y, x] > best[0]):
                    best = (potentials[t, b, c, y, x], y * width + x)
        assert got.spikes[t, b, c, i, j] == (best is not None)
        assert got.indices[t, b, c, i, j] == (-1 if best is None else best[1])
    assert len(seen) == height * width  # no border row or column is lost


def greedy_winners(first, potential, n_steps, mode, radius, limit):
    """Section 7 of the definition, one candidate after the other."""
    candidates = [
        (int(first[c, y, x]), -float(potential[c, y, x]), c, y, x)
        for c, y, x in np.ndindex(*first.shape)
        if first[c, y, x] < n_steps
    ]
    winners = []
    for t, _, c, y, x in sorted(candidates):
        beaten = False
        for _, wc, wy, wx in winners:
            near = max(abs(wy - y), abs(wx - x)) <= radius
            beaten |= (mode in ("global", "both") and wc == c) or (mode in ("local", "both") and near)
        if not beaten and (limit is None or len(winners) < limit):
            winners.append((t, c, y, x))
    return winners


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from(["global", "local", "both"]),
    st.integers(0, 3),
    st.sampled_from([None, 1, 3]),
)
def test_winners_equal_the_greedy_definition(seed, shape, mode, radius, limit):
    g = torch.Generator().manual_seed(seed)
    first = torch.randint(0, 5, shape, generator=g)  # 4 is silence
    potential = torch.randint(1, 4, shape, generator=g).float() / SCALE + 3  # ties, and differences of one grid step
    got = ops.select_winners(first, potential, 4, mode=mode, radius=radius, max_winners=limit)
    assert [tuple(row) for row in got.tolist()] == greedy_winners(first, potential, 4, mode, radius, limit)


def test_no_candidate_no_winner_and_unknown_modes_are_refused():
    silent = torch.full((2, 3, 3), 4)
    assert ops.select_winners(silent, torch.zeros(2, 3, 3), 4, mode="both", radius=1).shape == (0, 4)
    with pytest.raises(ValueError, match="unknown winner-take-all mode 'all'"):
        ops.select_winners(silent, torch.zeros(2, 3, 3), 4, mode="all", radius=1)


@pytest.mark.parametrize("soft", [True, False])
def test_stdp_synapse_by_synapse(soft):
    g = torch.Generator().manual_seed(9)
    weight = torch.rand(3, 2, 3, 3, generator=g)
    pre = torch.randint(0, 6, (2, 5, 4), generator=g)  # 5 is silence
    winners = torch.tensor([[2, 0, 0, 0], [5, 2, 4, 3], [0, 0, 2, 1]])
    want = weight.numpy().copy()
    for t, m, y, x in winners.tolist():
        for c, dy, dx in np.ndindex(2, 3, 3):
            yy, xx = y + dy - 1, x + dx - 1
            inside = 0 <= yy < 5 and 0 <= xx < 4
            early = inside and pre[c, yy, xx] < 5 and pre[c, yy, xx] <= t
            w = want[m, c, dy, dx]
            scale = w * (np.float32(1) - w) if soft else np.float32(1)
            w = w + (np.float32(0.25) if early else np.float32(-0.125)) * scale
            want[m, c, dy, dx] = min(max(w, np.float32(0.1)), np.float32(0.9))
    pre_times = torch.where(pre < 5, pre.float(), torch.inf)
    form = PlasticityForm.MULTIPLICATIVE if soft else PlasticityForm.ADDITIVE
    ops.stdp_update(weight, pre_times, winners, Plasticity(form, 0.25, 0.125, 0.1, 0.9))
    assert np.array_equal(weight.numpy(), want)
    assert np.array_equal(want[1], torch.rand(3, 2, 3, 3, generator=torch.Generator().manual_seed(9)).numpy()[1])


def test_stdp_takes_integer_times_too():
    weight = torch.full((1, 1, 3, 3), 0.5)
    pre = torch.full((1, 3, 3), torch.iinfo(torch.int64).max)
    pre[0, 0, 0] = 1
    ops.stdp_update(weight, pre, torch.tensor([[1, 0, 1, 1]]), Plasticity(PlasticityForm.ADDITIVE, 0.5, 0.25, 0, 1))
    assert weight[0, 0, 0, 0] == 1.0 and (weight.flatten()[1:] == 0.25).all()
