"""Learning: reference, the CPU's kernels and the oracle agree bit for bit. (The CUDA kernels: test_cuda_training.py.)"""

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the cpu backend needs numba")
pytest.importorskip("hypothesis")

import oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st
from training_cases import MEMBRANES, assert_equal, learned, rule, spikes, state

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import cpu, reference
from spikeseg.ops.cpu import memory as cpu_memory
from spikeseg.ops.types import (
    WTA_MODES,
    MapHomeostasis,
    NeuronHomeostasis,
    Plasticity,
    PlasticityForm,
)


def soft_bound(stdp):
    """A custom rule that is the multiplicative one, and changes neither of its arguments."""

    def update(weights, early):
        rate = torch.where(early, stdp.lr_plus, -stdp.lr_minus).to(weights.dtype)
        return weights + rate * (weights * (1 - weights))

    return stdp._replace(form=PlasticityForm.CUSTOM, update=update)


shapes = st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 9), st.integers(1, 10))
rules = st.builds(
    lambda membrane, **changes: rule(mode=membrane[0], leak=membrane[1], **changes),
    st.sampled_from(MEMBRANES),
    base=st.sampled_from([0.0, 0.5, 2.0, 6.0]),
    form=st.sampled_from([PlasticityForm.MULTIPLICATIVE, PlasticityForm.ADDITIVE]),
    wta=st.sampled_from(WTA_MODES),
    radius=st.integers(0, 3),
    max_winners=st.sampled_from([None, None, 1, 3]),
    competition=st.sampled_from([None, NeuronHomeostasis(0.1, 0.05, 1.0, 9.0), NeuronHomeostasis(0.1, 0.5, 1.0, 1.25)]),
    maps=st.sampled_from([None, MapHomeostasis(0.5, 0.1, 50.0, 20.0), MapHomeostasis(0.1, 0.3, 7.0, 0.5)]),
    dead_recovery=st.booleans(),
    batch_size=st.sampled_from([1, 1, 3]),
    weight_min=st.sampled_from([0.0, -0.5]),
    weight_max=st.sampled_from([1.0, 1.25]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(shape=shapes, maps=st.integers(1, 6), kernel=st.sampled_from([1, 3, 5]), how=rules, ties=st.booleans(),
       density=st.sampled_from([0.0, 0.02, 0.1, 0.4, 1.0]), tile=st.sampled_from([1, 6, 256]),
       seed=st.integers(0, 9))  # fmt: skip
@example(shape=(40, 1, 2, 6), maps=2, kernel=3, how=rule(leak=1 / 64), ties=False, density=0.01, tile=1, seed=3)
def test_cpu_equals_reference(shape, maps, kernel, how, ties, density, tile, seed):
    lists, order = SpikeLists.of(spikes(12, shape, density, seed)), np.random.default_rng(seed).permutation(12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_memory, "TILE", tile)
        patch.setattr(cpu_memory, "SPARSE", 0.25 if seed % 2 else 1e9)
        results = [
            learned(backend, state(shape[1], maps, kernel, how, how.plasticity.weight_min < 0, ties), how, lists, order)
            for backend in (reference, cpu)
        ]
    assert_equal(*results)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(shape=st.tuples(st.integers(1, 5), st.integers(1, 2), st.integers(1, 4), st.integers(1, 5)), maps=st.integers(1, 3),
       kernel=st.sampled_from([1, 3]), how=rules, ties=st.booleans(), density=st.sampled_from([0.1, 0.4, 1.0]))  # fmt: skip
def test_both_equal_the_oracle(shape, maps, kernel, how, ties, density):
    how = how._replace(dead_recovery=False, batch_size=1)
    dense = spikes(3, shape, density)
    start = state(shape[1], maps, kernel, how, how.plasticity.weight_min < 0, ties)
    weight, threshold, theta, wins, competing = oracle.train(dense, start.weight.numpy(), how, start.theta.numpy())
    for backend in (reference, cpu):
        s = state(shape[1], maps, kernel, how, how.plasticity.weight_min < 0, ties)
        got = learned(backend, s, how, SpikeLists.of(dense), np.arange(3))
        for name, want in (("weight", weight), ("threshold", threshold), ("theta", theta), ("wins", wins)):
            assert np.array_equal(got[name].numpy(), want), (backend.__name__, name)
        assert competing is None or np.array_equal(got["competition"].numpy(), competing)


@pytest.mark.parametrize("wta", WTA_MODES)
@pytest.mark.parametrize(("mode", "leak"), MEMBRANES)
def test_weights_and_thresholds_after_two_hundred_samples(mode, leak, wta):
    how = rule(mode=mode, leak=leak, wta=wta, base=1.5, maps=MapHomeostasis(1.0, 0.05, 100.0, 30.0), dead_recovery=True)
    lists = SpikeLists.of(spikes(60, (8, 3, 11, 13), 0.08))
    order = np.random.default_rng(1).integers(0, 60, 200)
    results = [learned(backend, state(3, 7, 5, how), how, lists, order) for backend in (reference, cpu)]
    assert_equal(*results)
    assert results[0]["wins"].sum() > 200 and not torch.equal(results[0]["weight"], state(3, 7, 5, how).weight)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=st.tuples(st.sampled_from([8, 40]), st.integers(1, 2), st.integers(1, 3), st.integers(2, 20)),
       maps=st.integers(1, 3),
       membrane=st.sampled_from([(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.25), (LeakMode.SUBTRACTIVE, 1 / 64)]),
       base=st.integers(1, 8), wta=st.sampled_from(WTA_MODES), density=st.sampled_from([0.01, 0.03]), negative=st.booleans(),
       competition=st.sampled_from([None, NeuronHomeostasis(0.5, 1.0, 1.0, 1.25)]), plus=st.sampled_from([0.25, 0.5]),
       tile=st.sampled_from([1, 256]), seed=st.integers(0, 9))  # fmt: skip
def test_rare_spikes_that_just_reach_the_threshold_and_saturated_weights(
    shape, maps, membrane, base, wta, density, negative, competition, plus, tile, seed
):
    how = rule(mode=membrane[0], leak=membrane[1], base=base / 4, wta=wta, maps=None, form=PlasticityForm.ADDITIVE, lr_plus=plus,
               lr_minus=0.25, weight_min=-0.5 if negative else 0.0, competition=competition)  # fmt: skip
    dense = spikes(8, shape, density, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_memory, "TILE", tile)
        slow, fast = (
            learned(backend, state(shape[1], maps, 3, how, negative, ties=True), how, SpikeLists.of(dense), np.arange(8))
            for backend in (reference, cpu)
        )
    assert_equal(slow, fast)
    assert torch.equal(fast["weight"] * 4, (fast["weight"] * 4).round())  # still quarters, as thresholds and leaks are
    if shape[0] == 8:
        start = state(shape[1], maps, 3, how, negative, ties=True)
        weight, _, _, wins, competing = oracle.train(dense[:3], start.weight.numpy(), how, start.theta.numpy())
        first = learned(cpu, start, how, SpikeLists.of(dense[:3]), np.arange(3))
        assert np.array_equal(first["weight"].numpy(), weight) and np.array_equal(first["wins"].numpy(), wins)
        assert competing is None or np.array_equal(first["competition"].numpy(), competing)


@pytest.mark.parametrize(("mode", "leak"), MEMBRANES)
def test_layers_run_in_float64_teach_the_same_in_two_hundred_samples(monkeypatch, mode, leak):
    how = rule(mode=mode, leak=leak, base=1.5, maps=MapHomeostasis(1.0, 0.05, 100.0, 30.0), dead_recovery=True, batch_size=3,
               competition=NeuronHomeostasis(0.1, 0.05, 1.0, 9.0))  # fmt: skip
    lists = SpikeLists.of(spikes(60, (8, 2, 9, 11), 0.08))
    order = np.random.default_rng(1).integers(0, 60, 200)
    fast = learned(cpu, state(2, 5, 3, how), how, lists, order)
    single, kinds = reference.layer_forward, set()

    def double(now, weight, threshold, *membrane):
        run = single(now.double(), weight.double(), threshold.double(), *membrane)
        kinds.add(run.potentials.dtype)
        return run

    monkeypatch.setattr("spikeseg.ops.reference.training.layer_forward", double)
    assert_equal(learned(reference, state(2, 5, 3, how), how, lists, order), fast)
    assert kinds == {torch.float64} and fast["wins"].sum() > 200


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=shapes, maps=st.integers(1, 5), kernel=st.sampled_from([1, 3]), how=rules, density=st.sampled_from([0.02, 0.1, 0.4]),
       seed=st.integers(0, 9))  # fmt: skip
