"""The fused training step in Triton against the reference: every weight, threshold and counter, bit for bit."""

import contextlib

import numpy as np
import pytest
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import LearningState, MapHomeostasis, NeuronHomeostasis, Plasticity, PlasticityForm, TrainingRule

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []
MODES = ["global", "local", "both"]
LEAKS = [(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.125), (LeakMode.MULTIPLICATIVE, 0.75)]
LEARNED = ("weight", "threshold", "theta", "wins", "recent_wins", "seen", "competition")


def a_rule(**changes):
    usual = {
        "mode": LeakMode.NONE, "leak": 0.0, "base": 1.0, "wta": "both", "radius": 1, "max_winners": None, "competition": None,
        "maps": MapHomeostasis(0.0, 0.02, 50.0, 10.0), "dead_recovery": False, "dead_threshold": 0.3, "dead_warmup": 3,
        "batch_size": 1,
    }  # fmt: skip
    stdp = {name: changes.pop(name) for name in Plasticity._fields if name in changes}
    usual["plasticity"] = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0)._replace(**stdp)
    return TrainingRule(**usual | changes)


def a_state(maps, channels, kernel, base, device="cpu"):
    weight = torch.rand(maps, channels, kernel, kernel, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.5
    return LearningState.fresh(weight.to(device), torch.full((maps,), float(base), device=device))


def soft_bound(stdp):
    """A custom rule that is the multiplicative one, and changes neither of its arguments."""

    def update(weights, early):
        rate = torch.where(early, stdp.lr_plus, -stdp.lr_minus).to(weights.dtype)
        return weights + rate * (weights * (1 - weights))

    return stdp._replace(form=PlasticityForm.CUSTOM, update=update)


def assert_same(got, want):
    for name in LEARNED:
        a, b = getattr(got, name), getattr(want, name)
        assert (a is None) == (b is None), name
        assert a is None or torch.equal(a.cpu(), b.cpu()), name


def some_lists(seed, samples, *shape, density=0.2):
    return SpikeLists.of(np.random.default_rng(seed).random((samples, *shape)) < density)


def learn_both(triton_ops, meaning, device, rule, lists, order, maps=3, kernel=3, calls=1):
    """Learn twice the same; -> what the reference learned."""
    states = [a_state(maps, lists.shape[1], kernel, rule.base, where) for where in (device, "cpu")]
    for state, ops in zip(states, (triton_ops, meaning), strict=True):
        training = ops.Training(state, rule)
        for part in np.array_split(order, calls):
            assert training.run(lists, part) == len(part)
    assert_same(*states)
    assert states[1].wins.sum() > 0
    return states[1]


@pytest.mark.parametrize("wta", MODES)
@pytest.mark.parametrize(("mode", "leak"), LEAKS)
def test_every_membrane_under_every_competition(triton_ops, meaning, device, wta, mode, leak):
    rule = a_rule(wta=wta, mode=mode, leak=leak)
    learn_both(triton_ops, meaning, device, rule, some_lists(1, 4, 4, 2, 5, 7), np.array([3, 0, 0, 2, 1]), calls=2)


@pytest.mark.parametrize("wta", MODES)
@pytest.mark.parametrize(
    "changes",
    [
        {"max_winners": 2, "form": PlasticityForm.ADDITIVE, "weight_min": 0.2, "weight_max": 0.8},
        {"competition": NeuronHomeostasis(0.1, 0.05, 0.5, 1.5), "radius": 2},
        {"maps": None, "base": 0.0},  # saturation: everything fires, spikes or not
        {"batch_size": 3, "base": 2 / 4096, "weight_max": 5.0, "lr_plus": 0.4, "radius": 0},
    ],
)
def test_every_rule_under_every_competition(triton_ops, meaning, device, wta, changes):
    rule = a_rule(wta=wta, **changes)
    learn_both(triton_ops, meaning, device, rule, some_lists(2, 3, 3, 1, 4, 5), np.array([0, 1, 2, 1, 0]), calls=3)


def test_a_potential_at_the_threshold_of_the_competition_takes_part(triton_ops, meaning, device):
    rule = a_rule(base=0.25, competition=NeuronHomeostasis(0.0, 0.0, 0.5, 1.5))
    states = [a_state(2, 1, 3, rule.base, where) for where in (device, "cpu")]
    for state, ops in zip(states, (triton_ops, meaning), strict=True):
        state.weight.fill_(0.5)
        ops.Training(state, rule).run(SpikeLists(np.array([0, 1]), np.array([4], np.int32), (1, 1, 3, 3)), np.array([0]))
    assert_same(*states)
    assert states[1].wins.tolist() == [1, 1]


@pytest.mark.parametrize("wta", MODES)
def test_neighbourhoods_reach_across_tiles(triton_ops, meaning, device, wta):
    state = learn_both(
        triton_ops, meaning, device, a_rule(wta=wta, radius=4), some_lists(3, 1, 2, 1, 17, 18, density=0.3), np.array([0, 0])
    )  # fmt: skip
    assert wta != "local" or state.wins.sum() > 8


@pytest.mark.parametrize(
    ("shape", "maps", "kernel"), [((2, 1, 1, 1), 1, 1), ((32, 1, 2, 3), 2, 5), ((2, 1, 3, 2), 2, 17), ((2, 3, 2, 2), 33, 3)]
)
def test_odd_shapes(triton_ops, meaning, device, shape, maps, kernel):
    rule = a_rule(base=0.5, mode=LeakMode.SUBTRACTIVE, leak=0.125)
    lists = some_lists(4, 3, *shape, density=0.1 if shape[0] == 32 else 0.6)
    learn_both(triton_ops, meaning, device, rule, lists, np.array([0, 1, 2]), maps, kernel)


@pytest.mark.parametrize("samples", [30, pytest.param(200, marks=[] if torch.cuda.is_available() else pytest.mark.slow)])
def test_many_samples_of_two_sizes(triton_ops, meaning, device, samples):
    rule = a_rule(wta="both", maps=MapHomeostasis(0.0, 0.05, 20.0, 10.0))
    wide, tall = some_lists(5, 40, 2, 1, 3, 4), some_lists(6, 10, 2, 1, 5, 2)
    states = [a_state(2, 1, 3, rule.base, where) for where in (device, "cpu")]
    of_wide, of_tall = 7 * samples // 20, 3 * samples // 20
    for state, ops in zip(states, (triton_ops, meaning), strict=True):
        training = ops.Training(state, rule)
        for seed in range(2):
            rng = np.random.default_rng(seed)
            assert training.run(wide, rng.integers(0, 40, of_wide)) == of_wide
            assert training.run(tall, rng.integers(0, 10, of_tall)) == of_tall
    assert_same(*states)
    assert (states[1].seen == 2 * (of_wide + of_tall)).all() and states[1].wins.min() > samples / 2


def shaken(state, rule, rng):
    """What a caller does with dead maps: new weights, counters from zero."""
    dead = state.dead(rule)
    for m in torch.nonzero(dead).flatten().tolist():
        state.weight[m] = torch.from_numpy(rng.random(state.weight[m].shape, np.float32)).to(state.weight.device)
        state.theta[m] = 0.0
    state.seen[dead] = 0
    state.recent_wins[dead] = 0
    state.threshold.copy_(rule.base + state.theta)


@pytest.mark.parametrize(("batch_size", "wta"), [(1, "both"), (4, "global"), (3, "local")])
def test_training_stops_for_dead_maps_and_goes_on(triton_ops, meaning, device, batch_size, wta, dead_recovery=True):
    rule = a_rule(
        wta=wta, base=2.0, radius=9, maps=None, max_winners=1, dead_recovery=dead_recovery, batch_size=batch_size,
        competition=NeuronHomeostasis(0.1, 0.05, 0.5, 1.5),
    )  # fmt: skip
    lists, order = some_lists(8, 6, 2, 1, 3, 4), np.random.default_rng(9).integers(0, 6, 13)
    states = [a_state(3, 1, 3, rule.base, where) for where in (device, "cpu")]
    stops: list[list[int]] = []
    for state, ops in zip(states, (triton_ops, meaning), strict=True):
        training, rng, done = ops.Training(state, rule), np.random.default_rng(10), 0
        stops.append([])
        while done < len(order):
            done += training.run(lists, order[done:])
            stops[-1].append(done)
            shaken(state, rule, rng)
    assert stops[0] == stops[1]
    assert len(stops[1]) > 3 if dead_recovery else len(stops[1]) == 1
    assert not dead_recovery or batch_size == 1 or any(stop % batch_size for stop in stops[1][:-1])
    assert_same(*states)


@pytest.mark.parametrize(
    ("batch_size", "wta", "mode"), [(1, "both", "none"), (4, "global", "subtractive"), (3, "local", "multiplicative")]
)
def test_a_custom_rule_of_soft_bounds_learns_what_the_built_in_one_does(triton_ops, meaning, device, batch_size, wta, mode):
    rule = a_rule(
        wta=wta, mode=LeakMode(mode), leak=0.125, base=2.0, radius=9, maps=None, max_winners=1, dead_recovery=True,
        batch_size=batch_size, competition=NeuronHomeostasis(0.1, 0.05, 0.5, 1.5),
    )  # fmt: skip
    custom = rule._replace(plasticity=soft_bound(rule.plasticity))
    lists, order = some_lists(8, 6, 2, 1, 3, 4), np.random.default_rng(9).integers(0, 6, 13)
    states = [a_state(3, 1, 3, rule.base, where) for where in (device, "cpu")]
    stops: list[list[int]] = []
    for state, ops, how in zip(states, (triton_ops, meaning), (custom, rule), strict=True):
        training, rng, done = ops.Training(state, how), np.random.default_rng(10), 0
        stops.append([])
        while done < len(order):
            done += training.run(lists, order[done:])
            stops[-1].append(done)
            shaken(state, how, rng)
    assert stops[0] == stops[1] and len(stops[0]) > 1
    assert_same(*states)
    assert states[1].wins.sum() + states[1].seen.sum() > 0


def test_a_custom_rule_sees_all_of_thirty_two_steps(triton_ops, meaning, device):
    rule = a_rule(base=0.5, mode=LeakMode.SUBTRACTIVE, leak=0.125, batch_size=2)
    states = [a_state(2, 1, 5, rule.base, where) for where in (device, "cpu")]
    spikes = np.random.default_rng(4).random((10, 32, 1, 2, 3)) < 0.02
    spikes[8:] = np.arange(32)[:, None, None, None] == 31  # of the last samples the last step alone
    lists = SpikeLists.of(spikes)
    for state, ops, how in zip(states, (triton_ops, meaning), (rule, rule), strict=True):
        how = how._replace(plasticity=soft_bound(how.plasticity)) if ops is triton_ops else how
        assert ops.Training(state, how).run(lists, np.arange(10)) == 10
    assert_same(*states)
    assert states[1].wins.sum() > 10


class PretendGraph:
    """A CUDA graph as far as the host can tell: launches of a capture are kept, not run, and run at every replay."""

    capturing = None

    def __init__(self):
        self.launches = []

    def replay(self):
        for launch in self.launches:
            launch()


@pytest.fixture
def pretended(triton_ops, monkeypatch):
    """The launches of training go through a `PretendGraph`."""
    from spikeseg.ops.cuda import training as cuda_trainer

    @contextlib.contextmanager
    def capture(graph, capture_error_mode):
        assert capture_error_mode == "thread_local"  # other threads may use the GPU meanwhile
        PretendGraph.capturing = graph
        yield
        PretendGraph.capturing = None

    make, launch = cuda_trainer._Scratch.__init__, cuda_trainer._Scratch._launch

    def with_graphs(self, *args):
        make(self, *args)
        self.graphs = True

    def kept(self, slot):
        if PretendGraph.capturing is None:
            launch(self, slot)
        else:
            PretendGraph.capturing.launches.append(lambda: launch(self, slot))

    monkeypatch.setattr(torch.cuda, "CUDAGraph", PretendGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(cuda_trainer, "SLOTS", 5)
    monkeypatch.setattr(cuda_trainer._Scratch, "__init__", with_graphs)
    monkeypatch.setattr(cuda_trainer._Scratch, "_launch", kept)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: graphs are real")
@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("dead_recovery", [False, True])
def test_graphs_are_replayed_with_idle_slots_behind_the_end_and_behind_a_death(triton_ops, meaning, device, dead_recovery):
    test_training_stops_for_dead_maps_and_goes_on(triton_ops, meaning, device, 2, "global", dead_recovery)


def test_weights_that_the_caller_changes_count(triton_ops, meaning, device):
    rule, lists = a_rule(), some_lists(11, 4, 3, 1, 4, 4)
    states = [a_state(2, 1, 3, rule.base, where) for where in (device, "cpu")]
    for state, ops in zip(states, (triton_ops, meaning), strict=True):
        training = ops.Training(state, rule)
        training.run(lists, np.arange(4))
        state.weight.mul_(9.0)  # past 4, which takes more than two parts of 7 bits
        state.threshold.mul_(2.0)
        training.run(lists, np.arange(4))
        assert training.run(lists, np.arange(0)) == 0
    assert_same(*states)


def test_what_convolves_next_is_the_master_rounded_half_to_even(triton_ops, device):
    from spikeseg.ops.cuda.memory import by_tap, in_units, levels

    rule = a_rule(
        form=PlasticityForm.ADDITIVE, lr_plus=1.5 / 4096, lr_minus=0.5 / 4096, weight_min=-1.0, wta="global", maps=None, base=0.0
    )
    state = a_state(2, 1, 3, rule.base, device)
    state.weight.copy_(torch.arange(-9, 9).reshape(2, 1, 3, 3) / 4096)
    state.theta += 2.5 / 4096
    state.threshold.fill_(-1.0)  # every map wins
    training = triton_ops.Training(state, rule)
    training.run(some_lists(12, 2, 3, 1, 3, 3, density=0.5), np.array([0]))
    assert (state.weight * 4096 % 1 == 0.5).all()
    assert torch.equal(training._weights, in_units(by_tap(state.weight)))
    assert torch.equal(training._levels, levels(state.threshold, 2)) and training._levels[0] == 2


def test_silence_teaches_nothing(triton_ops, meaning, device):
    state, rule = a_state(2, 1, 3, 1.0, device), a_rule()
    before = state.weight.clone()
    assert triton_ops.Training(state, rule).run(some_lists(0, 2, 3, 1, 4, 4, density=0.0), np.array([0, 1])) == 2
    assert torch.equal(state.weight, before) and state.wins.sum() == 0 and (state.seen == 2).all()


def test_what_does_not_fit_is_refused(triton_ops, device):
    state = a_state(2, 1, 3, 1.0, device)
    training = triton_ops.Training(state, a_rule(competition=NeuronHomeostasis(0.1, 0.05, 0.5, 1.5)))
    with pytest.raises(ValueError, match="samples of 33 steps"):
        training.run(some_lists(0, 1, 33, 1, 2, 2), np.array([0]))
    training.run(some_lists(0, 1, 2, 1, 2, 2), np.array([0]))
    with pytest.raises(ValueError, match="keeps a threshold for every neuron"):
        training.run(some_lists(0, 1, 2, 1, 3, 2), np.array([0]))
    state.weight = state.weight.double()
    with pytest.raises(ValueError, match="float32 weights"):
        triton_ops.Training(state, a_rule())
