"""The Triton kernels against the reference, bit for bit: on a GPU, or on tiny shapes under Triton's interpreter."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.neurons import LeakMode
from spikeseg.ops.types import BlockThreshold, Layer, Plasticity, PlasticityForm

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []
LEAKS = [(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.125), (LeakMode.MULTIPLICATIVE, 3001 / 4096)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_spikes(seed, *shape, density=0.25):
    return (torch.rand(shape, generator=seeded(seed)) < density).float()


def same(got, want):
    """Whether all tensors are equal, wherever they lie."""
    return all(torch.equal(g.cpu(), w) for g, w in zip(got, want, strict=True))


@pytest.mark.parametrize(("mode", "leak"), LEAKS)
@pytest.mark.parametrize(
    ("height", "width", "kernel", "channels", "maps"), [(5, 7, 3, 2, 5), (1, 1, 5, 1, 9), (9, 6, 1, 3, 17), (3, 4, 17, 1, 2)]
)
def test_layers_run_as_in_the_reference(triton_ops, meaning, device, mode, leak, height, width, kernel, channels, maps):
    spikes = random_spikes(kernel, 4, 2, channels, height, width)
    weight = torch.randn(maps, channels, kernel, kernel, generator=seeded(1))  # negative ones too
    threshold = torch.rand(maps, generator=seeded(2)) * 2
    got = triton_ops.layer_forward(spikes.to(device), weight.to(device), threshold.to(device), mode, leak)
    assert same(got, meaning.layer_forward(spikes, weight, threshold, mode, leak))
    assert 0 < got.spikes.sum() < got.spikes.numel()


@pytest.mark.parametrize(("mode", "leak"), LEAKS)
def test_layers_go_on_from_a_state_under_thresholds_that_differ_by_position(triton_ops, meaning, device, mode, leak):
    counts = torch.randint(0, 400, (3, 2, 2, 4, 5), generator=seeded(0)).float()  # beyond a byte
    weight = (torch.rand(3, 2, 3, 3, generator=seeded(1)) - 0.4) * 0.25
    threshold = torch.rand(2, 3, 4, 5, generator=seeded(2)) * 300
    state = snap(torch.rand(2, 3, 4, 5, generator=seeded(3)) * 300 - 100)
    before = state.clone()
    got = triton_ops.layer_forward(
        counts.to(device), weight.to(device), threshold.to(device), mode, leak, state.to(device)
    )  # fmt: skip
    assert same(got, meaning.layer_forward(counts, weight, threshold, mode, leak, state))
    assert torch.equal(state, before)


@pytest.mark.parametrize("threshold", [0.0, 1 / SCALE, 1500.0])
@pytest.mark.parametrize("density", [0.0, 1.0])
def test_saturation_silence_and_heavy_weights(triton_ops, meaning, device, threshold, density):
    spikes = torch.full((3, 1, 2, 3, 5), density)
    weight = torch.rand(2, 2, 3, 3, generator=seeded(1)) * 60 - 10  # more than two parts of 7 bits hold
    theta = torch.full((2,), threshold)
    for mode, leak in LEAKS:
        got = triton_ops.layer_forward(spikes.to(device), weight.to(device), theta.to(device), mode, leak)
        assert same(got, meaning.layer_forward(spikes, weight, theta, mode, leak))
        assert threshold > 0 or density > 0 or got.spikes.all()


def test_rounding_of_ties_is_half_to_even(triton_ops, meaning, device):
    ties = (torch.arange(-6, 7) + 0.5) / SCALE
    spikes = torch.ones(1, 1, 1, 1, 1)
    weight = ties.reshape(-1, 1, 1, 1).float()
    got = triton_ops.layer_forward(spikes.to(device), weight.to(device), torch.ones(13, device=device), LeakMode.NONE, 0.0)
    assert [round(u * SCALE) for u in got.potentials.flatten().tolist()] == [-6, -4, -4, -2, -2, 0, 0, 2, 2, 4, 4, 6, 6]
    state = (torch.arange(-9, 10) / SCALE).reshape(1, -1, 1, 1)  # halves of odd units are ties
    quiet = torch.zeros(1, 1, 1, 1, 1), torch.zeros(19, 1, 1, 1), torch.ones(19), LeakMode.MULTIPLICATIVE, 0.5
    got = triton_ops.layer_forward(*(x.to(device) for x in quiet[:3]), *quiet[3:], state.to(device))
    assert same(got, meaning.layer_forward(*quiet, state))


def test_a_leak_off_the_grid_is_refused(triton_ops, device):
    args = torch.zeros(1, 1, 1, 2, 2, device=device), torch.zeros(1, 1, 1, 1, device=device), torch.ones(1, device=device)
    with pytest.raises(ValueError, match=r"leak 0\.1 is not a multiple"):
        triton_ops.layer_forward(*args, LeakMode.SUBTRACTIVE, 0.1)


@pytest.mark.parametrize(
    ("height", "width", "kernel", "stride"), [(5, 7, 2, 2), (1, 1, 2, 2), (9, 6, 3, 2), (4, 5, 3, 1), (17, 3, 1, 1)]
)
def test_pools_keep_the_strongest_then_the_first(triton_ops, meaning, device, height, width, kernel, stride):
    spikes = random_spikes(3, 2, 2, 3, height, width, density=0.4)
    potentials = torch.randint(-2, 3, spikes.shape, generator=seeded(4)).float()  # many ties, negative ones too
    got = triton_ops.pool(spikes.to(device), potentials.to(device), kernel, stride)
    assert same(got, meaning.pool(spikes, potentials, kernel, stride))


@pytest.mark.parametrize("mode", ["global", "local", "both"])
@pytest.mark.parametrize(("shape", "radius"), [((4, 5, 7), 1), ((3, 11, 18), 3), ((1, 1, 1), 0), ((17, 9, 2), 0)])
@pytest.mark.parametrize("most", [None, 2])
def test_the_same_winners_in_the_same_order(triton_ops, meaning, device, mode, shape, radius, most):
    first = torch.randint(0, 4, shape, generator=seeded(5))
    potential = torch.randint(-3, 3, shape, generator=seeded(6)).float()  # ties in step and potential
    got = triton_ops.select_winners(first.to(device), potential.to(device), 3, mode=mode, radius=radius, max_winners=most)
    want = meaning.select_winners(first, potential, 3, mode=mode, radius=radius, max_winners=most)
    assert torch.equal(got.cpu(), want)
    silent = torch.full(shape, 3, device=device)
    assert triton_ops.select_winners(silent, potential.to(device), 3, mode=mode, radius=radius).shape == (0, 4)


def test_winners_of_an_unknown_mode_and_of_too_many_steps_are_refused(triton_ops, device):
    first = torch.zeros(1, 1, 1, dtype=torch.int64, device=device)
    with pytest.raises(ValueError, match="unknown winner-take-all mode 'none'; one of global, local, both"):
        triton_ops.select_winners(first, first.float(), 2, mode="none", radius=1)
    with pytest.raises(ValueError, match="513 steps of 1 neurons"):
        triton_ops.select_winners(first, first.float(), 513, mode="both", radius=1)


@pytest.mark.parametrize("form", [PlasticityForm.MULTIPLICATIVE, PlasticityForm.ADDITIVE])
@pytest.mark.parametrize("late", ["inf", "steps"])
def test_stdp_gives_the_same_weights(triton_ops, meaning, device, form, late):
    first = torch.randint(0, 5, (2, 4, 5), generator=seeded(7))
    if late == "inf":
        first = torch.where(first == 4, torch.inf, first.float())
    winners = torch.tensor([[1, 0, 0, 0], [3, 2, 3, 4], [2, 0, 1, 2], [0, 0, 3, 0], [3, 0, 2, 2]])  # borders; one map often
    rule = Plasticity(form, 0.04, 0.03, 0.1, 0.97)
    weight = torch.rand(3, 2, 3, 3, generator=seeded(8))
    got = weight.to(device, copy=True)
    triton_ops.stdp_update(got, first.to(device), winners.to(device), rule)
    want = weight.clone()
    meaning.stdp_update(want, first, winners, rule)
    assert torch.equal(got.cpu(), want)
    assert not torch.equal(want[0], weight[0]) and torch.equal(want[1], weight[1])


def test_stdp_by_a_custom_rule(triton_ops, meaning, device):
    def update(weights, early):
        return torch.where(early, weights * 0.5 + 0.5, weights * 0.25)

    rule = Plasticity(PlasticityForm.CUSTOM, 0.0, 0.0, 0.1, 0.9, update)
    first = torch.randint(0, 5, (2, 4, 5), generator=seeded(7))
    winners = torch.tensor([[1, 0, 0, 0], [3, 2, 3, 4], [2, 0, 1, 2]])
    weight = torch.rand(3, 2, 3, 3, generator=seeded(8))
    got, want = weight.to(device, copy=True), weight.clone()
    triton_ops.stdp_update(got, first.to(device), winners.to(device), rule)
    meaning.stdp_update(want, first, winners, rule)
    assert torch.equal(got.cpu(), want) and not torch.equal(want[2], weight[2]) and torch.equal(want[1], weight[1])


def test_stdp_of_no_winner_changes_nothing_and_of_doubles_is_refused(triton_ops, device):
    rule = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0)
    weight, first = torch.rand(1, 1, 3, 3).to(device), torch.zeros(1, 3, 3, dtype=torch.int64, device=device)
    before = weight.clone()
    triton_ops.stdp_update(weight, first, torch.zeros(0, 4, dtype=torch.int64, device=device), rule)
    assert torch.equal(weight, before)
    with pytest.raises(ValueError, match="float32"):
        triton_ops.stdp_update(weight.double(), first, torch.zeros(1, 4, dtype=torch.int64, device=device), rule)


def chain(device, pools):
    """Layers of 2 -> 3 -> 17 -> 2 maps, one per leak."""
    sizes = [(3, 2, 5), (17, 3, 3), (2, 17, 3)]
    layers = []
    for i, ((out, channels, kernel), (mode, leak), pool) in enumerate(zip(sizes, LEAKS, pools, strict=True)):
        weight = torch.rand(out, channels, kernel, kernel, generator=seeded(i)) - 0.2
        layers.append(Layer(weight.to(device), torch.linspace(0.8, 1.6, out).to(device), mode, leak, pool))
    return layers


def check_chain(triton_ops, meaning, device, frames, pools, thresholds=None):
    there = thresholds and BlockThreshold(thresholds.values.to(device), thresholds.block)
    got = triton_ops.encode(frames, chain(device, pools), there)
    want = meaning.encode(frames, chain(torch.device("cpu"), pools), thresholds)
    for g, w in zip(got, want, strict=True):
        assert g.lists.shape == w.lists.shape
        for a, b in ((g.lists.offsets, w.lists.offsets), (g.lists.sites, w.lists.sites), (g.kept, w.kept)):
            assert (a is None) == (b is None)
            assert a is None or (a.dtype == b.dtype and np.array_equal(a, b))
    return want


@pytest.mark.parametrize("pools", [((2, 2), (2, 2), None), ((3, 2), None, (3, 1))])
def test_chains_say_the_same(triton_ops, meaning, device, pools):
    frames = (np.random.default_rng(0).random((3, 4, 2, 9, 7)) < 0.3).astype(np.uint8)
    frames[1] = 0
    found = check_chain(triton_ops, meaning, device, frames, pools)
    assert all(len(layer.lists.sites) for layer in found)


@pytest.mark.parametrize("peak", [3, 200, 60_000])
def test_chains_take_counts_and_thresholds_by_block(triton_ops, meaning, device, monkeypatch, peak):
    from spikeseg.ops.cuda import chain as cuda_chain

    monkeypatch.setattr(cuda_chain, "ROOM", 1)  # a group for every sample
    rng = np.random.default_rng(1)
    frames = (rng.integers(0, peak + 1, (2, 3, 2, 5, 6)) * (rng.random((2, 3, 2, 5, 6)) < 0.02)).astype(np.uint16)
    frames[0, 0, 0, 2, 2] = peak
    values = snap(torch.rand(2, 3, 2, 2, generator=seeded(9)) * min(peak, 50))
    check_chain(triton_ops, meaning, device, frames, ((2, 2), None, None), BlockThreshold(values, 4))


def test_chains_of_no_sample_of_many_steps_and_of_wide_pools(triton_ops, meaning, device):
    nothing = triton_ops.encode(np.zeros((0, 3, 2, 5, 6), np.uint8), chain(device, ((2, 2), None, None)))
    assert [(found.lists.samples, len(found.lists.sites)) for found in nothing] == [(0, 0)] * 3
    assert [found.lists.shape for found in nothing] == [(3, 3, 3, 3), (3, 17, 3, 3), (3, 2, 3, 3)]
    frames = (np.random.default_rng(2).random((1, 32, 2, 1, 3)) < 0.2).astype(np.uint8)  # the last step is a word's sign
    frames[0, 31] = 1
    check_chain(triton_ops, meaning, device, frames, (None, None, None))
    with pytest.raises(ValueError, match="samples of 33 steps"):
        triton_ops.encode(np.zeros((1, 33, 2, 1, 3), np.uint8), chain(device, (None, None, None)))
    with pytest.raises(ValueError, match="a pool over 9 x 9"):
        triton_ops.encode(frames, chain(device, ((9, 9), None, None)))


def test_without_triton_the_backend_says_what_is_missing():
    code = """if True:
        import sys
        sys.modules["triton"] = None
        from spikeseg.ops import backend
        backend("reference")
        try:
            backend("cuda", "cuda")
        except ImportError as error:
            print(error)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("the cuda backend needs triton") and done.stdout.count("\n") == 1