def test_a_custom_rule_of_soft_bounds_learns_what_the_built_in_one_does(shape, maps, kernel, how, density, seed):
    how = how._replace(plasticity=how.plasticity._replace(form=PlasticityForm.MULTIPLICATIVE))
    custom = how._replace(plasticity=soft_bound(how.plasticity))
    lists, order = SpikeLists.of(spikes(8, shape, density, seed)), np.random.default_rng(seed).integers(0, 8, 14)
    built_in, *others = [
        learned(backend, state(shape[1], maps, kernel, how, how.plasticity.weight_min < 0), used, lists, order)
        for backend, used in ((cpu, how), (cpu, custom), (reference, custom))
    ]
    for other in others:
        assert_equal(built_in, other)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("backend", [reference, cpu])
def test_a_custom_rule_sees_every_winner_and_its_early_inputs(backend, batch_size):
    calls = []

    def halve(weights, early):
        calls.append((weights.clone(), early.clone()))
        return weights / 2 - 0.1 * early

    how = rule(form=PlasticityForm.CUSTOM, update=halve, weight_min=0.2, base=0.5, batch_size=batch_size)
    s = state(2, 4, 3, how)
    before = s.weight.clone()
    lists = SpikeLists.of(spikes(10, (6, 2, 7, 9), 0.1))
    assert backend.Training(s, how).run(lists, np.arange(10)) == 10
    assert len(calls) == int(s.wins.sum()) > 10
    assert all(early.dtype == torch.bool and early.shape == weights.shape == (2, 3, 3) for weights, early in calls)
    assert any(early.any() and not early.all() for _, early in calls)
    assert torch.equal(calls[0][0], before[[torch.equal(calls[0][0], kernel) for kernel in before].index(True)])
    assert s.weight.min() == np.float32(0.2) and (s.wins > 0).all()


@pytest.mark.parametrize("backend", [reference, cpu])
def test_a_custom_rule_without_its_function_is_refused(backend):
    how = rule(form=PlasticityForm.CUSTOM, base=0.5)
    with pytest.raises(ValueError, match=r"needs Plasticity.update"):
        backend.Training(state(2, 4, 3, how), how).run(SpikeLists.of(spikes(1, (6, 2, 7, 9), 0.3)), np.arange(1))


@pytest.mark.parametrize("backend", [reference, cpu])
def test_stdp_by_a_custom_rule_of_soft_bounds_is_that_of_the_built_in_one(backend):
    g = torch.Generator().manual_seed(3)
    weight, pre = torch.rand(3, 2, 5, 5, generator=g), torch.randint(0, 6, (2, 6, 7), generator=g)
    winners = torch.tensor([[1, 0, 0, 0], [2, 2, 5, 6], [4, 0, 3, 3]])
    stdp = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.3, 0.2, 0.1, 0.9)
    built_in, custom = weight.clone(), weight.clone()
    backend.stdp_update(built_in, pre, winners, stdp)
    backend.stdp_update(custom, pre, winners, soft_bound(stdp))
    assert torch.equal(built_in, custom) and not torch.equal(built_in, weight)


@pytest.mark.parametrize("backend", [reference, cpu])
def test_pieces_give_what_one_call_gives(backend):
    how = rule(competition=NeuronHomeostasis(0.1, 0.05, 1.0, 9.0))
    lists, order = SpikeLists.of(spikes(30, (6, 2, 7, 9), 0.1)), np.arange(30)
    whole = learned(backend, state(2, 4, 3, how), how, lists, order, piece=30)
    for piece in (1, 7):
        assert_equal(whole, learned(backend, state(2, 4, 3, how), how, lists, order, piece=piece))


def test_a_batch_ends_with_its_call():
    how = rule(batch_size=3)
    lists, order = SpikeLists.of(spikes(20, (6, 2, 7, 9), 0.1)), np.arange(20)
    whole, *cut = [
        learned(backend, state(2, 4, 3, how), how, lists, order, piece=piece)
        for backend, piece in ((reference, 20), (reference, 4), (cpu, 4))
    ]
    assert_equal(*cut)
    assert not torch.equal(whole["weight"], cut[0]["weight"])


def test_samples_of_two_sizes_in_turn():
    how, results = rule(), []
    both = [SpikeLists.of(spikes(10, shape, 0.1)) for shape in ((5, 2, 7, 9), (5, 2, 12, 4))]
    for backend in (reference, cpu):
        s = state(2, 4, 3, how)
        training = backend.Training(s, how)
        for k in range(20):
            assert training.run(both[k % 2], np.array([k // 2])) == 1
        results.append(s)
    assert torch.equal(results[0].weight, results[1].weight) and torch.equal(results[0].theta, results[1].theta)


@pytest.mark.parametrize("backend", [reference, cpu])
def test_a_second_size_is_refused_where_every_neuron_has_a_threshold(backend):
    how = rule(competition=NeuronHomeostasis(0.1, 0.05, 1.0, 9.0))
    training = backend.Training(state(2, 4, 3, how), how)
    training.run(SpikeLists.of(spikes(1, (5, 2, 7, 9), 0.1)), np.arange(1))
    with pytest.raises(ValueError, match="enable_homeostasis"):
        training.run(SpikeLists.of(spikes(1, (5, 2, 7, 8), 0.1)), np.arange(1))


@pytest.mark.parametrize("backend", [reference, cpu])
@pytest.mark.parametrize(("level", "wins"), [(1.0, 1), (1.0 + 1 / 4096, 0)])
def test_a_potential_at_its_threshold_of_the_competition_takes_part(backend, level, wins):
    how = rule(mode=LeakMode.NONE, leak=0.0, base=0.5, maps=None, competition=NeuronHomeostasis(0.1, 0.05, level, 9.0))
    s = state(1, 1, 1, how)
    s.weight.fill_(1.0)
    assert backend.Training(s, how).run(SpikeLists.of(np.ones((1, 1, 1, 1, 1))), np.arange(1)) == 1
    assert s.wins.tolist() == [wins]


def test_ten_thousands_of_candidates_at_once():
    how = rule(base=0.2, maps=None, wta="local", radius=1)
    lists = SpikeLists.of(spikes(3, (2, 1, 60, 70), 0.9))
    results = [learned(backend, state(1, 8, 3, how), how, lists, np.arange(3)) for backend in (reference, cpu)]
    assert_equal(*results)
    assert results[0]["wins"].sum() > 1000


@pytest.mark.parametrize("silent", [torch.inf, 2**31 - 1, 2**62])
@pytest.mark.parametrize("backend", [reference, cpu])
def test_padding_and_silence_count_as_late(backend, silent):
    pre = torch.full((1, 2, 2), silent, dtype=torch.float32 if silent == torch.inf else torch.int64)
    pre[0, 0, 0] = 1
    weight = torch.full((1, 1, 3, 3), 0.5)
    winners = torch.tensor([[1, 0, 0, 0]])
    backend.stdp_update(weight, pre, winners, Plasticity(PlasticityForm.ADDITIVE, 0.2, 0.1, 0.0, 1.0))
    assert weight[0, 0, 1, 1] == np.float32(0.7)
    weight[0, 0, 1, 1] = 0.4
    assert (weight == 0.4).all()
